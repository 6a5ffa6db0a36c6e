"""The standard library's `concurrent.futures.ProcessPoolExecutor`."""

import time
from concurrent.futures import ProcessPoolExecutor

from common import (
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


def start(workers):
    """Returns the seconds from the start of a pool to its first result, without its end."""
    began = time.perf_counter()
    with ProcessPoolExecutor(workers) as pool:
        pool.submit(nothing).result()
        return time.perf_counter() - began


def in_flight(pool, tasks):
    for future in [pool.submit(nothing) for _ in range(tasks)]:
        future.result()


def cancel_queued(peer, pool):
    """Measures cancels of tasks that are queued while all workers are busy, one call for each."""
    tasks = peer.size(10_000, 1_000)
    rates = []
    for _ in range(3):
        held = [pool.submit(time.sleep, 0.5) for _ in range(2 * WORKERS)]
        time.sleep(0.1)
        futures = [pool.submit(nothing) for _ in range(tasks)]
        began = time.perf_counter()
        cancelled = sum(future.cancel() for future in futures)
        rates.append(cancelled / (time.perf_counter() - began))
        # The pool has handed some tasks to workers already. It cannot cancel these.
        assert cancelled > tasks - 3 * WORKERS, "tasks ran though they were cancelled"
        for future in held:
            future.result()
    peer.emit("cancel_queued", "1/s", rates, f"{tasks} tasks, one call for each")


def mapped(pool, function, items):
    """Maps in as many chunks as `Pool.map` makes: four for each worker."""
    return list(pool.map(function, items, chunksize=max(1, len(items) // (4 * WORKERS))))


def main():
    peer = Peer("ProcessPoolExecutor", python_version())
    work = BareServer()
    repeat = peer.size(5, 2)
    peer.row("start_2", lambda: peer.emit("start_2", "s", [start(2) for _ in range(repeat)]))
    with ProcessPoolExecutor(WORKERS) as pool:
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
        peer.rate(
            "map_trivial",
            lambda: mapped(pool, same, range(1_000_000)),
            1_000_000,
            note="chunks, 4 per worker",
        )
        single = peer.size(10_000, 1_000)
        peer.rate(
            "map_single",
            lambda: list(pool.map(same, range(single))),
            single,
            note="chunksize=1",
            least=2,
            warm_up=0,
        )
        counts = {"10us": 100_000, "100us": 10_000, "1ms": 1_000, "skewed": 10_000}
        if peer.quick:
            counts = {name: count // 10 for name, count in counts.items()}
        peer.busy_maps(work, lambda items: mapped(pool, busy, items), counts)
        for name, size in SIZES.items():
            peer.time(
                f"result_{name}", lambda size=size: pool.submit(make, size).result(), seconds=0.5
            )
        peer.row("cancel_queued", lambda: cancel_queued(peer, pool))
    work.close()


if __name__ == "__main__":
    main()
