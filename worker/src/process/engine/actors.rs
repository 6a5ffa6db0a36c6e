//! A worker's requests about actors.

use std::sync::Arc;

use crate::{
    link::{Link, Out},
    process::worker::Worker,
};
use mobula_protocol::{
    ActorSpec, Actors, Engine, Error, ObjectHandle, Result, lower_call, message::FromWorker,
};

impl<L: Link> Actors for Worker<L> {
    fn create(&self, spec: ActorSpec) -> Arc<ObjectHandle> {
        match self.create(spec, false) {
            Ok((actor, _)) => actor,
            Err(error) => ObjectHandle::failed(error),
        }
    }

    fn get_or_create(&self, spec: ActorSpec) -> Result<Arc<ObjectHandle>> {
        let (actor, found) = self.create(spec, true)?;
        let found = found.map_or(Ok(actor.clone()), |found| self.actor_of(&found));
        // If the actor existed already, the new object does not exist.
        drop(actor);
        found
    }

    fn named(&self, name: &str) -> Result<Arc<ObjectHandle>> {
        let name = name.to_owned();
        self.actor_of(&self.promised(|id| FromWorker::FindActor { id, name }))
    }

    fn kill(&self, actor: &ObjectHandle) {
        if self.usable().is_err() {
            return;
        }
        self.table
            .lock()
            .out
            .push(&FromWorker::KillActor(actor.id()));
    }
}

impl<L: Link> Worker<L> {
    /// Has the driver make an actor. With `find`, the driver makes none if there is an actor of
    /// this name. Then the second object tells which actor was found or made.
    fn create(
        &self,
        spec: ActorSpec,
        find: bool,
    ) -> Result<(Arc<ObjectHandle>, Option<Arc<ObjectHandle>>)> {
        self.usable()?;
        let ActorSpec {
            constructor,
            mut args,
            options,
        } = spec;
        let (args, keep) = lower_call(self, &mut args)?;
        let (id, answer) = (self.mint(), find.then(|| self.mint()));
        let mut table = self.table.lock();
        let mut new = |id| table.handle(id, true, || ObjectHandle::new(id, self.as_engine(), None));
        let entries = (new(id), answer.map(&mut new));
        table.out.push(&FromWorker::CreateActor {
            id,
            constructor,
            args,
            options: Box::new(options),
            found: answer,
        });
        drop(table);
        drop(keep);
        Ok(entries)
    }

    /// Waits for an object and returns the actor that it refers to.
    fn actor_of(&self, found: &Arc<ObjectHandle>) -> Result<Arc<ObjectHandle>> {
        found.wait(None);
        let actors = match found.outcome() {
            Some(Ok(value)) => self.handles(&value.attachments),
            Some(Err(error)) => return Err(error.clone()),
            None => Vec::new(),
        };
        let actor = actors.into_iter().next();
        actor.ok_or_else(|| Error::internal("an answer without an actor"))
    }
}
