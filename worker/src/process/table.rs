//! The handles of this process and the lane to the driver, under one lock: what the driver learns
//! of them is in the order in which it happened here.
//!
//! A handle is *covered* as long as the task or the value that brought it lives; the driver counts
//! that. It becomes *held* when the driver has been told that this process keeps it. Before any
//! message that may end a cover ([`FromWorker::Done`], [`FromWorker::Release`]) the table tells the
//! driver of all handles that are not held yet, so that no object is without a count in between.

use std::sync::{Arc, Weak};

use crate::link::Out;
use mobula_protocol::{CancelOptions, IdMap, ObjectHandle, ObjectId, message::FromWorker};

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Table<O> {
    pub(crate) out: O,
    handles: IdMap<Slot>,
    /// Handles that may be covered only; some may be gone or held by now.
    covered: Vec<ObjectId>,
}

#[derive(Debug)]
struct Slot {
    entry: Weak<ObjectHandle>,
    /// Entries made for this object whose drop has not been counted yet: a new one may come
    /// before the old one's drop gets here.
    entries: usize,
    held: bool,
    watched: bool,
}

impl<O: Out> Table<O> {
    pub(crate) fn new(out: O) -> Table<O> {
        Table {
            out,
            handles: IdMap::default(),
            covered: Vec::new(),
        }
    }

    /// The handle that waits for the driver's answer to [`watch`](Table::watch). None, if it was
    /// released after it had asked: then the release has ended what came with the answer.
    pub(crate) fn watched(&self, id: ObjectId) -> Option<Arc<ObjectHandle>> {
        let slot = self.handles.get(id)?;
        if slot.watched {
            slot.entry.upgrade()
        } else {
            None
        }
    }

    /// The handle of an object, made by `make` if there is none. `held`: the driver counts it.
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
        });
        slot.held |= held;
        if let Some(entry) = slot.entry.upgrade() {
            return entry;
        }
        let entry = make();
        slot.entry = Arc::downgrade(&entry);
        // The answer to an earlier question may have been used up by the entry before.
        slot.watched = false;
        slot.entries += 1;
        if !slot.held {
            self.covered.push(id);
            self.tidy();
        }
        entry
    }

    /// Forgets covered handles that are gone, in a task that decodes very many refs and says
    /// nothing in between.
    fn tidy(&mut self) {
        if self.covered.len() > 2 * self.handles.len() + 64 {
            let handles = &self.handles;
            self.covered
                .retain(|id| handles.get(*id).is_some_and(|slot| !slot.held));
            self.covered.sort_unstable();
            self.covered.dedup();
        }
    }

    /// Asks the driver, once, to tell when the object is ready.
    pub(crate) fn watch(&mut self, id: ObjectId) {
        let Some(slot) = self.handles.get_mut(id) else {
            return;
        };
        if slot.watched {
            return;
        }
        slot.watched = true;
        if !slot.held {
            slot.held = true;
            self.out.push(&FromWorker::Hold(id));
        }
        self.out.push(&FromWorker::Watch(id));
    }

    /// Tells the driver that nobody will ask for the result of this task. The handle is there, so
    /// the driver counts the object: as held, or as covered.
    pub(crate) fn detach(&mut self, id: ObjectId) {
        if self.handles.get_mut(id).is_some() {
            self.out.push(&FromWorker::Detach(id));
        }
    }

    /// Has the driver cancel the tasks that make these objects, of which there are handles.
    pub(crate) fn cancel(&mut self, ids: Vec<ObjectId>, options: CancelOptions) {
        self.out.push(&FromWorker::Cancel { ids, options });
    }

    /// The handles that wait for the driver's answer.
    pub(crate) fn all_watched(&self) -> Vec<Arc<ObjectHandle>> {
        let watched = self.handles.iter().filter(|(_, slot)| slot.watched);
        watched
            .filter_map(|(_, slot)| slot.entry.upgrade())
            .collect()
    }

    /// How many objects have handles.
    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    /// Whether there are no handles.
    pub(crate) fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// An entry was dropped.
    pub(crate) fn release(&mut self, id: ObjectId) {
        let Some(slot) = self.handles.get_mut(id) else {
            return;
        };
        slot.entries -= 1;
        if slot.entries > 0 {
            return;
        }
        let held = slot.held;
        self.handles.remove(id);
        if held {
            self.hold_covered();
            self.out.push(&FromWorker::Release(id));
        }
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
        table.release(id(1));
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
        table.release(id(1));
        assert_eq!(texts(&mut table), ["Release"]);
    }

    #[test]
    fn an_inner_handle_is_held_before_the_outer_is_released() {
        let mut table = Table::new(Log::default());
        let outer = table.handle(id(1), true, entry);
        let _inner = table.handle(id(2), false, entry);
        drop(outer);
        table.release(id(1));
        assert_eq!(texts(&mut table), ["Hold2", "Release"]);
    }

    #[test]
    fn a_new_handle_before_the_old_ones_drop_keeps_the_hold() {
        let mut table = Table::new(Log::default());
        drop(table.handle(id(1), true, entry));
        let _new = table.handle(id(1), false, entry);
        table.release(id(1));
        assert_eq!(texts(&mut table), Vec::<String>::new());
        table.release(id(1));
        assert_eq!(texts(&mut table), ["Release"]);
    }

    #[test]
    fn a_task_that_decodes_many_refs_needs_little() {
        let mut table = Table::new(Log::default());
        let _kept = table.handle(id(0), false, entry);
        for n in 1..10_000 {
            drop(table.handle(id(n), false, entry));
            table.release(id(n));
        }
        assert!(table.covered.len() < 200);
        table.finish(&FromWorker::Blocked);
        assert_eq!(texts(&mut table), ["Hold", "Blocked"]);
    }

    #[test]
    fn watching_holds_first_and_asks_once() {
        let mut table = Table::new(Log::default());
        let _entry = table.handle(id(1), false, entry);
        table.watch(id(1));
        table.watch(id(1));
        assert_eq!(texts(&mut table), ["Hold", "Watch"]);
        assert!(table.watched(id(1)).is_some());
    }

    #[test]
    fn an_answer_to_a_released_handle_is_not_for_its_successor() {
        let mut table = Table::new(Log::default());
        drop(table.handle(id(1), false, entry));
        table.watch(id(1));
        table.release(id(1));
        let _new = table.handle(id(1), false, entry);
        assert!(table.watched(id(1)).is_none());
    }
}
