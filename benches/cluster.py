"""Measures Mobula's calls on a Ray cluster in turn with plain Python tasks on the same cluster.

    cargo build --release -p mobula-benches --bin cluster
    python benches/cluster.py

`python` must have `ray` and `numpy`. The script starts two nodes of two cores each on loopback
addresses of this machine, and ends them by their process ids. Both programs stay connected.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_AUTH_MODE"] = "disabled"
# This comes before the start of Ray, since its workers write there, too.
PLACE = pathlib.Path(tempfile.mkdtemp(prefix="mobray.", dir="/tmp"))
os.environ["TMPDIR"] = str(PLACE)

import numpy  # noqa: E402
import ray  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
MIB = 1 << 20
MANY = 1000
ITEM = 100_000
HEAD, SECOND = "127.0.0.2", "127.0.0.3"

# The row, its label, its unit, and a number. A time is multiplied by the number; for a rate, the
# number is divided by the time.
ROWS = [
    ("roundtrip", "an empty task, there and back", "ms", 1e3),
    ("inflight", "empty tasks per second, 1,000 in flight", "/s", MANY),
    ("task_small", "a task that reads of an array of 1 MiB", "ms", 1e3),
    ("task_large", "a task that reads of an array of {large} MB", "ms", 1e3),
    ("put", "`put` of 100 MiB", "GB/s", 100 * MIB / 1e9),
    ("result", "a task that makes 100 MiB, and reading it here", "ms", 1e3),
    (
        "map",
        "items of 100 us per second: `map` of {items} items; one task for each of {tasks}",
        "/s",
        None,
    ),
]


class Nodes:
    """Two nodes on this machine."""

    def __init__(self):
        with socket.socket() as free:
            free.bind((HEAD, 0))
            self.address = f"{HEAD}:{free.getsockname()[1]}"
        self.running = []

    def start(self):
        port = self.address.rsplit(":", 1)[1]
        self.node(
            "head",
            "--head",
            f"--port={port}",
            "--include-dashboard=false",
            f"--node-ip-address={HEAD}",
            f"--temp-dir={PLACE}/ray",
            "--object-store-memory=2000000000",
        )
        self.until(
            lambda: (
                subprocess.run(
                    [ray_command(), "health-check", "--address", self.address],
                    capture_output=True,
                    check=False,
                ).returncode
                == 0
            )
        )
        self.node(
            "second",
            f"--address={self.address}",
            f"--node-ip-address={SECOND}",
            "--object-store-memory=500000000",
        )

    def node(self, name, *args):
        with open(PLACE / f"{name}.log", "wb") as log:
            self.running.append(
                subprocess.Popen(
                    [
                        ray_command(),
                        "start",
                        "--block",
                        "--num-cpus=2",
                        "--disable-usage-stats",
                        *args,
                    ],
                    stdout=log,
                    stderr=log,
                )
            )

    def until(self, ready):
        for _ in range(120):
            if ready():
                return
            time.sleep(0.5)
        raise SystemExit("the cluster does not come up: " + str(PLACE))

    def end(self):
        for node in self.running:
            node.send_signal(signal.SIGTERM)
        for node in self.running:
            node.wait(30)
        # The processes of a node end some time after the node.
        time.sleep(2)
        shutil.rmtree(PLACE, ignore_errors=True)


def ray_command():
    return os.path.join(os.path.dirname(sys.executable), "ray")


class Ours:
    """The program that measures Mobula's rows."""

    def __init__(self, program, address, large):
        engine = f"ray:{address}?node={HEAD}"
        self.process = subprocess.Popen(
            [program, str(large)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "MOBULA_ENGINE": engine, "MOBULA_PYTHON": sys.executable},
        )
        self.line("ready")

    def line(self, wanted=None):
        line = self.process.stdout.readline().strip()
        if not line or (wanted and line != wanted):
            raise SystemExit(f"our program has ended: {line}")
        return line

    def measure(self, row, times):
        self.process.stdin.write(f"{row} {times}\n")
        self.process.stdin.flush()
        return json.loads(self.line())

    def end(self):
        self.process.stdin.close()
        self.process.wait(60)


@ray.remote
def nothing():
    pass


@ray.remote
def last(array):
    return int(array[-1])


@ray.remote
def make(size):
    return numpy.ones(size, numpy.uint8)


@ray.remote
def item(nanoseconds):
    end = time.thread_time_ns() + nanoseconds
    while time.thread_time_ns() < end:
        pass


class Plain:
    """Measures plain Python tasks."""

    def __init__(self, address, large):
        ray.init(address, _node_ip_address=HEAD, log_to_driver=False)
        self.small = ray.put(numpy.full(MIB, 7, numpy.uint8))
        self.large = ray.put(numpy.full(large, 7, numpy.uint8))
        self.source = numpy.full(100 * MIB, 7, numpy.uint8)

    def measure(self, row, times):
        return [self.once(row) for _ in range(times)]

    def once(self, row):
        began = time.perf_counter()
        if row == "roundtrip":
            ray.get(nothing.remote())
        elif row == "inflight":
            ray.get([nothing.remote() for _ in range(MANY)])
        elif row == "task_small":
            assert ray.get(last.remote(self.small)) == 7
        elif row == "task_large":
            assert ray.get(last.remote(self.large)) == 7
        elif row == "put":
            ray.put(self.source)
        elif row == "result":
            assert len(ray.get(make.remote(100 * MIB))) == 100 * MIB
        else:
            ray.get([item.remote(ITEM) for _ in range(int(row.removeprefix("map=")))])
        return time.perf_counter() - began


def spread(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 10], statistics.median(ordered), ordered[-1 - len(ordered) // 10]


def number(value):
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def cell(values, unit):
    low, median, high = spread(values)
    return f"{number(median)} {unit} ({number(low)} to {number(high)})"


def values(row, seconds, scale):
    """Returns times in milliseconds, or rates."""
    return [
        s * scale if row in ("roundtrip", "task_small", "task_large", "result") else scale / s
        for s in seconds
    ]


def targets(ours, plain):
    """Yields the targets: text, measured ratio, relation, limit."""
    median = {
        who: {row: statistics.median(values) for row, values in rows.items()}
        for who, rows in (("ours", ours), ("plain", plain))
    }
    mine, theirs = median["ours"], median["plain"]
    yield (
        "round trip at most 1.2 x that of a Python task",
        mine["roundtrip"] / theirs["roundtrip"],
        "<=",
        1.2,
    )
    yield "1,000 in flight at least 0.8 x", mine["inflight"] / theirs["inflight"], ">=", 0.8
    yield (
        "a task on the large array at most 1.2 x one on 1 MiB",
        mine["task_large"] / mine["task_small"],
        "<=",
        1.2,
    )
    yield "`put` at least as fast as Ray's", mine["put"] / theirs["put"], ">=", 1.0
    yield "`map` at least 20 x one task for each item", mine["map"] / theirs["map"], ">=", 20


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default=str(ROOT / "target/release/cluster"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="only to see that all rows work")
    parser.add_argument("--only", help="rows, with commas between")
    parser.add_argument("--out", default=str(ROOT / "benches/results"))
    args = parser.parse_args()
    large, items, tasks, rounds = 500_000_000, 100_000, 2_000, args.rounds
    if args.quick:
        large, items, tasks, rounds = 50_000_000, 5_000, 100, 2
    times = {
        "roundtrip": 40,
        "inflight": 1,
        "task_small": 20,
        "task_large": 20,
        "put": 3,
        "result": 3,
        "map": 1,
    }
    nodes = Nodes()
    mine = None
    try:
        nodes.start()
        plain = Plain(nodes.address, large)
        nodes.until(lambda: sum(node["Alive"] for node in ray.nodes()) == 2)
        mine = Ours(args.program, nodes.address, large)
        ours, theirs, text = {}, {}, []
        for row, name, unit, scale in ROWS:
            if args.only and row not in args.only.split(","):
                continue
            counts = (items, tasks) if row == "map" else (scale, scale)
            rows = (f"map={items}", f"map={tasks}") if row == "map" else (row, row)
            sides = list(zip((ours, theirs), (mine, plain), rows, counts))
            for _, who, which, _ in sides:
                who.measure(which, 1)
            for _ in range(rounds):
                for found, who, which, count in sides:
                    found.setdefault(row, []).extend(
                        values(row, who.measure(which, times[row]), count)
                    )
            name = name.format(large=large // 1_000_000, items=f"{items:,}", tasks=f"{tasks:,}")
            ratio = statistics.median(ours[row]) / statistics.median(theirs[row])
            text.append(
                f"| {name} | {cell(ours[row], unit)} | {cell(theirs[row], unit)} | {ratio:.2f} |"
            )
            print(text[-1], flush=True)
        if args.only:
            return
        report(args, text, ours, theirs)
    finally:
        if mine is not None:
            mine.end()
        ray.shutdown()
        nodes.end()


def report(args, text, ours, theirs):
    lines = [
        "# Calls on a Ray cluster",
        "",
        f"`benches/cluster.py`, {time.strftime('%Y-%m-%d')}: Ray {ray.__version__}, "
        f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, two nodes of two cores each "
        f"on this machine. Both programs took turns ({args.rounds} rounds). Cells have the median, "
        "and the tenth and ninetieth percentile.",
        "",
        "| row | ours | plain Python tasks | ours / plain |",
        "| --- | --- | --- | --- |",
        *text,
        "",
        "| target | measured | |",
        "| --- | --- | --- |",
    ]
    for wanted, found, relation, bound in targets(ours, theirs):
        reached = found <= bound if relation == "<=" else found >= bound
        lines.append(f"| {wanted} | {found:.2f} | {'reached' if reached else '**not reached**'} |")
    out = pathlib.Path(args.out)
    (out / "cluster.md").write_text("\n".join(lines) + "\n")
    (out / "cluster.json").write_text(json.dumps({"ours": ours, "plain": theirs}, indent=1) + "\n")
    print("\n".join(lines[-6:]))


if __name__ == "__main__":
    main()
