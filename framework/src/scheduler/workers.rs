//! The start, registration, shutdown and loss of workers.

use std::sync::Arc;

use mobula_protocol::{Error, FunctionIndex, ObjectId, TaskOptions, WorkerId, message::ToWorker};

use super::{
    Host, Scheduler, Violation,
    keepers::Keeping,
    object::Maker,
    ready::Siblings,
    task::Losses,
    task_table::TaskId,
    worker::{Assignment, Worker, WorkerState},
};

/// A task that a dead worker had.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    pub(super) assignment: Assignment,
    /// The state word shows that the worker had begun the task.
    pub(super) said: bool,
    /// The driver's own records allow that the task ran.
    pub(super) near: bool,
}

/// The consequence of a worker's death for a task.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// The task had already ended.
    Ended,
    /// The task runs again.
    Ready,
    Crashed(Crash),
}

/// The details of a task's crash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crash {
    pub(super) function: FunctionIndex,
    /// `Some` if the task counts as begun although the state word did not show it.
    unsaid: Option<Losses>,
}

impl Scheduler {
    /// Adds a worker whose process has started. The worker gets no tasks yet.
    ///
    /// # Errors
    /// `id` is in use or is the driver's.
    pub(crate) fn worker_starting(&mut self, id: WorkerId) -> Result<(), Violation> {
        if id == WorkerId::DRIVER || self.workers.contains(id) {
            return Err(Violation::new(format!("{id} was started already")));
        }
        let index = self.indexes.enter(id);
        self.workers
            .insert(id, Worker::new(self.config.prefetch, index));
        Ok(())
    }

    /// Marks a worker as registered. The worker gets tasks from the next [`pump`](Scheduler::pump)
    /// on.
    ///
    /// # Errors
    /// The worker was not starting.
    pub(crate) fn worker_up(
        &mut self,
        id: WorkerId,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        match self.workers.get_mut(id) {
            Some(worker) if worker.state == WorkerState::Starting => {
                worker.state = WorkerState::Up;
                self.came_up(id, host);
                self.relieve_stalled(host);
            }
            // The shutdown came before the registration.
            Some(worker) if worker.state == WorkerState::ShuttingDown => {}
            _ => {
                return Err(Violation::new(format!(
                    "{id} registered, but was not starting"
                )));
            }
        }
        self.relist(id);
        Ok(())
    }

    /// Returns whether a worker has tasks that have not ended.
    pub(crate) fn has_tasks(&self, id: WorkerId) -> bool {
        let worker = self.workers.get(id);
        worker.is_some_and(|worker| !worker.assignments.is_empty())
    }

    /// Tells a worker to finish its running tasks and to exit. Tasks that the worker has not
    /// started go to others.
    pub(crate) fn worker_stopping(&mut self, id: WorkerId, host: &mut impl Host) {
        let Some(worker) = self.workers.get_mut(id) else {
            return;
        };
        if worker.state != WorkerState::ShuttingDown {
            worker.state = WorkerState::ShuttingDown;
            self.take_back(id, u32::MAX, host);
            host.send(id, ToWorker::Shutdown);
        }
    }

    /// Removes a dead worker and decides about its tasks (see the [module](super)). The caller has
    /// passed on all messages of the worker before. `describe` makes the crash error for a running
    /// task. `intended`: the worker exited by itself with code 0. Does nothing for an unknown
    /// worker.
    ///
    /// Returns whether the pool has one worker less and the scheduler has requested no replacement.
    pub(crate) fn worker_lost(
        &mut self,
        id: WorkerId,
        intended: bool,
        mut describe: impl FnMut(FunctionIndex) -> Error,
        host: &mut impl Host,
    ) -> bool {
        self.set_keeping(id, Keeping::Nothing);
        let Some(mut worker) = self.workers.remove(id) else {
            return false;
        };
        self.room.relist(worker.index, &mut worker.room, None);
        self.active_workers.remove(worker.index);
        self.active -= usize::from(worker.active);
        self.stealable -= usize::from(worker.stealable);
        self.indexes.leave(worker.index);

        let assignments = std::mem::take(&mut worker.assignments);
        if let Some(grant) = worker.grant.take() {
            self.end_grant(&grant);
        }
        let actor = worker.actor;
        self.end_decoded(id);
        let at_a_time = actor.map_or(1, |actor| self.threads_of(actor));
        let near = worker.near(at_a_time);
        let killed = worker.killed;
        let replaced = worker.term.replaced;
        self.end_holds(id, worker, host);
        let lost: Vec<_> = assignments
            .into_iter()
            .enumerate()
            .map(|(at, assignment)| Lost {
                assignment,
                said: host.started(id, assignment.slot, assignment.attempt),
                near: at < near,
            })
            .collect();
        let (abandoned, lost): (Vec<_>, Vec<_>) = lost
            .into_iter()
            .partition(|lost| self.is_abandoned(lost.assignment.task));
        for lost in abandoned {
            self.call_landed(lost.assignment.task);
            self.drop_abandoned(lost.assignment.task, host);
        }
        if let Some(actor) = actor {
            self.process_lost(actor, id, lost, intended, &mut describe, host);
            return false;
        }

        self.replaced -= usize::from(replaced);
        let mut siblings = Siblings::default();
        let mut crashed = Vec::new();
        for lost in lost {
            let task = lost.assignment.task;
            match self.judge(lost, true, killed) {
                Verdict::Ended => {}
                Verdict::Crashed(crash) => crashed.push((task, crash)),
                Verdict::Ready => {
                    self.unqueue(task, host);
                    if !self.await_resources(task) {
                        let priority = self.priority_of(task);
                        self.ready.push_first(&mut siblings, task, priority);
                    }
                }
            }
        }
        for (task, crash) in crashed {
            let error = self.crash_error(crash, &mut describe);
            self.finish(task, Err(error), host);
        }
        !replaced
    }

    /// Decides whether a task of a dead worker runs again, and at what cost. `again`: a process can
    /// run the task. `killed`: the driver killed the worker because of another task, so this run
    /// costs no retry.
    pub(super) fn judge(&mut self, lost: Lost, again: bool, killed: bool) -> Verdict {
        let limit = self.config.deaths;
        let Some(task) = self.tasks.get_mut(lost.assignment.task) else {
            return Verdict::Ended;
        };
        let begun = lost.said || task.losses.count(lost.near, limit);
        // The task may have written to the shared memory lent to it.
        task.begun |= begun || lost.near;
        if begun && (task.retries == 0 || !again) {
            return Verdict::Crashed(Crash {
                function: task.function,
                unsaid: (!lost.said).then_some(task.losses),
            });
        }
        task.retries -= u32::from(begun && !killed);
        if begun {
            self.tell_retries(lost.assignment.task);
        }
        Verdict::Ready
    }

    /// Copies the actor's number of retries into the options of a call without its own setting. The
    /// worker counts the attempts of the next run from these options.
    fn tell_retries(&mut self, id: TaskId) {
        let of_actor = self.retries_of_actor(self.role_of(id).as_ref());
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        let options = task.options(&self.functions);
        if options.retries.is_none() {
            let options = TaskOptions {
                retries: Some(of_actor),
                ..options.clone()
            };
            task.options = Some(Arc::new(options));
        }
    }

    pub(super) fn crash_error(
        &self,
        crash: Crash,
        describe: &mut dyn FnMut(FunctionIndex) -> Error,
    ) -> Error {
        let error = describe(crash.function);
        match crash.unsaid {
            Some(losses) => losses.explain(error, self.name(crash.function)),
            None => error,
        }
    }

    /// Ends the watches, requests and refs of a worker that has left the table.
    fn end_holds(&mut self, id: WorkerId, worker: Worker, host: &mut impl Host) {
        for &object in &worker.watches {
            self.end_watch(id, object);
        }
        self.abandon_requests(&worker, host);
        for (object, hold) in worker.held.into_entries() {
            self.give_up(object, hold, host);
        }
    }

    /// Ends the runtime. Every unfinished task fails with `error`, and only started tasks still
    /// run. Objects with handles of the driver stay until their handles are released. Objects that
    /// workers read or hold stay until the workers are [lost](Scheduler::worker_lost), because the
    /// bytes must not change before.
    ///
    /// Later submissions and requests fail with `error`. A later put still makes its object,
    /// because its bytes must stay while the caller reads them. A second call changes nothing.
    pub(crate) fn fail_all(&mut self, error: Error, host: &mut impl Host) {
        if self.closed.is_some() {
            return;
        }
        self.report_the_rest(host);
        self.closed = Some(error.clone());
        self.unread.ids.clear();
        for id in self.workers.ids().to_vec() {
            self.take_back(id, u32::MAX, host);
        }
        self.ready.clear();
        self.resources.clear_waiting();
        // Without dependents, each task fails with `error` itself, not with the failure of an
        // input.
        let mut requests = Vec::new();
        for (id, object) in self.objects.iter_mut() {
            if let Some(pending) = object.pending_mut() {
                if let Some(followers) = &mut pending.followers {
                    followers.dependents.clear();
                }
                if pending.maker == Maker::Request {
                    requests.push(id);
                }
            }
        }
        let mut tasks: Vec<(ObjectId, TaskId)> =
            self.tasks.iter().map(|(id, task)| (task.id, id)).collect();
        tasks.sort_unstable();
        for (_, task) in tasks {
            self.fail_task(task, error.clone(), host);
        }
        requests.sort_unstable();
        for id in requests {
            self.answer_request(id, Err(error.clone()), host);
        }
        self.end_requests(host);
        let mut actors: Vec<ObjectId> = self.actors.keys().copied().collect();
        actors.sort_unstable();
        for id in actors {
            self.construct(id, host);
        }
    }
}
