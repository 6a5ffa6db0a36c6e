//! The submission of tasks.

use std::sync::Weak;

use mobula_protocol::{
    Error, FunctionIndex, ObjectId, TaskOptions, WorkerId,
    message::{ArgSpec, TaskSpec},
};

use super::{
    Host, Scheduler, Violation,
    actors::ActorRole,
    counts::stored,
    functions::Function,
    needs::Claim,
    object::{Maker, ObjectState},
    objects::{BadAttachment, check_format},
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
        let Some(function) = Function::of(&self.functions, spec.function) else {
            return Err(Violation::new(format!(
                "task {} calls function {}, which does not exist",
                spec.id, spec.function.0
            )));
        };
        let asks_for_nothing = function.asks_for_nothing
            && spec.options.is_none()
            && spec.actor.is_none()
            && role.is_none()
            && self.closed.is_none();
        if asks_for_nothing {
            let retries = function.options.retries.unwrap_or(0);
            self.submit_simple(spec, retries, parent, from, host)
        } else {
            self.submit_any(spec, role, parent, from, host)
        }
    }

    /// Submits a task that asks for nothing but arguments. Nearly all tasks come here, so this does
    /// no more than it has to.
    fn submit_simple(
        &mut self,
        spec: TaskSpec,
        retries: u32,
        parent: Option<TaskId>,
        from: WorkerId,
        host: &mut impl Host,
    ) -> Result<Option<TaskId>, Violation> {
        let plain = are_plain(&spec.args);
        let missing = if plain {
            check_plain(&spec)?;
            0
        } else {
            match self.inspect(&spec)? {
                Inputs::Missing(missing) if self.stream_among(&spec.args).is_none() => missing,
                _ => return self.submit_any(spec, None, parent, from, host),
            }
        };
        let id = spec.id;
        let priority = parent.map_or(0, |id| self.priority_of(id));
        let mut task = self.new_task(spec, plain, missing);
        task.retries = retries;
        task.parent = parent;
        task.priority = priority;
        let task = self.task_submitted(task, host);
        if !plain {
            self.enlist(task);
        }
        self.insert(id, ObjectState::pending(Maker::Task(task)), from);
        if missing == 0 {
            self.enqueue(task, priority, from);
        }
        Ok(Some(task))
    }

    /// Puts a new task into the ready queue.
    fn enqueue(&mut self, task: TaskId, priority: i32, from: WorkerId) {
        match self.workers.get_mut(from) {
            Some(parent) => self.ready.push_first(&mut parent.children, task, priority),
            None => self.ready.push_back(task, priority),
        }
    }

    /// Returns a task that waits for this many inputs, in the memory of an ended one if there is
    /// any. `plain` says whether its arguments are [plain](are_plain).
    fn new_task(&mut self, spec: TaskSpec, plain: bool, missing: u32) -> Box<Task> {
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
        task
    }

    /// Submits any task.
    #[inline(never)]
    fn submit_any(
        &mut self,
        spec: TaskSpec,
        role: Option<ActorRole>,
        parent: Option<TaskId>,
        from: WorkerId,
        host: &mut impl Host,
    ) -> Result<Option<TaskId>, Violation> {
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
        let id = spec.id;
        let mut task = self.new_task(spec, plain, missing);
        let state = task.state;
        let options = task.options(&self.functions);
        let (retries, priority) = (options.retries, options.priority);
        let has_deadline = options.deadline.is_some();
        let claims = claim.is_some();
        if claims {
            task.extra_mut().claim = claim;
        }
        task.retries = retries.unwrap_or_else(|| self.retries_of_actor(role.as_ref()));
        if role.is_some() {
            task.extra_mut().role = role;
        }
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
            None if state == TaskState::Ready => self.enqueue(task, priority, from),
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
        let Some(task) = self.tasks.get(id) else {
            return;
        };
        for arg in &task.args {
            if let ArgSpec::Value(value) = arg {
                value.nested().for_each(|id| self.objects.add_ref(id));
                continue;
            }
            for input in arg.objects() {
                let Some(object) = self.objects.get_mut(*input) else {
                    continue;
                };
                object.refs += 1;
                if let Some(pending) = object.pending_mut() {
                    pending.more_followers().dependents.push(id);
                }
            }
        }
    }
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
