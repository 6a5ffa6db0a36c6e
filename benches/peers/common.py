"""The common parts of the Python peers: repetitions, busy work, and the lines for the suite.

Each row is one JSON object on standard output: {"peer", "version", "row", "unit"} and either
"samples" (a list), or "median", "p10", "p90", "p99" and "n", or "error". Everything else goes to
standard error. Row names and units are those of `benches/src/bin/suite/rows/`.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time

WORKERS = 2
MIB = 1 << 20
SIZES = {"64": 64, "4k": 4 << 10, "64k": 64 << 10, "1m": MIB, "256m": 256 * MIB}

# A row with more samples than this has their percentiles.
MOST_LISTED = 30


def percentile(ordered, share):
    """Returns the value below which this share of the ordered values lies, interpolated."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def rounded(value):
    """Rounds to six digits, which exceeds the precision of all values."""
    return float(f"{value:.6g}")


class Peer:
    """Measures and prints the rows of one peer, one after the other."""

    def __init__(self, name, version):
        parser = argparse.ArgumentParser()
        parser.add_argument("--quick", action="store_true", help="a tenth of the time")
        parser.add_argument(
            "--budget", type=float, default=110.0, help="seconds, after which no row begins"
        )
        args = parser.parse_args()
        self.name = name
        self.version = version
        self.quick = args.quick
        self.ends = time.monotonic() + args.budget

    def seconds(self, full):
        """Returns the time for a row."""
        return full * 0.1 if self.quick else full

    def size(self, full, quick):
        """Returns the size for a full run, or the one for a quick run."""
        return quick if self.quick else full

    def _print(self, row, **fields):
        line = {"peer": self.name, "version": self.version, "row": row, **fields}
        print(json.dumps(line), flush=True)

    def emit(self, row, unit, samples, note=None):
        """Prints one row."""
        fields = {"unit": unit}
        if note:
            fields["note"] = note
        if len(samples) <= MOST_LISTED:
            fields["samples"] = [rounded(sample) for sample in samples]
        else:
            ordered = sorted(samples)
            fields["n"] = len(ordered)
            for name, share in [("median", 0.5), ("p10", 0.1), ("p90", 0.9), ("p99", 0.99)]:
                fields[name] = rounded(percentile(ordered, share))
        self._print(row, **fields)

    def row(self, row, measure):
        """Calls `measure`. An exception becomes the row's error, and the next row follows."""
        if time.monotonic() > self.ends:
            self._print(row, error="the time was spent before this row")
            return
        try:
            measure()
        except Exception as error:  # A failed row must not end the others.
            self._print(row, error=f"{type(error).__name__}: {error}".splitlines()[0][:200])

    def samples(self, work, seconds=1.0, least=3, most=200_000, warm_up=1):
        """Returns the seconds of each call of `work`, until the time has passed."""
        for _ in range(warm_up):
            work()
        taken = []
        began = time.perf_counter()
        limit = self.seconds(seconds)
        least = min(least, 2) if self.quick else least
        while len(taken) < least or (len(taken) < most and time.perf_counter() - began < limit):
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
        return taken

    def time(self, row, work, note=None, **plan):
        """Measures a row in seconds: the time of one call of `work`."""
        self.row(row, lambda: self.emit(row, "s", self.samples(work, **plan), note))

    def rate(self, row, work, count, note=None, unit="1/s", also=(), **plan):
        """Measures a row per second. One call of `work` does `count` units.

        `also` names further rows of these samples, with their own `count`."""

        def measure():
            taken = self.samples(work, **plan)
            for name, times in [(row, count), *also]:
                self.emit(name, unit, [times / seconds for seconds in taken], note)

        self.row(row, measure)

    def round_trips(self, work, **plan):
        """Measures single empty tasks: their time, and their number per second."""

        def measure():
            taken = self.samples(work, **plan)
            self.emit("roundtrip", "s", taken)
            self.emit("tasks_sync", "1/s", [1 / seconds for seconds in taken])

        self.row("roundtrip", measure)

    def thousand(self, work, **plan):
        """Measures a thousand empty tasks in flight, for three rows."""
        also = [("tasks_async", 1000), ("tasks_and_get_batch", 1)]
        self.rate("inflight_1k", work, 1000, also=also, **plan)

    def cold(self, row, work):
        """Measures a row in seconds: one call after one idle second."""

        def measure():
            work()
            taken = []
            for _ in range(self.size(8, 2)):
                time.sleep(1.0)
                start = time.perf_counter()
                work()
                taken.append(time.perf_counter() - start)
            self.emit(row, "s", taken)

        self.row(row, measure)

    def idle(self, pids):
        """Measures two rows: CPU time and wake-ups of these processes while they are idle. The
        measuring thread does not count."""

        def measure():
            time.sleep(0.5)
            before = activity(pids)
            seconds = self.size(3, 1)
            time.sleep(seconds)
            after = activity(pids)
            self.emit("idle_cpu", "ratio", [(after[0] - before[0]) / seconds])
            self.emit("idle_wakeups", "1/s", [(after[1] - before[1]) / seconds])

        self.row("idle_cpu", measure)

    def busy_maps(self, work, run, counts):
        """Measures the rows of maps over busy work, as shares of two bare processes' speed.

        `work` measures the items without the peer. `run(items)` maps `busy` over them."""
        for name, nanoseconds in [("10us", 10_000), ("100us", 100_000), ("1ms", 1_000_000)]:
            self.row(
                f"map_{name}",
                lambda name=name, nanoseconds=nanoseconds: self._busy_map(
                    f"map_{name}", work, run, nanoseconds, counts[name]
                ),
            )
        self.row("map_skewed", lambda: self._skewed_map(run, counts["skewed"]))

    def _busy_map(self, row, work, run, nanoseconds, count):
        items = [nanoseconds] * count
        run(items[: count // 10])
        efficiency = []
        before = work.bare(items)
        for _ in range(self.size(5, 2)):
            start = time.perf_counter()
            run(items)
            taken = time.perf_counter() - start
            after = work.bare(items)
            efficiency.append((before + after) / 2 / taken)
            before = after
        self.emit(row, "ratio", efficiency, f"{count} items")

    def _skewed_map(self, run, count):
        """Measures the time that one long item in the middle adds, in multiples of its length."""
        short = [100_000] * count
        long = 1_000_000_000 if not self.quick else 100_000_000
        skewed = short[: count // 2] + [long] + short[count // 2 :]
        added = []
        for _ in range(self.size(3, 2)):
            start = time.perf_counter()
            run(short)
            even = time.perf_counter() - start
            start = time.perf_counter()
            busy(long)
            alone = time.perf_counter() - start
            start = time.perf_counter()
            run(skewed)
            added.append((time.perf_counter() - start - even) / alone)
        self.emit("map_skewed", "ratio", added, f"{count} short items")


def nothing(_=None):
    """The empty task."""


def same(value):
    """The trivial item."""
    return value


def busy(nanoseconds):
    """Computes until this thread has had a core for this time. A neighbour that slows both cores
    down makes no item longer."""
    end = time.thread_time_ns() + nanoseconds
    while time.thread_time_ns() < end:
        pass


def make(size):
    """Returns this many bytes."""
    return b"\1" * size


class Work:
    """Measures `busy` without a peer."""

    def bare(self, items):
        """Returns the seconds that two processes need for the items, with nothing to hand over.

        Each process takes one block of items after the other."""
        context = multiprocessing.get_context("fork")
        barrier = context.Barrier(WORKERS + 1)
        ends = context.SimpleQueue()
        next_block = context.Value("q", 0)
        # A process takes several items at once, so that the counter's lock costs nothing.
        size = -(-len(items) // 1_000)
        blocks = [items[k : k + size] for k in range(0, len(items), size)]

        def take():
            barrier.wait()
            while True:
                with next_block.get_lock():
                    k = next_block.value
                    next_block.value += 1
                if k >= len(blocks):
                    ends.put(time.perf_counter())
                    return
                for item in blocks[k]:
                    busy(item)

        processes = [context.Process(target=take) for _ in range(WORKERS)]
        for process in processes:
            process.start()
        start = time.perf_counter()
        barrier.wait()
        end = max(ends.get() for _ in processes)
        for process in processes:
            process.join()
        return end - start


class BareServer:
    """Measures `Work.bare` in a process that is forked before threads start."""

    def __init__(self):
        self._work = Work()
        self._connection, other = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        self._process = context.Process(target=self._serve, args=(other,))
        self._process.start()
        other.close()

    def _serve(self, connection):
        self._connection.close()
        while True:
            try:
                items = connection.recv()
            except EOFError:
                return
            connection.send(self._work.bare(items))

    def bare(self, items):
        """Calls `Work.bare` in the process."""
        self._connection.send(items)
        return self._connection.recv()

    def close(self):
        """Ends the process."""
        self._connection.close()
        self._process.join()


def descendants():
    """Returns the process ids of this process and of all its descendants."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parents[int(name)] = int(file.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    found = {os.getpid()}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return sorted(found)
        found |= more


def activity(pids):
    """Returns the seconds on a core and the number of sleeps of all threads but this one."""
    import threading

    me = str(threading.get_native_id())
    cpu, sleeps = 0.0, 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            if thread == me:
                continue
            place = f"/proc/{pid}/task/{thread}"
            try:
                with open(f"{place}/schedstat") as file:
                    cpu += int(file.read().split()[0]) * 1e-9
                with open(f"{place}/status") as file:
                    for line in file:
                        if line.startswith("voluntary_ctxt_switches:"):
                            sleeps += int(line.split()[1])
            except OSError:
                continue
    return cpu, sleeps


def python_version():
    """Returns the interpreter's version, which is also that of the standard library."""
    return "CPython " + ".".join(map(str, sys.version_info[:3]))
