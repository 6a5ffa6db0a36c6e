//! The consequences of the end of tasks.

use std::collections::VecDeque;

use mobula_protocol::{Error, ObjectId, Outcome, WorkerId};

use super::{
    Host, Scheduler,
    actors::ActorRole,
    counts::Step,
    object::{Followers, Maker, Object, ObjectState},
    ready::Siblings,
    task::{Extra, Task, TaskState},
    task_table::TaskId,
};

impl Scheduler {
    /// Returns the task that makes an object.
    pub(super) fn task_of(&self, object: ObjectId) -> Option<TaskId> {
        self.objects.get(object).and_then(Object::task)
    }

    /// Ends a task, and all tasks that fail with it. The caller has
    /// [checked](Scheduler::check_value) the value of `outcome`.
    pub(super) fn finish(&mut self, id: TaskId, outcome: Outcome, host: &mut impl Host) {
        let mut after = After::default();
        self.finish_one(id, outcome, &mut after, host);
        self.fail_doomed(after, host);
    }

    /// Ends a pending object of a request, and all tasks that fail with it.
    pub(super) fn answer_request(&mut self, id: ObjectId, outcome: Outcome, host: &mut impl Host) {
        let mut after = After::default();
        self.complete(id, outcome, &mut after, host);
        self.fail_doomed(after, host);
    }

    // A list replaces recursion, since chains of dependents can be longer than the stack.
    fn fail_doomed(&mut self, mut after: After, host: &mut impl Host) {
        while let Some((id, error)) = after.doomed.as_mut().and_then(|list| list.pop_front()) {
            self.finish_one(id, Err(error), &mut after, host);
        }
    }

    fn finish_one(
        &mut self,
        id: TaskId,
        outcome: Outcome,
        after: &mut After,
        host: &mut impl Host,
    ) {
        let Some(task) = self.task_ended(id, outcome.is_err(), host) else {
            return;
        };
        // The parts of an abandoned task became incomplete when it was abandoned.
        let abandoned = matches!(task.state, TaskState::Abandoned(_));
        let incomplete_by = match &outcome {
            Err(error) if task.begun && !abandoned && !self.lending.is_empty() => {
                Some(error.clone())
            }
            _ => None,
        };
        if let Err(error) = &outcome {
            self.note_failure(&task, error);
        }
        let stream = task
            .stream()
            .map(|stream| (stream, outcome.as_ref().err().cloned()));
        // The refs of the result are counted before the arguments' refs end, since both may be of
        // one object.
        if let Some(output) = task.output() {
            self.complete(output, outcome, after, host);
        }
        if let Some((stream, failure)) = stream {
            self.end_stream(stream, failure, host);
        }
        self.end_task(task, incomplete_by, host);
    }

    /// Ends the counts of a task that has left the table. With `incomplete_by`, the task had begun
    /// and failed with this error, so the parts among its arguments are incomplete.
    pub(super) fn end_task(
        &mut self,
        mut task: Box<Task>,
        incomplete_by: Option<Error>,
        host: &mut impl Host,
    ) {
        *self.counts.of(task.state) -= 1;
        self.detached -= usize::from(task.detached);
        self.prioritized -= usize::from(task.priority != 0);
        let role = match task.take_extra() {
            None => None,
            Some(extra) => self.end_extra(*extra),
        };
        if !task.plain {
            if task.state.hand().is_some() {
                self.objects.shift_arg_pins(&task.args, Step::End);
            }
            if let Some(error) = incomplete_by {
                self.mark_incomplete(&task.args, &error);
            }
            self.drop_args(&task.args, host);
        }
        match role {
            Some(ActorRole::Call(call)) => self.leave_call(call, host),
            // There will be no value, so the calls that wait for it must learn of that.
            Some(ActorRole::Constructor) => self.dirty_actors.push(task.id),
            None => {}
        }
        let (admitted, state) = (task.admitted, task.state);
        self.tasks.keep_memory(task);
        if !self.awaits_abandoned.is_empty() && matches!(state, TaskState::Abandoned(_)) {
            self.tell_of_abandoned(host);
        }
        if admitted {
            self.end_admitted(host);
        }
    }

    /// Ends the timers and the resources of a task. Returns its role.
    fn end_extra(&mut self, extra: Extra) -> Option<ActorRole> {
        if let Some(timers) = &extra.timers {
            self.end_timers(timers);
        }
        if let Some(mut claim) = extra.claim {
            self.end_claim(&mut claim);
        }
        extra.role
    }

    /// Ends a pending object. Adds the tasks that fail with it to `after`.
    fn complete(
        &mut self,
        id: ObjectId,
        outcome: Outcome,
        after: &mut After,
        host: &mut impl Host,
    ) {
        let Some(object) = self.objects.get_mut(id) else {
            return;
        };
        if object.pending().is_none() {
            return;
        }
        let state = match &outcome {
            Ok(value) => ObjectState::Ready(value.clone()),
            Err(error) => ObjectState::Failed(error.clone()),
        };
        let ObjectState::Pending(pending) = std::mem::replace(&mut object.state, state) else {
            return;
        };
        let (handles, entry) = (object.handles, std::mem::take(&mut object.entry));
        if let Ok(value) = &outcome {
            self.begin_value(value);
        }
        if pending.maker == Maker::Request {
            self.requests -= 1;
            self.forget_request(id, host);
        }
        let watchers = match pending.followers {
            None => Vec::new(),
            Some(followers) => self.end_followers(*followers, &outcome, after, host),
        };
        if handles > 0 {
            host.complete(id, entry, outcome);
        }
        for watcher in watchers {
            if let Some(worker) = self.workers.get_mut(watcher) {
                worker.watches.remove(&id);
            }
            self.tell(watcher, id, host);
        }
        // With handles left, the release of the last one frees the object.
        if handles == 0 {
            self.free_unused(id, host);
        }
    }

    /// Tells the tasks and the elements that follow an object of its outcome. Returns the workers
    /// that watch the object.
    fn end_followers(
        &mut self,
        followers: Followers,
        outcome: &Outcome,
        after: &mut After,
        host: &mut impl Host,
    ) -> Vec<WorkerId> {
        let Followers {
            dependents,
            watchers,
            elements,
        } = followers;
        for dependent in dependents {
            match outcome {
                Ok(_) => self.input_ready(dependent, &mut after.siblings, host),
                Err(cause) => {
                    if let Some(function) = self.tasks.get(dependent).map(|task| task.function) {
                        let error = Error::dependency(self.name(function), cause);
                        let doomed = after.doomed.get_or_insert_default();
                        doomed.push_back((dependent, error));
                    }
                }
            }
        }
        for (place, element) in elements.into_iter().enumerate() {
            let element_outcome = self.element(outcome, place);
            self.complete(element, element_outcome, after, host);
        }
        watchers
    }

    /// Records that one more input of a waiting task is ready.
    fn input_ready(&mut self, id: TaskId, siblings: &mut Siblings, host: &mut impl Host) {
        if !self.task_input_ready(id, host) {
            return;
        }
        let Some(task) = self.tasks.get(id) else {
            return;
        };
        let (object, claims) = (task.id, task.claims());
        let (role, priority) = (task.role().copied(), task.priority);
        match role {
            Some(ActorRole::Constructor) => {
                self.dirty_actors.push(object);
                self.await_resources(id);
            }
            Some(ActorRole::Call(call)) => self.dirty_actors.push(call.actor),
            None if claims => drop(self.await_resources(id)),
            None if object.origin == WorkerId::DRIVER => self.ready.push_back(id, priority),
            None => self.ready.push_first(siblings, id, priority),
        }
    }
}

/// The consequences of the end of objects.
#[derive(Default)]
struct After {
    /// The group of dependents that are ready now.
    siblings: Siblings,
    /// The dependents that fail. Mostly there are none, and a list takes more to make and to drop.
    doomed: Option<VecDeque<(TaskId, Error)>>,
}
