"""dask's `LocalCluster`: processes of one thread each on the loopback interface."""

import logging
import time

import dask
import numpy
from dask.distributed import Client, LocalCluster

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
    """From nothing to the first result; the end is not counted."""
    began = time.perf_counter()
    with cluster(workers) as started, Client(started) as client:
        client.submit(nothing, pure=False).result()
        return time.perf_counter() - began


def touch(array):
    """Reads one element."""
    return int(array[-1])


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
    peer.rate("inflight_100k", lambda: mapped(nothing, [0] * many), many, f"{many} tasks", least=1, warm_up=0)
    peer.rate("map_single", lambda: mapped(same, range(1000)), 1000, "1,000 items", least=2, warm_up=0)
    counts = {"10us": 300, "100us": 300, "1ms": 300, "skewed": 300}
    if peer.quick:
        counts = {name: count // 3 for name, count in counts.items()}
    peer.busy_maps(work, lambda items: mapped(busy, items), counts)
    for name, size in SIZES.items():
        if size <= 64 * MIB:
            peer.time(f"result_{name}", lambda: client.submit(make, size, pure=False).result(), seconds=0.5)
    peer.rate("put_calls", lambda: client.scatter(0, hash=False), 1)
    small = client.scatter(0, hash=False)
    peer.rate("get_calls", lambda: small.result(), 1)
    # A worker reads what it holds itself in place: no task over one array for all workers.
    held = client.scatter(numpy.ones(MIB // 8, numpy.int64), broadcast=True, hash=False)
    peer.time(
        "task_shared_1m", lambda: client.submit(touch, held, pure=False).result(), "a copy in each worker", seconds=0.5
    )


def main():
    dask.config.set({"distributed.admin.log-length": 0})
    peer = Peer("dask", dask.__version__)
    work = BareServer()
    repeat = peer.size(2, 1)
    peer.row("start_2", lambda: peer.emit("start_2", "s", [start(2) for _ in range(repeat)]))
    with cluster(WORKERS) as started, Client(started) as client:
        measure(peer, work, client)
    work.close()


if __name__ == "__main__":
    main()
