//! Workers come and go.

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
    /// The state word says that the worker had begun it.
    pub(super) said: bool,
    /// It may have run, as far as the driver knows by itself.
    pub(super) near: bool,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// Nothing: it has ended already.
    Ended,
    /// It runs again.
    Ready,
    Crashed(Crash),
}

/// How a task has crashed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crash {
    pub(super) function: FunctionIndex,
    /// It counts as begun, although the state word did not say so.
    unsaid: Option<Losses>,
}

impl Scheduler {
    /// A worker process was started. It gets no tasks yet.
    ///
    /// # Errors
    /// The number is in use, or the driver's.
    pub(crate) fn worker_starting(&mut self, id: WorkerId) -> Result<(), Violation> {
        if id == WorkerId::DRIVER || self.workers.contains_key(&id) {
            return Err(Violation::new(format!("{id} was started already")));
        }
        let seat = self.free_seats.pop().unwrap_or(self.seats.len());
        if seat == self.seats.len() {
            self.seats.push(id);
        }
        self.seats[seat] = id;
        self.workers
            .insert(id, Worker::new(self.config.prefetch, seat));
        Ok(())
    }

    /// A worker has registered. It gets tasks from the next [`pump`](Scheduler::pump) on.
    ///
    /// # Errors
    /// The worker is not one that was starting.
    pub(crate) fn worker_up(
        &mut self,
        id: WorkerId,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        match self.workers.get_mut(&id) {
            Some(worker) if worker.state == WorkerState::Starting => {
                worker.state = WorkerState::Up;
                self.came_up(id, host);
                self.relieve_stalled(host);
            }
            // It was told to stop before it got here.
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

    /// Whether a worker has tasks that have not ended.
    pub(crate) fn has_tasks(&self, id: WorkerId) -> bool {
        let worker = self.workers.get(&id);
        worker.is_some_and(|worker| !worker.assignments.is_empty())
    }

    /// Tells a worker to finish what it runs and to exit. What it has not started goes to others.
    pub(crate) fn worker_stopping(&mut self, id: WorkerId, host: &mut impl Host) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if worker.state != WorkerState::ShuttingDown {
            worker.state = WorkerState::ShuttingDown;
            self.take_back(id, u32::MAX, host);
            host.send(id, ToWorker::Shutdown);
        }
    }

    /// A worker is dead, and all that it had sent has been passed on. Decides what becomes of its
    /// tasks (see the [module](super)); `describe` makes the crash error for a task that was
    /// running, `intended` says that it exited by itself, with code 0. Does nothing for a worker
    /// that is not there.
    ///
    /// Says whether the pool has one worker less, in whose place none was asked for.
    pub(crate) fn worker_lost(
        &mut self,
        id: WorkerId,
        intended: bool,
        mut describe: impl FnMut(FunctionIndex) -> Error,
        host: &mut impl Host,
    ) -> bool {
        self.set_keeping(id, Keeping::Nothing);
        let Some(mut worker) = self.workers.remove(&id) else {
            return false;
        };
        self.room.relist(worker.seat, &mut worker.room, None);
        self.active_seats.remove(worker.seat);
        self.active -= usize::from(worker.active);
        self.stealable -= usize::from(worker.stealable);
        self.free_seats.push(worker.seat);

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

    /// Whether a task of a dead worker runs again, and at what cost. `again`: somebody is there to
    /// run it. `killed`: the driver has killed the worker for another task's sake, so this one does
    /// not pay with a retry.
    pub(super) fn judge(&mut self, lost: Lost, again: bool, killed: bool) -> Verdict {
        let limit = self.config.deaths;
        let Some(task) = self.tasks.get_mut(lost.assignment.task) else {
            return Verdict::Ended;
        };
        let begun = lost.said || task.losses.count(lost.near, limit);
        // It may have written to what it was lent.
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

    /// Has the worker that runs a task again know how often it may run at most, from which it counts
    /// the attempts. A call whose actor says this does not say it itself.
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

    /// Ends all that a worker kept which is not in the table any more.
    fn end_holds(&mut self, id: WorkerId, worker: Worker, host: &mut impl Host) {
        for &object in &worker.watches {
            self.end_watch(id, object);
        }
        self.abandon_requests(&worker, host);
        for (object, hold) in worker.held.into_entries() {
            self.give_up(object, hold, host);
        }
    }

    /// The end of the runtime: every unfinished task fails with `error`, and nothing runs any more
    /// but what workers have started. What the driver has handles of stays until they are released.
    /// What workers read or hold stays until they are [lost](Scheduler::worker_lost): it must not
    /// change under them. From now on workers are only told that things failed, and what is
    /// submitted or put fails with `error`. A second call changes nothing.
    pub(crate) fn fail_all(&mut self, error: Error, host: &mut impl Host) {
        if self.closed.is_some() {
            return;
        }
        self.report_the_rest(host);
        self.closed = Some(error.clone());
        self.unread.ids.clear();
        let mut workers: Vec<WorkerId> = self.workers.keys().copied().collect();
        workers.sort_unstable();
        for id in workers {
            self.take_back(id, u32::MAX, host);
        }
        self.ready.clear();
        self.resources.clear_waiting();
        // All fail of the same cause, not of one another.
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
