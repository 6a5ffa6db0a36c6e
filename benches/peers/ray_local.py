"""Ray on one machine: the rows of its microbenchmark, and the rows of its single-node limits.

The rows about actors are in `ray_actors.py`.

Ray listens on the loopback interface only, sends no usage statistics, and has a bounded object
store. The rows with many objects use arrays of 10,000 integers.
"""

import os
import secrets
import shutil
import tempfile
import time

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Without a token, Ray makes one and leaves it in the home directory.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
# This comes before the start of Ray's threads: a fork of a program with threads may hang.
from common import MIB, SIZES, WORKERS, BareServer, Peer, busy, descendants, make, nothing, same

WORK = BareServer() if __name__ == "__main__" else None

import numpy  # noqa: E402
import ray  # noqa: E402

STORE = 6 << 30
LARGE = 800 * MIB
INTEGERS = 10_000

empty = ray.remote(nothing)
trivial = ray.remote(same)
busy_task = ray.remote(busy)


@ray.remote
def bytes_of(size):
    return numpy.frombuffer(make(size), numpy.uint8)


@ray.remote
def hold(seconds):
    time.sleep(seconds)


@ray.remote
def touch(array):
    return int(array[-1])


@ray.remote
def lengths(*arrays):
    return sum(len(array) for array in arrays)


@ray.remote
def arrays(count):
    return [numpy.zeros(INTEGERS, numpy.int64) for _ in range(count)]


@ray.remote
def many_refs(count):
    return [ray.put(1) for _ in range(count)]


@ray.remote
def puts_small(count):
    for _ in range(count):
        ray.put(0)


@ray.remote
def puts_large(count, size):
    source = numpy.zeros(size // 8, numpy.int64)
    for _ in range(count):
        ray.put(source)


def start(folder):
    """Starts Ray. Returns the seconds until the first result."""
    began = time.perf_counter()
    ray.init(
        num_cpus=WORKERS,
        include_dashboard=False,
        object_store_memory=STORE,
        logging_level="CRITICAL",
        log_to_driver=False,
        configure_logging=False,
        _temp_dir=folder,
        _node_ip_address="127.0.0.1",
    )
    ray.get(empty.remote())
    return time.perf_counter() - began


def in_flight(tasks):
    ray.get([empty.remote() for _ in range(tasks)])


def one_by_one(tasks):
    left = [empty.remote() for _ in range(tasks)]
    fetch = True
    while left:
        _, left = ray.wait(left, num_returns=1, fetch_local=fetch)
        fetch = False


def calls(peer):
    peer.round_trips(lambda: ray.get(empty.remote()), warm_up=200)
    peer.cold("cold", lambda: ray.get(empty.remote()))
    peer.idle(descendants())
    peer.thousand(lambda: in_flight(1000))
    many = peer.size(10_000, 2_000)
    peer.rate("inflight_100k", lambda: in_flight(many), many, f"{many} tasks", least=1, warm_up=0)
    peer.row("queued", lambda: queued(peer, many))
    peer.rate("wait_1k", lambda: one_by_one(1000), 1, warm_up=0)


def queued(peer, tasks):
    """Measures tasks that are queued while all workers are busy, and then run."""
    held = [hold.remote(3.0) for _ in range(WORKERS)]
    time.sleep(0.5)
    start_time = time.perf_counter()
    refs = [empty.remote() for _ in range(tasks)]
    queueing = time.perf_counter() - start_time
    ray.get(held)
    start_time = time.perf_counter()
    ray.get(refs)
    taken = queueing + time.perf_counter() - start_time
    peer.emit("queued", "1/s", [tasks / taken], f"{tasks} tasks")


def maps(peer):
    def mapped(function, items):
        return ray.get([function.remote(item) for item in items])

    peer.rate("map_single", lambda: mapped(trivial, range(2_000)), 2_000, "2,000 items", least=2)
    counts = {"10us": 500, "100us": 500, "1ms": 500, "skewed": 500}
    if peer.quick:
        counts = {name: count // 5 for name, count in counts.items()}
    peer.busy_maps(WORK, lambda items: mapped(busy_task, items), counts)


def store(peer):
    peer.rate("put_calls", lambda: ray.put(0), 1, warm_up=100)
    small = ray.put(0)
    peer.rate("get_calls", lambda: ray.get(small), 1, warm_up=100)
    peer.rate(
        "multi_put_calls",
        lambda: ray.get([puts_small.remote(100) for _ in range(10)]),
        1000,
        warm_up=0,
        least=2,
    )

    def large():
        source = numpy.zeros(LARGE // 8, numpy.int64)
        source += 1
        puts = peer.samples(lambda: ray.put(source), warm_up=0, seconds=3.0, least=5)
        peer.emit("put_800_cold", "B/s", [LARGE / puts[0]])
        peer.emit("put_800_warm", "B/s", [LARGE / taken for taken in puts[1:]])
        peer.emit("put_gigabytes", "B/s", [0.8e9 / taken for taken in puts[1:]])
        shared = ray.put(source)
        peer.time("read_800", lambda: ray.get(shared)[-1], warm_up=10, seconds=0.5)
        peer.time(
            "task_shared_800m", lambda: ray.get(touch.remote(shared)), warm_up=10, seconds=0.5
        )

    peer.row("put_800_warm", large)
    peer.rate(
        "multi_put_gigabytes",
        lambda: ray.get([puts_large.remote(10, 80 * MIB) for _ in range(10)]),
        8e9,
        unit="B/s",
        warm_up=0,
        least=1,
        seconds=0.1,
    )
    shared = ray.put(numpy.ones(MIB // 8, numpy.int64))
    peer.time("task_shared_1m", lambda: ray.get(touch.remote(shared)), warm_up=10, seconds=0.5)
    for name, size in SIZES.items():
        peer.time(f"result_{name}", lambda size=size: ray.get(bytes_of.remote(size)), seconds=0.5)
    peer.row("dict_put", lambda: dictionary(peer))


def dictionary(peer):
    """Measures a dictionary of twenty arrays."""
    elements = peer.size(10_000_000, 1_000_000)
    private = {key: numpy.full(elements, float(key)) for key in range(20)}
    size = 20 * 8 * elements
    puts = peer.samples(lambda private=private: ray.put(private), seconds=3.0, least=3)
    peer.emit("dict_put", "B/s", [size / taken for taken in puts], f"{elements} elements each")
    stored = ray.put(private)
    del private
    peer.time(
        "dict_read",
        lambda: sum(array[-1] for array in ray.get(stored).values()),
        seconds=0.5,
        note="put and unpickled",
    )


def limits(peer):
    tenth = 1 if not peer.quick else 10
    count = 10_000 // tenth
    objects = []

    def args():
        objects.extend(ray.put(numpy.zeros(INTEGERS, numpy.int64)) for _ in range(count))
        taken = peer.samples(
            lambda: ray.get(lengths.remote(*objects)), seconds=1.0, least=1, warm_up=0
        )
        peer.emit("args_10k", "s", taken, f"{count} arguments")

    peer.row("args_10k", args)
    peer.time("get_10k", lambda: ray.get(objects), f"{count} refs", least=1, seconds=1.0, warm_up=0)
    objects.clear()
    returns = 3_000 // tenth
    peer.time(
        "returns_3k",
        lambda: ray.get(arrays.options(num_returns=returns).remote(returns)),
        f"{returns} objects",
        least=1,
        warm_up=0,
    )

    def object_of_refs():
        outer = many_refs.remote(count)
        ray.wait([outer], fetch_local=False)
        taken = peer.samples(lambda: ray.get(outer), least=2)
        peer.emit("get_10k_refs_object", "1/s", [1 / seconds for seconds in taken], f"{count} refs")

    peer.row("get_10k_refs_object", object_of_refs)


def main():
    folder = tempfile.mkdtemp(prefix="mobula-ray-")
    peer = Peer("Ray", ray.__version__)
    try:
        first = start(folder)
        peer.emit("start_2", "s", [first])
        for part in (calls, store, limits, maps):
            part(peer)
    finally:
        WORK.close()
        end(folder)


def end(folder):
    """Ends Ray with all its processes and files on this machine."""
    ours = set(descendants()) - {os.getpid()}
    ray.shutdown()
    leave_nothing(ours)
    shutil.rmtree(folder, ignore_errors=True)


def leave_nothing(pids):
    """Waits up to 10 s for these processes of Ray, and ends the remaining ones."""
    patience = time.monotonic() + 10.0
    while time.monotonic() < patience:
        pids = {pid for pid in pids if running(pid)}
        if not pids:
            return
        time.sleep(0.1)
    for pid in pids:
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            continue


def running(pid):
    """Returns whether the process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    main()
