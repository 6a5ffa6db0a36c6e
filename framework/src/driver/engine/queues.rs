//! Queues, as the driver makes and serves them.

use std::sync::Arc;

use mobula_protocol::{
    CallArg, Entry, Error, ObjectId, Queues, WorkerId, lower_call, message::Args,
};

use crate::driver::Driver;

impl Queues for Driver {
    fn create(&self, capacity: u32) -> Arc<Entry> {
        if let Err(error) = self.usable() {
            return Entry::failed(error);
        }
        self.with(|core, _| {
            let id = core.mint();
            match core.create_queue(id, capacity, WorkerId::DRIVER) {
                Ok(()) => Entry::of_actor(id, self.as_engine(), core.outcome(id)),
                Err(violation) => Entry::failed(Error::internal(violation.to_string())),
            }
        })
    }

    fn put(&self, queue: &Entry, mut values: Args<CallArg>, waits: bool) -> Arc<Entry> {
        let queue = queue.id();
        match lower_call(self, &mut values) {
            // The queue counts the values from then on.
            Ok((values, _keep)) => self.promised(|id, core, lanes| {
                core.queue_put(id, queue, values, waits, WorkerId::DRIVER, lanes)
            }),
            Err(error) => Entry::failed(error),
        }
    }

    fn get(&self, queue: &Entry, count: usize, waits: bool) -> Vec<Arc<Entry>> {
        let queue = queue.id();
        let got = self.usable().and_then(|()| {
            self.with(|core, lanes| {
                let ids = core
                    .queue_get_here(count, queue, waits, lanes)
                    .map_err(|violation| Error::internal(violation.to_string()))??;
                let entry = |id| {
                    let entry = Entry::new(id, self.as_engine(), core.outcome(id));
                    core.attach(id, &entry);
                    entry
                };
                Ok(ids.into_iter().map(entry).collect())
            })
        });
        let failed = |error: Error| (0..count).map(|_| Entry::failed(error.clone())).collect();
        got.unwrap_or_else(failed)
    }

    fn give_up(&self, answers: &mut dyn Iterator<Item = ObjectId>, returns: bool) {
        if !mobula_store::is_forked_child() {
            let ids: Vec<ObjectId> = answers.collect();
            self.with(|core, lanes| core.queue_give_up(&ids, returns, lanes));
        }
    }

    fn ask(&self, queue: &Entry, close: bool) -> Arc<Entry> {
        let queue = queue.id();
        self.promised(|id, core, lanes| core.queue_ask(id, queue, close, WorkerId::DRIVER, lanes))
    }
}
