//! Hashing of numbers that this program counts itself: ids, and offsets in a segment. No user can
//! choose them to collide.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// A map whose keys are such numbers.
pub type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Spreads each number by one multiplication.
#[derive(Clone, Copy, Debug, Default)]
pub struct NumberHasher(u64);

impl Hasher for NumberHasher {
    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio. The upper half of the product depends on all bits of
        // the number. Maps use both ends of the result.
        let product = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ (product >> 32);
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, hash::BuildHasher};

    use super::*;

    #[test]
    fn regular_offsets_spread_at_both_ends() {
        let hash = |offset: u64| BuildHasherDefault::<NumberHasher>::default().hash_one(offset);
        for step in [64, 4096, 2 << 20, 800 << 20] {
            let of = |part: fn(u64) -> u64| {
                let parts: HashSet<u64> = (0..1024).map(|i| part(hash(i * step))).collect();
                parts.len()
            };
            assert_eq!(of(|hash| hash >> 57), 128, "step {step}");
            // A random hash would give 647.
            assert!(of(|hash| hash % 1024) > 400, "step {step}");
        }
    }

    #[test]
    fn pairs_of_numbers_spread_at_both_ends() {
        let hasher = BuildHasherDefault::<NumberHasher>::default();
        let hashes: Vec<u64> = (0..4_u32)
            .flat_map(|origin| (0..256_u64).map(move |number| (origin, number)))
            .map(|id| hasher.hash_one(id))
            .collect();
        let of = |part: fn(&u64) -> u64| hashes.iter().map(part).collect::<HashSet<_>>().len();
        assert_eq!(of(|hash| *hash), 1024);
        assert_eq!(of(|hash| hash >> 57), 128);
        assert!(of(|hash| hash % 1024) > 400);
    }
}
