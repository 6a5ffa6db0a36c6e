//! Results that came before their turn.

use mobula_store::NumberMap;

/// Parts of a row that came before their turn, by the place of their first result.
pub(super) struct Early<T> {
    places: Places,
    parts: Vec<(u64, T)>,
}

impl<T> Early<T> {
    pub(super) fn new() -> Early<T> {
        Early {
            places: Places::default(),
            parts: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    pub(super) fn insert(&mut self, first: usize, part: T) {
        let first = first as u64;
        self.places.set(first, self.parts.len());
        self.parts.push((first, part));
    }

    pub(super) fn contains(&self, first: usize) -> bool {
        self.places.contains(first as u64)
    }

    /// Removes and returns the part that begins at this place.
    pub(super) fn remove(&mut self, first: usize) -> Option<T> {
        let at = self.places.take(first as u64)?;
        let (_, part) = self.parts.swap_remove(at);
        if let Some((moved, _)) = self.parts.get(at) {
            self.places.set(*moved, at);
        }
        Some(part)
    }
}

/// The index of each part. The type has no parameter. So the compiler makes the table's code once,
/// and not for each type of results of a program.
#[derive(Default)]
struct Places(NumberMap<u64, usize>);

impl Places {
    fn set(&mut self, first: u64, at: usize) {
        self.0.insert(first, at);
    }

    fn contains(&self, first: u64) -> bool {
        self.0.contains_key(&first)
    }

    fn take(&mut self, first: u64) -> Option<usize> {
        self.0.remove(&first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_out_by_their_places_in_any_order() {
        let mut early = Early::new();
        for first in [40, 10, 30, 20] {
            early.insert(first, first + 1);
        }
        assert!(early.contains(30) && !early.contains(31));
        for first in [10, 40, 20, 30] {
            assert_eq!(early.remove(first), Some(first + 1));
            assert_eq!(early.remove(first), None);
        }
        assert_eq!(early.len(), 0);
    }
}
