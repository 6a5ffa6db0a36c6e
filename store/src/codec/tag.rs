//! Numbers that stand for types.

use std::any::type_name;

/// A number that stands for the type `T`, the same in all processes that run one program: FNV-1a
/// over the type's name, size and alignment.
///
/// It guards against mix-ups. Two types of one name, size and alignment (from two versions of one
/// crate, say) share it.
pub fn type_tag<T: 'static>() -> u64 {
    let layout = [size_of::<T>() as u64, align_of::<T>() as u64];
    let layout = layout.iter().flat_map(|number| number.to_le_bytes());
    type_name::<T>()
        .bytes()
        .chain(layout)
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}

/// The tag's type for people: its name where it is one of the usual element types.
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
