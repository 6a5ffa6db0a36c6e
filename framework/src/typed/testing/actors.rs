//! Actors of the test engine: their values lie beside each other in this process.

use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
};

use mobula_worker::{
    ActorOptions, ActorSpec, ActorState, Entry, Error, ObjectId, Result, lower_call,
};
use parking_lot::Mutex;

use super::{Inline, Task, TestRuntime};
use crate::{
    Actor, ActorCall, ActorRef, Queue, Value,
    typed::actor::{get_or_create, named},
};

#[derive(Default)]
pub(super) struct Actors {
    living: Mutex<HashMap<ObjectId, Living>>,
    names: Mutex<HashMap<String, ObjectId>>,
}

struct Living {
    state: Arc<ActorState>,
    options: ActorOptions,
    /// Why it lives no more, where it was killed.
    killed: Option<Error>,
}

impl Actors {
    /// The place of the actor's value.
    ///
    /// # Errors
    /// It is dead.
    pub(super) fn state(&self, id: ObjectId, function: &str) -> Result<Arc<ActorState>> {
        match self.living.lock().get(&id) {
            Some(Living {
                killed: Some(why), ..
            }) => Err(Error::actor_dead(function, why)),
            Some(living) => Ok(living.state.clone()),
            None => Err(Error::internal("an actor without handles was called")),
        }
    }

    /// The options that the actor was created with.
    pub(super) fn options(&self, id: ObjectId) -> Option<ActorOptions> {
        let living = self.living.lock();
        living.get(&id).map(|living| living.options.clone())
    }

    /// The actor has no handle any more, or no value.
    pub(super) fn end(&self, id: ObjectId) {
        let ended = self.living.lock().remove(&id);
        if let Some(ended) = ended {
            self.free_name(id);
            ended.state.drop_value();
        }
    }

    fn free_name(&self, id: ObjectId) {
        self.names.lock().retain(|_, named| *named != id);
    }

    fn kill(&self, id: ObjectId) {
        let value = self.living.lock().get_mut(&id).map(|living| {
            let why = || Error::actor(format!("the actor {id} was killed"), None);
            living.killed.get_or_insert_with(why);
            living.state.clone()
        });
        self.free_name(id);
        // A process that is killed runs no `Drop`, but this one would leak.
        if let Some(value) = value {
            value.drop_value();
        }
    }
}

impl Inline {
    /// Starts the constructor, unless there is an actor of the name: then that.
    pub(super) fn create(&self, spec: ActorSpec) -> Result<(Arc<Entry>, bool)> {
        let ActorSpec {
            constructor,
            mut args,
            options,
        } = spec;
        let (args, keep) = lower_call(self, &mut args)?;
        let entry = {
            let mut names = self.actors.names.lock();
            let place = options.name.clone().map(|name| names.entry(name));
            if let Some(hash_map::Entry::Occupied(there)) = place {
                let id = *there.get();
                drop(names);
                return Ok((self.client().handle(id, None), false));
            }
            let entry = self.add(None, Vec::new(), None);
            if let Some(place) = place {
                place.insert_entry(entry.id());
            }
            entry
        };
        let living = Living {
            state: Arc::new(ActorState::new()),
            options,
            killed: None,
        };
        self.actors.living.lock().insert(entry.id(), living);
        self.start(Task {
            id: entry.id(),
            function: constructor,
            args: args.into_vec(),
            keep,
            actor: Some(entry.id()),
        });
        if let Some(Err(_)) = entry.outcome() {
            self.actors.end(entry.id());
        }
        Ok((entry, true))
    }

    /// The actor of this name.
    pub(super) fn find(&self, name: &str) -> Result<Arc<Entry>> {
        let id = self.actors.names.lock().get(name).copied();
        match id {
            Some(id) => Ok(self.client().handle(id, None)),
            None => Err(Error::usage(format!("there is no actor {name:?}"))),
        }
    }

    pub(super) fn kill(&self, actor: &Entry) {
        self.actors.kill(actor.id());
    }
}

impl TestRuntime {
    pub(crate) fn spawn_actor<A: Actor>(&self, call: ActorCall<A>) -> ActorRef<A> {
        call.spawn_on(&self.client)
    }

    pub(crate) fn get_or_create_actor<A: Actor>(&self, call: ActorCall<A>) -> Result<ActorRef<A>> {
        get_or_create(&self.client, call)
    }

    pub(crate) fn actor<A: Actor>(&self, name: &str) -> Result<ActorRef<A>> {
        named(&self.client, name)
    }

    pub(crate) fn queue<T: Value>(&self, capacity: usize) -> Result<Queue<T>> {
        Queue::on(&self.client, capacity)
    }

    /// What an actor was created with.
    pub(crate) fn options_of<A: Actor>(&self, actor: &ActorRef<A>) -> ActorOptions {
        let id = ActorRef::handle(actor).entry().id();
        self.engine.actors.options(id).unwrap()
    }
}
