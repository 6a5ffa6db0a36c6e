//! Slices of stored arrays as arguments.

use mobula_protocol::{INLINE_LIMIT, Payload, Result};
use mobula_store::Plain;

use crate::typed::{
    ArraySlice,
    bytes::{flat, pack, tag},
    place::Place,
};

/// The array and a range, or a copy of few elements and of those that lie nowhere else.
///
/// # Errors
/// The store is full.
pub(super) fn payload<E: Plain>(slice: &ArraySlice<E>) -> Result<Payload> {
    if !slice.is_stored() || size_of_val(&slice[..]) <= INLINE_LIMIT {
        return flat(slice, &[slice.len()], Place::Current);
    }
    pack(slice, tag::<ArraySlice<E>>(), Place::Current)
}
