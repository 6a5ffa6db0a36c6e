//! `ndarray`: arrays and views, stored with their shape and seen in place.
//!
//! Elements are stored in row-major order, whatever the array's own layout is. The stored form is
//! the same for all supported versions of `ndarray`. The types of each version are their own, so
//! [`version`] implements the traits for each of them, and [`NdDim`] names them for the other code.

mod array;
mod codec;
mod dim;
mod version;

use mobula_protocol::{INLINE_LIMIT, Payload, Result};
use mobula_store::Plain;

pub use array::NdArray;
pub use codec::{FlatNd, Resolved};
pub use dim::NdDim;
pub(crate) use version::learn_all;

use super::{
    bytes::{flat, flat_block, has_size},
    flat::{Types, give, same},
    place::Place,
};

/// Returns the stored form of an array, from its elements in row-major order. `slice` has the
/// elements if they lie in that order in memory.
///
/// # Errors
/// The store is full.
fn payload<'a, E: Plain>(
    slice: Option<&[E]>,
    elements: impl ExactSizeIterator<Item = &'a E>,
    shape: &[usize],
    place: Place<'_>,
) -> Result<Payload> {
    const {
        assert!(
            has_size::<E>(),
            "elements of size zero cannot be stored as an array"
        )
    };
    if let Some(elements) = slice {
        return flat(elements, shape, place);
    }
    let bytes = elements.len() * size_of::<E>();
    let heap = match bytes {
        0..=INLINE_LIMIT => None,
        _ => place.with_heap(|heap| heap.cloned()),
    };
    let Some(heap) = heap else {
        let elements: Vec<E> = elements.copied().collect();
        return flat(&elements, shape, place);
    };
    let mut building = heap.reserve(bytes, align_of::<E>().max(64))?;
    for (to, from) in building
        .bytes_mut()
        .chunks_exact_mut(size_of::<E>())
        .zip(elements)
    {
        to.copy_from_slice(bytemuck::bytes_of(from));
    }
    Ok(flat_block::<E>(building.seal().block(), shape))
}

fn learn<E: Plain, D: NdDim>(types: &mut Types) {
    types.insert::<D::Owned<E>>(
        |value, place| D::payload(same::<D::Owned<E>>(value), place),
        |payload, to| {
            give::<D::Owned<E>>(to, NdArray::<E, D>::stored(payload)?.to_owned());
            Ok(())
        },
    );
}
