//! The driver's requests about queues: it makes and serves them.

use std::sync::Arc;

use mobula_protocol::{
    CallArg, Error, ObjectHandle, ObjectId, Queues, WorkerId, lower_call, message::Args,
};

use crate::engines::processes::Driver;

impl Queues for Driver {
    fn create(&self, capacity: u32) -> Arc<ObjectHandle> {
        if let Err(error) = self.usable() {
            return ObjectHandle::failed(error);
        }
        self.with(|scheduler, _| {
            let id = scheduler.mint();
            match scheduler.create_queue(id, capacity, WorkerId::DRIVER) {
                Ok(()) => ObjectHandle::of_actor(id, self.as_engine(), scheduler.outcome(id)),
                Err(violation) => ObjectHandle::failed(Error::internal(violation.to_string())),
            }
        })
    }

    fn put(
        &self,
        queue: &ObjectHandle,
        mut values: Args<CallArg>,
        waits: bool,
    ) -> Arc<ObjectHandle> {
        let queue = queue.id();
        match lower_call(self, &mut values) {
            // The queue counts the values from then on.
            Ok((values, _keep)) => self.promised(|id, scheduler, peers| {
                scheduler.queue_put(id, queue, values, waits, WorkerId::DRIVER, peers)
            }),
            Err(error) => ObjectHandle::failed(error),
        }
    }

    fn get(&self, queue: &ObjectHandle, count: usize, waits: bool) -> Vec<Arc<ObjectHandle>> {
        let queue = queue.id();
        let got = self.usable().and_then(|()| {
            self.with(|scheduler, peers| {
                let ids = scheduler
                    .queue_get_here(count, queue, waits, peers)
                    .map_err(|violation| Error::internal(violation.to_string()))??;
                Ok(ids
                    .into_iter()
                    .map(|id| self.new_handle(id, scheduler))
                    .collect())
            })
        });
        let failed = |error: Error| {
            (0..count)
                .map(|_| ObjectHandle::failed(error.clone()))
                .collect()
        };
        got.unwrap_or_else(failed)
    }

    fn give_up(&self, answers: &mut dyn Iterator<Item = ObjectId>, returns: bool) {
        if !mobula_store::is_forked_child() {
            let ids: Vec<ObjectId> = answers.collect();
            self.with(|scheduler, peers| scheduler.queue_give_up(&ids, returns, peers));
        }
    }

    fn ask(&self, queue: &ObjectHandle, close: bool) -> Arc<ObjectHandle> {
        let queue = queue.id();
        self.promised(|id, scheduler, peers| {
            scheduler.queue_ask(id, queue, close, WorkerId::DRIVER, peers)
        })
    }
}
