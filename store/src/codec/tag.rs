//! Numbers that stand for types.

use std::{
    any::TypeId,
    hash::{Hash, Hasher},
};

/// Returns a number that stands for the type `T`. All processes that run one program have the same
/// number for it. It is the compiler's identity of the type, in 64 bits. Another build of the
/// program may have another number.
///
/// Costs nothing: it is a constant after optimisation.
#[inline]
pub fn type_tag<T: 'static>() -> u64 {
    let mut mix = Mix(0);
    TypeId::of::<T>().hash(&mut mix);
    mix.0
}

/// A hasher for input that is mixed already.
struct Mix(u64);

impl Hasher for Mix {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.0 = self.0.rotate_left(23).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number;
    }
}

/// Returns a description of the tag's type for people: the name of a usual element type.
pub(super) fn describe(tag: u64) -> String {
    macro_rules! find {
        ($($t:ty)*) => { [$((type_tag::<$t>(), stringify!($t))),*] };
    }
    let known = find![u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 bool char];
    match known.iter().find(|(known, _)| *known == tag) {
        Some((_, name)) => format!("`{name}`"),
        None => format!("a type with the tag {tag:#018x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_tell_types_apart() {
        let mut tags = vec![
            type_tag::<u8>(),
            type_tag::<i8>(),
            type_tag::<u64>(),
            type_tag::<f64>(),
            type_tag::<[f64; 1]>(),
            type_tag::<[f64; 2]>(),
            type_tag::<Option<f64>>(),
            type_tag::<()>(),
        ];
        assert_eq!(type_tag::<u8>(), tags[0]);
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), 8);
    }

    #[test]
    fn usual_types_have_names() {
        assert_eq!(describe(type_tag::<f32>()), "`f32`");
        assert_eq!(describe(7), "a type with the tag 0x0000000000000007");
    }
}
