//! A worker's requests about shared memory and its locks.

use std::{
    sync::Arc,
    task::{Wake, Waker},
};

use mobula_store::Region;

use crate::{
    link::{Link, Out},
    process::{
        cancellations::this_run,
        cancelled::{check, woken_when_cancelled},
        here::Here,
        panics, tasks,
        worker::Worker,
    },
    promise::ENGINE,
};
use mobula_protocol::{
    Error, Format, ObjectHandle, ObjectId, PartRange, Result, SharedMemory, Value, WorkerId,
    message::FromWorker,
    sync::{Ended, ProcessSlot, Sleep},
    waiting::KEEP_TURN,
};

impl<L: Link> SharedMemory for Worker<L> {
    fn region(&self, object: &Arc<ObjectHandle>) -> Result<Region> {
        let (loc, lease) = (object.shared_memory()?, object.clone());
        if loc.segment == self.heap.id() {
            return Ok(self.heap.region(loc, lease, ENGINE)?);
        }
        self.await_segment(loc.segment, || self.writables.contains(loc.segment))?;
        Ok(self.writables.open(loc, lease, ENGINE)?)
    }

    fn lend(
        &self,
        array: &Arc<ObjectHandle>,
        parts: Vec<PartRange>,
    ) -> Result<Vec<Arc<ObjectHandle>>> {
        self.usable()?;
        let parts: Vec<_> = parts
            .into_iter()
            .map(|range| (self.mint(), range))
            .collect();
        let entries: Vec<_> = {
            let mut table = self.table.lock();
            let new = |(id, _): &(ObjectId, PartRange)| {
                table.handle(*id, true, || ObjectHandle::new(*id, self.as_engine(), None))
            };
            let entries = parts.iter().map(new).collect();
            table.out.push(&FromWorker::Lend {
                array: array.id(),
                parts: parts.clone(),
            });
            entries
        };
        // Either all parts are there, or none.
        let Some(first) = entries.first() else {
            return Ok(entries);
        };
        first.wait(None);
        let known = match first.outcome() {
            Some(Ok(known)) => known.clone(),
            Some(Err(error)) => return Err(error.clone()),
            None => return Err(Error::internal("a part that did not come")),
        };
        // The thread that brought the answer has the handle for a moment longer. A task that drops
        // the part may ask for it again at once. This request must not come before the end of the
        // handle.
        while Arc::strong_count(first) > 1 {
            std::thread::yield_now();
        }
        for (entry, (_, range)) in entries.iter().zip(parts).skip(1) {
            let mut part = Value::clone(&known);
            if let Format::Part { range: own, .. } = &mut part.format {
                **own = range;
            }
            entry.complete(Ok(part.into()), ENGINE);
        }
        Ok(entries)
    }

    fn settle(&self, array: &Arc<ObjectHandle>) -> Arc<ObjectHandle> {
        let array = array.id();
        self.promised(|id| FromWorker::Settle { id, array })
    }

    fn seal(&self, array: &Arc<ObjectHandle>, format: Format) -> Arc<ObjectHandle> {
        let (array, run) = (array.id(), this_run().into());
        self.promised(|id| FromWorker::Seal {
            id,
            array,
            format,
            run,
        })
    }

    fn process(&self) -> (WorkerId, ProcessSlot) {
        (self.id, self.process_slot)
    }

    fn sleep(&self, sleep: &mut dyn Sleep) -> std::result::Result<(), Ended> {
        if !tasks::runs_here() {
            sleep.sleep(None);
            return Ok(());
        }
        // After a sleep that the cancellation has ended, the next sleep does not begin. In between,
        // the thread looks at the lock, since the lock may have woken it.
        let _woken = match is_unwinding() {
            true => None,
            false => {
                let waker = Waker::from(Arc::new(Alarm(sleep.alarm())));
                woken_when_cancelled(&self.cancellations, &waker).map_err(|_| Ended)?
            }
        };
        if sleep.has_stepped_aside() {
            // This thread has let other threads go first before, and could do so for ever.
            sleep.sleep(Some(KEEP_TURN));
            if sleep.is_over() {
                return Ok(());
            }
        }
        let mut paused = self.pause();
        sleep.sleep(None);
        if !paused.try_resume() {
            // Threads that want the lock do not wait for the task that has the turn.
            sleep.step_aside();
        }
        Ok(())
    }

    /// Ends a cancelled task by unwinding.
    fn why_ended(&self) -> Error {
        match check(&self.cancellations) {
            Err(error) if tasks::runs_here() && !is_unwinding() => panics::end_task(error),
            _ => Error::shutdown(),
        }
    }
}

/// Whether the thread unwinds. A destructor may wait for a lock then. It gets the lock, though the
/// task may be cancelled.
fn is_unwinding() -> bool {
    std::thread::panicking()
}

/// A waker that ends the sleep of a cancelled task.
struct Alarm(Box<dyn Fn() + Send + Sync>);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}
