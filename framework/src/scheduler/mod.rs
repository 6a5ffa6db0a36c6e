//! The scheduler of objects, tasks and workers.
//!
//! The scheduler is plain data, and functions that take one event each. [`Host`] receives all
//! effects, at once and in order. The module contains no clock, no I/O and no user code. Unit tests
//! can therefore drive every case without a process, and the driver can run the scheduler under one
//! lock.
//!
//! # Objects
//!
//! An [`Object`](object::Object) is pending, ready or failed. A pending object names its
//! [maker](object::Maker): a task, which is in a [table](task_table) of its own, or a request that
//! the scheduler itself answers. An object has two counts:
//!
//! * `refs`: the object must exist. Each handle of the driver counts, and each worker that holds
//!   the object. Each mention in an unfinished task's arguments counts, and each mention in a value
//!   (its *nested* ids). A finished object without refs is freed at once. A pending object stays
//!   until its task has ended: the task runs even if nobody waits for its result.
//! * `pins`: readers use the object's bytes in place. A task pins its arguments, and the arrays in
//!   them, from the assignment to a worker until the end or the revocation. A worker that holds a
//!   ready object pins it until the release. Each pin comes with a ref.
//!
//! Freeing uses a list and does not recurse. Counts do not find cycles, and honest tasks make none:
//! a task knows only its arguments and the objects that it made. A result that contains its own ref
//! becomes an error. Longer cycles need a global variable in a worker process. They stay until the
//! end of the runtime.
//!
//! # Holds of a worker
//!
//! For each worker and object, there is at most one hold. `Spawn`, `Put`, `Hold` and the answer to
//! `Watch` begin a hold. `Release` ends the hold together with its pin and with a pending watch. A
//! `Release` without a hold has no effect: it has crossed a failed answer. A worker must therefore
//! ignore a `Ready` for an object that it released after its request. The release has ended, or
//! will end, the hold that came with the answer.
//!
//! # Order of work
//!
//! Within one priority, tasks that a task spawned go before all other tasks. The children of the
//! latest parent go first, and children of one parent go in the order of their spawns. This order
//! is depth first, so that few tasks are half done at any time. Tasks of the driver run in the
//! order of submission.
//!
//! Workers without work get one task each first (but see [`pack`]). After that, tasks go to the
//! worker with the least load, up to a number of tasks *ahead*. A busy worker then need not be
//! woken for each task. When a worker is idle and no task is ready, the scheduler looks for the
//! busiest worker. It takes back up to half of that worker's load, as far as the worker has not
//! started it, and assigns these tasks anew. A worker that blocks gives back all tasks that it has
//! not started, because its children must not queue behind them. In both cases, the worker gets
//! fewer tasks ahead from then on, and one more for each task that it finishes. A worker with one
//! long task therefore does not collect revoked messages without limit.
//!
//! Tasks that need more than a worker wait in an order of their own: see [`resources`].
//!
//! # Death of a worker
//!
//! The caller kills the worker, waits for its exit and passes on all its messages. Then the caller
//! calls [`Scheduler::worker_lost`]. The worker's tasks that were not started are ready again, at
//! the front and without a lost retry. A started task uses up a retry and is ready again, or fails
//! with a crash error.
//!
//! *A state word is a hint.* A state word says whether a task was started. The worker can write the
//! word, and a task that goes wild may clear it. The scheduler keeps the order of the assignments
//! and the number of blocked tasks. They determine which tasks may have run: the first tasks of the
//! worker, one more than are blocked. For an actor, as many more count as it runs at a time. Such a
//! task is ready again without a lost retry on fewer than [`Config::deaths`] dead workers, and any
//! other task on fewer than [`BEHIND`](task::BEHIND). After that, each death uses up a retry. These
//! limits also apply to the constructor of an actor. A task among the blocked ones is never taken
//! back, because a state word is only a hint.
//!
//! *Children of a dead attempt.* Objects that the worker has put, and the results of tasks that it
//! has spawned, belong to the runtime. The tasks continue, and their results live while others hold
//! them. The dead worker's holds end. An object that only the dead attempt knew is therefore freed
//! when it is finished. The next attempt spawns its own children with new ids. Effects of the old
//! children outside the store may therefore happen twice.
//!
//! # The end
//!
//! [`Scheduler::fail_all`] fails every task. Workers may still run for a while. The bytes that they
//! read stay in place until the workers are lost, since a view never changes. A task that waits for
//! a result gets its failure, so that the task ends.

mod abandoned;
mod actors;
mod admission;
mod cancel;
mod changes;
mod claims;
mod counts;
mod decoded;
mod detached;
mod dispatch;
mod events;
mod functions;
mod holds;
mod host;
mod keepers;
mod lending;
mod loads;
mod messages;
mod needs;
mod object;
mod objects;
mod pack;
mod priority;
mod progress;
mod queues;
mod ready;
mod recycle;
mod resources;
mod shortage;
mod split;
mod submission;
mod table;
mod task;
mod task_table;
mod tasks;
mod term;
mod timers;
mod unread;
mod worker;
mod worker_index;
mod workers;

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use mobula_protocol::{Error, ObjectId, Outcome, WorkerId};
use mobula_store::{Loc, NumberMap, SegmentId};
use smallvec::SmallVec;

pub(crate) use actors::{CallRole, name_is_taken, no_such_actor};
pub(crate) use detached::Unfinished;
pub(crate) use functions::Function;
pub(crate) use host::{Host, Violation};
pub(crate) use queues::{Event, Line, Place, Ticket, Why};
pub(crate) use queues::{State as QueueState, state_value as queue_state, stream_ended};
pub(crate) use task::TaskCounts;

use crate::{resources::Totals, worker_table::WorkerTable};
use actors::Actor;
use admission::Admission;
use lending::Lending;
use loads::{Loads, WorkerSet};
use object::Object;
use queues::Queues;
use ready::ReadyQueue;
use resources::ResourceTable;
use table::Objects;
use task_table::Tasks;
use timers::Timers;
use unread::Unread;
use worker::Worker;
use worker_index::WorkerIndexes;

/// The settings of a scheduler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// The maximum number of a worker's tasks: the running task and the tasks ahead. Tasks that
    /// wait in `get` do not count. A value of 0 counts as 1.
    pub(crate) prefetch: u32,
    /// Number of state words in a worker's mailbox: the maximum number of its tasks, waiting tasks
    /// included.
    pub(crate) slots: u32,
    /// Number of tasks that can run at the same time, for any number of workers.
    pub(crate) cores: u32,
    /// A task that may have run on this many dead workers counts as begun on the last of them,
    /// independent of the state words. A value of 0 counts as 1.
    pub(crate) deaths: u8,
    /// The maximum number of pending calls of the driver's program, if limited.
    pub(crate) max_pending: Option<usize>,
    /// Whether the scheduler reports failures that nobody has read.
    pub(crate) reports_unread: bool,
}

/// The scheduler of one runtime. See the [module](self).
#[derive(Debug)]
pub(crate) struct Scheduler {
    config: Config,
    /// The registered functions, by `FunctionIndex`.
    functions: Arc<[Function]>,
    objects: Objects,
    tasks: Tasks,
    timers: Timers,
    workers: WorkerTable<Worker>,
    ready: ReadyQueue,
    resources: ResourceTable,
    /// Workers that take a further task, by rank. The first worker gets the next task.
    room: Loads,
    /// Whether tasks were short at the last `tick`.
    short: bool,
    /// Number of active workers.
    active: usize,
    /// The active workers.
    active_workers: WorkerSet,
    /// Number of workers that have more than one task to run. Work can be taken back from them.
    stealable: usize,
    /// The indexes that `room` and `active_workers` have in place of ids.
    indexes: WorkerIndexes,
    counts: TaskCounts,
    /// Number of unfinished tasks with a priority other than 0.
    prioritized: usize,
    /// Number of pending objects that no task makes.
    requests: usize,
    /// Living actors, and dead actors with handles.
    actors: NumberMap<ObjectId, Actor>,
    names_of_actors: HashMap<String, ObjectId>,
    /// Actors that wait for a process.
    wanting: VecDeque<ObjectId>,
    /// Number of starting processes that will not be needed.
    too_many: usize,
    /// Whether the pool keeps its last worker when an actor requests a worker.
    keeps_last: bool,
    /// Number of workers that the driver is about to start, or 0 while starts fail.
    expected: usize,
    /// Actors with a change since the last `pump`.
    dirty_actors: Vec<ObjectId>,
    /// The lent parts by shared array.
    lending: NumberMap<ObjectId, Lending>,
    /// The shared array of each pending object that keeps one.
    asked_of_arrays: NumberMap<ObjectId, ObjectId>,
    /// Shared arrays with waiting requests whose parts may all be back.
    settled: Vec<ObjectId>,
    queues: Queues,
    /// The workers that keep a decoded value of an object.
    decoded: NumberMap<ObjectId, SmallVec<[WorkerId; 4]>>,
    /// Number of workers that keep calls and were not asked for calls.
    keepers: usize,
    /// Number of unfinished detached tasks.
    detached: usize,
    admission: Admission,
    /// Requests for the end of all abandoned tasks.
    awaits_abandoned: Vec<ObjectId>,
    unread: Unread,
    /// Whether a function limits how many of its calls a worker runs.
    limits_calls: bool,
    /// Number of living workers for which a replacement was requested.
    replaced: usize,
    /// The stored bytes of all objects.
    used: u64,
    /// The error of all requests after the end of the runtime.
    closed: Option<Error>,
}

impl Scheduler {
    /// Makes a scheduler without workers. `functions` are the functions of the registry, by
    /// `FunctionIndex`.
    pub(crate) fn new(config: Config, functions: Arc<[Function]>) -> Scheduler {
        let config = Config {
            prefetch: config.prefetch.max(1),
            deaths: config.deaths.max(1),
            ..config
        };
        Scheduler {
            config,
            limits_calls: Scheduler::any_limit(&functions),
            replaced: 0,
            admission: Admission::new(config.max_pending),
            awaits_abandoned: Vec::new(),
            unread: Unread::new(config.reports_unread),
            functions,
            objects: Objects::default(),
            tasks: Tasks::default(),
            timers: Timers::default(),
            workers: WorkerTable::default(),
            ready: ReadyQueue::default(),
            resources: ResourceTable::new(Arc::new(Totals::UNLIMITED), 0),
            room: Loads::default(),
            short: false,
            active: 0,
            active_workers: WorkerSet::default(),
            stealable: 0,
            indexes: WorkerIndexes::default(),
            counts: TaskCounts::default(),
            prioritized: 0,
            requests: 0,
            actors: NumberMap::default(),
            names_of_actors: HashMap::new(),
            wanting: VecDeque::new(),
            too_many: 0,
            keeps_last: false,
            expected: 0,
            dirty_actors: Vec::new(),
            lending: NumberMap::default(),
            asked_of_arrays: NumberMap::default(),
            settled: Vec::new(),
            queues: Queues::default(),
            decoded: NumberMap::default(),
            keepers: 0,
            detached: 0,
            used: 0,
            closed: None,
        }
    }

    /// Returns the stored bytes of all objects, each rounded up to the store's granule.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.used
    }

    /// Returns the locations of all objects in one segment, after a worker's death. Costs the
    /// number of all objects.
    pub(crate) fn stored_in(&self, segment: SegmentId) -> Vec<Loc> {
        let values = self.objects.iter().filter_map(|(_, object)| object.value());
        values
            .filter_map(|value| counts::stored(value))
            .filter(|loc| loc.segment == segment)
            .collect()
    }

    /// Returns the number of objects, including pending ones.
    pub(crate) fn object_count(&self) -> usize {
        self.objects.len()
    }

    /// Returns the number of unfinished tasks by state.
    #[cfg(test)]
    pub(crate) fn task_counts(&self) -> TaskCounts {
        self.counts
    }

    /// Returns whether a task or a request is unfinished. Abandoned tasks do not count.
    pub(crate) fn pending_work(&self) -> bool {
        self.counts.total() + self.requests > 0
    }

    /// Returns whether no task or request is unfinished and no worker holds an object. Workers then
    /// send no further messages.
    #[cfg(test)]
    pub(crate) fn is_quiet(&self) -> bool {
        !self.pending_work() && self.workers.values().all(|worker| worker.held.is_empty())
    }

    /// Returns how many readers use the object's bytes in place, or 0 for an unknown object.
    #[cfg(test)]
    pub(crate) fn pins(&self, id: ObjectId) -> u32 {
        self.objects.get(id).map_or(0, |object| object.pins)
    }

    /// Returns the outcome of the object, or `None` for a pending or unknown object.
    pub(crate) fn outcome(&self, id: ObjectId) -> Option<Outcome> {
        self.objects.get(id).and_then(Object::outcome)
    }
}
