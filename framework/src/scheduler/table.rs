//! The table of objects by id.
//!
//! Nearly all objects of most programs belong to the driver. A vector of slots contains them, and
//! their ids contain the index. The latest free slot is reused first, with another generation. This
//! keeps the used memory small and in the cache, and an old id finds nothing. Workers choose their
//! ids without asking, so a map contains their objects.

use mobula_protocol::{IdMap, ObjectId, WorkerId};

use super::object::Object;

/// Number of slots kept when all of them are free.
const KEEP: usize = 1 << 12;

/// Slots of this generation or later are kept, so that enough generations remain for new slots.
const LAST_BASE: u32 = 1 << 31;

#[derive(Debug, Default)]
pub(super) struct Objects {
    slots: Vec<Slot>,
    /// Freed slots, the latest last. A listed slot may be in use again without a removal from this
    /// list.
    free: Vec<u32>,
    /// Number of slots with an object.
    taken: usize,
    /// The first generation of new slots, later than the generation of each discarded slot.
    base: u32,
    /// The latest generation of all slots.
    newest: u32,
    others: IdMap<Object>,
}

#[derive(Debug)]
struct Slot {
    /// The generation of the current object, or of the next one.
    generation: u32,
    object: Option<Object>,
}

fn index(id: ObjectId) -> usize {
    id.seq as u32 as usize
}

fn generation(id: ObjectId) -> u32 {
    (id.seq >> 32) as u32
}

fn driver_id(index: u32, generation: u32) -> ObjectId {
    ObjectId {
        origin: WorkerId::DRIVER,
        seq: u64::from(generation) << 32 | u64::from(index),
    }
}

impl Objects {
    /// Returns an id for the next object of the driver. The caller must [insert](Objects::insert)
    /// the object before another id is minted or any object is removed.
    pub(super) fn mint(&mut self) -> ObjectId {
        while let Some(&index) = self.free.last() {
            let slot = &self.slots[index as usize];
            if slot.object.is_none() {
                return driver_id(index, slot.generation);
            }
            self.free.pop();
        }
        driver_id(self.slots.len() as u32, self.base)
    }

    #[inline]
    pub(super) fn get(&self, id: ObjectId) -> Option<&Object> {
        if id.origin != WorkerId::DRIVER {
            return self.others.get(id);
        }
        let slot = self.slots.get(index(id))?;
        slot.object
            .as_ref()
            .filter(|_| slot.generation == generation(id))
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: ObjectId) -> Option<&mut Object> {
        if id.origin != WorkerId::DRIVER {
            return self.others.get_mut(id);
        }
        let slot = self.slots.get_mut(index(id))?;
        slot.object
            .as_mut()
            .filter(|_| slot.generation == generation(id))
    }

    pub(super) fn contains(&self, id: ObjectId) -> bool {
        self.get(id).is_some()
    }

    /// Returns whether an object of this id can be inserted: the id and its slot are unused.
    pub(super) fn has_place_for(&self, id: ObjectId) -> bool {
        if id.origin != WorkerId::DRIVER {
            return !self.others.contains(id);
        }
        self.slots
            .get(index(id))
            .is_none_or(|slot| slot.object.is_none())
    }

    /// Adds an object for whose id there [is a place](Objects::has_place_for).
    pub(super) fn insert(&mut self, id: ObjectId, object: Object) {
        if id.origin != WorkerId::DRIVER {
            self.others.insert(id, object);
            return;
        }
        let at = index(id);
        while self.slots.len() <= at {
            if self.slots.len() < at {
                self.free.push(self.slots.len() as u32);
            }
            self.slots.push(Slot {
                generation: self.base,
                object: None,
            });
        }
        self.slots[at] = Slot {
            generation: generation(id),
            object: Some(object),
        };
        self.taken += 1;
        if self.free.last() == Some(&(at as u32)) {
            self.free.pop();
        }
    }

    pub(super) fn remove(&mut self, id: ObjectId) -> Option<Object> {
        if id.origin != WorkerId::DRIVER {
            return self.others.remove(id);
        }
        let slot = self.slots.get_mut(index(id))?;
        if slot.generation != generation(id) {
            return None;
        }
        let object = slot.object.take()?;
        // A slot without a further generation is not reused.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.newest = self.newest.max(next);
            self.free.push(index(id) as u32);
        }
        self.taken -= 1;
        if self.taken == 0 && self.slots.len() > KEEP && self.newest < LAST_BASE {
            self.slots = Vec::new();
            self.free = Vec::new();
            self.base = self.newest;
        }
        Some(object)
    }

    pub(super) fn len(&self) -> usize {
        self.taken + self.others.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ObjectId, &Object)> {
        let driver = self.slots.iter().enumerate().filter_map(|(n, slot)| {
            let object = slot.object.as_ref()?;
            Some((driver_id(n as u32, slot.generation), object))
        });
        driver.chain(self.others.iter())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (ObjectId, &mut Object)> {
        let driver = self.slots.iter_mut().enumerate().filter_map(|(n, slot)| {
            let id = driver_id(n as u32, slot.generation);
            Some((id, slot.object.as_mut()?))
        });
        driver.chain(self.others.iter_mut())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Weak};

    use mobula_protocol::Error;

    use super::*;
    use crate::scheduler::object::ObjectState;

    fn object() -> Object {
        Object {
            state: ObjectState::Failed(Error::internal("an object")),
            refs: 1,
            handles: 1,
            pins: 0,
            entry: Weak::new(),
        }
    }

    fn add(objects: &mut Objects) -> ObjectId {
        let id = objects.mint();
        objects.insert(id, object());
        id
    }

    #[test]
    fn no_id_comes_twice_also_when_the_memory_was_given_back() {
        let mut objects = Objects::default();
        let mut seen = HashSet::new();
        for round in 0..5 {
            let ids: Vec<_> = (0..2 * KEEP).map(|_| add(&mut objects)).collect();
            assert!(ids.iter().all(|id| seen.insert(*id)), "round {round}");
            assert_eq!(objects.len(), ids.len());
            for id in ids {
                assert!(objects.remove(id).is_some() && objects.remove(id).is_none());
            }
            assert!(objects.slots.is_empty());
            // A few uses of one slot in between.
            for _ in 0..3 {
                let id = add(&mut objects);
                assert!(seen.insert(id));
                objects.remove(id);
            }
        }
    }

    #[test]
    fn a_slot_without_generations_left_is_not_used_again() {
        let mut objects = Objects::default();
        let id = driver_id(0, u32::MAX - 1);
        objects.insert(id, object());
        objects.remove(id);
        let last = add(&mut objects);
        assert_eq!(last, driver_id(0, u32::MAX));
        objects.remove(last);
        let next = add(&mut objects);
        assert_eq!(next, driver_id(1, 0));
        assert!(objects.get(last).is_none() && objects.get(id).is_none());
    }
}
