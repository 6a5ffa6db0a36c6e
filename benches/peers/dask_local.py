"""dask's `LocalCluster`: processes of one thread each on the loopback interface."""

import logging
import time

import dask
import numpy
from dask.distributed import Client, LocalCluster, worker_client

from common import MIB, SIZES, WORKERS, BareServer, Peer, busy, descendants, make, nothing, same


def cluster(workers):
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        memory_limit=0,
        silence_logs=logging.CRITICAL,
    )


def start(workers):
    """Returns the seconds from the start of a cluster to its first result, without its end."""
    began = time.perf_counter()
    with cluster(workers) as started, Client(started) as client:
        client.submit(nothing, pure=False).result()
        return time.perf_counter() - began


def touch(array):
    """Returns one element."""
    return int(array[-1])


def busy_20us(_):
    busy(20_000)


def calls_one_by_one(calls):
    """Returns the seconds of one call. The task makes its calls one by one."""
    with worker_client() as client:
        began = time.perf_counter()
        for _ in range(calls):
            client.submit(nothing, pure=False).result()
        return (time.perf_counter() - began) / calls


def fib(n):
    if n < 2:
        return n
    with worker_client() as client:
        return sum(
            client.gather(
                [client.submit(fib, n - 1, pure=False), client.submit(fib, n - 2, pure=False)]
            )
        )


def control(peer, client):
    tasks = peer.size(3_000, 1_000)

    def cancel_queued():
        rates = []
        for _ in range(2):
            held = client.map(time.sleep, [1.0] * WORKERS, pure=False)
            time.sleep(0.2)
            futures = client.map(nothing, [0] * tasks, pure=False)
            began = time.perf_counter()
            client.cancel(futures)
            rates.append(tasks / (time.perf_counter() - began))
            assert all(future.cancelled() for future in futures), (
                "tasks ran though they were cancelled"
            )
            client.gather(held)
        peer.emit("cancel_queued", "1/s", rates, f"{tasks} tasks")

    def overtake():
        taken = []
        for _ in range(3):
            others = client.map(busy_20us, range(tasks), pure=False)
            began = time.perf_counter()
            client.submit(nothing, pure=False, priority=1).result()
            taken.append(time.perf_counter() - began)
            client.cancel(others)
        peer.emit("overtake", "s", taken, f"behind {tasks} others")

    def nested():
        calls = peer.size(200, 50)
        client.submit(calls_one_by_one, 5, pure=False).result()
        taken = [client.submit(calls_one_by_one, calls, pure=False).result() for _ in range(3)]
        peer.emit("nested_call", "s", taken, f"{calls} one by one")

        def work():
            return client.submit(fib, 6, pure=False).result()

        peer.rate("fib", work, 25, "`fib(6)`, which is 25 tasks", least=2, seconds=3.0)

    for row, work in [
        ("cancel_queued", cancel_queued),
        ("overtake", overtake),
        ("nested_call", nested),
    ]:
        peer.row(row, work)


def measure(peer, work, client):
    def sync():
        client.submit(nothing, pure=False).result()

    def mapped(function, items):
        return client.gather(client.map(function, items, pure=False))

    peer.round_trips(sync, warm_up=20)
    peer.cold("cold", sync)
    peer.idle(descendants())
    peer.thousand(lambda: mapped(nothing, [0] * 1000), least=2, warm_up=0)
    many = peer.size(3_000, 1_000)
    peer.rate(
        "inflight_100k",
        lambda: mapped(nothing, [0] * many),
        many,
        f"{many} tasks",
        least=1,
        warm_up=0,
    )
    peer.rate(
        "map_single", lambda: mapped(same, range(1000)), 1000, "1,000 items", least=2, warm_up=0
    )
    counts = {"10us": 300, "100us": 300, "1ms": 300, "skewed": 300}
    if peer.quick:
        counts = {name: count // 3 for name, count in counts.items()}
    peer.busy_maps(work, lambda items: mapped(busy, items), counts)
    for name, size in SIZES.items():
        if size <= 64 * MIB:
            peer.time(
                f"result_{name}",
                lambda size=size: client.submit(make, size, pure=False).result(),
                seconds=0.5,
            )
    peer.rate("put_calls", lambda: client.scatter(0, hash=False), 1)
    small = client.scatter(0, hash=False)
    peer.rate("get_calls", lambda: small.result(), 1)
    # A worker reads only its own copy in place. So dask has no row for one array of all workers.
    held = client.scatter(numpy.ones(MIB // 8, numpy.int64), broadcast=True, hash=False)
    peer.time(
        "task_shared_1m",
        lambda: client.submit(touch, held, pure=False).result(),
        "a copy in each worker",
        seconds=0.5,
    )


def main():
    dask.config.set({"distributed.admin.log-length": 0})
    peer = Peer("dask", dask.__version__)
    work = BareServer()
    repeat = peer.size(2, 1)
    peer.row("start_2", lambda: peer.emit("start_2", "s", [start(2) for _ in range(repeat)]))
    with cluster(WORKERS) as started, Client(started) as client:
        measure(peer, work, client)
        control(peer, client)
    work.close()


if __name__ == "__main__":
    main()
