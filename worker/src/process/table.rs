//! The handles of this process and the lane to the driver, under one lock. So the driver learns of
//! the handles' changes in the order in which they happened here.
//!
//! A handle is *covered* as long as the task or the value that brought it lives; the driver counts
//! that. A handle becomes *held* when the driver has been told that this process keeps it. The
//! messages [`FromWorker::Done`] and [`FromWorker::Release`], for example, may end a cover. Before
//! such a message the table tells the driver of all handles that are not held yet. So every object
//! has a count at any moment.

mod calls;

use std::sync::{Arc, Weak};

use super::kept::KeptCalls;
use crate::link::Out;
use mobula_protocol::{FunctionIndex, IdMap, ObjectHandle, ObjectId, message::FromWorker};

pub(super) use calls::Published;

/// Handles that are no longer needed. They are dropped after the table's lock is released, since
/// the end of a handle takes this lock.
pub(super) type Spent = Vec<Arc<ObjectHandle>>;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Table<O> {
    pub(crate) out: O,
    handles: IdMap<Slot>,
    /// Handles that may be covered only. Some may be gone or held by now.
    covered: Vec<ObjectId>,
    kept: KeptCalls,
}

/// Whether the driver knows an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The driver knows the object, or will know it when it has read the messages sent so far.
    Driver,
    /// The object is the result of a call that this worker keeps and that nobody has begun.
    Kept,
    /// A thread of this worker runs the call of this function.
    Runs(FunctionIndex),
    /// The call has ended.
    Ended,
}

#[derive(Debug)]
struct Slot {
    entry: Weak<ObjectHandle>,
    /// How many handles were made for this object whose drop has not been counted yet. A new handle
    /// may come before the old handle's drop is counted.
    entries: usize,
    held: bool,
    watched: bool,
    place: Place,
}

impl<O: Out> Table<O> {
    pub(crate) fn new(out: O) -> Table<O> {
        Table {
            out,
            handles: IdMap::default(),
            covered: Vec::new(),
            kept: KeptCalls::default(),
        }
    }

    /// Returns the handle that waits for the driver's answer to [`watch`](Table::watch). Returns
    /// `None` if the handle was released after it had asked. The release has then ended what came
    /// with the answer.
    pub(crate) fn watched(&self, id: ObjectId) -> Option<Arc<ObjectHandle>> {
        let slot = self.handles.get(id)?;
        if slot.watched {
            slot.entry.upgrade()
        } else {
            None
        }
    }

    /// Returns the handle of an object. `make` makes one if there is none. `held`: the driver
    /// counts the handle.
    pub(crate) fn handle(
        &mut self,
        id: ObjectId,
        held: bool,
        make: impl FnOnce() -> Arc<ObjectHandle>,
    ) -> Arc<ObjectHandle> {
        let slot = self.handles.get_or_insert_with(id, || Slot {
            entry: Weak::new(),
            entries: 0,
            held: false,
            watched: false,
            place: Place::Driver,
        });
        slot.held |= held;
        if let Some(entry) = slot.entry.upgrade() {
            return entry;
        }
        let entry = make();
        slot.entry = Arc::downgrade(&entry);
        // The handle before this one may have used up the answer to an earlier question.
        slot.watched = false;
        slot.entries += 1;
        if !slot.held && slot.place == Place::Driver {
            self.covered.push(id);
            self.tidy();
        }
        entry
    }

    /// Removes handles that are gone or held from the list of covered ones. A task that decodes
    /// very many refs and sends no message in between needs this.
    fn tidy(&mut self) {
        if self.covered.len() > 2 * self.handles.len() + 64 {
            let handles = &self.handles;
            self.covered
                .retain(|id| handles.get(*id).is_some_and(|slot| !slot.held));
            self.covered.sort_unstable();
            self.covered.dedup();
        }
    }

    /// Returns the handle of an object, if there is one.
    pub(super) fn known(&self, id: ObjectId) -> Option<Arc<ObjectHandle>> {
        self.handles.get(id)?.entry.upgrade()
    }

    /// Asks the driver, once, to tell when the object is ready.
    pub(super) fn watch(&mut self, id: ObjectId) -> Spent {
        let spent = self.send_kept(id);
        let Some(slot) = self.handles.get_mut(id) else {
            return spent;
        };
        if slot.place != Place::Driver {
            // The end of the call wakes the threads that wait.
            return spent;
        }
        if slot.watched {
            return spent;
        }
        slot.watched = true;
        if !slot.held {
            slot.held = true;
            self.out.push(&FromWorker::Hold(id));
        }
        self.out.push(&FromWorker::Watch(id));
        spent
    }

    /// Tells the driver that nobody will ask for the result of this task. The handle exists, so the
    /// driver counts the object, either as held or as covered.
    pub(super) fn detach(&mut self, id: ObjectId) -> Spent {
        let mut spent = Spent::new();
        if self.handles.get_mut(id).is_some()
            && let Published::Yes(published) = self.publish(id)
        {
            spent = published;
            self.out.push(&FromWorker::Detach(id));
        }
        spent
    }

    /// Returns the handles that wait for the driver's answer.
    pub(crate) fn all_watched(&self) -> Vec<Arc<ObjectHandle>> {
        let watched = self.handles.iter().filter(|(_, slot)| slot.watched);
        watched
            .filter_map(|(_, slot)| slot.entry.upgrade())
            .collect()
    }

    /// Returns how many objects have handles.
    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// Counts the drop of a handle. After the last drop, removes the object from the table.
    pub(super) fn release(&mut self, id: ObjectId) -> Spent {
        let Some(slot) = self.handles.get_mut(id) else {
            return Spent::new();
        };
        slot.entries -= 1;
        if slot.entries > 0 {
            return Spent::new();
        }
        // The call has to run, though nobody looks at its result.
        let spent = match slot.place {
            Place::Kept => self.send_kept(id),
            _ => Spent::new(),
        };
        let held = self.handles.remove(id).is_some_and(|slot| slot.held);
        if held {
            self.hold_covered();
            self.out.push(&FromWorker::Release(id));
        }
        spent
    }

    /// Pushes a message that may end covers.
    pub(crate) fn finish(&mut self, message: &FromWorker) {
        self.hold_covered();
        self.out.push(message);
    }

    fn hold_covered(&mut self) {
        for id in self.covered.drain(..) {
            if let Some(slot) = self.handles.get_mut(id)
                && !slot.held
            {
                slot.held = true;
                self.out.push(&FromWorker::Hold(id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mobula_protocol::{Error, WorkerId};

    #[derive(Debug, Default)]
    struct Log(Vec<String>);

    impl Out for Log {
        fn push(&mut self, message: &FromWorker) {
            self.0.push(format!("{message:?}"));
        }
    }

    fn id(seq: u64) -> ObjectId {
        ObjectId {
            origin: WorkerId::DRIVER,
            seq,
        }
    }

    fn entry() -> Arc<ObjectHandle> {
        ObjectHandle::failed(Error::shutdown())
    }

    fn texts(table: &mut Table<Log>) -> Vec<String> {
        std::mem::take(&mut table.out.0)
            .into_iter()
            .map(|text| {
                text.split('(').next().unwrap_or_default().to_owned()
                    + if text.contains("seq: 2") { "2" } else { "" }
            })
            .collect()
    }

    #[test]
    fn what_ends_with_its_task_costs_no_message() {
        let mut table = Table::new(Log::default());
        drop(table.handle(id(1), false, entry));
        let _ = table.release(id(1));
        table.finish(&FromWorker::Blocked);
        assert_eq!(texts(&mut table), ["Blocked"]);
        assert!(table.handles.is_empty());
    }

    #[test]
    fn what_is_kept_is_held_before_its_cover_ends() {
        let mut table = Table::new(Log::default());
        let kept = table.handle(id(1), false, entry);
        table.finish(&FromWorker::Blocked);
        table.finish(&FromWorker::Blocked);
        assert_eq!(texts(&mut table), ["Hold", "Blocked", "Blocked"]);
        drop(kept);
        let _ = table.release(id(1));
        assert_eq!(texts(&mut table), ["Release"]);
    }

    #[test]
    fn an_inner_handle_is_held_before_the_outer_is_released() {
        let mut table = Table::new(Log::default());
        let outer = table.handle(id(1), true, entry);
        let _inner = table.handle(id(2), false, entry);
        drop(outer);
        let _ = table.release(id(1));
        assert_eq!(texts(&mut table), ["Hold2", "Release"]);
    }

    #[test]
    fn a_new_handle_before_the_old_ones_drop_keeps_the_hold() {
        let mut table = Table::new(Log::default());
        drop(table.handle(id(1), true, entry));
        let _new = table.handle(id(1), false, entry);
        let _ = table.release(id(1));
        assert_eq!(texts(&mut table), Vec::<String>::new());
        let _ = table.release(id(1));
        assert_eq!(texts(&mut table), ["Release"]);
    }

    #[test]
    fn a_task_that_decodes_many_refs_needs_little() {
        let mut table = Table::new(Log::default());
        let _kept = table.handle(id(0), false, entry);
        for n in 1..10_000 {
            drop(table.handle(id(n), false, entry));
            let _ = table.release(id(n));
        }
        assert!(table.covered.len() < 200);
        table.finish(&FromWorker::Blocked);
        assert_eq!(texts(&mut table), ["Hold", "Blocked"]);
    }

    #[test]
    fn watching_holds_first_and_asks_once() {
        let mut table = Table::new(Log::default());
        let _entry = table.handle(id(1), false, entry);
        let _ = table.watch(id(1));
        let _ = table.watch(id(1));
        assert_eq!(texts(&mut table), ["Hold", "Watch"]);
        assert!(table.watched(id(1)).is_some());
    }

    #[test]
    fn an_answer_to_a_released_handle_is_not_for_its_successor() {
        let mut table = Table::new(Log::default());
        drop(table.handle(id(1), false, entry));
        let _ = table.watch(id(1));
        let _ = table.release(id(1));
        let _new = table.handle(id(1), false, entry);
        assert!(table.watched(id(1)).is_none());
    }
}
