//! Workers that keep calls of their tasks to themselves.
//!
//! The scheduler knows that there are such calls, and not how many. When a worker is idle and
//! nothing is ready, it asks all workers that keep calls; each gives some away when it has any. A
//! worker keeps nothing when it says that a task has ended or has blocked, and is asked once until
//! then, or until it has given something away.

use mobula_protocol::{ObjectId, Outcome, WorkerId, message::ToWorker};

use super::{Host, Scheduler, Violation, object::ObjectState};

/// Whether a worker keeps calls to itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Keeping {
    #[default]
    Nothing,
    /// It may.
    Calls,
    /// It may, and was asked for some.
    Asked,
}

impl Scheduler {
    /// A worker keeps calls to itself, or has given some away, or keeps none any more.
    pub(super) fn set_keeping(&mut self, id: WorkerId, keeping: Keeping) {
        if let Some(worker) = self.workers.get_mut(&id) {
            self.keepers -= usize::from(worker.keeping == Keeping::Calls);
            self.keepers += usize::from(keeping == Keeping::Calls);
            worker.keeping = keeping;
        }
    }

    /// A worker has told of a call: it may be asked again.
    #[inline]
    pub(super) fn has_shared(&mut self, id: WorkerId) {
        let worker = self.workers.get(&id);
        if worker.is_some_and(|worker| worker.keeping == Keeping::Asked) {
            self.set_keeping(id, Keeping::Calls);
        }
    }

    /// A worker has run a call that it has kept.
    pub(super) fn on_ran(
        &mut self,
        id: ObjectId,
        outcome: Outcome,
        from: WorkerId,
    ) -> Result<(), Violation> {
        match outcome {
            Ok(value) => self.put(id, value, from),
            Err(error) => {
                self.check_new(id, from)?;
                // Its task has waited for it, so somebody has read the error.
                self.insert(id, ObjectState::Failed(error), from);
                Ok(())
            }
        }
    }

    /// Asks those that keep calls, if the next task would go to an idle worker.
    #[cold]
    pub(super) fn ask_keepers(&mut self, host: &mut impl Host) {
        let next = self.next_seat().map(|seat| self.seats[seat]);
        let next = next.and_then(|id| self.workers.get(&id));
        if !self.ready.is_empty() || next.is_none_or(|worker| worker.load() > 0) {
            return;
        }
        for (id, worker) in &mut self.workers {
            if worker.keeping == Keeping::Calls {
                worker.keeping = Keeping::Asked;
                host.send(*id, ToWorker::Share);
            }
        }
        self.keepers = 0;
    }
}
