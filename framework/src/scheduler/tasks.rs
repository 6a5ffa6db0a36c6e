//! The start of tasks, and the consequences of their end.

use std::{collections::VecDeque, sync::Weak};

use mobula_protocol::{
    Error, FunctionIndex, ObjectId, Outcome, TaskOptions, WorkerId,
    message::{ArgSpec, TaskSpec},
};

use super::{
    Host, Scheduler, Violation,
    actors::ActorRole,
    counts::{Step, stored},
    functions::Function,
    needs::Claim,
    object::{Followers, Maker, Object, ObjectState},
    objects::{BadAttachment, check_format},
    ready::Siblings,
    task::{Outputs, Task, TaskState, are_plain},
    task_table::TaskId,
};
use crate::resources::Needer;

/// The result of a look at the arguments of a new task.
enum Inputs {
    /// The task can run when this many mentions of pending objects are ready.
    Missing(u32),
    /// The task will not run.
    Failed(Error),
}

impl Scheduler {
    /// Makes a task and the pending object of its result. `from` holds the object: the driver by
    /// one handle, a worker by its hold. The task waits for objects that are arguments. It does not
    /// wait for objects that are only mentioned inside a value.
    ///
    /// A task that cannot run fails at once. Its input may have failed or not exist, or the runtime
    /// may be closed. [`Host::complete`] may be called before this returns.
    ///
    /// Costs the number of arguments. Runs no task: see [`pump`](Scheduler::pump).
    ///
    /// # Errors
    /// Fails if the id is not of `from` or is in use, if there is no such function, or if a value
    /// among the arguments is invalid.
    pub(crate) fn submit(
        &mut self,
        spec: TaskSpec,
        from: WorkerId,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        self.submit_as(spec, None, None, from, host).map(drop)
    }

    /// Submits a task like [`submit`](Scheduler::submit), also for an actor's constructor or the
    /// call of a task. Returns the task unless it has failed.
    pub(super) fn submit_as(
        &mut self,
        spec: TaskSpec,
        role: Option<ActorRole>,
        parent: Option<TaskId>,
        from: WorkerId,
        host: &mut impl Host,
    ) -> Result<Option<TaskId>, Violation> {
        self.check_new(spec.id, from)?;
        if self.functions.len() <= usize::try_from(spec.function.0).unwrap_or(usize::MAX) {
            return Err(Violation::new(format!(
                "task {} calls function {}, which does not exist",
                spec.id, spec.function.0
            )));
        }
        let plain = are_plain(&spec.args);
        let mut inputs = match (plain, &self.closed) {
            (true, None) => {
                check_plain(&spec)?;
                Inputs::Missing(0)
            }
            _ => self.inspect(&spec)?,
        };
        let mut role = role;
        if let (Inputs::Missing(_), Some(actor)) = (&inputs, spec.actor) {
            match self.place_call(actor, spec.function, from) {
                Ok(call) => role = Some(call),
                Err(error) => inputs = Inputs::Failed(error),
            }
        }
        let mut claim = None;
        if let Inputs::Missing(_) = inputs {
            match self.claim_of(&spec, role.as_ref()) {
                Ok(claimed) => claim = claimed,
                Err(error) => inputs = Inputs::Failed(error),
            }
        }
        let missing = match inputs {
            Inputs::Missing(missing) => missing,
            Inputs::Failed(error) => {
                self.insert(spec.id, ObjectState::Failed(error.clone()), from);
                self.fail_at_once(&spec, &error);
                if from == WorkerId::DRIVER {
                    host.complete(spec.id, Weak::new(), Err(error.clone()));
                }
                if let Some(stream) = self.stream_among(&spec.args) {
                    self.end_stream(stream, Some(error), host);
                }
                return Ok(None);
            }
        };
        let state = match missing {
            0 => TaskState::Ready,
            _ => TaskState::Waiting { missing },
        };
        let TaskSpec {
            id,
            function,
            args,
            options,
            actor: _,
        } = spec;
        let mut task = match self.tasks.memory() {
            Some(mut memory) => {
                memory.become_new(id, function, args, plain, state);
                memory
            }
            None => Box::new(Task::new(id, function, args, state)),
        };
        task.options = options;
        let options = task.options(&self.functions);
        let (retries, priority) = (options.retries, options.priority);
        let has_deadline = options.deadline.is_some();
        let claims = claim.is_some();
        if claims {
            task.claim = claim;
        }
        task.retries = retries.unwrap_or_else(|| self.retries_of_actor(role.as_ref()));
        task.role = role.map(Box::new);
        task.parent = parent;
        if !plain && self.stream_among(&task.args).is_some() {
            task.outputs = Outputs::Stream;
        }
        let priority = priority.unwrap_or_else(|| parent.map_or(0, |id| self.priority_of(id)));
        task.priority = priority;
        let task = self.task_submitted(task, host);
        if has_deadline {
            self.begin_deadline(task, host);
        }
        if !plain {
            self.enlist(task);
        }
        self.insert(id, ObjectState::pending(Maker::Task(task)), from);
        match role {
            Some(ActorRole::Call(call)) => self.enter_call(task, call, host),
            Some(ActorRole::Constructor) => {
                self.dirty_actors.push(id);
                if state == TaskState::Ready && claims {
                    self.await_resources(task);
                }
            }
            None if state == TaskState::Ready && claims => {
                self.await_resources(task);
            }
            None if state == TaskState::Ready => match self.workers.get_mut(from) {
                Some(parent) => self.ready.push_first(&mut parent.children, task, priority),
                None => self.ready.push_back(task, priority),
            },
            None => {}
        }
        Ok(Some(task))
    }

    /// Returns the claim of a new task, if it has resources. `role` is the task's role for an
    /// actor.
    ///
    /// # Errors
    /// Fails if the task could never have the resources.
    #[inline]
    fn claim_of(
        &self,
        spec: &TaskSpec,
        role: Option<&ActorRole>,
    ) -> Result<Option<Box<Claim>>, Error> {
        let function = Function::options_of(&self.functions, spec.function);
        let resources = &TaskOptions::of(&spec.options, function).resources;
        if resources.is_none() {
            return Ok(None);
        }
        let name = self.name(spec.function);
        let of = match role {
            None => Needer::Task,
            Some(ActorRole::Constructor) => Needer::Actor,
            Some(ActorRole::Call(_)) => {
                return Err(Error::usage(format!(
                    "`{name}` needs resources, but runs in the process of an actor, which is there"
                )));
            }
        };
        self.resources.claim(name, resources, of)
    }

    /// Checks the arguments and changes nothing.
    fn inspect(&self, spec: &TaskSpec) -> Result<Inputs, Violation> {
        let mut missing = 0;
        let mut failed = None;
        let mut look = |id: ObjectId| match self.objects.get(id).map(|object| &object.state) {
            Some(ObjectState::Ready(_)) => {}
            Some(ObjectState::Pending(_)) => missing += 1,
            Some(ObjectState::Failed(cause)) => {
                failed.get_or_insert_with(|| Error::dependency(self.name(spec.function), cause));
            }
            None => {
                failed.get_or_insert_with(|| self.unknown_input(spec.function, id));
            }
        };
        let mut dangling = None;
        for arg in &spec.args {
            match arg {
                ArgSpec::Object(_) | ArgSpec::Gather(_) => {
                    arg.objects().iter().copied().for_each(&mut look);
                }
                ArgSpec::Value(value) => {
                    let checked = if stored(value).is_some() {
                        Err(BadAttachment::Malformed("is not inline"))
                    } else {
                        self.check_attachments(value)
                    };
                    match checked {
                        Ok(()) => {}
                        Err(BadAttachment::Unknown(id)) => dangling = dangling.or(Some(id)),
                        Err(BadAttachment::Malformed(how)) => {
                            return Err(Violation::new(format!(
                                "an argument of task {} {how}",
                                spec.id
                            )));
                        }
                    }
                }
            }
        }
        let failed = failed.or_else(|| dangling.map(|id| self.unknown_input(spec.function, id)));
        Ok(match self.closed.clone().or(failed) {
            Some(error) => Inputs::Failed(error),
            None => Inputs::Missing(missing),
        })
    }

    #[cold]
    fn unknown_input(&self, function: FunctionIndex, id: ObjectId) -> Error {
        Error::internal(format!(
            "`{}` was not run, because its argument, object {id}, does not exist",
            self.name(function)
        ))
    }

    /// Counts the arguments of a new task, and adds the task to the dependents of those that are
    /// pending.
    fn enlist(&mut self, id: TaskId) {
        self.with_objects(id, |scheduler, args| {
            for arg in args {
                arg.for_each_object(|object| scheduler.add_ref(object));
                for input in arg.objects() {
                    scheduler.await_input(*input, id);
                }
            }
        });
    }

    fn await_input(&mut self, input: ObjectId, id: TaskId) {
        if let Some(pending) = self.objects.get_mut(input).and_then(Object::pending_mut) {
            pending.more_followers().dependents.push(id);
        }
    }

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
        while let Some((id, error)) = after.doomed.pop_front() {
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
        if let Some(timers) = &task.timers {
            self.end_timers(timers);
        }
        if let Some(mut claim) = task.claim.take() {
            self.end_claim(&mut claim);
        }
        if !task.plain {
            if task.state.hand().is_some() {
                self.shift_arg_pins(&task.args, Step::End);
            }
            if let Some(error) = incomplete_by {
                self.mark_incomplete(&task.args, &error);
            }
            self.drop_args(&task.args, host);
        }
        match task.role.as_deref() {
            Some(ActorRole::Call(call)) => self.leave_call(*call, host),
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
                        after.doomed.push_back((dependent, error));
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
        let (role, priority) = (task.role.as_deref().copied(), task.priority);
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
    /// The dependents that fail.
    doomed: VecDeque<(TaskId, Error)>,
}

/// Checks that [plain](are_plain) arguments can be values.
fn check_plain(spec: &TaskSpec) -> Result<(), Violation> {
    for arg in &spec.args {
        if let ArgSpec::Value(value) = arg
            && let Err(BadAttachment::Malformed(how)) = check_format(value)
        {
            return Err(Violation::new(format!(
                "an argument of task {} {how}",
                spec.id
            )));
        }
    }
    Ok(())
}
