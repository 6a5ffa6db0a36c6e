//! The comparison of workers' messages with the driver's records.
//!
//! A worker whose memory is damaged can send well-formed messages that are wrong. The driver checks
//! each claim that it can check before it acts. It checks that the worker was told of each id, and
//! that a value beside an id is the object's. It also checks that each format fits its bytes. The
//! driver kills a worker that fails a check.
//!
//! # Ids
//!
//! A worker is told of an id by a hold, by the arguments of a task, or by a value that it was told
//! of. Most ids are held, and the check of a hold is one look-up. For other ids, the scheduler
//! first searches the arguments of the worker's tasks. After that, it makes a set of all ids that
//! the worker was told of. The set stays and gets all later ids. The cost of many ids therefore
//! grows with their number, not with its square.

use std::{collections::HashSet, fmt, hash::BuildHasherDefault};

use mobula_protocol::{ObjectId, WorkerId, message::FromWorker};
use mobula_store::NumberHasher;

use super::{Scheduler, Violation, object::Object, task_table::TaskId, worker::Worker};

/// The number of ids that the scheduler searches in the arguments of the worker's tasks before it
/// makes a set.
const SEARCH: usize = 64;

/// A set that has grown by more than this factor is dropped. The next set omits the ids that the
/// worker no longer has.
const GROWTH: usize = 2;

/// The ids that a worker was told of, computed on demand.
#[derive(Default)]
pub(super) struct Told {
    /// Whether the set exists.
    made: bool,
    /// The set. The worker may have released some of the objects.
    ids: HashSet<ObjectId, BuildHasherDefault<NumberHasher>>,
    /// Objects that the worker was told of since the last update of the set.
    objects: Vec<ObjectId>,
    /// Tasks that the worker got since the last update of the set.
    tasks: Vec<TaskId>,
    /// Number of ids when the set was made.
    at_first: usize,
}

impl Told {
    fn limit(&self) -> usize {
        (self.at_first + SEARCH) * GROWTH
    }
}

impl fmt::Debug for Told {
    /// Omits the content: the set only saves searches.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

impl Worker {
    /// Records that the worker was told of an object.
    #[inline]
    pub(super) fn is_told(&mut self, id: ObjectId) {
        if self.told.made {
            self.told.objects.push(id);
            self.limit_told();
        }
    }

    /// Records that the worker got a task.
    #[inline]
    pub(super) fn is_given(&mut self, task: TaskId) {
        if self.told.made {
            self.told.tasks.push(task);
            self.limit_told();
        }
    }

    /// Drops the set if more additions wait than its limit: no check has used the set for long.
    fn limit_told(&mut self) {
        let told = &self.told;
        if told.objects.len() + told.tasks.len() > told.limit() {
            self.told = Told::default();
        }
    }

    /// Returns whether the worker holds all objects in the message that are not new. Then it was
    /// told of them.
    pub(super) fn holds_all_of(&self, message: &FromWorker) -> bool {
        let mut all_held = true;
        for_each_mention(message, |id| all_held &= self.held.contains(id));
        all_held
    }
}

impl Scheduler {
    /// Checks that the worker was told of all ids in a message, which mentions at least one object
    /// without a hold.
    pub(super) fn check_told(
        &mut self,
        from: WorkerId,
        message: &FromWorker,
    ) -> Result<(), Violation> {
        let mut stranger = None;
        for_each_mention(message, |id| {
            if stranger.is_none() && !self.was_told(from, id) {
                stranger = Some(id);
            }
        });
        match stranger {
            Some(id) => Err(Violation::new(format!(
                "{from} spoke of object {id}, which it does not have"
            ))),
            None => Ok(()),
        }
    }

    /// Returns whether the worker was told of the object in any way.
    fn was_told(&mut self, from: WorkerId, id: ObjectId) -> bool {
        let Some(worker) = self.workers.get(from) else {
            return false;
        };
        if worker.held.contains(id) {
            return true;
        }
        if !worker.told.made && self.is_near(worker, id) {
            return true;
        }
        // An old set may lack ids. The scheduler makes a new set before it accuses a worker.
        self.is_in_set(from, id, false) || self.is_in_set(from, id, true)
    }

    /// Returns whether the id is a task of the worker or one of the first ids in the tasks'
    /// arguments. The search ends with the argument that has id number `SEARCH`.
    fn is_near(&self, worker: &Worker, id: ObjectId) -> bool {
        let mut left = SEARCH;
        let mut found = false;
        for assignment in &worker.assignments {
            let Some(task) = self.tasks.get(assignment.task) else {
                continue;
            };
            found |= task.id == id;
            for arg in &task.args {
                arg.for_each_object(|given| {
                    found |= given == id;
                    left = left.saturating_sub(1);
                });
                if found || left == 0 {
                    return found;
                }
            }
        }
        found
    }

    fn is_in_set(&mut self, from: WorkerId, id: ObjectId, anew: bool) -> bool {
        let Some(worker) = self.workers.get_mut(from) else {
            return false;
        };
        let mut told = std::mem::take(&mut worker.told);
        if anew || !told.made {
            told = self.all_told(from);
        } else if !told.ids.contains(&id) {
            self.catch_up(&mut told);
        }
        let found = told.ids.contains(&id);
        let keep = told.ids.len() <= told.limit();
        if keep && let Some(worker) = self.workers.get_mut(from) {
            worker.told = told;
        }
        found
    }

    /// Makes the set of all ids that the worker has from its holds and its tasks.
    fn all_told(&self, from: WorkerId) -> Told {
        let mut told = Told::default();
        let Some(worker) = self.workers.get(from) else {
            return told;
        };
        told.objects.extend(worker.held.iter().map(|(id, _)| id));
        let tasks = worker.assignments.iter().map(|assignment| assignment.task);
        told.tasks.extend(tasks);
        self.catch_up(&mut told);
        told.at_first = told.ids.len();
        told.made = true;
        told
    }

    /// Adds the ids that the worker was told of since the last update, and all ids in their values.
    fn catch_up(&self, told: &mut Told) {
        let mut roots = std::mem::take(&mut told.objects);
        for task in std::mem::take(&mut told.tasks) {
            let Some(task) = self.tasks.get(task) else {
                continue;
            };
            told.ids.insert(task.id);
            for arg in &task.args {
                arg.for_each_object(|id| roots.push(id));
            }
            roots.extend(task.actor());
        }
        let mut rest = Vec::new();
        for root in roots {
            told.ids.insert(root);
            // The value of the root may be newer than the root's entry in the set.
            self.refers_to(root, &mut rest);
            while let Some(id) = rest.pop() {
                if told.ids.insert(id) {
                    self.refers_to(id, &mut rest);
                }
            }
        }
    }

    /// Adds the objects in the value of an object to the list.
    fn refers_to(&self, id: ObjectId, to: &mut Vec<ObjectId>) {
        if let Some(value) = self.objects.get(id).and_then(Object::value) {
            to.extend(value.nested());
        }
    }
}

/// Calls `f` with the id of each object that the sender of a message must have.
#[inline]
fn for_each_mention(message: &FromWorker, mut f: impl FnMut(ObjectId)) {
    match message {
        FromWorker::Done {
            outcome: Ok(value), ..
        }
        | FromWorker::Ran {
            outcome: Ok(value), ..
        } => value.nested().for_each(f),
        FromWorker::Put { value, .. } => value.nested().for_each(f),
        FromWorker::Spawn(spec, _) => {
            spec.args.iter().for_each(|arg| arg.for_each_object(&mut f));
            spec.actor.into_iter().for_each(f);
        }
        FromWorker::CreateActor { args, .. } => {
            args.iter().for_each(|arg| arg.for_each_object(&mut f));
        }
        FromWorker::Hold(id)
        | FromWorker::Watch(id)
        | FromWorker::Decoded(id)
        | FromWorker::Detach(id)
        | FromWorker::KillActor(id) => f(*id),
        FromWorker::Lend { array, .. }
        | FromWorker::Settle { array, .. }
        | FromWorker::Seal { array, .. } => f(*array),
        FromWorker::QueuePut { queue, values, .. } => {
            values
                .iter()
                .for_each(|value| value.for_each_object(&mut f));
            f(*queue);
        }
        FromWorker::Split { result, .. } => f(*result),
        FromWorker::QueueGet { queue, .. } | FromWorker::QueueAsk { queue, .. } => f(*queue),
        FromWorker::QueueGiveUp { ids, .. }
        | FromWorker::QueueTook(ids)
        | FromWorker::Cancel { ids, .. } => ids.iter().copied().for_each(f),
        // A release without a hold has no effect: the release has crossed a failed answer.
        FromWorker::Release(_)
        | FromWorker::Done {
            outcome: Err(_), ..
        }
        | FromWorker::Ran {
            outcome: Err(_), ..
        }
        | FromWorker::Keeps
        | FromWorker::Again { .. }
        | FromWorker::Started { .. }
        | FromWorker::Progress(..)
        | FromWorker::FindActor { .. }
        | FromWorker::CreateQueue { .. }
        | FromWorker::Registered
        | FromWorker::Blocked
        | FromWorker::Unblocked
        | FromWorker::NeedBytes(_)
        | FromWorker::ReturnBytes(_)
        | FromWorker::Paused { .. }
        | FromWorker::Stalled(_)
        | FromWorker::Retire
        | FromWorker::Exits
        | FromWorker::Closed(_) => {}
    }
}

#[cfg(test)]
impl Scheduler {
    /// Marks the ids that a message mentions as told to the worker, for tests of other checks.
    pub(super) fn show(&mut self, to: WorkerId, message: &FromWorker) {
        let Some(worker) = self.workers.get_mut(to) else {
            return;
        };
        for_each_mention(message, |id| {
            worker.told.made = true;
            worker.told.ids.insert(id);
        });
    }
}
