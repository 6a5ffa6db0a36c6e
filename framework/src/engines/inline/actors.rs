//! Actors. Their values lie in this process.

use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
};

use mobula_protocol::{
    ActorSpec, Actors, Engine, Error, ObjectHandle, ObjectId, Registry, Result, lower_call,
};
use mobula_worker::ActorState;
use parking_lot::Mutex;

use super::{Inline, tasks::Task};
use crate::scheduler::{name_is_taken, no_such_actor};

#[derive(Default)]
pub(super) struct Table {
    living: Mutex<HashMap<ObjectId, Living>>,
    names: Mutex<HashMap<String, ObjectId>>,
}

struct Living {
    state: Arc<ActorState>,
    #[cfg(test)]
    options: mobula_protocol::ActorOptions,
    /// The error of later calls, if the actor was killed.
    killed: Option<Error>,
}

impl Table {
    /// Returns the state that holds the actor's value.
    ///
    /// # Errors
    /// The actor was killed, or has no entry in the table.
    pub(super) fn state(&self, id: ObjectId, function: &str) -> Result<Arc<ActorState>> {
        match self.living.lock().get(&id) {
            Some(Living {
                killed: Some(why), ..
            }) => Err(Error::actor_dead(function, why)),
            Some(living) => Ok(living.state.clone()),
            None => Err(Error::internal("an actor without handles was called")),
        }
    }

    /// Returns the options that the actor was created with.
    #[cfg(test)]
    pub(super) fn options(&self, id: ObjectId) -> Option<mobula_protocol::ActorOptions> {
        let living = self.living.lock();
        living.get(&id).map(|living| living.options.clone())
    }

    /// Removes an actor without handles or without a value, and drops its value. Ignores ids of
    /// other objects.
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
        // The kill of a worker process runs no `Drop`. This process lives on, and would leak the
        // value.
        if let Some(value) = value {
            value.drop_value();
        }
    }
}

impl Inline {
    /// Creates an actor and runs its constructor. Returns its handle and `true`.
    ///
    /// If an actor of the name exists, returns that actor's handle and `false`.
    fn make_actor(&self, spec: ActorSpec) -> Result<(Arc<ObjectHandle>, bool)> {
        self.usable()?;
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
                return Ok((self.handle(id, None), false));
            }
            let entry = self.add(None, Vec::new(), None);
            if let Some(place) = place {
                place.insert_entry(entry.id());
            }
            entry
        };
        let function = Registry::get()?.function(constructor);
        let own = function.and_then(|function| options.of_constructor(&function.options));
        let living = Living {
            state: Arc::new(ActorState::new()),
            #[cfg(test)]
            options,
            killed: None,
        };
        self.actors.living.lock().insert(entry.id(), living);
        self.begin(Task {
            id: entry.id(),
            function: constructor,
            args,
            options: own,
            keep,
            actor: Some(entry.id()),
        });
        if let Some(Err(_)) = entry.outcome() {
            self.actors.end(entry.id());
        }
        Ok((entry, true))
    }
}

impl Actors for Inline {
    fn create(&self, spec: ActorSpec) -> Arc<ObjectHandle> {
        let name = spec.options.name.clone();
        match self.make_actor(spec) {
            Ok((entry, true)) => entry,
            Ok((_, false)) => ObjectHandle::failed(name_is_taken(&name.unwrap_or_default())),
            Err(error) => ObjectHandle::failed(error),
        }
    }

    fn get_or_create(&self, spec: ActorSpec) -> Result<Arc<ObjectHandle>> {
        Ok(self.make_actor(spec)?.0)
    }

    fn named(&self, name: &str) -> Result<Arc<ObjectHandle>> {
        self.usable()?;
        let id = self.actors.names.lock().get(name).copied();
        match id {
            Some(id) => Ok(self.handle(id, None)),
            None => Err(no_such_actor(name)),
        }
    }

    fn kill(&self, actor: &ObjectHandle) {
        self.actors.kill(actor.id());
    }
}
