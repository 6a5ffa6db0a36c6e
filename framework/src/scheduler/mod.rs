//! The scheduler: which objects exist, which tasks there are, and who works on what.
//!
//! Plain data, and functions that take one event each. What has to happen outside goes through
//! [`Host`], at once and in order. There is no clock, no I/O and no user code in here, so that unit
//! tests can drive every case without a process, and so that the driver can run it under one lock.
//!
//! # Objects
//!
//! An [`Object`](object::Object) is pending, ready or failed. A pending one names its
//! [maker](object::Maker): a task, which is in a [table](task_table) of its own, or a request that
//! the scheduler itself answers. Two counts:
//!
//! * `refs`: the object must exist. One for each handle of the driver, one for each worker that
//!   holds the object, one for each time that an unfinished task's arguments mention it, one for
//!   each time that a value mentions it (its *nested* ids). A finished object without refs is freed
//!   at once. A pending one stays until its task has ended: the task runs, though nobody looks.
//! * `pins`: its bytes are in use where they are. A task pins its arguments, and the arrays in
//!   them, from the hand-over to a worker until the end (or the revocation). A worker that holds
//!   a resolved object pins it until it releases it. Who pins also has a ref.
//!
//! Freeing works off a list and does not recurse. Counts do not find cycles, and honest tasks make
//! none: a task knows its arguments and what it made itself. A result that contains its own ref is
//! made an error; longer cycles, which take a global variable in a worker process, stay until the
//! end of the runtime.
//!
//! # What a worker holds
//!
//! For each worker and object there is one hold, not a number. `Spawn`, `Put`, `Hold` and the
//! answer to `Watch` begin it, `Release` ends it together with its pin and with a pending watch. A
//! `Release` without a hold means nothing: it has crossed a failed answer. A worker must therefore
//! disregard a `Ready` for an object that it released after it had asked; the release has
//! ended, or will end, what came with the answer.
//!
//! # Order of work
//!
//! Tasks that a task spawned come before everything else, the latest parent's first, and children
//! of one parent in the order in which they were spawned: depth first, so that few tasks are
//! half done at any time. Tasks of the driver run in the order of submission.
//!
//! Workers without work are served first, one task each (but see [`pack`]); after that tasks go to
//! the worker that has the least, up to a number of tasks *ahead*, so that a busy worker need not
//! be woken for each. When a worker is idle and nothing is ready, half of what the busiest worker
//! has not started is taken back and handed out anew. A worker that blocks gives back all that it
//! has not started: the children that it waits for must not stand behind its own queue. Either way
//! the worker gets less ahead from then on, and one more for each task that it finishes: so a
//! worker that runs one long task does not collect revoked messages without limit.
//!
//! Tasks that need more than a worker wait in an order of their own: see [`resources`].
//!
//! # When a worker dies
//!
//! The caller kills it, waits for its exit and passes on all that it had sent, before
//! [`Scheduler::worker_lost`]. Of the tasks that it had, those not started are ready again, at the
//! front and free of charge; a started one uses up a retry and is ready again, or fails with a
//! crash error.
//!
//! *A state word is a hint.* Whether a task was started says a word that the worker can write, and
//! a task that goes wild may clear it. The order of the hand-overs and the number of blocked tasks
//! are kept here. They say which tasks may have run: the first of the worker's tasks, one more than
//! are blocked. Such a task is ready again free of charge on [`Config::deaths`] dead workers at
//! most, and any other on [`BEHIND`](task::BEHIND); after that each death uses up a retry. For the
//! same reason a task among the blocked ones is never taken back, and an actor's constructor is
//! begun free of charge as often as a task.
//!
//! *Children of a dead attempt.* Objects that the worker had put or whose tasks it had spawned
//! belong to the runtime, not to the worker: the tasks go on, and their results live as long as
//! somebody else holds them. The dead worker's own holds end, so that what only the dead attempt
//! knew is freed when it is finished. The next attempt spawns its own children under new ids;
//! effects of the old ones outside the store may therefore happen twice.
//!
//! # The end
//!
//! [`Scheduler::fail_all`] fails every task. Workers may still run for a while; what they read
//! stays where it is until they are lost, since a view never changes. A task that waits for a
//! result is told that it failed, so that it comes to its end.

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
mod table;
mod task;
mod task_table;
mod tasks;
mod term;
mod timers;
mod unread;
mod worker;
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

use crate::resources::Totals;
use actors::Actor;
use admission::Admission;
use lending::Lending;
use loads::{Loads, Seats};
use object::Object;
use queues::Queues;
use ready::ReadyQueue;
use resources::ResourceTable;
use table::Objects;
use task_table::Tasks;
use timers::Timers;
use unread::Unread;
use worker::Worker;

/// What can be chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// How many tasks a worker has at most: the running one and those ahead. Tasks that wait in
    /// `get` do not count. At least 1 is used.
    pub(crate) prefetch: u32,
    /// State words in a worker's mailbox: how many tasks it has at most with those that wait.
    pub(crate) slots: u32,
    /// How many tasks can run at the same time, whatever the number of workers.
    pub(crate) cores: u32,
    /// A task that may have run on this many dead workers counts as begun there, whatever their
    /// state words say. At least 1 is used.
    pub(crate) deaths: u8,
    /// How many calls of the driver's program may be pending, if that has a limit.
    pub(crate) max_pending: Option<usize>,
    /// Whether failures are said that nobody has read.
    pub(crate) reports_unread: bool,
}

/// The scheduler of one runtime. See the [module](self).
#[derive(Debug)]
pub(crate) struct Scheduler {
    config: Config,
    /// The registered functions, by [`FunctionIndex`].
    functions: Arc<[Function]>,
    objects: Objects,
    tasks: Tasks,
    timers: Timers,
    workers: NumberMap<WorkerId, Worker>,
    ready: ReadyQueue,
    resources: ResourceTable,
    /// Workers that take a further task, by rank: the first gets the next one.
    room: Loads,
    /// Tasks have been short lately.
    short: bool,
    /// How many workers are active.
    active: usize,
    /// Their seats.
    active_seats: Seats,
    /// How many workers have more than one task to run: work can be taken back from them.
    stealable: usize,
    /// The workers' numbers by their seats, which those in `room` stand for.
    seats: Vec<WorkerId>,
    free_seats: Vec<usize>,
    counts: TaskCounts,
    /// Unfinished tasks that have a priority.
    prioritized: usize,
    /// Pending objects that no task makes.
    requests: usize,
    /// Living actors, and dead ones of which somebody has a handle.
    actors: NumberMap<ObjectId, Actor>,
    names_of_actors: HashMap<String, ObjectId>,
    /// Actors that wait for a process.
    wanting: VecDeque<ObjectId>,
    /// Processes that are being started and will not be needed.
    too_many: usize,
    /// No actor gets the pool's last worker.
    keeps_last: bool,
    /// Workers that are to be started, and of which nothing says that they cannot be.
    expected: usize,
    /// Actors of which something has changed.
    dirty_actors: Vec<ObjectId>,
    /// Shared arrays of which parts were lent.
    lending: NumberMap<ObjectId, Lending>,
    /// Pending objects that keep a shared array, with that.
    asked_of_arrays: NumberMap<ObjectId, ObjectId>,
    /// Those of them whose parts may all be back, with somebody who waits for that.
    settled: Vec<ObjectId>,
    queues: Queues,
    /// The workers that keep a decoded value of an object.
    decoded: NumberMap<ObjectId, SmallVec<[WorkerId; 4]>>,
    /// How many workers keep calls to themselves and were not asked for some.
    keepers: usize,
    /// How many unfinished tasks are detached.
    detached: usize,
    admission: Admission,
    /// Requests for the end of all abandoned tasks.
    awaits_abandoned: Vec<ObjectId>,
    unread: Unread,
    /// Some function limits how many of its calls a worker runs.
    limits_calls: bool,
    /// Workers in whose places new ones were asked for.
    replaced: usize,
    /// Stored bytes of all objects.
    used: u64,
    /// Why nothing is accepted any more.
    closed: Option<Error>,
}

impl Scheduler {
    /// A scheduler without workers. `functions` are those of the registry, by [`FunctionIndex`].
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
            workers: NumberMap::default(),
            ready: ReadyQueue::default(),
            resources: ResourceTable::new(Arc::new(Totals::UNLIMITED), 0),
            room: Loads::default(),
            short: false,
            active: 0,
            active_seats: Seats::default(),
            stealable: 0,
            seats: Vec::new(),
            free_seats: Vec::new(),
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

    /// The stored bytes of all objects, each rounded up to the store's granule.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.used
    }

    /// The bodies of all objects in one segment. Walks all objects: for a worker's death.
    pub(crate) fn stored_in(&self, segment: SegmentId) -> Vec<Loc> {
        let values = self.objects.iter().filter_map(|(_, object)| object.value());
        values
            .filter_map(|value| counts::stored(value))
            .filter(|loc| loc.segment == segment)
            .collect()
    }

    /// How many objects there are, pending ones included.
    pub(crate) fn object_count(&self) -> usize {
        self.objects.len()
    }

    /// How many unfinished tasks are in which state.
    #[cfg(test)]
    pub(crate) fn task_counts(&self) -> TaskCounts {
        self.counts
    }

    /// Whether any task or request is unfinished.
    pub(crate) fn pending_work(&self) -> bool {
        self.counts.total() + self.requests > 0
    }

    /// Whether no task is unfinished and no worker holds anything: the workers have nothing left to
    /// say.
    #[cfg(test)]
    pub(crate) fn is_quiet(&self) -> bool {
        !self.pending_work() && self.workers.values().all(|worker| worker.held.is_empty())
    }

    /// How many users of the object's bytes rely on their place; 0 for an object that is not there.
    #[cfg(test)]
    pub(crate) fn pins(&self, id: ObjectId) -> u32 {
        self.objects.get(id).map_or(0, |object| object.pins)
    }

    /// What became of the object; `None` while it is pending and when it is not there.
    pub(crate) fn outcome(&self, id: ObjectId) -> Option<Outcome> {
        self.objects.get(id).and_then(Object::outcome)
    }
}
