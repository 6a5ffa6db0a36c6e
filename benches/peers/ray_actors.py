"""Ray's actors: the rows of its microbenchmark, and the costs of a call and of an actor.

Where Ray's microbenchmark says `n`, there are as many actors as workers. Its batches of 5,000 calls
and 10,000 tasks are smaller here, because a batch would take many seconds.
"""

import tempfile

# These modules set up the environment for Ray, so they come before it.
from common import MIB, WORKERS, Peer
from ray_local import empty, end, start

# isort: split
import numpy
import ray

CALLERS = 4


@ray.remote(num_cpus=0)
class Server:
    def small(self):
        return b"ok"

    def small_of(self, _):
        return b"ok"

    def last(self, array):
        return float(array[-1])

    def submits(self, tasks):
        ray.get([empty.remote() for _ in range(tasks)])


@ray.remote(num_cpus=0)
class AsyncServer:
    async def small(self):
        return b"ok"

    async def small_of(self, _):
        return b"ok"


@ray.remote(num_cpus=0)
class Client:
    def __init__(self, servers):
        self.servers = servers

    def calls(self, each):
        ray.get([server.small.remote() for server in self.servers for _ in range(each)])

    def calls_with_object(self, each):
        zero = ray.put(0)
        ray.get([server.small_of.remote(zero) for server in self.servers for _ in range(each)])


@ray.remote
def calls_of(servers, calls):
    ray.get([servers[n % len(servers)].small.remote() for n in range(calls)])


def one_caller(peer):
    one = Server.remote()

    def call():
        ray.get(one.small.remote())

    def one_by_one():
        taken = peer.samples(call, warm_up=200)
        peer.emit("actor_call", "s", taken)
        peer.emit("actor_sync", "1/s", [1 / seconds for seconds in taken])

    peer.row("actor_call", one_by_one)
    array = ray.put(numpy.ones(MIB // 8))
    peer.time("actor_call_1m", lambda: ray.get(one.last.remote(array)), warm_up=10, seconds=0.5)
    batch(peer, "actor_async", one)
    batch(peer, "actor_concurrent", Server.options(max_concurrency=16).remote())

    def create():
        ray.get(Server.remote().small.remote())

    # The actor ends with its only handle. The row does not wait for that.
    peer.time("actor_create", create, seconds=3.0, least=3)


def batch(peer, row, actor):
    peer.rate(row, lambda: ray.get([actor.small.remote() for _ in range(1000)]), 1000)


def one_async(peer):
    one = AsyncServer.remote()
    peer.rate("async_actor_sync", lambda: ray.get(one.small.remote()), 1, warm_up=200)
    batch(peer, "async_actor_async", one)
    peer.rate(
        "async_actor_args_async",
        lambda: ray.get([one.small_of.remote(n) for n in range(1000)]),
        1000,
    )


def many(peer, prefix, kind):
    each = peer.size(2_000, 250)
    note = f"{each} calls at a time for each 5000"
    servers = [kind.remote() for _ in range(WORKERS)]
    ray.get([server.small.remote() for server in servers])
    client = Client.remote(servers)
    peer.rate(
        f"{prefix}_1n_async",
        lambda: ray.get(client.calls.remote(each)),
        each * WORKERS,
        note,
        least=2,
    )

    def work():
        return ray.get([calls_of.remote(servers, each) for _ in range(CALLERS)])

    peer.rate(f"{prefix}_nn_async", work, each * CALLERS, note, least=2)
    return servers


def with_object(peer, servers):
    clients = [Client.remote([server]) for server in servers]

    def work():
        return ray.get([client.calls_with_object.remote(1000) for client in clients])

    peer.rate("actor_nn_arg_async", work, 1000 * WORKERS, least=2)


def submitters(peer):
    each = peer.size(1_000, 250)
    actors = [Server.remote() for _ in range(CALLERS)]

    def work():
        return ray.get([actor.submits.remote(each) for actor in actors])

    peer.rate(
        "multi_tasks_async", work, each * CALLERS, f"{each} tasks at a time for each 10000", least=2
    )


def main():
    folder = tempfile.mkdtemp(prefix="mobula-ray-")
    peer = Peer("Ray", ray.__version__)
    try:
        start(folder)
        one_caller(peer)
        with_object(peer, many(peer, "actor", Server))
        one_async(peer)
        many(peer, "async_actor", AsyncServer)
        submitters(peer)
    finally:
        end(folder)


if __name__ == "__main__":
    main()
