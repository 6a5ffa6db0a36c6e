//! The rows of state that several processes change.

use mobula_benches::table::Unit::{Bandwidth, Rate, Time};

use super::{
    Group,
    catalogue::{least, most},
    row,
};
use crate::reach::{Reach, Term};

/// The peer that has most of these rows.
const RAW_ARRAY: &str = "multiprocessing.RawArray";

pub(super) const SHARED: Group = Group {
    id: "shared",
    title: "Shared state that two workers change",
    rows: &[
        row(
            "part_fill",
            Bandwidth,
            "64 MiB filled in a task, through its part of an array",
        )
        .beside(&["fill_64m"])
        .reach(&[least(&[Term::floor(0.95, "fill_64m")])]),
        row("mutex", Time, "mutex: lock and unlock, nobody else there")
            .beside(&["std_mutex"])
            .reach(&[Reach::at_most(&[], 3e-8)]),
        row(
            "rwlock_read",
            Time,
            "reader-writer lock: read lock and unlock, nobody else there",
        )
        .beside(&["std_rwlock_read"]),
        row(
            "mutex_handover",
            Time,
            "mutex: from one process to another that waits for it",
        )
        .beside(&["std_handover"])
        .reach(&[
            most(&[Term::floor(2.0, "std_handover")]),
            most(&[Term::peer(1.0, RAW_ARRAY, "mutex_handover")]),
        ]),
        row(
            "atomic_one",
            Rate,
            "increments of one atomic by both workers",
        )
        .beside(&["threads_atomic_one"])
        .reach(&[least(&[Term::floor(0.9, "threads_atomic_one")])]),
        row(
            "atomic_apart",
            Rate,
            "increments of an atomic for each worker",
        )
        .beside(&["threads_atomic_apart"])
        .reach(&[least(&[Term::floor(0.9, "threads_atomic_apart")])]),
        row(
            "particles_few",
            Rate,
            "1,000 particles moved in place: steps of a particle",
        )
        .beside(&["loop_particles_few", "threads_particles_few"])
        .reach(&[
            least(&[Term::floor(0.9, "threads_particles_few")]),
            least(&[Term::peer(1.0, RAW_ARRAY, "particles_few")]),
        ]),
        row(
            "particles_many",
            Rate,
            "1,000,000 particles moved in place: steps of a particle",
        )
        .beside(&["loop_particles_many", "threads_particles_many"])
        .reach(&[
            least(&[Term::floor(0.9, "threads_particles_many")]),
            least(&[Term::peer(1.0, RAW_ARRAY, "particles_many")]),
        ]),
        row(
            "heat_barrier",
            Time,
            "heat, 2,048 x 2,048 points: a step, with a barrier after each",
        )
        .beside(&["threads_heat"])
        .reach(&[
            most(&[Term::floor(1.1, "threads_heat")]),
            most(&[Term::peer(1.0, RAW_ARRAY, "heat_barrier")]),
        ]),
        row("heat_calls", Time, "the same, with calls for each step")
            .beside(&["threads_heat"])
            .reach(&[most(&[Term::floor(1.25, "threads_heat")])]),
    ],
};
