//! `ndarray`: arrays and views, stored with their shape and seen in place.
//!
//! Elements are stored in row-major order, whatever the array's own layout is.

mod arg;
mod array;
mod codec;

use mobula_store::Plain;
use mobula_worker::{INLINE_LIMIT, Payload, Result};
use ndarray::{ArrayView, Dimension, Ix1, Ix2, Ix3, Ix4, IxDyn};

pub use array::NdArray;
pub use codec::{FlatNd, Resolved, ViewParam};

use super::{
    bytes::{flat, flat_block, has_size},
    flat::{Types, give, same},
    place::Place,
};

type Owned<E, D> = ndarray::Array<E, D>;

/// An array in its stored form. One that is not in row-major order is brought into it.
///
/// # Errors
/// The store is full.
fn payload<E: Plain, D: Dimension>(
    array: ArrayView<'_, E, D>,
    place: Place<'_>,
) -> Result<Payload> {
    const {
        assert!(
            has_size::<E>(),
            "elements of size zero cannot be stored as an array"
        )
    };
    if let Some(elements) = array.as_slice() {
        return flat(elements, array.shape(), place);
    }
    let bytes = array.len() * size_of::<E>();
    let heap = match bytes {
        0..=INLINE_LIMIT => None,
        _ => place.with_heap(|heap| heap.cloned()),
    };
    let Some(heap) = heap else {
        let elements: Vec<E> = array.iter().copied().collect();
        return flat(&elements, array.shape(), place);
    };
    let mut building = heap.reserve(bytes, align_of::<E>().max(64))?;
    for (to, from) in building
        .bytes_mut()
        .chunks_exact_mut(size_of::<E>())
        .zip(&array)
    {
        to.copy_from_slice(bytemuck::bytes_of(from));
    }
    Ok(flat_block::<E>(building.seal().block(), array.shape()))
}

fn learn<E: Plain, D: Dimension + 'static>(types: &mut Types) {
    types.insert::<Owned<E, D>>(
        |value, place| payload(same::<Owned<E, D>>(value).view(), place),
        |payload, to| {
            give::<Owned<E, D>>(to, NdArray::<E, D>::read(payload)?.view().to_owned());
            Ok(())
        },
    );
}

/// Adds the usual ranks.
pub(crate) fn learn_all<E: Plain>(types: &mut Types) {
    learn::<E, Ix1>(types);
    learn::<E, Ix2>(types);
    learn::<E, Ix3>(types);
    learn::<E, Ix4>(types);
    learn::<E, IxDyn>(types);
}
