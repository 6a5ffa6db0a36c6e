//! Slices of stored arrays as arguments.

use mobula_protocol::{INLINE_LIMIT, Payload, Result};
use mobula_store::Plain;

use crate::typed::{
    ArraySlice,
    bytes::{flat, pack, tag},
    place::Place,
};

/// Returns the array and a range. Few elements are copied instead, and so are elements outside of a
/// store.
///
/// # Errors
/// The store is full.
pub(super) fn payload<E: Plain>(slice: &ArraySlice<E>) -> Result<Payload> {
    if !slice.is_stored() || size_of_val(&slice[..]) <= INLINE_LIMIT {
        return flat(slice, &[slice.len()], Place::Current);
    }
    pack(slice, tag::<ArraySlice<E>>(), Place::Current)
}
