//! Workers by load, so that the least laden is found at once.
//!
//! For each load there is a row of bits, one for each worker by its seat, and one more row says
//! which loads have any worker.

/// Seats that a word of a row stands for.
const WORD: usize = 64;

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Loads {
    /// Row after row.
    bits: Vec<u64>,
    /// Words in a row.
    width: usize,
    /// How many rows there are.
    rows: usize,
    /// Which rows are not empty.
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
    /// Lists the worker in this seat, which is not listed, with this load.
    #[inline]
    fn insert(&mut self, load: u32, seat: usize) {
        let load = load as usize;
        if seat >= self.width * WORD || load >= self.rows {
            self.grow(load, seat);
        }
        self.bits[load * self.width + seat / WORD] |= 1 << (seat % WORD);
        self.taken[load / WORD] |= 1 << (load % WORD);
    }

    /// Strikes off the worker in this seat, which is listed with this load.
    #[inline]
    fn remove(&mut self, load: u32, seat: usize) {
        let load = load as usize;
        let first = load * self.width;
        self.bits[first + seat / WORD] &= !(1 << (seat % WORD));
        let mut row = self.bits[first..][..self.width].iter();
        if row.all(|word| *word == 0) {
            self.taken[load / WORD] &= !(1 << (load % WORD));
        }
    }

    /// Moves the worker in this seat from the load under which it is listed to another one, or to
    /// none.
    #[inline]
    pub(super) fn relist(&mut self, seat: usize, listed: &mut Option<u32>, load: Option<u32>) {
        if *listed != load {
            if let Some(old) = std::mem::replace(listed, load) {
                self.remove(old, seat);
            }
            if let Some(load) = load {
                self.insert(load, seat);
            }
        }
    }

    /// One with the least load, the first by its seat. Costs a look for each 64 workers.
    #[inline]
    pub(super) fn least(&self) -> Option<(u32, usize)> {
        let load = first(&self.taken)?;
        let row = &self.bits[load * self.width..][..self.width];
        Some((load as u32, first(row)?))
    }

    #[cold]
    fn grow(&mut self, load: usize, seat: usize) {
        let rows = self.rows.max(load + 1);
        let width = self.width.max((seat / WORD + 1).next_power_of_two());
        let mut bits = vec![0; width * rows];
        for (old, new) in self.bits.chunks(self.width).zip(bits.chunks_mut(width)) {
            new[..old.len()].copy_from_slice(old);
        }
        self.taken.resize(rows.div_ceil(WORD), 0);
        (self.bits, self.width, self.rows) = (bits, width, rows);
    }

    /// All that are listed, in order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, usize)> + '_ {
        self.bits.iter().enumerate().flat_map(|(n, word)| {
            let (load, first) = (n / self.width, n % self.width * WORD);
            let bits = (0..WORD).filter(move |bit| word >> bit & 1 == 1);
            bits.map(move |bit| (load as u32, first + bit))
        })
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
    use crate::core::tests::Dice;

    #[test]
    fn finds_what_a_sorted_set_finds() {
        let mut dice = Dice(7);
        let (mut loads, mut plain) = (Loads::default(), BTreeSet::new());
        for step in 0..20_000 {
            let seats = if step % 2 == 0 {
                5
            } else {
                4_096.min(step + 1)
            };
            let entry = (dice.below(70) as u32, dice.below(seats));
            if plain.remove(&entry) {
                loads.remove(entry.0, entry.1);
            } else {
                plain.insert(entry);
                loads.insert(entry.0, entry.1);
            }
            assert_eq!(loads.least(), plain.first().copied());
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
