//! Tasks that are to end before they have.
//!
//! A task that no worker has begun ends at once. A task that a worker runs is
//! [abandoned](super::abandoned): its results fail, and the worker gets a message. An asynchronous
//! function is dropped at its next await point. A blocking function can ask whether it is
//! cancelled. After the grace time, the driver kills the worker of a run that goes on. Actors'
//! processes survive, since other calls use the value.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use mobula_protocol::{
    Attempt, CancelOptions, Error, ObjectId, TaskOptions, WorkerId, message::ToWorker,
};

use super::{
    Host, Scheduler, Violation,
    object::Maker,
    task::{Hand, Outputs, Task, TaskState, TaskTimers},
    task_table::TaskId,
    timers::Due,
};

impl Scheduler {
    /// Cancels the tasks that make these objects, as far as they have not ended. Costs a constant
    /// for each; where a worker may have begun one and its calls are cancelled too, a look at all
    /// tasks.
    pub(crate) fn cancel(
        &mut self,
        ids: &[ObjectId],
        options: CancelOptions,
        host: &mut impl Host,
    ) {
        let mut doomed = Vec::new();
        for id in ids {
            let pending = self.objects.get(*id).and_then(|object| object.pending());
            if let Some(Maker::Task(task)) = pending.map(|pending| pending.maker)
                // An actor ends by `kill`, or with its last handle.
                && !self.actors.contains_key(id)
            {
                doomed.push(task);
            }
        }
        if options.is_recursive() {
            self.add_calls_of(&mut doomed);
        }
        for task in doomed {
            let Some(found) = self.tasks.get(task) else {
                continue;
            };
            let error = Error::cancelled(self.name(found.function));
            let grace = options.limit(found.options(&self.functions));
            self.stop(task, error, (grace, options.is_recursive()), host);
        }
    }

    /// Adds the unfinished calls that these tasks have made, and their calls in turn.
    fn add_calls_of(&self, tasks: &mut Vec<TaskId>) {
        let may_have_called = |id: &TaskId| {
            let task = self.tasks.get(*id);
            task.is_some_and(|task| task.begun || task.state.hand().is_some())
        };
        if !tasks.iter().any(may_have_called) {
            return;
        }
        let mut calls: HashMap<TaskId, Vec<TaskId>> = HashMap::new();
        for (id, task) in self.tasks.iter() {
            if let Some(parent) = task.parent {
                calls.entry(parent).or_default().push(id);
            }
        }
        let mut seen: HashSet<TaskId> = tasks.iter().copied().collect();
        let mut at = 0;
        while let Some(id) = tasks.get(at) {
            let new = calls.remove(id).into_iter().flatten();
            tasks.extend(new.filter(|call| seen.insert(*call)));
            at += 1;
        }
    }

    /// Fails a task. A worker that may run the task gets a message. After the grace time, if there
    /// is one, the driver kills the worker unless it is an actor. `calls`: the worker also cancels
    /// the calls that the task has kept.
    fn stop(
        &mut self,
        id: TaskId,
        error: Error,
        (grace, calls): (Option<Duration>, bool),
        host: &mut impl Host,
    ) {
        let Some(task) = self.tasks.get(id) else {
            return;
        };
        let Some(hand) = task.state.assigned() else {
            return self.fail_task(id, error, host);
        };
        if !self.take_one_back(id, hand, host) {
            self.fail_task(id, error, host);
            self.end_run(hand, (grace, calls), host);
        } else {
            self.finish(id, Err(error), host);
        }
    }

    /// Takes back a task that a worker has not begun. Returns whether the worker gave the task
    /// back.
    fn take_one_back(&mut self, id: TaskId, hand: Hand, host: &mut impl Host) -> bool {
        let Some(worker) = self.workers.get_mut(hand.worker) else {
            return false;
        };
        let may_run = worker.near(0);
        let assignments = worker.assignments.iter();
        let begun = assignments
            .take(may_run)
            .any(|assignment| assignment.attempt == hand.attempt);
        if begun || !host.revoke(hand.worker, hand.slot, hand.attempt) {
            return false;
        }
        worker.complete(hand.attempt);
        self.uncount_call(id, hand.worker, hand.attempt);
        self.relist(hand.worker);
        self.wind_up(hand.worker, host);
        self.call_landed(id);
        self.unqueue(id, host);
        true
    }

    /// Ends a run whose result nobody waits for.
    fn end_run(
        &mut self,
        hand: Hand,
        (grace, calls): (Option<Duration>, bool),
        host: &mut impl Host,
    ) {
        let run = hand.attempt;
        host.send(hand.worker, ToWorker::Cancel { run, calls });
        let Some(worker) = self.workers.get(hand.worker) else {
            return;
        };
        if let Some(grace) = grace
            && worker.actor.is_none()
            && let Some(at) = host.now().checked_add(grace)
        {
            self.set_timer(at, Due::Kill(hand.worker, hand.attempt), host);
        }
    }

    pub(super) fn grace_passed(
        &mut self,
        worker_id: WorkerId,
        attempt: Attempt,
        host: &mut impl Host,
    ) {
        let Some(worker) = self.workers.get(worker_id) else {
            return;
        };
        let Some(task) = worker.assignment(attempt).map(|found| found.task) else {
            return;
        };
        let name = self.task_name(task);
        let why = format!(
            "`{name}` ran on it, which had been cancelled or had passed its limit of time, and did \
             not end within its grace time"
        );
        let killed = host.end_run(worker_id, attempt, why);
        if let Some(worker) = self.workers.get_mut(worker_id) {
            worker.killed |= killed;
        }
    }

    /// A worker begins a task that has a limit of time.
    pub(super) fn on_started(
        &mut self,
        task: TaskId,
        attempt: Attempt,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        let Some(found) = self.tasks.get_mut(task) else {
            return Ok(());
        };
        let old = found.timers_mut().and_then(|timers| timers.limit.take());
        if let Some(timer) = old {
            self.timers.remove(timer);
        }
        if !self.task_started(task, host) {
            return Ok(());
        }
        let found = self.tasks.get(task);
        let limit = found.and_then(|found| found.options(&self.functions).timeout);
        if let Some(at) = limit.and_then(|limit| host.now().checked_add(limit)) {
            let timer = self.set_timer(at, Due::Limit(task, attempt), host);
            if let Some(found) = self.tasks.get_mut(task) {
                found.more_timers().limit = Some(timer);
            }
        }
        Ok(())
    }

    /// A new task must have ended at some time.
    pub(super) fn begin_deadline(&mut self, id: TaskId, host: &mut impl Host) {
        let task = self.tasks.get(id);
        let limit = task.and_then(|task| task.options(&self.functions).deadline);
        let at = limit.and_then(|limit| host.now().checked_add(limit));
        if let Some(at) = at {
            let timer = self.set_timer(at, Due::Deadline(id), host);
            if let Some(task) = self.tasks.get_mut(id) {
                task.more_timers().deadline = Some(timer);
            }
        }
    }

    /// A task has ended: its timers mean nothing any more.
    pub(super) fn end_timers(&mut self, timers: &TaskTimers) {
        for timer in [timers.limit, timers.deadline].into_iter().flatten() {
            self.timers.remove(timer);
        }
    }

    pub(super) fn deadline_passed(&mut self, id: TaskId, host: &mut impl Host) {
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        if let Some(timers) = task.timers_mut() {
            timers.deadline = None;
        }
        let options = task.options(&self.functions).clone();
        let name = self.task_name(id);
        let error = Error::task_timeout(format!(
            "`{name}` had not ended {:?} after it was submitted, which is its `deadline`",
            options.deadline.unwrap_or_default()
        ));
        self.time_out(id, error, &options, host);
    }

    pub(super) fn limit_passed(&mut self, id: TaskId, attempt: Attempt, host: &mut impl Host) {
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        if let Some(timers) = task.timers_mut() {
            timers.limit = None;
        }
        let Some(hand) = task.state.assigned() else {
            return;
        };
        if hand.attempt != attempt {
            return;
        }
        let options = task.options(&self.functions).clone();
        if options.retry_timeouts && task.retries > 0 && task.role().is_none() {
            return self.run_anew(id, hand, &options, host);
        }
        let name = self.task_name(id);
        let error = Error::task_timeout(format!(
            "`{name}` ran for longer than {:?}, which is its `timeout`",
            options.timeout.unwrap_or_default()
        ));
        self.time_out(id, error, &options, host);
    }

    fn time_out(&mut self, id: TaskId, error: Error, options: &TaskOptions, host: &mut impl Host) {
        let grace = CancelOptions::new().limit(options);
        let mut tasks = vec![id];
        self.add_calls_of(&mut tasks);
        self.stop(id, error, (grace, true), host);
        for call in tasks.split_off(1) {
            if let Some(task) = self.tasks.get(call) {
                let error = Error::cancelled(self.name(task.function));
                let grace = CancelOptions::new().limit(task.options(&self.functions));
                self.stop(call, error, (grace, true), host);
            }
        }
    }

    /// Runs a task once more; a run that has taken too long stays with its worker, as one of a task
    /// that makes nothing.
    fn run_anew(&mut self, id: TaskId, hand: Hand, options: &TaskOptions, host: &mut impl Host) {
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        task.retries -= 1;
        task.begun = true;
        let mut old = Task::new(
            task.id,
            task.function,
            task.args.clone(),
            TaskState::Abandoned(hand),
        );
        old.outputs = Outputs::None;
        if let Some(claim) = task.claim_mut() {
            old.extra_mut().claim = Some(claim.split_off());
        }
        for arg in &old.args {
            arg.for_each_object(|object| self.objects.add_ref(object));
        }
        let old = self.task_submitted(Box::new(old), host);
        if let Some(worker) = self.workers.get_mut(hand.worker) {
            worker.reassign(hand.attempt, old);
        }
        // The pins of the arguments are the old run's now.
        self.task_returned(id, host);
        if !self.await_resources(id) {
            let priority = self.priority_of(id);
            self.ready.give_back(id, priority);
        }
        self.end_run(hand, (CancelOptions::new().limit(options), false), host);
    }
}
