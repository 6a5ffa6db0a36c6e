//! Actors, as the driver makes and ends them.

use std::sync::Arc;

use mobula_protocol::{ActorSpec, Actors, Call, Entry, Error, Result, WorkerId};

use crate::{core::no_such_actor, driver::Driver};

impl Actors for Driver {
    fn create(&self, spec: ActorSpec) -> Arc<Entry> {
        self.make_actor(spec, false).unwrap_or_else(Entry::failed)
    }

    fn get_or_create(&self, spec: ActorSpec) -> Result<Arc<Entry>> {
        self.make_actor(spec, true)
    }

    fn named(&self, name: &str) -> Result<Arc<Entry>> {
        self.usable()?;
        self.with(|core, _| match core.named_actor(name) {
            Some(actor) => Ok(self.handle_in(core, actor, None)),
            None => Err(no_such_actor(name)),
        })
    }

    fn kill(&self, actor: &Entry) {
        self.with(|core, lanes| core.kill_actor(actor.id(), lanes));
    }
}

impl Driver {
    /// Makes an actor; with `find`, unless there is one of its name.
    fn make_actor(&self, spec: ActorSpec, find: bool) -> Result<Arc<Entry>> {
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
        let actor = self.with(|core, lanes| {
            let named = options.name.as_deref().filter(|_| find);
            if let Some(actor) = named.and_then(|name| core.named_actor(name)) {
                return Ok(self.handle_in(core, actor, None));
            }
            let id = core.mint();
            core.create_actor(
                id,
                (constructor, call.args),
                options,
                WorkerId::DRIVER,
                lanes,
            )
            .map_err(|violation| Error::internal(violation.to_string()))?;
            let entry = Entry::of_actor(id, self.as_engine(), core.outcome(id));
            core.attach(id, &entry);
            Ok(entry)
        });
        // As in `spawn`.
        drop(keep);
        actor
    }
}
