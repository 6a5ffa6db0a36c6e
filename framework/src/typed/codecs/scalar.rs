//! Encodes numbers, truth values and unit without serde. The bytes are the codec's, but take only
//! some instructions. Programs make millions of calls with such arguments and results.

use std::any::Any;

use mobula_protocol::{Format, Payload};
use mobula_store::{Block, codec::NIL};

use crate::typed::bytes::tag;

// MessagePack's other markers.
const FALSE: u8 = 0xc2;
const TRUE: u8 = 0xc3;
const F32: u8 = 0xca;
const F64: u8 = 0xcb;
/// The marker of an unsigned number of one byte. The markers of two, four and eight bytes follow.
const UNSIGNED: u8 = 0xcc;
const SIGNED: u8 = 0xd0;
/// The smallest of the negative numbers that are their own markers.
const LEAST: i64 = -32;

/// The encoded value, as one word. A copy of bytes that were just stored in several pieces would
/// wait for these stores. A call copies its arguments several times.
struct Bytes {
    /// The first byte is the lowest one.
    word: u128,
    len: usize,
}

impl Bytes {
    #[inline]
    fn one(byte: u8) -> Bytes {
        Bytes {
            word: byte.into(),
            len: 1,
        }
    }

    /// Returns a marker, and behind it the lowest `len` bytes of `n`, the highest of them first.
    #[inline(always)]
    fn with(marker: u8, n: u64, len: usize) -> Bytes {
        let highest_first = (n << (64 - 8 * len)).swap_bytes();
        Bytes {
            word: u128::from(marker) | u128::from(highest_first) << 8,
            len: 1 + len,
        }
    }

    #[inline(always)]
    fn unsigned(n: u64) -> Bytes {
        match n {
            0..0x80 => Bytes::one(n as u8),
            0x80..=0xff => Bytes::with(UNSIGNED, n, 1),
            0x100..=0xffff => Bytes::with(UNSIGNED + 1, n, 2),
            0x1_0000..=0xffff_ffff => Bytes::with(UNSIGNED + 2, n, 4),
            _ => Bytes::with(UNSIGNED + 3, n, 8),
        }
    }

    #[inline]
    fn signed(n: i64) -> Bytes {
        if let Ok(n) = u64::try_from(n) {
            return Bytes::unsigned(n);
        }
        match n {
            LEAST.. => Bytes::one(n as u8),
            -0x80.. => Bytes::with(SIGNED, n as u64, 1),
            -0x8000.. => Bytes::with(SIGNED + 1, n as u64, 2),
            -0x8000_0000.. => Bytes::with(SIGNED + 2, n as u64, 4),
            _ => Bytes::with(SIGNED + 3, n as u64, 8),
        }
    }
}

/// Returns the value as a payload, if it is a scalar.
#[inline]
pub(crate) fn encode<T: Any>(value: &T) -> Option<Payload> {
    let Bytes { word, len } = bytes(value)?;
    let mut bytes = [0; Block::SMALL];
    bytes[..size_of::<u128>()].copy_from_slice(&word.to_le_bytes());
    Some(Payload {
        format: Format::Packed { of: tag::<T>() },
        block: Block::from_small(bytes, len),
        attachments: Vec::new(),
    })
}

/// Returns the bytes of a scalar. The function is generic, since the compiler drops the tests of a
/// type that it knows.
#[inline]
fn bytes<T: Any>(value: &T) -> Option<Bytes> {
    let value: &dyn Any = value;
    macro_rules! numbers {
        ($($type:ty: $write:ident as $wide:ty;)*) => { $(
            if let Some(n) = value.downcast_ref::<$type>() {
                return Some(Bytes::$write(*n as $wide));
            }
        )* };
    }
    numbers! {
        u64: unsigned as u64;
        u32: unsigned as u64;
        usize: unsigned as u64;
        u16: unsigned as u64;
        u8: unsigned as u64;
        i64: signed as i64;
        i32: signed as i64;
        isize: signed as i64;
        i16: signed as i64;
        i8: signed as i64;
    }
    if let Some(x) = value.downcast_ref::<f64>() {
        Some(Bytes::with(F64, x.to_bits(), 8))
    } else if let Some(x) = value.downcast_ref::<f32>() {
        Some(Bytes::with(F32, x.to_bits().into(), 4))
    } else if let Some(x) = value.downcast_ref::<bool>() {
        Some(Bytes::one(if *x { TRUE } else { FALSE }))
    } else {
        value.is::<()>().then(|| Bytes::one(NIL))
    }
}

/// Returns the integer in the bytes, in two's complement, if it is in this range. The function is
/// not generic. Otherwise a program would have its code for each of its types.
fn integer(bytes: &[u8], least: i64, most: u64) -> Option<u64> {
    let (&marker, rest) = bytes.split_first()?;
    macro_rules! read {
        ($type:ty) => {
            <$type>::from_be_bytes(rest.try_into().ok()?)
        };
    }
    let signed = match marker {
        0..0x80 if rest.is_empty() => i64::from(marker),
        0xe0..=0xff if rest.is_empty() => i64::from(marker as i8),
        0xcc => read!(u8).into(),
        0xcd => read!(u16).into(),
        0xce => read!(u32).into(),
        0xcf => {
            let n = read!(u64);
            return (n <= most).then_some(n);
        }
        0xd0 => read!(i8).into(),
        0xd1 => read!(i16).into(),
        0xd2 => read!(i32).into(),
        0xd3 => read!(i64),
        _ => return None,
    };
    let fits = signed >= least && (signed < 0 || signed as u64 <= most);
    fits.then_some(signed as u64)
}

/// Returns the bytes behind a marker, if there are so many.
#[inline]
fn behind<const N: usize>(marker: u8, bytes: &[u8]) -> Option<[u8; N]> {
    let (&first, rest) = bytes.split_first()?;
    (first == marker).then(|| rest.try_into().ok()).flatten()
}

/// Returns the scalar in a payload that holds a `T`. Returns `None` if `T` is no scalar, or if the
/// bytes are not in the form that [`encode`] writes. Then the codec reads the payload.
#[inline]
pub(crate) fn decode<T: Any>(payload: &Payload) -> Option<T> {
    let is_packed = payload.format == (Format::Packed { of: tag::<T>() });
    is_packed.then(|| read(payload.block.bytes())).flatten()
}

/// Returns the scalar in the bytes of a `T`. Returns `None` in the cases of [`decode`].
#[inline]
pub(crate) fn read<T: Any>(bytes: &[u8]) -> Option<T> {
    let mut value: Option<T> = None;
    let place: &mut dyn Any = &mut value;
    macro_rules! integers {
        ($($type:ty)*) => { $(
            if let Some(place) = place.downcast_mut::<Option<$type>>() {
                let bits = integer(bytes, <$type>::MIN as i64, <$type>::MAX as u64);
                *place = bits.map(|bits| bits as $type);
                return value;
            }
        )* };
    }
    integers!(u64 u32 usize u16 u8 i64 i32 isize i16 i8);
    if let Some(place) = place.downcast_mut::<Option<f64>>() {
        *place = behind(F64, bytes).map(f64::from_be_bytes);
    } else if let Some(place) = place.downcast_mut::<Option<f32>>() {
        *place = behind(F32, bytes).map(f32::from_be_bytes);
    } else if let Some(place) = place.downcast_mut::<Option<bool>>() {
        *place = match bytes {
            [TRUE] => Some(true),
            [FALSE] => Some(false),
            _ => None,
        };
    } else if let Some(place) = place.downcast_mut::<Option<()>>()
        && bytes == [NIL]
    {
        *place = Some(());
    }
    value
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use mobula_store::codec;

    use super::*;
    use crate::typed::Value;

    #[track_caller]
    fn same<T: Value + Debug + PartialEq + Copy>(value: T) {
        let Some(payload) = encode(&value) else {
            panic!("{value:?} is a scalar")
        };
        let plain = codec::encode(&value).unwrap().bytes;
        assert_eq!(payload.block.bytes(), plain, "{value:?}");
        assert_eq!(decode::<T>(&payload), Some(value));
        // `decode` leaves other types and longer bytes to the codec, which refuses them.
        assert_eq!(decode::<char>(&payload), None);
        let mut longer = plain.clone();
        longer.push(0);
        let longer = Payload {
            block: Block::copy_of(&longer, 1),
            ..payload
        };
        assert_eq!(decode::<T>(&longer), None, "{value:?}");
    }

    #[test]
    fn the_bytes_are_those_of_the_codec() {
        for shift in 0..64 {
            for near in [-1, 0, 1] {
                let n = (1_i128 << shift) + near;
                for n in [n, -n] {
                    macro_rules! each {
                        ($($type:ty)*) => { $(
                            if let Ok(n) = <$type>::try_from(n) {
                                same(n);
                            }
                        )* };
                    }
                    each!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);
                }
            }
        }
        for n in -40_000_i64..70_000 {
            same(n);
        }
        for x in [0.0, -0.0, 1.5, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY] {
            same(x);
            same(x as f32);
        }
        same(true);
        same(false);
        same(());
        assert!(decode::<f64>(&encode(&f64::NAN).unwrap()).unwrap().is_nan());
    }

    #[test]
    fn what_is_no_scalar_is_left_to_the_codec() {
        assert!(encode(&'c').is_none() && encode(&1_u128).is_none());
        assert!(encode(&Some(1_u8)).is_none() && encode(&"text".to_owned()).is_none());
    }

    #[test]
    fn a_number_that_does_not_fit_is_left_to_the_codec() {
        let mut payload = encode(&300_u64).unwrap();
        payload.format = Format::Packed { of: tag::<u8>() };
        assert_eq!(decode::<u8>(&payload), None);
        payload.format = Format::Packed { of: tag::<u16>() };
        assert_eq!(decode::<u16>(&payload), Some(300));
        let mut payload = encode(&-1_i64).unwrap();
        payload.format = Format::Packed { of: tag::<u64>() };
        assert_eq!(decode::<u64>(&payload), None);
    }
}
