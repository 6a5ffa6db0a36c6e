//! What the driver's threads have dropped or detached, until somebody who has the driver's lock
//! counts it.
//!
//! A handle can be dropped where the driver's lock is taken already, so its end goes into a list.
//! The flags say what is in the list without its lock. All of them are written under that lock, as
//! the list is. So who has put something in and looks afterwards sees the flag, or what was put in
//! is taken already; that holds without any order of the flags' own, since a thread sees what it or
//! an earlier owner of the lock has written.

use std::{mem, sync::atomic::Ordering::Relaxed};

use crate::{
    ids::ObjectId,
    threads::{AtomicBool, Mutex},
};

/// Handles that were dropped and tasks that were detached.
#[derive(Debug, Default)]
pub struct Released {
    list: Mutex<List>,
    /// There is something in the list.
    any: AtomicBool,
    /// One of the handles may keep memory of the store, or other objects.
    memory: AtomicBool,
    /// One of them may be an actor's last.
    ends_actors: AtomicBool,
}

#[derive(Debug, Default)]
struct List {
    ids: Vec<ObjectId>,
    /// What was said of objects before: counted first.
    marks: Vec<(ObjectId, Mark)>,
}

/// What is said of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nobody asks for the result of its task.
    Detached,
    /// Somebody has read its failure.
    Heard,
}

impl Released {
    /// The last handle of an object was dropped. Whether it is the first in the list that may end
    /// an actor.
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

    /// Nobody asks for the result of this task.
    pub fn detach(&self, id: ObjectId) {
        self.mark(id, Mark::Detached);
    }

    /// Somebody has read the failure of this object. Before the end of the handle.
    pub fn hear(&self, id: ObjectId) {
        self.mark(id, Mark::Heard);
    }

    #[cold]
    fn mark(&self, id: ObjectId, mark: Mark) {
        let mut list = self.list.lock();
        list.marks.push((id, mark));
        self.any.store(true, Relaxed);
    }

    /// Whether there is something to count.
    #[inline]
    pub fn any(&self) -> bool {
        self.any.load(Relaxed)
    }

    /// Whether a handle may keep memory or other objects.
    #[inline]
    pub fn has_memory(&self) -> bool {
        self.memory.load(Relaxed)
    }

    /// Whether a handle may be an actor's last.
    #[inline]
    pub fn ends_actors(&self) -> bool {
        self.ends_actors.load(Relaxed)
    }

    /// Empties the list: the handles into `ids`, which is empty; `marked` is called for what was
    /// said first, under the list's lock.
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
        /// Under the driver's lock.
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

    /// Who has dropped or detached something and takes the driver's lock finds it counted, by
    /// itself or by another.
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
