//! The messages of workers.

use super::{
    Host, Scheduler, Violation,
    counts::stored,
    keepers::Keeping,
    object::ObjectState,
    objects::unknown,
    ready::Siblings,
    task::{Outputs, TaskState},
    task_table::{TaskId, Tasks},
    worker::{Assignment, Worker, WorkerState},
};
use mobula_protocol::{
    Attempt, Error, ObjectId, Outcome, TaskSlot, WorkerId,
    message::{FromWorker, ToWorker},
};

impl Scheduler {
    /// Handles one message of a worker. The caller keeps the order in which the worker sent them.
    /// [`NeedBytes`](FromWorker::NeedBytes) and [`ReturnBytes`](FromWorker::ReturnBytes) are not
    /// for the scheduler.
    ///
    /// # Errors
    /// Fails if the message is invalid. The scheduler has not changed then, and the caller must
    /// kill the worker.
    pub(crate) fn on_message(
        &mut self,
        from: WorkerId,
        message: FromWorker,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        if let FromWorker::Registered = message {
            return self.worker_up(from, host);
        }
        if self.closed.is_some() {
            self.on_late_message(from, message, host);
            return Ok(());
        }
        let Some(worker) = self.workers.get(from) else {
            return Err(Violation::new(format!("{from} is not there")));
        };
        if worker.state == WorkerState::Starting {
            return Err(Violation::new(format!("{from} spoke before it registered")));
        }
        if !worker.holds_all_of(&message) {
            self.check_told(from, &message)?;
        }
        match message {
            FromWorker::Done {
                id,
                slot,
                attempt,
                outcome,
            } => self.on_done(from, id, slot, attempt, outcome, host),
            FromWorker::Again { id, slot, attempt } => self.on_again(from, id, slot, attempt, host),
            FromWorker::Started { id, slot, attempt } => {
                let task = self.task_with(from, id, slot, attempt)?;
                self.on_started(task, attempt, host)
            }
            FromWorker::Progress(run, progress) => {
                self.on_progress(from, run, progress);
                Ok(())
            }
            FromWorker::Cancel { ids, options } => {
                self.cancel(&ids, options, host);
                Ok(())
            }
            FromWorker::Spawn(spec, parent) => {
                let parent = parent
                    .get()
                    .and_then(|run| self.workers.get(from)?.assignment(run));
                let parent = parent.map(|assignment| assignment.task);
                self.has_shared(from);
                self.submit_as(spec, None, parent, from, host).map(drop)
            }
            FromWorker::Keeps => {
                self.set_keeping(from, Keeping::Calls);
                Ok(())
            }
            FromWorker::Ran { id, outcome } => self.on_ran(id, outcome, from),
            FromWorker::Put { id, value } => self.put(id, value, from),
            FromWorker::Hold(id) => self.known(id).map(|()| self.hold(from, id)),
            FromWorker::Release(id) => {
                self.end_hold(from, id, host);
                Ok(())
            }
            FromWorker::Detach(id) => self.known(id).map(|()| self.detach(id)),
            FromWorker::Watch(id) => self.known(id).map(|()| self.watch(from, id, host)),
            FromWorker::Decoded(id) => self.known(id).map(|()| self.keeps_decoded(from, id)),
            FromWorker::CreateActor {
                id,
                constructor,
                args,
                options,
                found,
            } => self.create_for_worker(id, (constructor, args), *options, found, from, host),
            FromWorker::FindActor { id, name } => self.find_for_worker(id, &name, from),
            FromWorker::KillActor(id) => {
                self.kill_actor(id, host);
                Ok(())
            }
            FromWorker::Lend { array, parts } => self.lend_to_worker(array, &parts, from),
            FromWorker::Settle { id, array } => self.settle(id, array, from),
            FromWorker::Seal {
                id,
                array,
                format,
                run,
            } => self.seal(id, array, format, (from, run.get()), host),
            FromWorker::CreateQueue { id, capacity } => self.create_queue(id, capacity, from),
            FromWorker::QueuePut {
                id,
                queue,
                values,
                waits,
            } => self.queue_put(id, queue, values, waits, from, host),
            FromWorker::Split { result, ids } => self.split(result, &ids, from),
            FromWorker::QueueGet { ids, queue, waits } => {
                self.queue_get(ids.into(), queue, waits, from, host)
            }
            FromWorker::QueueGiveUp { ids, returns } => {
                self.queue_give_up(&ids, returns, host);
                Ok(())
            }
            FromWorker::QueueTook(ids) => {
                self.queue_took(&ids);
                Ok(())
            }
            FromWorker::QueueAsk { id, queue, close } => {
                self.queue_ask(id, queue, close, from, host)
            }
            FromWorker::Blocked => self.on_blocked(from, host),
            FromWorker::Unblocked => self.on_unblocked(from),
            FromWorker::Paused { attempt, paused } => self.on_paused(from, attempt, paused, host),
            FromWorker::Stalled(stalled) => self.on_stalled(from, stalled, host),
            FromWorker::Retire => {
                self.on_retire(from, host);
                Ok(())
            }
            FromWorker::Registered
            | FromWorker::NeedBytes(_)
            | FromWorker::ReturnBytes(_)
            | FromWorker::Exits
            | FromWorker::Closed(_) => Err(Violation::new("this message is not for the scheduler")),
        }
    }

    /// Handles a message after the end of the runtime, when workers finish their running tasks.
    /// Requests fail. Values that a worker puts stay readable for the worker until it ends.
    #[cold]
    fn on_late_message(&mut self, from: WorkerId, message: FromWorker, host: &mut impl Host) {
        let Some(error) = self.closed.clone() else {
            return;
        };
        if !self.workers.contains(from) {
            return;
        }
        let asked = match message {
            FromWorker::Hold(id) => return self.hold(from, id),
            FromWorker::Release(id) => return self.end_hold(from, id, host),
            FromWorker::Watch(id) if self.objects.contains(id) => {
                return self.watch(from, id, host);
            }
            FromWorker::Watch(id) => {
                let outcome = Err(error);
                return host.send(from, ToWorker::Ready { id, outcome });
            }
            FromWorker::Put { id, value } => {
                // Invalid messages do no harm after the end.
                let _ = self.put(id, value, from);
                return;
            }
            FromWorker::Ran { id, outcome } => {
                let _ = self.on_ran(id, outcome, from);
                return;
            }
            FromWorker::Spawn(task, _) => vec![task.id],
            FromWorker::CreateActor { id, found, .. } => found.into_iter().chain([id]).collect(),
            FromWorker::FindActor { id, .. }
            | FromWorker::Settle { id, .. }
            | FromWorker::Seal { id, .. }
            | FromWorker::CreateQueue { id, .. }
            | FromWorker::QueuePut { id, .. }
            | FromWorker::QueueAsk { id, .. } => vec![id],
            FromWorker::Split { ids, .. } | FromWorker::QueueGet { ids, .. } => ids,
            FromWorker::Lend { parts, .. } => parts.into_iter().map(|(id, _)| id).collect(),
            _ => return,
        };
        for id in asked {
            if self.check_new(id, from).is_ok() {
                self.insert(id, ObjectState::Failed(error.clone()), from);
            }
        }
    }

    fn known(&self, id: ObjectId) -> Result<(), Violation> {
        if self.objects.contains(id) {
            Ok(())
        } else {
            Err(unknown(id))
        }
    }

    fn on_done(
        &mut self,
        from: WorkerId,
        id: ObjectId,
        slot: TaskSlot,
        attempt: Attempt,
        outcome: Outcome,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        if let Ok(value) = &outcome {
            self.check_value(value, id)?;
        }
        let most = self.config.prefetch;
        let Some((worker, assignment)) = self.workers.get_mut(from).and_then(|worker| {
            let assignment = *worker.assignment(attempt)?;
            let is_it = assignment.is_of(id, slot, &self.tasks);
            is_it.then_some((worker, assignment))
        }) else {
            return Err(no_such_run(from, id, slot, attempt));
        };
        let task_id = assignment.task;
        worker.complete(attempt);
        worker.children = Siblings::default();
        worker.ended = true;
        let keeps = worker.keeping != Keeping::Nothing;
        let actor = worker.actor;
        let retires = worker.state == WorkerState::Retiring;

        worker.depth = most.min(worker.depth.saturating_add(1));
        worker.relist(self.config.slots, &mut self.room, &mut self.stealable);
        if keeps {
            self.set_keeping(from, Keeping::Nothing);
        }
        if actor.is_some() {
            self.call_landed(task_id);
        }
        let outcome = match outcome {
            Ok(value) if value.nested().any(|nested| nested == id) => {
                if let Some(loc) = stored(&value) {
                    host.free(loc);
                }
                Err(Error::usage(
                    "the result contains the ref of this very result, and could never be freed",
                ))
            }
            outcome => outcome,
        };
        if actor == Some(id) {
            self.constructed(id, &outcome, host);
        }
        let Some(task) = self.tasks.get_mut(task_id) else {
            return Ok(());
        };
        task.begun |= outcome.is_err();
        // A worker that holds a ref of the result may have a view of its bytes. The bytes stay
        // until the worker ends.
        let has_view = |worker: &Worker| worker.held.contains(id);
        if task.outputs == Outputs::None
            && let Ok(value) = &outcome
            && let Some(loc) = stored(value)
            && !self.workers.get(from).is_some_and(has_view)
        {
            // The task is abandoned or is a repeated constructor. The object keeps its first
            // outcome.
            host.free(loc);
        }
        self.finish(task_id, outcome, host);
        if retires {
            self.wind_up(from, host);
        }
        Ok(())
    }

    /// Handles a task that returned an error and that its worker runs again.
    fn on_again(
        &mut self,
        from: WorkerId,
        id: ObjectId,
        slot: TaskSlot,
        attempt: Attempt,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        let task_id = self.task_with(from, id, slot, attempt)?;
        match self.tasks.get_mut(task_id) {
            Some(task) if matches!(task.state, TaskState::Abandoned(_)) => Ok(()),
            Some(task) if task.options(&self.functions).reruns(task.retries) > 0 => {
                task.retries -= 1;
                task.begun = true;
                // The time limit applies to each run.
                self.on_started(task_id, attempt, host)
            }
            _ => Err(Violation::new(format!(
                "{from} ran task {id} again, which has no retry left for that"
            ))),
        }
    }

    /// Handles a task that blocks. The task may wait for its children, so they must not queue
    /// behind tasks that the worker has not started.
    fn on_blocked(&mut self, from: WorkerId, host: &mut impl Host) -> Result<(), Violation> {
        let Some(worker) = self.workers.get_mut(from) else {
            return Ok(());
        };
        // Threads that a task has started do not count as blocked tasks.
        if worker.assignments.len() <= worker.near(0) {
            return Err(Violation::new(format!(
                "{from} has more blocked tasks than tasks"
            )));
        }
        worker.blocked += 1;
        worker.children = Siblings::default();
        // A waiting call of the actor may share the value with the blocked call.
        self.dirty_actors.extend(worker.actor);
        self.set_keeping(from, Keeping::Nothing);
        self.take_back(from, u32::MAX, host);
        self.wind_up(from, host);
        Ok(())
    }

    fn on_unblocked(&mut self, from: WorkerId) -> Result<(), Violation> {
        let Some(worker) = self.workers.get_mut(from) else {
            return Ok(());
        };
        worker.blocked = worker
            .blocked
            .checked_sub(1)
            .ok_or_else(|| Violation::new(format!("{from} goes on, but had not blocked")))?;
        worker.children = Siblings::default();
        self.dirty_actors.extend(worker.actor);
        self.relist(from);
        Ok(())
    }

    /// Returns the worker's task of this id, slot and attempt.
    fn task_with(
        &self,
        from: WorkerId,
        id: ObjectId,
        slot: TaskSlot,
        attempt: Attempt,
    ) -> Result<TaskId, Violation> {
        let worker = self.workers.get(from);
        let assignment = worker.and_then(|worker| worker.assignment(attempt));
        let found = assignment.filter(|assignment| assignment.is_of(id, slot, &self.tasks));
        found
            .map(|assignment| assignment.task)
            .ok_or_else(|| no_such_run(from, id, slot, attempt))
    }
}

impl Assignment {
    /// Returns whether this is the assignment of the task with this id, in this slot.
    fn is_of(&self, id: ObjectId, slot: TaskSlot, tasks: &Tasks) -> bool {
        self.slot == slot && tasks.get(self.task).is_some_and(|task| task.id == id)
    }
}

#[cold]
fn no_such_run(from: WorkerId, id: ObjectId, slot: TaskSlot, attempt: Attempt) -> Violation {
    Violation::new(format!(
        "{from} spoke of task {id} in slot {}, attempt {}, which it does not have",
        slot.0, attempt.0
    ))
}
