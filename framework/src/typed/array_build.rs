//! Arrays that are built in place.

use bytemuck::Zeroable;
use mobula_protocol::{Error, INLINE_LIMIT, Result};
use mobula_store::{Array, Plain};

use super::place::Place;

/// Builds an [`Array`](crate::Array) in place: `Array::build(..)`. It is part of the prelude.
///
/// # Examples
/// ```
/// use mobula::{Array, prelude::*};
///
/// let squares: Array<u64> = Array::build(10, |out| {
///     for (n, out) in (0..).zip(out) {
///         *out = n * n;
///     }
/// })?;
/// assert_eq!(squares[9], 81);
/// # Ok::<(), mobula::Error>(())
/// ```
pub trait ArrayBuild: Sized {
    /// The type of the elements.
    type Element;

    /// Builds an array of `len` elements.
    ///
    /// A large array is built in the store. Then a remote function returns it, `put` takes it and a
    /// call passes it without a copy. In a process with several runtimes, or none, it is built in
    /// private memory.
    ///
    /// `fill` gets valid elements of any value, since memory that was in use before comes
    /// unchanged. It must write all of them, or `fill(..)` them first.
    ///
    /// # Examples
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
    ///
    /// # Errors
    /// [`is_store_full`](crate::Error::is_store_full) when there is no room.
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
