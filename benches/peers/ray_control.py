"""Ray's tasks that are cancelled, have options, have several results, or make calls.

Ray has no priorities and no time limits for tasks, so it has no rows about them.
"""

import tempfile
import time

# These modules set up the environment for Ray, so they come before it.
import ray_local
from common import MIB, WORKERS, Peer
from ray_local import empty, end, hold, start

# isort: split
import numpy
import ray

BLOCK = 8 * MIB
BLOCKS = 32
# A cancellation without effect after this many seconds counts as lost.
LOST = 1.0
BEYOND_STORE = 1 << 30
BEYOND_ITEM = 100_000_000
BEYOND_ITEMS = 100


@ray.remote
def hold_briefly():
    """Keeps its worker until it is cancelled. The interrupt comes between two of its steps."""
    while True:
        time.sleep(0.0002)


@ray.remote
def numbers(count):
    # Ray calls `send` on the iterator of a `yield from`, which a range does not have.
    for number in range(count):  # noqa: UP028
        yield number


@ray.remote
def blocks(count, size):
    block = numpy.ones(size, numpy.uint8)
    for _ in range(count):
        yield block


@ray.remote
def pair():
    return 1, 2


@ray.remote
def calls_one_by_one(calls):
    began = time.perf_counter()
    for _ in range(calls):
        ray.get(empty.remote())
    return (time.perf_counter() - began) / calls


@ray.remote
def fib(n):
    if n < 2:
        return n
    return sum(ray.get([fib.remote(n - 1), fib.remote(n - 2)]))


def is_cancelled(ref):
    try:
        ray.get(ref)
    except (ray.exceptions.TaskCancelledError, ray.exceptions.RayTaskError):
        return True
    return False


def cancel_queued(peer):
    tasks = peer.size(10_000, 1_000)
    rates = []
    for _ in range(2):
        held = [hold.remote(60.0) for _ in range(WORKERS)]
        time.sleep(0.5)
        refs = [empty.remote() for _ in range(tasks)]
        began = time.perf_counter()
        for ref in refs:
            ray.cancel(ref)
        rates.append(tasks / (time.perf_counter() - began))
        assert all(is_cancelled(ref) for ref in refs), "tasks ran though they were cancelled"
        for ref in held:
            ray.cancel(ref, force=True)
    peer.emit("cancel_queued", "1/s", rates, f"{tasks} tasks, one call for each")


def cancel_running(peer):
    # Each task needs all cores, so the tasks run one by one.
    alone = {"num_cpus": WORKERS}
    taken = []
    lost = 0
    for _ in range(peer.size(20, 5)):
        running = hold_briefly.options(**alone).remote()
        following = empty.options(**alone).remote()
        time.sleep(0.2)
        began = time.perf_counter()
        ray.cancel(running)
        if ray.wait([following], timeout=LOST)[0]:
            taken.append(time.perf_counter() - began)
            assert is_cancelled(running)
        else:
            # This interrupt and further ones have no effect: the task goes on for ever.
            lost += 1
            ray.cancel(running, force=True)
            ray.get(following)
    if not taken:
        raise RuntimeError(f"none of {lost} cancellations had an effect")
    remark = f"interrupted, without looking; {lost} more cancellations without effect, not counted"
    peer.emit("cancel_running", "s", taken, remark)


def read(stream):
    return [ray.get(ref) for ref in stream]


def stream(peer, row, buffer):
    items = peer.size(10_000, 1_000)
    call = numbers.options(num_returns="streaming", _generator_backpressure_num_objects=buffer)

    def work():
        assert len(read(call.remote(items))) == items

    peer.rate(row, work, items, f"{items} items", least=2)


def read_blocks(items, size):
    """Reads a stream of this many blocks. At most four unread blocks exist at a time."""
    call = blocks.options(num_returns="streaming", _generator_backpressure_num_objects=4)
    length = 0
    for ref in call.remote(items, size):
        length += len(ray.get(ref))
    assert length == items * size


def streams(peer):
    stream(peer, "stream_items", 1000)
    stream(peer, "stream_items_4", 4)
    peer.rate(
        "stream_bytes", lambda: read_blocks(BLOCKS, BLOCK), BLOCKS * BLOCK, unit="B/s", least=2
    )

    def split():
        ray.get(list(pair.options(num_returns=2).remote()))

    peer.time("split", split, warm_up=100)


def options(peer):
    peer.time("with_options", lambda: ray.get(empty.options(max_retries=1).remote()), warm_up=100)


def nested(peer):
    calls = peer.size(1000, 200)
    ray.get(calls_one_by_one.remote(10))
    taken = [ray.get(calls_one_by_one.remote(calls)) for _ in range(3)]
    peer.emit("nested_call", "s", taken, f"{calls} one by one")
    # Each waiting call keeps a process: `fib(20)` would need thousands.
    peer.rate(
        "fib",
        lambda: ray.get(fib.remote(6)),
        25,
        "`fib(6)`, which is 25 tasks",
        least=2,
        seconds=3.0,
    )


def beyond(peer):
    """Measures a stream that is much larger than its store, in a Ray of its own."""
    ray_local.STORE = BEYOND_STORE
    folder = tempfile.mkdtemp(prefix="mobula-ray-")
    try:
        start(folder)

        def work():
            return read_blocks(BEYOND_ITEMS, BEYOND_ITEM)

        peer.rate(
            "stream_beyond",
            work,
            BEYOND_ITEMS * BEYOND_ITEM,
            unit="B/s",
            least=1,
            seconds=0.1,
            warm_up=0,
        )
    finally:
        end(folder)


def main():
    folder = tempfile.mkdtemp(prefix="mobula-ray-")
    peer = Peer("Ray", ray.__version__)
    try:
        start(folder)
        options(peer)
        streams(peer)
        peer.row("nested_call", lambda: nested(peer))
        peer.row("cancel_queued", lambda: cancel_queued(peer))
        peer.row("cancel_running", lambda: cancel_running(peer))
    finally:
        end(folder)
    beyond(peer)


if __name__ == "__main__":
    main()
