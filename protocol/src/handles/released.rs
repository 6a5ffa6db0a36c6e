//! A list of the handles and tasks that the driver's threads have dropped or detached. A thread
//! with the driver's lock counts them later.
//!
//! A handle can be dropped by a thread that has the driver's lock already, so its end goes into a
//! list. Flags tell what is in the list without its lock. All flags are written under that lock,
//! like the list.
//!
//! A thread that has put an item in and checks afterwards sees the flag, or the item has been taken
//! already. This holds without a memory ordering of the flags. The thread sees what it wrote
//! itself, or what an earlier owner of the lock wrote.

use std::{mem, sync::atomic::Ordering::Relaxed};

use crate::{
    ids::ObjectId,
    threads::{AtomicBool, Mutex},
};

/// Handles that were dropped and tasks that were detached.
#[derive(Debug, Default)]
pub struct Released {
    list: Mutex<List>,
    /// Whether the list has items.
    any: AtomicBool,
    /// Whether one of the handles may keep memory of the store, or other objects.
    memory: AtomicBool,
    /// Whether one of the handles may be an actor's last one.
    ends_actors: AtomicBool,
}

#[derive(Debug, Default)]
struct List {
    ids: Vec<ObjectId>,
    /// Marks of objects. They are counted before `ids`.
    marks: Vec<(ObjectId, Mark)>,
}

/// A fact about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// No thread asks for the result of its task.
    Detached,
    /// A thread has read its failure.
    Heard,
}

impl Released {
    /// Adds an object whose last handle was dropped. Returns whether it is the first in the list
    /// that may end an actor.
    #[inline]
    pub fn push(&self, id: ObjectId, keeps_memory: bool, may_end_an_actor: bool) -> bool {
        let mut list = self.list.lock();
        list.ids.push(id);
        if list.ids.len() == 1 {
            self.any.store(true, Relaxed);
        }
        if keeps_memory {
            self.memory.store(true, Relaxed);
        }
        may_end_an_actor && !self.ends_actors.swap(true, Relaxed)
    }

    /// Records that no thread asks for the result of this task.
    pub fn detach(&self, id: ObjectId) {
        self.mark(id, Mark::Detached);
    }

    /// Records that a thread has read the failure of this object. Must come before the end of the
    /// handle.
    pub fn hear(&self, id: ObjectId) {
        self.mark(id, Mark::Heard);
    }

    #[cold]
    fn mark(&self, id: ObjectId, mark: Mark) {
        let mut list = self.list.lock();
        list.marks.push((id, mark));
        self.any.store(true, Relaxed);
    }

    /// Returns whether the list has items.
    #[inline]
    pub fn any(&self) -> bool {
        self.any.load(Relaxed)
    }

    /// Returns whether a handle in the list may keep memory or other objects.
    #[inline]
    pub fn has_memory(&self) -> bool {
        self.memory.load(Relaxed)
    }

    /// Returns whether a handle in the list may be an actor's last one.
    #[inline]
    pub fn ends_actors(&self) -> bool {
        self.ends_actors.load(Relaxed)
    }

    /// Empties the list. Moves the ids into `ids`, which must be empty. Calls `marked` for each
    /// mark, under the list's lock.
    #[inline]
    pub fn take(&self, ids: &mut Vec<ObjectId>, mut marked: impl FnMut(ObjectId, Mark)) {
        let mut list = self.list.lock();
        mem::swap(&mut list.ids, ids);
        if !list.marks.is_empty() {
            list.marks.drain(..).for_each(|(id, mark)| marked(id, mark));
        }
        self.any.store(false, Relaxed);
        self.memory.store(false, Relaxed);
        self.ends_actors.store(false, Relaxed);
    }
}

#[cfg(all(test, loom))]
mod models {
    use loom::{model::Builder, sync::Arc, sync::Mutex, thread};

    use super::*;
    use crate::ids::WorkerId;

    #[derive(Default)]
    struct Driver {
        released: Released,
        /// Counted items, under the driver's lock.
        counted: Mutex<Vec<u64>>,
    }

    impl Driver {
        fn step(&self, own: u64) {
            let mut counted = self.counted.lock().unwrap();
            if self.released.any() {
                let mut ids = Vec::new();
                self.released.take(&mut ids, |id, _| counted.push(id.seq));
                counted.extend(ids.iter().map(|id| id.seq));
            }
            assert!(counted.contains(&own), "left to the next step");
        }
    }

    /// A thread drops or detaches an item and takes the driver's lock. Then the item is counted, by
    /// this thread or by another one.
    #[test]
    fn loom_what_was_dropped_is_counted_at_the_next_step() {
        let mut builder = Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let driver = Arc::new(Driver::default());
            let id = |seq| ObjectId {
                origin: WorkerId::DRIVER,
                seq,
            };
            let others = [1, 2].map(|seq| {
                let driver = driver.clone();
                thread::spawn(move || {
                    if seq == 1 {
                        driver.released.detach(id(seq));
                    } else {
                        driver.released.push(id(seq), true, false);
                    }
                    driver.step(seq);
                })
            });
            driver.released.push(id(0), false, false);
            driver.step(0);
            for other in others {
                other.join().unwrap();
            }
            assert_eq!(driver.counted.lock().unwrap().len(), 3);
            assert!(!driver.released.any() && !driver.released.has_memory());
        });
    }
}
