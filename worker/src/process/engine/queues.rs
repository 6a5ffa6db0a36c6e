//! Queues, as a worker asks for them.

use std::sync::Arc;

use super::usable;
use crate::process::{table::Out, worker::Worker};
use mobula_protocol::{
    CallArg, Entry, ObjectId, Queues, lower_call,
    message::{Args, FromWorker},
};

impl Queues for Worker {
    fn create(&self, capacity: u32) -> Arc<Entry> {
        self.promised(|id| FromWorker::CreateQueue { id, capacity })
    }

    fn put(&self, queue: &Entry, mut values: Args<CallArg>, waits: bool) -> Arc<Entry> {
        match lower_call(self, &mut values) {
            // The driver counts the values from the message on.
            Ok((values, _keep)) => self.promised(|id| FromWorker::QueuePut {
                id,
                queue: queue.id(),
                values,
                waits,
            }),
            Err(error) => Entry::failed(error),
        }
    }

    fn get(&self, queue: &Entry, count: usize, waits: bool) -> Vec<Arc<Entry>> {
        if let Err(error) = usable() {
            return (0..count).map(|_| Entry::failed(error.clone())).collect();
        }
        let ids: Vec<ObjectId> = (0..count).map(|_| self.mint()).collect();
        let mut table = self.table.lock();
        let new =
            |id: &ObjectId| table.handle(*id, true, || Entry::new(*id, self.as_engine(), None));
        let entries = ids.iter().map(new).collect();
        let queue = queue.id();
        table.out.push(&FromWorker::QueueGet { ids, queue, waits });
        entries
    }

    fn give_up(&self, answers: &mut dyn Iterator<Item = ObjectId>, returns: bool) {
        if usable().is_ok() {
            let ids = answers.collect();
            let message = FromWorker::QueueGiveUp { ids, returns };
            self.table.lock().out.push(&message);
        }
    }

    fn took(&self, answers: &mut dyn Iterator<Item = ObjectId>) {
        if usable().is_ok() {
            let message = FromWorker::QueueTook(answers.collect());
            self.table.lock().out.push(&message);
        }
    }

    fn ask(&self, queue: &Entry, close: bool) -> Arc<Entry> {
        let queue = queue.id();
        self.promised(|id| FromWorker::QueueAsk { id, queue, close })
    }
}
