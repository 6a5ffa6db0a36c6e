//! The reasons why a peer is ahead of Mobula.

/// A reason that holds for some rows of some peers.
struct Reason {
    rows: &'static [&'static str],
    peers: &'static [&'static str],
    why: &'static str,
}

/// The peers whose tasks are closures in one address space.
const THREADS: &[&str] = &["rayon", "tokio"];

const REASONS: &[Reason] = &[
    Reason {
        rows: &["await_inside", "await_one_thread"],
        peers: &["tokio"],
        why: "Its task runs on the thread that awaits it; ours on another core. The floor \"spinning MessagePack through rings\", two \
            processes that only pass a value, is above its time, too.",
    },
    Reason {
        rows: &["cold"],
        peers: THREADS,
        why: "After a second of sleep, what a call touches comes from memory, and the system puts whom we wake on the scheduler of the \
            caller. A closure in one address space touches few cache lines; our call some 1,250, in two processes with page tables of \
            their own.",
    },
    Reason {
        rows: &[
            "inflight_1k",
            "inflight_100k",
            "queued",
            "tasks_async",
            "tasks_and_get_batch",
        ],
        peers: THREADS,
        why: "It queues a pointer, which the thread that queued it may run itself. Our task is encoded, copied to another process, and \
            kept until its result is back, so that a crash is noticed and the task can run again: `instructions.txt`.",
    },
    Reason {
        rows: &["nested_call", "fib"],
        peers: &["rayon"],
        why: "The caller runs the closure itself, on its own stack, and nothing is kept of it. Our call has an object, encoded arguments and \
            a decoded result, since an idle worker may take it until the last moment.",
    },
    Reason {
        rows: &["nested_call", "fib"],
        peers: &["tokio"],
        why: "A call is one allocation with the future in it, which is polled where it is. Ours is encoded, decoded and called through the \
            registry, since an idle worker may take it until the last moment.",
    },
    Reason {
        rows: &["cancel_queued"],
        peers: &["tokio"],
        why: "It sets a bit in each of its futures, and drops them. Our driver takes the tasks out of the queues of its workers, fails \
            their objects and those that depend on them, and wakes who waits.",
    },
    Reason {
        rows: &["workers_16", "workers_64"],
        peers: &["multiprocessing.Pool"],
        why: "A ratio of its own rates: with two workers it has a sixtieth of ours (\"1,000 in flight\"), limited by the threads of its \
            parent, which more workers do not disturb as much.",
    },
    Reason {
        rows: &["map_trivial", "map_single"],
        peers: &["rayon"],
        why: "Its item is a loop's step on private memory, of a nanosecond and less. Ours are encoded, sent, decoded and called one by \
            one: `instructions.txt`.",
    },
    Reason {
        rows: &["map_10us", "map_100us", "map_1ms"],
        peers: &["rayon"],
        why: "Two threads share the items and nobody else wants the cores. Our driver is a third process on two cores: it hands out \
            batches of some milliseconds, and takes results as they come.",
    },
    Reason {
        rows: &["map_10us", "map_100us", "map_1ms"],
        peers: &["multiprocessing.Pool", "ProcessPoolExecutor"],
        why: "It hands out an eighth of all items at a time and does nothing meanwhile; ours come in batches of some milliseconds, so \
            that a slow item keeps nobody waiting (\"added, in its length\") and results come early.",
    },
    Reason {
        rows: &["map_skewed"],
        peers: &["rayon"],
        why: "It divides the items in halves, so that the one in the middle, which is the long one here, is begun first. Items are \
            begun in their order by us.",
    },
    Reason {
        rows: &["part_fill"],
        peers: &["multiprocessing.RawArray"],
        why: "The floor, which is `fill` in memory of the program alone, is below its rate, too: numpy stores by other instructions than \
            the loop that the compiler makes of `fill`.",
    },
    Reason {
        rows: &["start_2", "start_16"],
        peers: THREADS,
        why: "It starts threads. The floor, a program that does nothing, takes longer.",
    },
];

/// Returns the reason why this peer is ahead in this row. `None` if no reason is recorded.
pub(crate) fn why(row: &str, peer: &str) -> Option<&'static str> {
    let mut reasons = REASONS.iter();
    reasons
        .find(|reason| reason.rows.contains(&row) && reason.peers.contains(&peer))
        .map(|reason| reason.why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{peers, rows};

    /// A reason with a misspelt name would never be printed.
    #[test]
    fn reasons_are_about_rows_and_peers_that_exist() {
        let names = peers::names();
        for reason in REASONS {
            for row in reason.rows {
                assert!(rows::find(row).is_some(), "{row}");
            }
            for peer in reason.peers {
                assert!(names.contains(peer), "{peer}");
            }
        }
    }
}
