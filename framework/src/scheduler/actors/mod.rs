//! Actors: a value in a process of its own, whose methods are calls.
//!
//! The object that the constructor makes stands for the actor. The refs of this object are the
//! actor's handles, and each unfinished call holds one. Without refs, the process gets a shutdown
//! message.
//!
//! *Processes.* An actor gets an unused worker, and the pool starts a replacement. Without an
//! unused worker, the actor gets the next worker that registers. The process never returns to the
//! pool, and its death does not shrink the pool.
//!
//! *Order.* Calls wait in a queue for each caller (a process) and group of methods. The head of a
//! queue goes to the process as soon as its inputs are ready. Later calls of the queue do not
//! overtake the head. A head that waits does not block other callers.
//!
//! *Concurrency.* A serial actor without groups gets calls ahead, like a worker of the pool. Its
//! process runs them in the order of arrival. Other actors get as many calls as may run.

mod calls;
#[cfg(test)]
mod checks;
mod ends;
mod life;

use std::collections::{BTreeMap, VecDeque};

use mobula_protocol::{
    ActorOptions, Body, CallOptions, Error, Format, FunctionIndex, ObjectId, TypeTag, Value,
    WireAttachment, WorkerId,
    message::{ArgSpec, Args},
};

use super::{
    Function, Host, Scheduler, Violation,
    needs::Grant,
    object::ObjectState,
    task::{Losses, Task, TaskState},
    task_table::TaskId,
};

/// The role of a registered function for an actor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallRole {
    /// The asynchronous method borrows the value together with others. Further calls may begin
    /// while the method is pending.
    pub(crate) interleaves: bool,
    /// The group of the method.
    pub(crate) group: Option<&'static str>,
}

/// The role of an unfinished task for an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActorRole {
    /// The task makes the value. The task's object stands for the actor.
    Constructor,
    /// The task calls a method.
    Call(Call),
}

/// The actor and the queue of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) actor: ObjectId,
    queue: QueueKey,
}

/// A group and a caller. Groups count from 1 in the order of the options; 0 stands for methods
/// without a group.
type QueueKey = (usize, WorkerId);

/// An actor: see the [module](self).
#[derive(Debug)]
pub(super) struct Actor {
    constructor: FunctionIndex,
    /// The arguments of the constructor, kept for a restart.
    args: Args<ArgSpec>,
    options: ActorOptions,
    /// Number of restarts left.
    restarts: u32,
    /// The deaths of processes during the constructor since the value last existed.
    losses: Losses,
    /// The granted resources, if the actor needs any and has them.
    grant: Option<Box<Grant>>,
    life: Life,
    queues: BTreeMap<QueueKey, VecDeque<TaskId>>,
    /// The queue that was served last.
    served: QueueKey,
    /// Number of assigned calls, by group.
    running: Vec<u32>,
    /// Number of unfinished calls.
    pending: u32,
    /// Whether the user was warned about too many unfinished calls.
    warned: bool,
}

/// The state of an actor's life.
#[derive(Clone, Debug)]
enum Life {
    /// The actor waits for its resources. It asks for a process afterwards.
    Unprovided,
    /// The actor has no process.
    Wanting,
    /// The actor has a process, and its constructor was not assigned.
    Waiting(WorkerId),
    Constructing(WorkerId),
    Alive(WorkerId),
    /// The actor has ended for good, because of this error.
    Dead(Error),
}

impl Actor {
    fn process(&self) -> Option<WorkerId> {
        match self.life {
            Life::Waiting(worker) | Life::Constructing(worker) | Life::Alive(worker) => {
                Some(worker)
            }
            Life::Unprovided | Life::Wanting | Life::Dead(_) => None,
        }
    }

    /// Returns the granted resources.
    #[cfg(test)]
    pub(super) fn grant(&self) -> Option<&Grant> {
        self.grant.as_deref()
    }

    /// Returns the arguments kept for a restart. Each counts as a ref.
    #[cfg(test)]
    pub(super) fn kept_args(&self) -> &[ArgSpec] {
        &self.args
    }

    /// Returns whether the actor runs one call at a time, in order.
    fn is_serial(&self) -> bool {
        self.options.max_concurrency == 1 && self.options.groups.is_empty()
    }

    /// Returns how many calls of a group may be assigned at a time.
    fn limit(&self, group: usize) -> u32 {
        match group.checked_sub(1) {
            None if self.is_serial() => u32::MAX,
            None => self.options.max_concurrency,
            Some(at) => self.options.groups.get(at).map_or(1, |(_, limit)| *limit),
        }
    }

    /// Returns the maximum number of calls that the process runs at a time.
    fn threads(&self) -> u32 {
        let groups = self.options.groups.iter().map(|(_, limit)| *limit);
        groups.fold(self.options.max_concurrency, u32::saturating_add)
    }
}

impl Scheduler {
    /// Makes an actor and the pending object that stands for the actor, held by `from`. The
    /// constructor runs when a process exists and the inputs are ready. An actor with resources
    /// requests them when the inputs are ready. It requests a process when the resources are
    /// granted.
    ///
    /// # Errors
    /// Fails in the cases of [`submit`](Scheduler::submit).
    pub(crate) fn create_actor(
        &mut self,
        id: ObjectId,
        (constructor, args): (FunctionIndex, Args<ArgSpec>),
        options: ActorOptions,
        from: WorkerId,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        let taken = options
            .name
            .as_ref()
            .filter(|name| self.names_of_actors.contains_key(*name));
        if let Some(name) = taken {
            self.check_new(id, from)?;
            let error = name_is_taken(name);
            self.insert(id, ObjectState::Failed(error.clone()), from);
            if from == WorkerId::DRIVER {
                host.complete(id, Default::default(), Err(error));
            }
            return Ok(());
        }
        let spec = mobula_protocol::message::TaskSpec {
            id,
            function: constructor,
            args: args.clone(),
            options: self.constructor_options(constructor, &options),
            actor: None,
        };
        let role = Some(ActorRole::Constructor);
        if self.submit_as(spec, role, None, from, host)?.is_none() {
            // An input has failed, or the runtime is closed.
            return Ok(());
        }
        for arg in &args {
            arg.for_each_object(|id| self.objects.add_ref(id));
        }
        if let Some(name) = &options.name {
            self.names_of_actors.insert(name.clone(), id);
        }
        let groups = options.groups.len() + 1;
        let is_provided = options.resources.is_none();
        self.actors.insert(
            id,
            Actor {
                constructor,
                args,
                restarts: options.max_restarts,
                losses: Losses::default(),
                options,
                grant: None,
                life: match is_provided {
                    true => Life::Wanting,
                    false => Life::Unprovided,
                },
                queues: BTreeMap::new(),
                served: (0, WorkerId::DRIVER),
                running: vec![0; groups],
                pending: 0,
                warned: false,
            },
        );
        if is_provided {
            self.want_process(id, host);
        }
        Ok(())
    }

    /// Returns the options of a constructor's call, which contain the needs of the actor.
    fn constructor_options(
        &self,
        constructor: FunctionIndex,
        options: &ActorOptions,
    ) -> CallOptions {
        let function = Function::options_of(&self.functions, constructor);
        options.of_constructor(function)
    }

    /// Returns whether the object stands for an actor.
    pub(crate) fn is_actor(&self, id: ObjectId) -> bool {
        self.actors.contains_key(&id)
    }

    /// Returns how many calls the process of an actor runs at a time.
    pub(super) fn threads_of(&self, id: ObjectId) -> u32 {
        self.actors.get(&id).map_or(1, Actor::threads)
    }

    /// Returns the living actor of this name.
    pub(crate) fn named_actor(&self, name: &str) -> Option<ObjectId> {
        self.names_of_actors.get(name).copied()
    }

    /// Ends an actor, and fails its waiting calls and its pending constructor.
    fn fail_actor(&mut self, id: ObjectId, why: Error, host: &mut impl Host) {
        let Some(actor) = self.actors.get_mut(&id) else {
            return;
        };
        let process = actor.process();
        match actor.life {
            Life::Dead(_) => return,
            // The process started for the actor is surplus.
            Life::Wanting => self.too_many += 1,
            _ => {}
        }
        actor.life = Life::Dead(why.clone());
        let grant = actor.grant.take();
        let queues = std::mem::take(&mut actor.queues);
        let args = std::mem::take(&mut actor.args);
        if let Some(name) = actor.options.name.take() {
            self.names_of_actors.remove(&name);
        }
        self.wanting.retain(|wanting| *wanting != id);
        self.end_grant_with(process, grant);
        for call in queues.into_values().flatten() {
            self.fail_call(call, &why, host);
        }
        if let Some(constructor) = self.task_of(id) {
            self.finish(constructor, Err(why), host);
        }
        self.drop_args(&args, host);
    }

    /// Ends an actor without a process because of `why`. The driver starts no process for the actor
    /// any more.
    pub(in crate::scheduler) fn refuse_process(
        &mut self,
        id: ObjectId,
        why: &Error,
        host: &mut impl Host,
    ) {
        let name = self.actor_name(id);
        let why = why.clone().at(format!("the {name} got no process"));
        let before = self.too_many;
        self.fail_actor(id, why, host);
        self.too_many = before;
    }

    /// Fails a call that has not begun.
    fn fail_call(&mut self, call: TaskId, why: &Error, host: &mut impl Host) {
        let Some(function) = self.tasks.get(call).map(|task| task.function) else {
            return;
        };
        let error = Error::actor_dead(self.name(function), why);
        self.finish(call, Err(error), host);
    }

    /// Returns the description of an actor for messages.
    fn actor_name(&self, id: ObjectId) -> String {
        let Some(actor) = self.actors.get(&id) else {
            return format!("actor {id}");
        };
        let constructor = self.name(actor.constructor);
        let ty = constructor
            .rsplit_once("::")
            .map_or(constructor, |(ty, _)| ty);
        match &actor.options.name {
            Some(name) => format!("actor `{ty}` {name:?} ({id})"),
            None => format!("actor `{ty}` ({id})"),
        }
    }
}

/// Returns whether the inputs of a waiting task are ready.
pub(super) fn is_ready(task: &Task) -> bool {
    task.state == TaskState::Ready
}

impl Scheduler {
    /// Creates an actor like [`create_actor`](Scheduler::create_actor) for a worker. With `found`,
    /// uses the living actor of that name if there is one. The object `found` then refers to the
    /// existing or the new actor.
    pub(super) fn create_for_worker(
        &mut self,
        id: ObjectId,
        call: (FunctionIndex, Args<ArgSpec>),
        options: ActorOptions,
        found: Option<ObjectId>,
        from: WorkerId,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        // The checks come first: a violation must leave the scheduler unchanged.
        self.check_new(id, from)?;
        if let Some(found) = found {
            self.check_new(found, from)?;
        }
        if found == Some(id) {
            return Err(Violation::new(format!("object {id} was made twice")));
        }
        if options.max_concurrency == 0 || options.groups.iter().any(|(_, limit)| *limit == 0) {
            return Err(Violation::new(format!(
                "actor {id} is to run no call at a time"
            )));
        }
        let named = options
            .name
            .as_deref()
            .and_then(|name| self.named_actor(name));
        let actor = match (found, named) {
            (Some(_), Some(actor)) => actor,
            _ => {
                self.create_actor(id, call, options, from, host)?;
                id
            }
        };
        match found {
            Some(answer) => self.answer(answer, Ok(actor), from),
            None => Ok(()),
        }
    }

    /// Makes an object that refers to the living actor of this name, or fails.
    pub(super) fn find_for_worker(
        &mut self,
        id: ObjectId,
        name: &str,
        from: WorkerId,
    ) -> Result<(), Violation> {
        let actor = self.named_actor(name).ok_or_else(|| no_such_actor(name));
        self.answer(id, actor, from)
    }

    fn answer(
        &mut self,
        id: ObjectId,
        actor: Result<ObjectId, Error>,
        from: WorkerId,
    ) -> Result<(), Violation> {
        self.check_new(id, from)?;
        let state = match actor {
            Ok(actor) => {
                let value = Value {
                    // A value with the tag 0 would stand for the actor's own value.
                    format: Format::Packed { of: TypeTag(1) },
                    body: Body::Inline(Default::default()),
                    attachments: vec![WireAttachment::Ref { id: actor }],
                };
                self.begin_value(&value);
                ObjectState::Ready(value.into())
            }
            Err(error) => ObjectState::Failed(error),
        };
        self.insert(id, state, from);
        Ok(())
    }
}

/// Makes the error for a name without a living actor.
pub(crate) fn no_such_actor(name: &str) -> Error {
    Error::usage(format!("there is no living actor of the name {name:?}"))
}

/// Makes the error for a name that a living actor has.
pub(crate) fn name_is_taken(name: &str) -> Error {
    Error::usage(format!(
        "there is a living actor of the name {name:?}; `get_or_create()` gives that one, or makes it"
    ))
}
