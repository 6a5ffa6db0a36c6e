//! Workers by load, to find the worker with the least load at once. A load is any number, such as a
//! worker's [rank](super::worker::Worker::rank).
//!
//! Each load has a row of bits, one for each worker by its index. One more row marks the loads that
//! have a worker.

use super::worker_index::WorkerIndex;

/// Number of workers in a word of a row.
const WORD: usize = 64;

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Loads {
    /// The words of all rows, one row after the other.
    bits: Vec<u64>,
    /// Number of words in a row.
    width: usize,
    /// Number of rows.
    rows: usize,
    /// One bit for each row with a worker.
    taken: Vec<u64>,
}

impl Default for Loads {
    fn default() -> Loads {
        Loads {
            bits: Vec::new(),
            width: 1,
            rows: 0,
            taken: Vec::new(),
        }
    }
}

impl Loads {
    /// Lists the worker with this index under this load. The worker must not be listed.
    #[inline]
    fn insert(&mut self, load: u32, WorkerIndex(index): WorkerIndex) {
        let load = load as usize;
        if index >= self.width * WORD || load >= self.rows {
            self.grow(load, index);
        }
        self.bits[load * self.width + index / WORD] |= 1 << (index % WORD);
        self.taken[load / WORD] |= 1 << (load % WORD);
    }

    /// Removes the worker with this index from this load. The worker must be listed with this load.
    #[inline]
    fn remove(&mut self, load: u32, WorkerIndex(index): WorkerIndex) {
        let load = load as usize;
        let word = &mut self.bits[load * self.width + index / WORD];
        *word &= !(1 << (index % WORD));
        // Fast path: up to 64 workers have one word in a row.
        let empty = *word == 0;
        if empty && (self.width == 1 || self.row(load).iter().all(|word| *word == 0)) {
            self.taken[load / WORD] &= !(1 << (load % WORD));
        }
    }

    /// Moves the worker with this index to another load, or off the list.
    #[inline]
    pub(super) fn relist(
        &mut self,
        index: WorkerIndex,
        listed: &mut Option<u32>,
        load: Option<u32>,
    ) {
        if *listed != load {
            if let Some(old) = std::mem::replace(listed, load) {
                self.remove(old, index);
            }
            if let Some(load) = load {
                self.insert(load, index);
            }
        }
    }

    /// Returns the least load and the index of the first worker with it. Costs one step for each 64
    /// workers.
    #[inline]
    pub(super) fn least(&self) -> Option<(u32, WorkerIndex)> {
        let load = first(&self.taken)?;
        Some((load as u32, WorkerIndex(first(self.row(load))?)))
    }

    /// Returns the least load and the index of the first worker with it, among some workers. Costs
    /// one step for each 64 workers, for each listed load up to the result.
    #[inline]
    pub(super) fn least_of(&self, some: &WorkerSet) -> Option<(u32, WorkerIndex)> {
        for (n, &loads) in self.taken.iter().enumerate() {
            let mut loads = loads;
            while loads != 0 {
                let load = n * WORD + loads.trailing_zeros() as usize;
                for (n, (all, some)) in self.row(load).iter().zip(&some.0).enumerate() {
                    let both = all & some;
                    if both != 0 {
                        let index = n * WORD + both.trailing_zeros() as usize;
                        return Some((load as u32, WorkerIndex(index)));
                    }
                }
                loads &= loads - 1;
            }
        }
        None
    }

    #[inline]
    fn row(&self, load: usize) -> &[u64] {
        &self.bits[load * self.width..][..self.width]
    }

    #[cold]
    fn grow(&mut self, load: usize, index: usize) {
        let rows = self.rows.max(load + 1);
        let width = self.width.max((index / WORD + 1).next_power_of_two());
        let mut bits = vec![0; width * rows];
        for (old, new) in self.bits.chunks(self.width).zip(bits.chunks_mut(width)) {
            new[..old.len()].copy_from_slice(old);
        }
        self.taken.resize(rows.div_ceil(WORD), 0);
        (self.bits, self.width, self.rows) = (bits, width, rows);
    }

    /// Returns all loads and indexes in order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, WorkerIndex)> + '_ {
        self.bits.iter().enumerate().flat_map(|(n, word)| {
            let (load, first) = (n / self.width, n % self.width * WORD);
            let bits = (0..WORD).filter(move |bit| word >> bit & 1 == 1);
            bits.map(move |bit| (load as u32, WorkerIndex(first + bit)))
        })
    }
}

/// A set of workers, by their indexes.
#[derive(Clone, Debug, Default)]
pub(super) struct WorkerSet(Vec<u64>);

impl WorkerSet {
    pub(super) fn insert(&mut self, WorkerIndex(index): WorkerIndex) {
        if index / WORD >= self.0.len() {
            self.0.resize(index / WORD + 1, 0);
        }
        self.0[index / WORD] |= 1 << (index % WORD);
    }

    pub(super) fn remove(&mut self, WorkerIndex(index): WorkerIndex) {
        if let Some(word) = self.0.get_mut(index / WORD) {
            *word &= !(1 << (index % WORD));
        }
    }

    /// Returns the number of workers.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    #[cfg(test)]
    pub(super) fn contains(&self, WorkerIndex(index): WorkerIndex) -> bool {
        let word = self.0.get(index / WORD);
        word.is_some_and(|word| word >> (index % WORD) & 1 == 1)
    }
}

#[inline]
fn first(words: &[u64]) -> Option<usize> {
    let at = words.iter().position(|word| *word != 0)?;
    Some(at * WORD + words[at].trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::scheduler::tests::Dice;

    #[test]
    fn finds_what_a_sorted_set_finds() {
        let mut dice = Dice(7);
        let (mut loads, mut plain) = (Loads::default(), BTreeSet::new());
        let mut some = WorkerSet::default();
        for step in 0..20_000 {
            let workers = if step % 2 == 0 {
                5
            } else {
                4_096.min(step + 1)
            };
            let entry = (dice.below(70) as u32, WorkerIndex(dice.below(workers)));
            if plain.remove(&entry) {
                loads.remove(entry.0, entry.1);
            } else {
                plain.insert(entry);
                loads.insert(entry.0, entry.1);
            }
            assert_eq!(loads.least(), plain.first().copied());
            let index = WorkerIndex(dice.below(workers));
            match some.contains(index) {
                true => some.remove(index),
                false => some.insert(index),
            }
            let first = plain.iter().find(|(_, index)| some.contains(*index));
            assert_eq!(loads.least_of(&some), first.copied());
            if step % 1_000 == 0 {
                assert!(loads.iter().eq(plain.iter().copied()));
            }
        }
        for entry in plain {
            loads.remove(entry.0, entry.1);
        }
        assert_eq!(loads.least(), None);
    }
}
