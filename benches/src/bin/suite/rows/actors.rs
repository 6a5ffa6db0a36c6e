//! The rows about actors: the rows of Ray's microbenchmark under its names, and the costs of
//! actors.

use mobula_benches::table::Unit::{Rate, Time};

use super::{Group, catalogue::most, row};
use crate::reach::{Reach, Term};

/// A rate without reaches. The reaches of calls belong to other rows.
macro_rules! rate {
    ($id:literal, $label:literal) => {
        row($id, Rate, $label)
    };
}

pub(super) const ACTORS: Group = Group {
    id: "actors",
    title: "Actors: Ray's rows (n = 2), and their cost",
    rows: &[
        row("actor_call", Time, "blocking call of an actor, hot")
            .beside(&["small_task"])
            .reach(&[
                most(&[Term::floor(1.2, "small_task")]),
                most(&[Term::peer(0.01, "Ray", "actor_call")]),
            ]),
        row(
            "actor_call_1m",
            Time,
            "call that reads of a shared array of 1 MiB",
        )
        .beside(&["small_task"])
        .reach(&[
            Reach::at_most(&[Term::ours(1.0, "actor_call")], 1e-6),
            most(&[Term::peer(0.01, "Ray", "actor_call_1m")]),
        ]),
        row("actor_create", Time, "an actor created, and its first call")
            .reach(&[most(&[Term::peer(0.01, "Ray", "actor_create")])]),
        rate!("actor_sync", "1:1 actor calls sync"),
        rate!("actor_async", "1:1 actor calls async (x 1000)"),
        rate!("actor_concurrent", "1:1 actor calls concurrent (x 1000)"),
        rate!("actor_1n_async", "1:n actor calls async (x 5000 n)"),
        rate!("actor_nn_async", "n:n actor calls async (x 20,000)"),
        rate!(
            "actor_nn_arg_async",
            "n:n actor calls with arg async (x 1000 n)"
        ),
        rate!("async_actor_sync", "1:1 async-actor calls sync"),
        rate!("async_actor_async", "1:1 async-actor calls async (x 1000)"),
        rate!(
            "async_actor_args_async",
            "1:1 async-actor calls with args async (x 1000)"
        ),
        rate!(
            "async_actor_1n_async",
            "1:n async-actor calls async (x 5000 n)"
        ),
        rate!(
            "async_actor_nn_async",
            "n:n async-actor calls async (x 20,000)"
        ),
        rate!("multi_tasks_async", "multi client tasks async (x 40,000)"),
    ],
};
