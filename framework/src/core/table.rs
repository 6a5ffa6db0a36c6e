//! The objects by their ids.
//!
//! Objects of the driver, which in most programs are nearly all, lie in a vector of slots: their
//! ids say where. A slot that is free is used again, the latest first, with another generation, so
//! that the memory in use is small and warm, and an old id finds nothing. Workers count their ids
//! out without asking, so for theirs there is a map.

use mobula_worker::{ObjectId, WorkerId};

use super::{map::IdMap, state::Object};

/// Slots that are kept when all of them are free.
const KEEP: usize = 1 << 12;

#[derive(Debug, Default)]
pub(super) struct Objects {
    slots: Vec<Slot>,
    /// Slots that were given back, the latest last. One may be in use again without having been
    /// taken from here.
    free: Vec<u32>,
    /// How many slots have an object.
    taken: usize,
    /// The generation that new slots begin with: later than that of each slot given back.
    newest: u32,
    others: IdMap<ObjectId, Object>,
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
        driver_id(self.slots.len() as u32, self.newest)
    }

    #[inline]
    pub(super) fn get(&self, id: ObjectId) -> Option<&Object> {
        if id.origin != WorkerId::DRIVER {
            return self.others.get(&id);
        }
        let slot = self.slots.get(index(id))?;
        slot.object
            .as_ref()
            .filter(|_| slot.generation == generation(id))
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: ObjectId) -> Option<&mut Object> {
        if id.origin != WorkerId::DRIVER {
            return self.others.get_mut(&id);
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
            return !self.others.contains_key(&id);
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
                generation: self.newest,
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
            return self.others.remove(&id);
        }
        let slot = self.slots.get_mut(index(id))?;
        if slot.generation != generation(id) {
            return None;
        }
        let object = slot.object.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index(id) as u32);
        self.newest = self.newest.max(slot.generation);
        self.taken -= 1;
        if self.taken == 0 && self.slots.len() > KEEP {
            self.slots = Vec::new();
            self.free = Vec::new();
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
        driver.chain(self.others.iter().map(|(&id, object)| (id, object)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (ObjectId, &mut Object)> {
        let driver = self.slots.iter_mut().enumerate().filter_map(|(n, slot)| {
            let id = driver_id(n as u32, slot.generation);
            Some((id, slot.object.as_mut()?))
        });
        driver.chain(self.others.iter_mut().map(|(&id, object)| (id, object)))
    }
}
