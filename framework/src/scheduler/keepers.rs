//! Workers that keep calls of their tasks.
//!
//! The scheduler knows that a worker keeps calls, but not how many. When a worker is idle and
//! nothing is ready, the scheduler asks all keepers. Each keeper gives some calls away if it has
//! any. A report of an ended or blocked task ends the keeping. Until then, the scheduler asks a
//! keeper only once, or again after the keeper has given a call away.

use mobula_protocol::{ObjectId, Outcome, WorkerId, message::ToWorker};

use super::{Host, Scheduler, Violation, object::ObjectState};

/// Whether a worker keeps calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Keeping {
    #[default]
    Nothing,
    /// The worker may keep calls.
    Calls,
    /// The worker may keep calls, and was asked for some.
    Asked,
}

impl Scheduler {
    /// Sets whether a worker keeps calls.
    pub(super) fn set_keeping(&mut self, id: WorkerId, keeping: Keeping) {
        if let Some(worker) = self.workers.get_mut(id) {
            self.keepers -= usize::from(worker.keeping == Keeping::Calls);
            self.keepers += usize::from(keeping == Keeping::Calls);
            worker.keeping = keeping;
        }
    }

    /// Allows to ask a worker again after it has given a call away.
    #[inline]
    pub(super) fn has_shared(&mut self, id: WorkerId) {
        let worker = self.workers.get(id);
        if worker.is_some_and(|worker| worker.keeping == Keeping::Asked) {
            self.set_keeping(id, Keeping::Calls);
        }
    }

    /// Records the outcome of a call that a worker has kept and run.
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
                // The calling task has waited for the call, so it has read the error.
                self.insert(id, ObjectState::Failed(error), from);
                Ok(())
            }
        }
    }

    /// Asks the keepers for calls if the next task would go to an idle worker.
    #[cold]
    pub(super) fn ask_keepers(&mut self, host: &mut impl Host) {
        let next = self.next_worker().and_then(|id| self.workers.get(id));
        if !self.ready.is_empty() || next.is_none_or(|worker| worker.load() > 0) {
            return;
        }
        for (id, worker) in self.workers.iter_mut() {
            if worker.keeping == Keeping::Calls {
                worker.keeping = Keeping::Asked;
                host.send(id, ToWorker::Share);
            }
        }
        self.keepers = 0;
    }
}
