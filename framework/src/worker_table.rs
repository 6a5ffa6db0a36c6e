//! A table by worker.

use std::ops::Index;

use mobula_protocol::WorkerId;

/// Items, one for each worker, sorted by the workers' ids.
///
/// Nearly each step of the scheduler looks for a worker. A waiting thread checks all workers many
/// times per microsecond. The ids of workers are consecutive until one is gone, so mostly an id
/// tells its place. A hash would take more code. The code for a short task does not fit into the
/// processor's caches, and its length decides about the time.
#[derive(Debug)]
pub(crate) struct WorkerTable<T> {
    ids: Vec<WorkerId>,
    /// In the order of `ids`.
    items: Vec<T>,
}

impl<T> Default for WorkerTable<T> {
    fn default() -> WorkerTable<T> {
        WorkerTable {
            ids: Vec::new(),
            items: Vec::new(),
        }
    }
}

impl<T> WorkerTable<T> {
    // Not inlined: a call takes less code than this function.
    #[inline(never)]
    fn position(&self, id: WorkerId) -> Option<usize> {
        // A lower id, such as the driver's, is not in the table.
        let guess = id.0.checked_sub(self.ids.first()?.0)? as usize;
        if self.ids.get(guess) == Some(&id) {
            return Some(guess);
        }
        self.search(id)
    }

    #[cold]
    fn search(&self, id: WorkerId) -> Option<usize> {
        self.ids.binary_search(&id).ok()
    }

    #[inline]
    pub(crate) fn get(&self, id: WorkerId) -> Option<&T> {
        self.items.get(self.position(id)?)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: WorkerId) -> Option<&mut T> {
        let position = self.position(id)?;
        self.items.get_mut(position)
    }

    pub(crate) fn contains(&self, id: WorkerId) -> bool {
        self.position(id).is_some()
    }

    /// Adds the item of a worker, or replaces it. Moves no other item if the id is the highest so
    /// far, like the id of a new worker.
    pub(crate) fn insert(&mut self, id: WorkerId, item: T) {
        match self.ids.binary_search(&id) {
            Ok(at) => self.items[at] = item,
            Err(at) => {
                self.ids.insert(at, id);
                self.items.insert(at, item);
            }
        }
    }

    /// Removes the item of a worker. Costs the number of items behind it.
    pub(crate) fn remove(&mut self, id: WorkerId) -> Option<T> {
        let at = self.position(id)?;
        self.ids.remove(at);
        Some(self.items.remove(at))
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn ids(&self) -> &[WorkerId] {
        &self.ids
    }

    #[inline]
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    #[inline]
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut()
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, &T)> {
        self.ids.iter().copied().zip(&self.items)
    }

    #[inline]
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (WorkerId, &mut T)> {
        self.ids.iter().copied().zip(&mut self.items)
    }
}

/// # Panics
/// The worker is not in the table.
impl<T> Index<WorkerId> for WorkerTable<T> {
    type Output = T;

    fn index(&self, id: WorkerId) -> &T {
        self.get(id).expect("the worker is in the table")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn finds_what_a_sorted_map_finds() {
        let mut state = 11_u64;
        let mut below = |limit: u32| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((state >> 33) % u64::from(limit)) as u32
        };
        let (mut table, mut map) = (WorkerTable::default(), BTreeMap::new());
        let mut next = 1;
        for step in 0..20_000_u32 {
            let some = WorkerId(below(next + 3));
            match below(6) {
                0 | 1 if map.len() < 40 => {
                    // Ids of new workers, with a gap now and then.
                    next += 1 + u32::from(below(9) == 0);
                    table.insert(WorkerId(next), step);
                    map.insert(WorkerId(next), step);
                }
                2 => {
                    table.insert(some, step);
                    map.insert(some, step);
                }
                3 | 4 => assert_eq!(table.remove(some), map.remove(&some)),
                _ => {
                    if let Some(item) = table.get_mut(some) {
                        *item += 1;
                    }
                    map.entry(some).and_modify(|item| *item += 1);
                }
            }
            assert_eq!(table.get(some), map.get(&some));
            assert_eq!(table.contains(some), map.contains_key(&some));
            assert_eq!(table.len(), map.len());
            if step % 64 == 0 {
                assert!(table.iter().eq(map.iter().map(|(id, item)| (*id, item))));
                assert!(table.ids().iter().eq(map.keys()));
            }
        }
    }
}
