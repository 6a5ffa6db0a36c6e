//! Actors: a value in a process of its own, whose methods are calls.
//!
//! An actor is known by the object that its constructor makes: the refs of that object are the
//! actor's handles, and each unfinished call has one, too. When the last is gone, the process is
//! told to end. So an actor lives as long as somebody could hear of it.
//!
//! *Processes.* An actor gets a worker that has not run anything yet, and the pool gets another one
//! for it; or the next that comes up. It never goes back to the pool, and its death is no loss to
//! it.
//!
//! *Order.* Calls wait here, in a queue for each caller (a process) and group of methods. The head
//! of a queue goes to the process as soon as its inputs are ready, and what stands behind it does
//! not overtake it. A caller whose head has to wait holds up nobody else.
//!
//! *How many at a time.* An actor of one call at a time without groups gets calls ahead, as a
//! worker of the pool does; its process runs them in the order of the lane. Others get as many as
//! may run.

mod calls;
#[cfg(test)]
mod checks;
mod ends;
mod life;

use std::collections::{BTreeMap, VecDeque};

use mobula_protocol::{
    ActorOptions, Body, CallOptions, Error, Format, FunctionIndex, Item, ObjectId, TypeTag, Value,
    WorkerId,
    message::{ArgSpec, Args},
};

use super::{
    Function, Host, Scheduler, Violation,
    needs::Grant,
    object::ObjectState,
    task::{Losses, Task, TaskState},
    task_table::TaskId,
};

/// What a registered function is to an actor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallRole {
    /// It is asynchronous and borrows the value together with others: while it is pending, further
    /// calls may begin.
    pub(crate) interleaves: bool,
    /// The group of the method.
    pub(crate) group: Option<&'static str>,
}

/// What an unfinished task is to an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActorRole {
    /// It makes the value. The task's object is the actor's.
    Constructor,
    /// It calls a method.
    Call(Call),
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) actor: ObjectId,
    queue: QueueKey,
}

/// A group by its place among the options', from 1 on; 0 for methods without. And a caller.
type QueueKey = (usize, WorkerId);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Actor {
    constructor: FunctionIndex,
    /// The constructor's, kept for a restart.
    args: Args<ArgSpec>,
    options: ActorOptions,
    /// How many restarts are left.
    restarts: u32,
    /// Processes that died with the constructor since the value was there.
    losses: Losses,
    /// What it has got, if it needs resources and has them.
    grant: Option<Box<Grant>>,
    life: Life,
    queues: BTreeMap<QueueKey, VecDeque<TaskId>>,
    /// The queue that was served last.
    served: QueueKey,
    /// Calls with the process, by group.
    running: Vec<u32>,
    /// Calls that have not ended.
    pending: u32,
    /// Somebody was told that there are many.
    warned: bool,
}

/// How far an actor is.
#[derive(Clone, Debug)]
enum Life {
    /// It needs resources, and gets a process when it has them.
    Unprovided,
    /// It has no process.
    Wanting,
    /// It has one; the constructor was not handed over.
    Waiting(WorkerId),
    Constructing(WorkerId),
    Alive(WorkerId),
    /// For good, for this reason.
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

    /// What it has got.
    #[cfg(test)]
    pub(super) fn grant(&self) -> Option<&Grant> {
        self.grant.as_deref()
    }

    /// The arguments that are kept for a restart, each of which counts as a ref.
    #[cfg(test)]
    pub(super) fn kept_args(&self) -> &[ArgSpec] {
        &self.args
    }

    /// Whether it runs one call at a time, in order.
    fn is_serial(&self) -> bool {
        self.options.max_concurrency == 1 && self.options.groups.is_empty()
    }

    /// How many calls of a group may be with the process at a time.
    fn limit(&self, group: usize) -> u32 {
        match group.checked_sub(1) {
            None if self.is_serial() => u32::MAX,
            None => self.options.max_concurrency,
            Some(at) => self.options.groups.get(at).map_or(1, |(_, limit)| *limit),
        }
    }

    /// How many calls its process runs at a time, at most.
    fn threads(&self) -> u32 {
        let groups = self.options.groups.iter().map(|(_, limit)| *limit);
        groups.fold(self.options.max_concurrency, u32::saturating_add)
    }
}

impl Scheduler {
    /// Makes an actor, and the pending object that stands for it, held by `from`. Its constructor
    /// runs when a process is there and its inputs are ready. An actor with resources asks for a
    /// process when it has them, and for them when the inputs are ready.
    ///
    /// # Errors
    /// As for [`submit`](Scheduler::submit).
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
            arg.for_each_object(|id| self.add_ref(id));
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

    /// The options of the call of a constructor, which says what its actor needs.
    fn constructor_options(
        &self,
        constructor: FunctionIndex,
        options: &ActorOptions,
    ) -> CallOptions {
        let function = Function::options_of(&self.functions, constructor);
        options.of_constructor(function)
    }

    /// Whether the object stands for an actor.
    pub(crate) fn is_actor(&self, id: ObjectId) -> bool {
        self.actors.contains_key(&id)
    }

    /// How many calls the process of an actor runs at a time.
    pub(super) fn threads_of(&self, id: ObjectId) -> u32 {
        self.actors.get(&id).map_or(1, Actor::threads)
    }

    /// The living actor of this name.
    pub(crate) fn named_actor(&self, name: &str) -> Option<ObjectId> {
        self.names_of_actors.get(name).copied()
    }

    /// Fails all that is to be heard of an actor from now on.
    fn fail_actor(&mut self, id: ObjectId, why: Error, host: &mut impl Host) {
        let Some(actor) = self.actors.get_mut(&id) else {
            return;
        };
        let process = actor.process();
        match actor.life {
            Life::Dead(_) => return,
            // The one that was started for it will not be needed.
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

    /// An actor that has no process gets none, because of `why`. None is started for it any more.
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

    /// Fails a call that was not begun.
    fn fail_call(&mut self, call: TaskId, why: &Error, host: &mut impl Host) {
        let Some(function) = self.tasks.get(call).map(|task| task.function) else {
            return;
        };
        let error = Error::actor_dead(self.name(function), why);
        self.finish(call, Err(error), host);
    }

    /// What the name of an actor is, for messages.
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

/// The state in which a task of an actor waits.
pub(super) fn is_ready(task: &Task) -> bool {
    task.state == TaskState::Ready
}

impl Scheduler {
    /// As [`create_actor`](Scheduler::create_actor), for a worker. With `found` it asks for the
    /// actor of that name, or else a new one: that object then refers to the one or the other.
    pub(super) fn create_for_worker(
        &mut self,
        id: ObjectId,
        call: (FunctionIndex, Args<ArgSpec>),
        options: ActorOptions,
        found: Option<ObjectId>,
        from: WorkerId,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        // Before anything changes.
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

    /// Makes an object that refers to the actor of this name.
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
                    // With the tag 0, the value would stand for the actor's own.
                    format: Format::Packed { of: TypeTag(1) },
                    body: Body::Inline(Default::default()),
                    items: vec![Item::Ref { id: actor }],
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

/// Nobody has this name.
pub(crate) fn no_such_actor(name: &str) -> Error {
    Error::usage(format!("there is no living actor of the name {name:?}"))
}

/// Somebody has this name.
pub(crate) fn name_is_taken(name: &str) -> Error {
    Error::usage(format!(
        "there is a living actor of the name {name:?}; `get_or_create()` gives that one, or makes it"
    ))
}
