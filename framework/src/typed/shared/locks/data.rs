//! What locks protect.

use mobula_store::codec::type_tag;

use crate::typed::shared::SharedElement;

/// What a [`SharedMutex`](crate::SharedMutex) or [`SharedRwLock`](crate::SharedRwLock) can protect:
/// a [`SharedElement`], or a slice of them.
#[diagnostic::on_unimplemented(
    message = "a lock between processes cannot protect `{Self}`",
    note = "every bit pattern has to be a value, without padding and pointers: derive `bytemuck::Pod` and `bytemuck::Zeroable` (with `#[repr(C)]`), or protect a slice of such elements"
)]
pub trait SharedData: 'static {
    /// The type of the elements: itself, or that of the slice.
    type Element: SharedElement;

    /// What tells the type from others. Not public API.
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
