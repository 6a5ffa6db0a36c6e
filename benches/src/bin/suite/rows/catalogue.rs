//! The rows of the catalogue.

use mobula_benches::table::Unit;

use super::{Group, actors::ACTORS, row, shared::SHARED};
use crate::reach::{Reach, Term};

use Unit::{Bandwidth, Bytes, Rate, Ratio, Time};

/// A share of another median that counts as equal. Medians vary by about this much.
pub(crate) const SAME: f64 = 0.97;

pub(super) const fn most(terms: &'static [Term]) -> Reach {
    Reach::at_most(terms, 0.0)
}

pub(super) const fn least(terms: &'static [Term]) -> Reach {
    Reach::at_least(terms, 0.0)
}

/// The floors: name, label, unit.
pub(super) const FLOORS: &[(&str, &str, Unit)] = &[
    ("spin_message", "spinning MessagePack through rings", Time),
    (
        "spin_message_neighbour",
        "the same beside a foreign program that uses half of a core",
        Time,
    ),
    ("spin_own", "the same through our own rings", Time),
    ("spin_word", "spinning word", Time),
    ("yield_word", "yielding word", Time),
    ("sleep_word", "sleeping word", Time),
    ("sleep_cold", "sleeping word after 1 s", Time),
    ("touch_800", "touching new memory", Bandwidth),
    ("write_800", "writing to a new memory file", Bandwidth),
    ("memcpy_800", "memcpy, one thread", Bandwidth),
    (
        "memcpy_threads_800",
        "memcpy, as many threads as `put`",
        Bandwidth,
    ),
    ("fill_800", "filling private memory", Bandwidth),
    ("driver_call", "blocking call of the driver, in turn", Time),
    ("empty_task", "empty task, in turn", Time),
    ("small_task", "task that gives two bytes, in turn", Time),
    ("no_options", "the same without options, in turn", Time),
    ("no_split", "the same without the split, in turn", Time),
    ("empty_64", "empty task, in turn", Time),
    ("empty_4k", "empty task, in turn", Time),
    ("empty_64k", "empty task, in turn", Time),
    ("copy_64", "memcpy of 64 B", Time),
    ("copy_4k", "memcpy of 4 KiB", Time),
    ("copy_64k", "memcpy of 64 KiB", Time),
    (
        "hand_64k",
        "64 KiB copied into and out of a buffer by two cores",
        Time,
    ),
    ("copy_1m", "memcpy of 1 MiB", Time),
    ("copy_256m", "memcpy of 256 MiB", Time),
    ("memcpy_1m", "memcpy of 1 MiB", Bandwidth),
    ("memcpy_256m", "memcpy of 256 MiB", Bandwidth),
    ("fill_1m", "filling 1 MiB", Bandwidth),
    ("fill_256m", "filling 256 MiB", Bandwidth),
    (
        "handles_10k",
        "10,000 blocks of a handle's size, allocated, cloned, dropped",
        Rate,
    ),
    ("fill_64m", "filling 64 MiB of private memory", Bandwidth),
    ("std_mutex", "`std::sync::Mutex`", Time),
    ("std_rwlock_read", "`std::sync::RwLock`", Time),
    ("std_handover", "`std::sync::Mutex` and two threads", Time),
    ("threads_atomic_one", "two threads", Rate),
    ("threads_atomic_apart", "two threads", Rate),
    ("loop_particles_few", "one loop", Rate),
    ("threads_particles_few", "two threads, private memory", Rate),
    ("loop_particles_many", "one loop", Rate),
    (
        "threads_particles_many",
        "two threads, private memory",
        Rate,
    ),
    (
        "threads_heat",
        "two threads with a barrier, private memory",
        Time,
    ),
    ("program", "start and end of `true`", Time),
];

pub(crate) const GROUPS: &[Group] = &[
    Group {
        id: "calls",
        title: "One empty task, there and back",
        rows: &[
            row("roundtrip", Time, "blocking round trip, hot")
                .beside(&[
                    "spin_message",
                    "spin_own",
                    "spin_word",
                    "yield_word",
                    "sleep_word",
                ])
                .reach(&[
                    most(&[Term::floor(4.0, "spin_message")]),
                    Reach::at_most(&[], 2e-6),
                    Reach::at_most(&[], 1e-4).of_p99(),
                ]),
            row(
                "await_outside",
                Time,
                "`.await` in `block_on`, tokio with 2 threads",
            )
            .reach(&[most(&[Term::peer(1.0, "tokio", "await_outside")])]),
            row(
                "await_inside",
                Time,
                "`.await` in a task, tokio with 2 threads",
            )
            .reach(&[most(&[Term::peer(1.0, "tokio", "await_inside")])]),
            row(
                "await_one_thread",
                Time,
                "`.await`, tokio with the current thread",
            )
            .reach(&[most(&[Term::peer(1.0, "tokio", "await_one_thread")])]),
            row(
                "await_blocking",
                Time,
                "tokio's `spawn_blocking`, from outside",
            ),
            row(
                "roundtrip_neighbour",
                Time,
                "blocking round trip, a foreign program uses half of a core",
            )
            .beside(&["spin_message_neighbour"])
            .reach(&[most(&[Term::floor(4.0, "spin_message_neighbour")])]),
            row(
                "roundtrip_busy",
                Time,
                "blocking round trip, two threads of the driver compute",
            ),
            row(
                "await_busy",
                Time,
                "`.await`, two threads of the driver compute",
            ),
            row("cold", Time, "blocking round trip after 1 s of idleness")
                .beside(&["sleep_cold"])
                .reach(&[most(&[Term::floor(1.5, "sleep_cold")])]),
        ],
    },
    Group {
        id: "many",
        title: "Many empty tasks",
        rows: &[
            row("inflight_1k", Rate, "1,000 in flight").reach(&[Reach::at_least(&[], 1e6)]),
            row("inflight_100k", Rate, "100,000 in flight").reach(&[
                Reach::at_least(&[], 1e6),
                least(&[Term::ours(1.0, "inflight_1k")]),
            ]),
            row(
                "queued",
                Rate,
                "1,000,000 queued behind held workers, then run",
            )
            .reach(&[Reach::at_least(&[], 5e5)]),
            row(
                "queued_memory",
                Bytes,
                "memory of the driver per queued task",
            )
            .reach(&[Reach::at_most(&[], 600.0)]),
            row(
                "workers_16",
                Ratio,
                "throughput of 16 workers, of that of 2",
            )
            .reach(&[Reach::at_least(&[], 0.7)]),
            row(
                "workers_64",
                Ratio,
                "throughput of 64 workers, of that of 2",
            )
            .reach(&[Reach::at_least(&[], 0.7)]),
        ],
    },
    Group {
        id: "nested",
        title: "Calls of tasks",
        rows: &[
            row(
                "nested_call",
                Time,
                "call that a task makes and waits for, 1,000 one by one",
            )
            .beside(&["driver_call"])
            .reach(&[
                most(&[Term::floor(3.0, "driver_call")]),
                Reach::at_most(&[], 3e-6),
            ]),
            row(
                "fib",
                Rate,
                "`fib(20)` with each call a task: tasks per second",
            )
            .reach(&[Reach::at_least(&[], 5e5)]),
        ],
    },
    Group {
        id: "control",
        title: "Tasks under control",
        rows: &[
            row(
                "cancel_queued",
                Rate,
                "10,000 queued tasks cancelled in one call",
            ),
            row(
                "cancel_running",
                Time,
                "a running task cancelled that asks, until its worker has run the next",
            ),
            row(
                "overtake",
                Time,
                "call of priority 1 behind 100,000 others of 20 µs, there and back",
            ),
            row(
                "limits_late",
                Time,
                "how late 10,000 running limits of time pass",
            ),
            row(
                "with_options",
                Time,
                "blocking round trip of a call with options of its own",
            )
            .beside(&["no_options"]),
            row(
                "with_timeout",
                Time,
                "blocking round trip of a call with a limit of time",
            )
            .beside(&["no_options"]),
        ],
    },
    Group {
        id: "streams",
        title: "Several results of a call",
        rows: &[
            row(
                "stream_items",
                Rate,
                "items of a stream of 10,000 numbers, 1,000 in its buffer",
            ),
            row(
                "stream_items_4",
                Rate,
                "the same with the default buffer of 4",
            ),
            row(
                "stream_bytes",
                Bandwidth,
                "a stream of 32 items of 8 MiB, which its function clones",
            ),
            row(
                "stream_beyond",
                Bandwidth,
                "a stream of 100 items of 100 MB through a store of 1 GiB",
            ),
            row(
                "split",
                Time,
                "blocking round trip of a call whose result is split in two",
            )
            .beside(&["no_split"]),
        ],
    },
    Group {
        id: "ray",
        title: "Rows of Ray's microbenchmark",
        rows: &[
            row("get_calls", Rate, "single client get calls").reach(&[Reach::at_least(&[], 2e7)]),
            row("put_calls", Rate, "single client put calls").reach(&[Reach::at_least(&[], 2e6)]),
            row("multi_put_calls", Rate, "multi client put calls (x 1000)"),
            row(
                "put_gigabytes",
                Bandwidth,
                "single client put gigabytes (x 0.8)",
            ),
            row(
                "multi_put_gigabytes",
                Bandwidth,
                "multi client put gigabytes (x 8)",
            ),
            row("tasks_sync", Rate, "single client tasks sync"),
            row("tasks_async", Rate, "single client tasks async (x 1000)"),
            row(
                "tasks_and_get_batch",
                Rate,
                "single client tasks and get batch",
            ),
            row(
                "get_10k_refs_object",
                Rate,
                "single client get object containing 10k refs",
            )
            .beside(&["handles_10k"])
            .reach(&[least(&[Term::peer(100.0, "Ray", "get_10k_refs_object")])]),
            row(
                "get_10k_refs_first",
                Rate,
                "the same, of another such object each time",
            ),
            row("wait_1k", Rate, "single client wait 1k refs, one by one")
                .reach(&[least(&[Term::peer(100.0, "Ray", "wait_1k")])]),
        ],
    },
    ACTORS,
    Group {
        id: "maps",
        title: "Maps",
        rows: &[
            row("map_trivial", Rate, "1,000,000 trivial items").reach(&[
                least(&[Term::peer(1.0, "multiprocessing.Pool", "map_trivial")]),
                least(&[Term::peer(1.0 / 3.0, "rayon", "map_trivial")]),
            ]),
            row(
                "map_single",
                Rate,
                "10,000 trivial items, each handed out by itself",
            ),
            row("map_unordered", Rate, "the same, results in any order"),
            row("map_10us", Ratio, "100,000 items of 10 µs: efficiency")
                .reach(&[Reach::at_least(&[], 0.95)]),
            row("map_100us", Ratio, "10,000 items of 100 µs: efficiency")
                .reach(&[Reach::at_least(&[], 0.97)]),
            row("map_1ms", Ratio, "1,000 items of 1 ms: efficiency")
                .reach(&[Reach::at_least(&[], 0.98)]),
            row(
                "map_100us_busy",
                Ratio,
                "30,000 items of 100 µs while the driver computes, too: efficiency",
            )
            .reach(&[Reach::at_least(&[], 0.97)]),
            row(
                "map_skewed",
                Ratio,
                "one item of 1 s among 10,000 of 100 µs: added, in its length",
            )
            .smaller()
            .reach(&[Reach::at_most(&[], 1.0)]),
        ],
    },
    Group {
        id: "store",
        title: "Large values",
        rows: &[
            row("put_800_cold", Bandwidth, "put of 800 MiB, the first")
                .beside(&["touch_800", "write_800"])
                .reach(&[least(&[Term::floor(1.0, "touch_800")])]),
            row("put_800_warm", Bandwidth, "put of 800 MiB, again")
                .beside(&["memcpy_800", "memcpy_threads_800"])
                .reach(&[least(&[Term::floor(0.95, "memcpy_threads_800")])]),
            row(
                "put_with_800",
                Bandwidth,
                "`put_with` of 800 MiB, filled by the closure",
            )
            .beside(&["fill_800"])
            .reach(&[least(&[Term::floor(SAME, "fill_800")])]),
            row("read_800", Time, "reading of it in the driver"),
            row(
                "task_shared_1m",
                Time,
                "task that reads of a shared array of 1 MiB",
            )
            .beside(&["empty_task"])
            .reach(&[Reach::at_most(&[Term::floor(1.0, "empty_task")], 1e-6)]),
            row(
                "task_shared_800m",
                Time,
                "task that reads of a shared array of 800 MiB",
            )
            .beside(&["empty_task"])
            .reach(&[
                Reach::at_most(&[Term::floor(1.0, "empty_task")], 1e-6),
                most(&[Term::ours(1.1, "task_shared_1m")]),
            ]),
            row(
                "dict_put",
                Bandwidth,
                "put of a map of 20 arrays of 10^7 `f64`",
            )
            .reach(&[least(&[Term::peer(1.0, "Ray", "dict_put")])]),
            row(
                "dict_read",
                Time,
                "reading of it, one element of each array",
            )
            .reach(&[Reach::at_most(&[], 2e-5)]),
        ],
    },
    Group {
        id: "results",
        title: "Results from a worker",
        rows: &[
            row("result_64", Time, "64 B, made by the task")
                .beside(&["empty_64", "copy_64"])
                .reach(&[SMALL_64]),
            row("result_4k", Time, "4 KiB, made by the task")
                .beside(&["empty_4k", "copy_4k"])
                .reach(&[SMALL_4K]),
            row("result_64k", Time, "64 KiB, made by the task")
                .beside(&["empty_64k", "copy_64k", "hand_64k"])
                .reach(&[SMALL_64K, HANDED_64K]),
            row("result_1m", Time, "1 MiB, made by the task").beside(&["copy_1m"]),
            row("result_256m", Time, "256 MiB, made by the task").beside(&["copy_256m"]),
            row(
                "return_1m",
                Bandwidth,
                "what returning adds to making 1 MiB",
            )
            .beside(&["memcpy_1m"])
            .reach(&[least(&[Term::floor(0.9, "memcpy_1m")])]),
            row(
                "return_256m",
                Bandwidth,
                "what returning adds to making 256 MiB",
            )
            .beside(&["memcpy_256m"])
            .reach(&[least(&[Term::floor(0.9, "memcpy_256m")])]),
            row(
                "in_place_1m",
                Bandwidth,
                "1 MiB built in place, without the empty task",
            )
            .beside(&["fill_1m"])
            .reach(&[least(&[Term::floor(0.95, "fill_1m")])]),
            row(
                "in_place_256m",
                Bandwidth,
                "256 MiB built in place, without the empty task",
            )
            .beside(&["fill_256m"])
            .reach(&[least(&[Term::floor(0.95, "fill_256m")])]),
        ],
    },
    Group {
        id: "objects",
        title: "Many objects, each of 10,000 integers",
        rows: &[
            row(
                "args_10k",
                Time,
                "one task with 10,000 objects as arguments",
            )
            .reach(&[most(&[Term::peer(0.01, "Ray", "args_10k")])]),
            row("returns_3k", Time, "one task that returns 3,000 objects")
                .reach(&[most(&[Term::peer(0.01, "Ray", "returns_3k")])]),
            row("get_10k", Time, "get of 10,000 refs")
                .reach(&[most(&[Term::peer(0.01, "Ray", "get_10k")])]),
        ],
    },
    SHARED,
    Group {
        id: "life",
        title: "Start and idleness",
        rows: &[
            row("start_2", Time, "start to the first result, 2 workers")
                .beside(&["program"])
                .reach(&[Reach::at_most(&[], 0.015)]),
            row("start_16", Time, "start to the first result, 16 workers")
                .beside(&["program"])
                .reach(&[Reach::at_most(&[], 0.04)]),
            row("idle_cpu", Ratio, "cores in use while idle, all processes")
                .smaller()
                .reach(&[Reach::at_most(&[], 0.001)]),
            row("idle_wakeups", Rate, "wake-ups while idle, all processes")
                .smaller()
                .reach(&[Reach::at_most(&[], 1.0)]),
        ],
    },
];

const SMALL_64: Reach = Reach::at_most(&small("empty_64", "copy_64"), 2e-6);
const SMALL_4K: Reach = Reach::at_most(&small("empty_4k", "copy_4k"), 2e-6);
const SMALL_64K: Reach = Reach::at_most(&small("empty_64k", "copy_64k"), 2e-6);

/// Any result that passes through memory between two cores takes this time.
const HANDED_64K: Reach = Reach::at_most(&small("empty_64k", "hand_64k"), 2e-6);

const fn small(empty: &'static str, copy: &'static str) -> [Term; 2] {
    [Term::floor(1.0, empty), Term::floor(1.0, copy)]
}
