//! Tasks: how they begin, and what follows from their end.

use std::{collections::VecDeque, sync::Weak};

use mobula_protocol::{
    Error, FunctionIndex, ObjectId, Outcome, WorkerId,
    message::{ArgSpec, TaskSpec},
};

use super::{
    Host, Scheduler, Violation,
    actors::Part,
    counts::{Step, stored},
    objects::{BadItem, check_format},
    ready::Siblings,
    state::{Object, ObjectState, Task, TaskState, are_plain},
};

/// Most empty places for tasks that are kept: as many as end between two new ones where a thousand
/// are in flight, since memory that malloc has to look for costs 300 instructions.
const SPARE: usize = 1024;

/// What the arguments say about a new task.
enum Inputs {
    /// It could run once this many mentions of pending objects are ready.
    Missing(u32),
    /// It will not run.
    Failed(Error),
}

impl Scheduler {
    /// Makes a task and the pending object of its result, held by `from`: one handle of the
    /// driver, or the worker's hold. The task waits for the objects that are arguments, not for
    /// those that are only mentioned inside a value.
    ///
    /// A task that cannot run (an input has failed or does not exist, the runtime is closed) is
    /// made too, and fails at once: [`Host::complete`] may be called before this returns.
    ///
    /// Costs the number of arguments. Runs nothing: see [`pump`](Scheduler::pump).
    ///
    /// # Errors
    /// The id is not `from`'s or is in use; there is no such function; a value among the arguments
    /// cannot be one.
    pub(crate) fn submit(
        &mut self,
        spec: TaskSpec,
        from: WorkerId,
        host: &mut dyn Host,
    ) -> Result<(), Violation> {
        self.submit_as(spec, None, from, host)
    }

    /// As [`submit`](Scheduler::submit), for what may be an actor's constructor.
    pub(super) fn submit_as(
        &mut self,
        spec: TaskSpec,
        part: Option<Part>,
        from: WorkerId,
        host: &mut dyn Host,
    ) -> Result<(), Violation> {
        self.check_new(spec.id, from)?;
        if self.functions.len() <= usize::try_from(spec.function.0).unwrap_or(usize::MAX) {
            return Err(Violation::new(format!(
                "task {} calls function {}, which does not exist",
                spec.id, spec.function.0
            )));
        }
        let id = spec.id;
        let plain = are_plain(&spec.args);
        let mut inputs = match (plain, &self.closed) {
            (true, None) => {
                check_plain(&spec)?;
                Inputs::Missing(0)
            }
            _ => self.inspect(&spec)?,
        };
        let mut part = part;
        if let (Inputs::Missing(_), Some(actor)) = (&inputs, spec.actor) {
            match self.place_call(actor, spec.function, from) {
                Ok(call) => part = Some(call),
                Err(error) => inputs = Inputs::Failed(error),
            }
        }
        match inputs {
            Inputs::Failed(error) => {
                self.insert(id, ObjectState::Failed(error.clone()), from);
                if from == WorkerId::DRIVER {
                    host.complete(id, Weak::new(), Err(error));
                }
            }
            Inputs::Missing(missing) => {
                if !plain {
                    self.enlist(&spec);
                }
                let state = if missing > 0 {
                    TaskState::Waiting { missing }
                } else {
                    TaskState::Ready
                };
                let TaskSpec {
                    id: _,
                    function,
                    args,
                    options,
                    actor: _,
                } = spec;
                let mut task = Task::new(function, args, state);
                task.options = options;
                let retries = task.options(&self.functions).retries;
                task.retries = retries.unwrap_or_else(|| self.retries_of_actor(part.as_ref()));
                task.part = part.map(Box::new);
                let task = self.place_for(task);
                self.insert(id, ObjectState::Pending(task), from);
                *self.counts.of(state) += 1;
                if let Some(Part::Call(call)) = part {
                    self.enter_call(id, call);
                } else if part.is_some() {
                    self.dirty_actors.push(id);
                } else if state == TaskState::Ready {
                    match self.workers.get_mut(&from) {
                        Some(parent) => self.ready.push_first(&mut parent.children, id),
                        None => self.ready.push_back(id),
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts a new task where another one was, if there is such a place.
    #[inline]
    pub(super) fn place_for(&mut self, task: Task) -> Box<Task> {
        match self.spare.pop() {
            Some(mut place) => {
                *place = task;
                place
            }
            None => Box::new(task),
        }
    }

    /// Looks at the arguments without changing anything.
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
                ArgSpec::Object(id) => look(*id),
                ArgSpec::Gather(ids) => ids.iter().copied().for_each(&mut look),
                ArgSpec::Value(value) => {
                    let checked = if stored(value).is_some() {
                        Err(BadItem::Malformed("is not inline"))
                    } else {
                        self.check_items(value)
                    };
                    match checked {
                        Ok(()) => {}
                        Err(BadItem::Unknown(id)) => dangling = dangling.or(Some(id)),
                        Err(BadItem::Malformed(how)) => {
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

    /// Counts the arguments, and leaves the task with those that it has to wait for.
    fn enlist(&mut self, spec: &TaskSpec) {
        for arg in &spec.args {
            arg.for_each_object(|id| self.add_ref(id));
            match arg {
                ArgSpec::Value(_) => {}
                ArgSpec::Object(id) => self.await_input(*id, spec.id),
                ArgSpec::Gather(ids) => ids.iter().for_each(|id| self.await_input(*id, spec.id)),
            }
        }
    }

    fn await_input(&mut self, input: ObjectId, id: ObjectId) {
        if let Some(task) = self.task_mut(input) {
            task.more_followers().dependents.push(id);
        }
    }

    /// The task of a pending object.
    pub(super) fn task_mut(&mut self, id: ObjectId) -> Option<&mut Task> {
        self.objects.get_mut(id).and_then(Object::task_mut)
    }

    /// Moves an unfinished task to another state, in the counts too.
    pub(super) fn set_state(&mut self, id: ObjectId, state: TaskState) {
        let Some(task) = self.objects.get_mut(id).and_then(Object::task_mut) else {
            return;
        };
        let old = std::mem::replace(&mut task.state, state);
        *self.counts.of(old) -= 1;
        *self.counts.of(state) += 1;
    }

    /// Ends a task that is in no queue any more, and all that fail with it. The value of `outcome`
    /// was [checked](Scheduler::check_value).
    pub(super) fn finish(&mut self, id: ObjectId, outcome: Outcome, host: &mut dyn Host) {
        let mut siblings = Siblings::default();
        // A list instead of recursion: rows of dependents can be longer than the stack.
        let mut doomed = VecDeque::new();
        let mut next = Some((id, outcome));
        while let Some((id, outcome)) = next {
            self.finish_one(id, outcome, &mut siblings, &mut doomed, host);
            next = doomed.pop_front();
        }
    }

    /// Ends one task. Dependents that are ready now become `siblings`; those that fail are added to
    /// `doomed`.
    fn finish_one(
        &mut self,
        id: ObjectId,
        outcome: Outcome,
        siblings: &mut Siblings,
        doomed: &mut VecDeque<(ObjectId, Outcome)>,
        host: &mut dyn Host,
    ) {
        let Some(object) = self.objects.get_mut(id) else {
            return;
        };
        if object.task_mut().is_none() {
            return;
        }
        let state = match &outcome {
            Ok(value) => ObjectState::Ready(value.clone()),
            Err(error) => ObjectState::Failed(error.clone()),
        };
        let ObjectState::Pending(mut task) = std::mem::replace(&mut object.state, state) else {
            return;
        };
        let (handles, entry) = (object.handles, std::mem::take(&mut object.entry));
        *self.counts.of(task.state) -= 1;
        self.detached -= usize::from(task.detached);

        // What the result keeps is counted before the arguments are let go: it may be the same.
        if let Ok(value) = &outcome {
            self.begin_value(value);
        }
        if !task.plain {
            if matches!(task.state, TaskState::Queued { .. }) {
                self.shift_arg_pins(&task.args, Step::End);
            }
            if let Err(error) = &outcome
                && task.begun
                && !self.lending.is_empty()
            {
                self.tear(&task.args, error);
            }
            self.drop_args(&task.args, host);
        }
        match task.part.as_deref() {
            Some(Part::Call(call)) => self.leave_call(*call, host),
            // There will be no value: what waits for it has to be told.
            Some(Part::Constructor) => self.dirty_actors.push(id),
            None => {}
        }

        let (dependents, watchers) = match task.followers.take() {
            Some(followers) => (followers.dependents, followers.watchers),
            None => Default::default(),
        };
        if self.spare.len() < SPARE {
            task.args.clear();
            task.part = None;
            self.spare.push(task);
        }
        for dependent in dependents {
            match &outcome {
                Ok(_) => self.input_ready(dependent, siblings),
                Err(cause) => {
                    if let Some(function) = self.task_mut(dependent).map(|task| task.function) {
                        doomed.push_back((
                            dependent,
                            Err(Error::dependency(self.name(function), cause)),
                        ));
                    }
                }
            }
        }
        if handles > 0 {
            host.complete(id, entry, outcome);
        }
        for watcher in watchers {
            if let Some(worker) = self.workers.get_mut(&watcher) {
                worker.watches.remove(&id);
            }
            self.tell(watcher, id, host);
        }
        // Else the next of them to go does that.
        if handles == 0 {
            self.free_unused(id, host);
        }
    }

    /// One input more of a waiting task is there.
    fn input_ready(&mut self, id: ObjectId, siblings: &mut Siblings) {
        let Some(task) = self.task_mut(id) else {
            return;
        };
        let TaskState::Waiting { missing } = task.state else {
            return;
        };
        if missing > 1 {
            task.state = TaskState::Waiting {
                missing: missing - 1,
            };
            return;
        }
        self.set_state(id, TaskState::Ready);
        match self.part(id) {
            Some(Part::Constructor) => return self.dirty_actors.push(id),
            Some(Part::Call(call)) => return self.dirty_actors.push(call.actor),
            None => {}
        }
        if id.origin == WorkerId::DRIVER {
            self.ready.push_back(id);
        } else {
            self.ready.push_first(siblings, id);
        }
    }
}

/// Whether arguments that are [plain](are_plain) can be values.
fn check_plain(spec: &TaskSpec) -> Result<(), Violation> {
    for arg in &spec.args {
        if let ArgSpec::Value(value) = arg
            && let Err(BadItem::Malformed(how)) = check_format(value)
        {
            return Err(Violation::new(format!(
                "an argument of task {} {how}",
                spec.id
            )));
        }
    }
    Ok(())
}
