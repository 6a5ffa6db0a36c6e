//! A worker's requests about queues.

use std::sync::Arc;

use crate::{
    link::{Link, Out},
    process::worker::Worker,
};
use mobula_protocol::{
    CallArg, ObjectHandle, ObjectId, Queues, lower_call,
    message::{Args, FromWorker},
};

impl<L: Link> Queues for Worker<L> {
    fn create(&self, capacity: u32) -> Arc<ObjectHandle> {
        self.promised(|id| FromWorker::CreateQueue { id, capacity })
    }

    fn put(
        &self,
        queue: &ObjectHandle,
        mut values: Args<CallArg>,
        waits: bool,
    ) -> Arc<ObjectHandle> {
        match lower_call(self, &mut values) {
            // The driver counts the values from the message on.
            Ok((values, _keep)) => self.promised(|id| FromWorker::QueuePut {
                id,
                queue: queue.id(),
                values,
                waits,
            }),
            Err(error) => ObjectHandle::failed(error),
        }
    }

    fn get(&self, queue: &ObjectHandle, count: usize, waits: bool) -> Vec<Arc<ObjectHandle>> {
        let queue = queue.id();
        self.promised_all(count, |ids| FromWorker::QueueGet { ids, queue, waits })
    }

    fn give_up(&self, answers: &mut dyn Iterator<Item = ObjectId>, returns: bool) {
        if self.usable().is_ok() {
            let ids = answers.collect();
            let message = FromWorker::QueueGiveUp { ids, returns };
            self.table.lock().out.push(&message);
        }
    }

    fn took(&self, answers: &mut dyn Iterator<Item = ObjectId>) {
        if self.usable().is_ok() {
            let message = FromWorker::QueueTook(answers.collect());
            self.table.lock().out.push(&message);
        }
    }

    fn ask(&self, queue: &ObjectHandle, close: bool) -> Arc<ObjectHandle> {
        let queue = queue.id();
        self.promised(|id| FromWorker::QueueAsk { id, queue, close })
    }
}
