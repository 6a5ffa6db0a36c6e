//! The form of the bytes beyond MessagePack: extension types, heads, limits.

/// The deepest nesting of a value, in levels.
///
/// Each collection, tuple, struct, `Some`, array or ref is a level. A variant with data is one,
/// too, and struct and tuple variants are two. The deepest value of ordinary types fits into the 2
/// MiB of a thread's stack, also in unoptimised code.
pub const MAX_DEPTH: u16 = 128;

/// Whether a type with two forms is asked for the readable one.
///
/// The compact form would be smaller. But serde's buffers (of untagged and internally tagged enums
/// and of flattened fields) ask for the readable form, and would not find it.
pub(super) const HUMAN_READABLE: bool = true;

/// Extension types.
pub(super) mod ext {
    /// `Some` of what the payload encodes: nil, or such an extension again.
    pub(crate) const SOME: u8 = 0x30;
    /// A sequence of `u8`, a byte each.
    pub(crate) const BYTES: u8 = 0x31;
    /// An `i128`, big-endian.
    pub(crate) const I128: u8 = 0x32;
    /// A `u128`, big-endian.
    pub(crate) const U128: u8 = 0x33;
    /// An item out of band. The payload encodes which item it is.
    pub(crate) const HANDLE: u8 = 0x34;
    /// An extension of the user. The payload encodes its type and bytes.
    pub(crate) const FOREIGN: u8 = 0x35;
}

/// MessagePack's marker of nil. `()` and `None` are this one byte.
pub const NIL: u8 = 0xc0;

/// The number of bytes for the kind, the index and the tag of a handle.
pub(super) const HANDLE_BYTES: usize = 13;

/// The bytes before them: the heads of the extension and of the map, nil, and the head of the
/// bytes.
pub(super) const HANDLE_HEAD: [u8; 7] = [0xc7, 17, ext::HANDLE, 0x81, NIL, 0xc4, 13];

/// Returns whether it is the marker of nil, a truth value or a number.
#[inline]
pub(super) fn is_scalar(marker: u8) -> bool {
    matches!(marker, 0x00..=0x7f | NIL | 0xc2 | 0xc3 | 0xca..=0xd3 | 0xe0..=0xff)
}

/// The largest number of bytes of a string, or of elements of a collection.
pub(super) const MAX_LEN: usize = u32::MAX as usize;

/// Returns the head of an extension: its bytes, and how many of them count.
pub(super) fn ext_head(code: u8, len: u32) -> ([u8; 6], usize) {
    let mut head = [0; 6];
    let (marker, width) = match len {
        1 => (0xd4, 0),
        2 => (0xd5, 0),
        4 => (0xd6, 0),
        8 => (0xd7, 0),
        16 => (0xd8, 0),
        0..=0xff => (0xc7, 1),
        0x100..=0xffff => (0xc8, 2),
        _ => (0xc9, 4),
    };
    head[0] = marker;
    head[1..=width].copy_from_slice(&len.to_be_bytes()[4 - width..]);
    head[width + 1] = code;
    (head, width + 2)
}

/// Returns whether a value with this encoding would be lost inside `Some`: nil, or `Some` of such a
/// value.
pub(super) fn reads_as_none(value: &[u8]) -> bool {
    let code = match value.first() {
        Some(&NIL) => return true,
        Some(0xd4..=0xd8) => value.get(1),
        Some(0xc7) => value.get(2),
        Some(0xc8) => value.get(3),
        Some(0xc9) => value.get(5),
        _ => return false,
    };
    code == Some(&ext::SOME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_those_of_the_specification() {
        for (len, wanted) in [
            (0, &[0xc7, 0, 9][..]),
            (1, &[0xd4, 9]),
            (2, &[0xd5, 9]),
            (3, &[0xc7, 3, 9]),
            (4, &[0xd6, 9]),
            (8, &[0xd7, 9]),
            (16, &[0xd8, 9]),
            (255, &[0xc7, 255, 9]),
            (256, &[0xc8, 1, 0, 9]),
            (65_535, &[0xc8, 255, 255, 9]),
            (65_536, &[0xc9, 0, 1, 0, 0, 9]),
            (u32::MAX, &[0xc9, 255, 255, 255, 255, 9]),
        ] {
            let (head, n) = ext_head(9, len);
            assert_eq!(&head[..n], wanted, "{len}");
        }
    }

    #[test]
    fn some_is_recognised_under_each_head() {
        for len in [1, 2, 3, 4, 8, 16, 255, 256, 65_536] {
            let (head, n) = ext_head(ext::SOME, len);
            assert!(reads_as_none(&head[..n]), "{len}");
            let (head, n) = ext_head(ext::BYTES, len);
            assert!(!reads_as_none(&head[..n]), "{len}");
        }
        assert!(reads_as_none(&[NIL]));
        assert!(!reads_as_none(&[]) && !reads_as_none(&[0x90]) && !reads_as_none(&[0xc7]));
    }
}
