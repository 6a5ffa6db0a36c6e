//! The objects by their ids.
//!
//! Objects of the driver, which in most programs are nearly all, lie in a vector of slots: their
//! ids say where. A slot that is free is used again, the latest first, with another generation, so
//! that the memory in use is small and warm, and an old id finds nothing. Workers count their ids
//! out without asking, so for theirs there is a map.

use mobula_protocol::{IdMap, ObjectId, WorkerId};

use super::object::Object;

/// Slots that are kept when all of them are free.
const KEEP: usize = 1 << 12;

/// From this generation on slots are kept, so that enough generations are left for new ones.
const LAST_BASE: u32 = 1 << 31;

#[derive(Debug, Default)]
pub(super) struct Objects {
    slots: Vec<Slot>,
    /// Slots that were given back, the latest last. One may be in use again without having been
    /// taken from here.
    free: Vec<u32>,
    /// How many slots have an object.
    taken: usize,
    /// The generation that new slots begin with: later than that of each slot that was thrown away.
    base: u32,
    /// The latest generation of all slots.
    newest: u32,
    others: IdMap<Object>,
}

#[derive(Debug)]
struct Slot {
    /// Of the object that is here, or of the next one.
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
    /// An id for the next object of the driver, to be [inserted](Objects::insert) before another
    /// one is minted or any object removed.
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

    /// Whether an object of this id could be inserted: there is none, and none in its place.
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
        // A slot that has used up its generations is not used again.
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
