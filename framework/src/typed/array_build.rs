//! Arrays that are built where they will be read.

use bytemuck::Zeroable;
use mobula_protocol::{Error, INLINE_LIMIT, Result};
use mobula_store::{Array, Plain};

use super::place::Place;

/// Building an [`Array`](crate::Array) in place, as `Array::build(..)`. It is part of the prelude.
pub trait ArrayBuild: Sized {
    /// The type of the elements.
    type Element;

    /// Builds an array of `len` elements. A large one is built in the store: returned from a remote
    /// function, put or passed to a call it is not copied any more.
    ///
    /// `fill` gets valid elements, but nobody says which: memory that was in use before comes as it
    /// was left. It must write all of them, or `fill(..)` them first.
    ///
    /// In a process with several runtimes, or none, it is built in private memory instead.
    ///
    /// # Errors
    /// [`is_store_full`](crate::Error::is_store_full) when there is no room.
    ///
    /// # Example
    /// ```
    /// use mobula::{Array, prelude::*};
    ///
    /// #[remote]
    /// fn doubled(values: &[f64]) -> mobula::Result<Array<f64>> {
    ///     Array::build(values.len(), |out| {
    ///         for (out, value) in out.iter_mut().zip(values) {
    ///             *out = 2.0 * value;
    ///         }
    ///     })
    /// }
    ///
    /// assert_eq!(doubled(&[1.0, 2.0])?, [2.0, 4.0]);
    /// # Ok::<(), mobula::Error>(())
    /// ```
    fn build(len: usize, fill: impl FnOnce(&mut [Self::Element])) -> Result<Self>;
}

impl<E: Plain + Zeroable> ArrayBuild for Array<E> {
    type Element = E;

    fn build(len: usize, fill: impl FnOnce(&mut [E])) -> Result<Array<E>> {
        build(len, fill, Place::Current)
    }
}

pub(crate) fn build<E: Plain + Zeroable>(
    len: usize,
    fill: impl FnOnce(&mut [E]),
    place: Place<'_>,
) -> Result<Array<E>> {
    let bytes = len.checked_mul(size_of::<E>()).ok_or_else(|| {
        Error::usage(format!(
            "an array of {len} elements of {} bytes has more bytes than memory",
            size_of::<E>()
        ))
    })?;
    let heap = match bytes {
        0..=INLINE_LIMIT => None,
        _ => place.with_heap(|heap| heap.cloned()),
    };
    let Some(heap) = heap else {
        let mut elements = vec![E::zeroed(); len];
        fill(&mut elements);
        return Ok(Array::from(elements));
    };
    let mut building = heap.reserve(bytes, align_of::<E>().max(64))?;
    fill(building.elements_mut()?);
    Ok(Array::from_building(building)?)
}
