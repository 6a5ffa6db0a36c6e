//! What a worker says is compared with what the driver knows.
//!
//! A worker whose memory is damaged can send well-formed messages that are wrong. The driver does
//! not act on a claim that it can check: an id must be one that the worker was told of, the value
//! beside an id must be that of the object, a format must fit what it describes. A worker that
//! fails a check is killed.
//!
//! # Ids
//!
//! A worker is told of an id by a hold, by the arguments of a task, or by a value that it was told
//! of. Most ids are held, and a hold takes a look-up. For others the arguments of the worker's
//! first tasks are searched, and then a set is made of all that it was told of. The set stays and
//! grows by what it is told later, so that many ids cost their number and not its square.

use std::{collections::HashSet, fmt, hash::BuildHasherDefault};

use mobula_protocol::{ObjectId, WorkerId, message::FromWorker};
use mobula_store::NumberHasher;

use super::{Scheduler, Violation, object::Object, task_table::TaskId, worker::Worker};

/// So many ids are looked at in the arguments of the worker's tasks before a set is made.
const SEARCH: usize = 64;

/// A set that has grown by more than this factor is made anew, without what has ended meanwhile.
const GROWTH: usize = 2;

/// The ids that a worker was told of, as far as that was asked.
#[derive(Default)]
pub(super) struct Told {
    /// Whether there is a set.
    made: bool,
    /// Some of them may be of objects that the worker has let go since.
    ids: HashSet<ObjectId, BuildHasherDefault<NumberHasher>>,
    /// Objects that it was told of since the set was last walked.
    objects: Vec<ObjectId>,
    /// Tasks that it got since then.
    tasks: Vec<TaskId>,
    /// How many ids there were when the set was made.
    at_first: usize,
}

impl Told {
    fn limit(&self) -> usize {
        (self.at_first + SEARCH) * GROWTH
    }
}

impl fmt::Debug for Told {
    /// Nothing: the set only saves searches.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

impl Worker {
    /// The worker is told of an object.
    #[inline]
    pub(super) fn is_told(&mut self, id: ObjectId) {
        if self.told.made {
            self.told.objects.push(id);
            self.limit_told();
        }
    }

    /// The worker gets a task.
    #[inline]
    pub(super) fn is_given(&mut self, task: TaskId) {
        if self.told.made {
            self.told.tasks.push(task);
            self.limit_told();
        }
    }

    /// Nobody has looked at the set for long.
    fn limit_told(&mut self) {
        let told = &self.told;
        if told.objects.len() + told.tasks.len() > told.limit() {
            self.told = Told::default();
        }
    }
}

impl Scheduler {
    /// Whether the worker was told of all ids in the message that are not new.
    pub(super) fn check_ids(
        &mut self,
        from: WorkerId,
        message: &FromWorker,
    ) -> Result<(), Violation> {
        let Some(worker) = self.workers.get(&from) else {
            return Ok(());
        };
        let mut all_held = true;
        for_each_mention(message, |id| all_held &= worker.held.contains(id));
        match all_held {
            true => Ok(()),
            false => self.check_others(from, message),
        }
    }

    /// The same, where not all of them are held.
    fn check_others(&mut self, from: WorkerId, message: &FromWorker) -> Result<(), Violation> {
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

    /// Whether the worker has the object from anywhere.
    fn was_told(&mut self, from: WorkerId, id: ObjectId) -> bool {
        let Some(worker) = self.workers.get(&from) else {
            return false;
        };
        if worker.held.contains(id) {
            return true;
        }
        if !worker.told.made && self.is_near(worker, id) {
            return true;
        }
        // A set that has not been looked at for long is made anew before a worker is accused.
        self.is_in_set(from, id, false) || self.is_in_set(from, id, true)
    }

    /// Whether the id is among the first in the arguments of the worker's tasks.
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
        let Some(worker) = self.workers.get_mut(&from) else {
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
        if keep && let Some(worker) = self.workers.get_mut(&from) {
            worker.told = told;
        }
        found
    }

    /// All ids that a worker has, through whatever.
    fn all_told(&self, from: WorkerId) -> Told {
        let mut told = Told::default();
        let Some(worker) = self.workers.get(&from) else {
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

    /// Enters what the worker was told of since the last time, and all that it refers to.
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
            // What it refers to may have come since it was entered.
            self.refers_to(root, &mut rest);
            while let Some(id) = rest.pop() {
                if told.ids.insert(id) {
                    self.refers_to(id, &mut rest);
                }
            }
        }
    }

    /// The objects in the value of an object.
    fn refers_to(&self, id: ObjectId, to: &mut Vec<ObjectId>) {
        if let Some(value) = self.objects.get(id).and_then(Object::value) {
            to.extend(value.nested());
        }
    }
}

/// Calls `f` with the ids of objects that the sender of a message must have.
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
        // A release of what is not held means nothing: it has crossed a failed answer.
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
    /// Has the worker know what a message mentions, in tests of something else.
    pub(super) fn show(&mut self, to: WorkerId, message: &FromWorker) {
        let Some(worker) = self.workers.get_mut(&to) else {
            return;
        };
        for_each_mention(message, |id| {
            worker.told.made = true;
            worker.told.ids.insert(id);
        });
    }
}
