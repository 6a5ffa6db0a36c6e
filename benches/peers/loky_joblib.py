"""loky's executor for single calls, and joblib's `Parallel` on that executor for the rest."""

import os
import shutil
import tempfile
import time

import joblib
import loky
import numpy
from joblib import Parallel, delayed

from common import MIB, SIZES, WORKERS, BareServer, Peer, busy, descendants, make, nothing, same

LARGE = 800 * MIB


def start(workers):
    """Returns the seconds from the start of a pool to its first result, without its end."""
    began = time.perf_counter()
    pool = loky.ProcessPoolExecutor(workers)
    pool.submit(nothing).result()
    taken = time.perf_counter() - began
    pool.shutdown(kill_workers=True)
    return taken


def in_flight(pool, tasks):
    for future in [pool.submit(nothing) for _ in range(tasks)]:
        future.result()


def touch(array):
    """Returns one element of a memory-mapped array."""
    return int(array[-1])


def shared_arrays(peer, parallel):
    """Measures arrays that are dumped to shared memory and mapped by workers, as joblib does."""
    folder = tempfile.mkdtemp(prefix="mobula-joblib-", dir="/dev/shm")
    try:
        source = numpy.ones(LARGE // 8, numpy.int64)
        for name, size in [("1m", MIB), ("800m", LARGE)]:
            file = os.path.join(folder, name)
            dumped = peer.samples(
                lambda size=size, file=file: joblib.dump(source[: size // 8], file),
                warm_up=0,
                seconds=0.0,
                least=1,
                most=1,
            )
            if size == LARGE:
                peer.emit("put_800_cold", "B/s", [size / dumped[0]])
            mapped = joblib.load(file, mmap_mode="r")
            peer.time(
                f"task_shared_{name}",
                lambda mapped=mapped: parallel([delayed(touch)(mapped)]),
                seconds=0.5,
            )
    finally:
        shutil.rmtree(folder)


def main():
    peer = Peer("joblib", f"{joblib.__version__}, loky {loky.__version__}")
    work = BareServer()
    repeat = peer.size(3, 1)
    peer.row("start_2", lambda: peer.emit("start_2", "s", [start(2) for _ in range(repeat)]))
    pool = loky.get_reusable_executor(max_workers=WORKERS, timeout=None)
    peer.round_trips(lambda: pool.submit(nothing).result(), warm_up=100)
    peer.cold("cold", lambda: pool.submit(nothing).result())
    peer.idle(descendants())
    peer.thousand(lambda: in_flight(pool, 1000))
    many = peer.size(20_000, 5_000)
    peer.rate(
        "inflight_100k",
        lambda: in_flight(pool, many),
        many,
        note=f"{many} tasks",
        least=2,
        warm_up=0,
    )
    for name, size in SIZES.items():
        peer.time(f"result_{name}", lambda size=size: pool.submit(make, size).result(), seconds=0.5)
    pool.shutdown(kill_workers=True)

    with Parallel(n_jobs=WORKERS) as parallel:

        def mapped(function, items):
            return parallel(delayed(function)(item) for item in items)

        trivial = peer.size(1_000_000, 100_000)
        peer.rate(
            "map_trivial",
            lambda: mapped(same, range(trivial)),
            trivial,
            note="automatic batches",
            least=2,
            warm_up=0,
        )
        peer.rate(
            "map_single", lambda: mapped(same, range(10_000)), 10_000, note="automatic batches"
        )
        counts = {"10us": 50_000, "100us": 10_000, "1ms": 1_000, "skewed": 10_000}
        if peer.quick:
            counts = {name: count // 10 for name, count in counts.items()}
        peer.busy_maps(work, lambda items: mapped(busy, items), counts)
        peer.row("task_shared_800m", lambda: shared_arrays(peer, parallel))
    work.close()
    loky.get_reusable_executor().shutdown(kill_workers=True)


if __name__ == "__main__":
    main()
