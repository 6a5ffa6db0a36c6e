//! Hashing of offsets in a segment.

use std::hash::{BuildHasherDefault, Hasher};

/// A map from offsets. Its keys are of the heap's own making, so nobody can choose them to collide.
pub(crate) type OffsetMap<V> = std::collections::HashMap<u64, V, BuildHasherDefault<OffsetHasher>>;

/// Spreads numbers that are multiples of something by one multiplication.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OffsetHasher(u64);

impl Hasher for OffsetHasher {
    fn write_u64(&mut self, offset: u64) {
        // 2^64 divided by the golden ratio. The upper half of the product depends on all bits of
        // the offset; the map looks at both ends of the result.
        let product = (self.0 ^ offset).wrapping_mul(0x9e37_79b9_7f4a_7c15);
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
        let hash = |offset: u64| BuildHasherDefault::<OffsetHasher>::default().hash_one(offset);
        for step in [64, 4096, 2 << 20, 800 << 20] {
            let of = |part: fn(u64) -> u64| {
                let parts: HashSet<u64> = (0..1024).map(|i| part(hash(i * step))).collect();
                parts.len()
            };
            assert_eq!(of(|hash| hash >> 57), 128, "step {step}");
            // Chance would give 647.
            assert!(of(|hash| hash % 1024) > 400, "step {step}");
        }
    }
}
