//! Values that locks protect.

use mobula_store::codec::type_tag;

use crate::typed::shared::SharedElement;

/// Values that a [`SharedMutex`](crate::SharedMutex) or [`SharedRwLock`](crate::SharedRwLock) can
/// protect: a [`SharedElement`], or a slice of them.
///
/// # Examples
/// ```
/// use mobula::{SharedData, SharedMutex, prelude::*};
///
/// fn is_free<T: SharedData + ?Sized>(mutex: &SharedMutex<T>) -> bool {
///     matches!(mutex.try_lock(), Ok(Some(_)))
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// assert!(is_free(&rt.shared_mutex(1.5)?));
/// assert!(is_free(&rt.shared_mutex_slice(&[1, 2, 3])?));
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "a lock between processes cannot protect `{Self}`",
    note = "every bit pattern has to be a value, without padding and pointers: derive `bytemuck::Pod` and `bytemuck::Zeroable` (with `#[repr(C)]`), or protect a slice of such elements"
)]
pub trait SharedData: 'static {
    /// The type of the elements: the type itself, or that of the slice's elements.
    type Element: SharedElement;

    /// Returns the tag that tells the type from others. Not public API.
    #[doc(hidden)]
    fn tag() -> u64;

    /// Not public API.
    #[doc(hidden)]
    fn of(elements: &[Self::Element]) -> &Self;

    /// Not public API.
    #[doc(hidden)]
    fn of_mut(elements: &mut [Self::Element]) -> &mut Self;
}

impl<E: SharedElement> SharedData for E {
    type Element = E;

    fn tag() -> u64 {
        type_tag::<E>()
    }

    fn of(elements: &[E]) -> &E {
        // A lock over one value has one element.
        &elements[0]
    }

    fn of_mut(elements: &mut [E]) -> &mut E {
        &mut elements[0]
    }
}

impl<E: SharedElement> SharedData for [E] {
    type Element = E;

    fn tag() -> u64 {
        type_tag::<Vec<E>>()
    }

    fn of(elements: &[E]) -> &[E] {
        elements
    }

    fn of_mut(elements: &mut [E]) -> &mut [E] {
        elements
    }
}
