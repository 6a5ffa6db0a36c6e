//! The driver's requests about actors: it makes and ends them.

use std::sync::Arc;

use mobula_protocol::{ActorSpec, Actors, Call, Error, ObjectHandle, Result, WorkerId};

use crate::{engines::processes::Driver, scheduler::no_such_actor};

impl Actors for Driver {
    fn create(&self, spec: ActorSpec) -> Arc<ObjectHandle> {
        self.make_actor(spec, false)
            .unwrap_or_else(ObjectHandle::failed)
    }

    fn get_or_create(&self, spec: ActorSpec) -> Result<Arc<ObjectHandle>> {
        self.make_actor(spec, true)
    }

    fn named(&self, name: &str) -> Result<Arc<ObjectHandle>> {
        self.usable()?;
        self.with(|scheduler, _| match scheduler.named_actor(name) {
            Some(actor) => Ok(self.handle_in(scheduler, actor, None)),
            None => Err(no_such_actor(name)),
        })
    }

    fn kill(&self, actor: &ObjectHandle) {
        self.with(|scheduler, peers| scheduler.kill_actor(actor.id(), peers));
    }
}

impl Driver {
    /// Makes an actor. With `find`, returns the actor of this name if there is one.
    fn make_actor(&self, spec: ActorSpec, find: bool) -> Result<Arc<ObjectHandle>> {
        let ActorSpec {
            constructor,
            args,
            options,
        } = spec;
        let (call, keep) = self.lower(Call {
            function: constructor,
            args,
            options: None,
            actor: None,
        })?;
        let actor = self.with(|scheduler, peers| {
            let named = options.name.as_deref().filter(|_| find);
            if let Some(actor) = named.and_then(|name| scheduler.named_actor(name)) {
                return Ok(self.handle_in(scheduler, actor, None));
            }
            let id = scheduler.mint();
            scheduler
                .create_actor(
                    id,
                    (constructor, call.args),
                    options,
                    WorkerId::DRIVER,
                    peers,
                )
                .map_err(|violation| Error::internal(violation.to_string()))?;
            let handle = ObjectHandle::of_actor(id, self.as_engine(), scheduler.outcome(id));
            scheduler.attach(id, &handle);
            Ok(handle)
        });
        // See `Driver::submit_now`.
        drop(keep);
        actor
    }
}
