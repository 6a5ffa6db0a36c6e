"""The standard library's `multiprocessing.Pool`, and `shared_memory` for large arrays."""

import multiprocessing
import time
from multiprocessing import resource_tracker, shared_memory

import numpy

from common import (
    MIB,
    SIZES,
    WORKERS,
    BareServer,
    Peer,
    busy,
    descendants,
    make,
    nothing,
    python_version,
    same,
)

LARGE = 800 * MIB


def touch(name):
    """Returns one element of a shared array, in a worker."""
    memory = shared_memory.SharedMemory(name=name)
    array = numpy.ndarray(memory.size // 8, numpy.int64, memory.buf)
    value = int(array[-1])
    del array
    memory.close()
    return value


def start(workers):
    """Returns the seconds from the start of a pool to its first result, without its end."""
    began = time.perf_counter()
    pool = multiprocessing.Pool(workers)
    pool.apply(nothing)
    taken = time.perf_counter() - began
    pool.terminate()
    pool.join()
    return taken


def in_flight(pool, tasks):
    for result in [pool.apply_async(nothing) for _ in range(tasks)]:
        result.get()


def shared_arrays(peer, pool):
    """Measures copies into shared memory, and tasks that read it."""
    source = numpy.ones(LARGE // 8, numpy.int64)
    for name, size in [("1m", MIB), ("800m", LARGE)]:
        memory = shared_memory.SharedMemory(create=True, size=size)
        target = numpy.ndarray(size // 8, numpy.int64, memory.buf)
        try:
            if size == LARGE:
                copies = peer.samples(
                    lambda target=target: numpy.copyto(target, source),
                    warm_up=0,
                    seconds=1.0,
                    least=4,
                )
                peer.emit("put_800_cold", "B/s", [size / copies[0]])
                peer.emit("put_800_warm", "B/s", [size / taken for taken in copies[1:]])
                peer.emit(
                    "put_gigabytes", "B/s", [0.8e9 / taken for taken in copies[1:]], "SharedMemory"
                )
            else:
                target[:] = 1
            peer.time(
                f"task_shared_{name}",
                lambda memory=memory: pool.apply(touch, (memory.name,)),
                seconds=0.5,
            )
        finally:
            del target
            memory.close()
            memory.unlink()


def workers_of(peer, many, base):
    """Measures the tasks per second with many workers, divided by those with two."""
    with multiprocessing.Pool(many) as pool:
        taken = peer.samples(lambda: in_flight(pool, 1000), seconds=1.0)
    peer.emit(f"workers_{many}", "ratio", [base / seconds for seconds in taken])


def main():
    peer = Peer("multiprocessing.Pool", python_version())
    work = BareServer()
    # This comes before the fork of the workers, so that they start no trackers of their own.
    resource_tracker.ensure_running()
    repeat = peer.size(5, 2)
    peer.row("start_2", lambda: peer.emit("start_2", "s", [start(2) for _ in range(repeat)]))
    peer.row("start_16", lambda: peer.emit("start_16", "s", [start(16) for _ in range(repeat)]))
    with multiprocessing.Pool(WORKERS) as pool:
        peer.round_trips(lambda: pool.apply(nothing), warm_up=100)
        peer.cold("cold", lambda: pool.apply(nothing))
        peer.idle(descendants())
        peer.thousand(lambda: in_flight(pool, 1000))
        peer.rate("inflight_100k", lambda: in_flight(pool, 100_000), 100_000, least=2, warm_up=0)
        base = peer.samples(lambda: in_flight(pool, 1000))
        peer.rate(
            "map_trivial", lambda: pool.map(same, range(1_000_000)), 1_000_000, note="auto chunks"
        )
        peer.rate(
            "map_single",
            lambda: pool.map(same, range(10_000), chunksize=1),
            10_000,
            note="chunksize=1",
        )
        peer.rate(
            "map_unordered",
            lambda: sum(1 for _ in pool.imap_unordered(same, range(10_000))),
            10_000,
            note="chunksize=1",
        )
        counts = {"10us": 100_000, "100us": 10_000, "1ms": 1_000, "skewed": 10_000}
        if peer.quick:
            counts = {name: count // 10 for name, count in counts.items()}
        peer.busy_maps(work, lambda items: pool.map(busy, items), counts)
        for name, size in SIZES.items():
            peer.time(f"result_{name}", lambda size=size: pool.apply(make, (size,)), seconds=0.5)
        peer.row("put_800_warm", lambda: shared_arrays(peer, pool))
        peer.row("queued", lambda: queued(peer, pool))
    for many in (16, 64):
        peer.row(
            f"workers_{many}",
            lambda many=many: workers_of(peer, many, sorted(base)[len(base) // 2]),
        )
    work.close()


def queued(peer, pool):
    """Measures tasks that are queued while both workers are busy, and then run."""
    tasks = peer.size(100_000, 10_000)
    held = [pool.apply_async(time.sleep, (0.2,)) for _ in range(WORKERS)]
    start_time = time.perf_counter()
    results = [pool.apply_async(nothing) for _ in range(tasks)]
    queueing = time.perf_counter() - start_time
    for result in held:
        result.get()
    start_time = time.perf_counter()
    for result in results:
        result.get()
    taken = queueing + time.perf_counter() - start_time
    peer.emit(
        "queued",
        "1/s",
        [tasks / taken],
        f"{tasks} tasks; they begin to run while the last are queued",
    )


if __name__ == "__main__":
    main()
