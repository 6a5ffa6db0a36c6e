//! Element types that can be read in place.

/// Types whose values can be written into shared memory and read there by another process. They
/// have no padding and no pointers.
///
/// These are numbers, `bool`, `char`, arrays of them, and structs that derive [`bytemuck`]'s
/// traits. Every type that qualifies implements the trait. There is nothing to implement by hand.
///
/// If every bit pattern is a value (numbers, `bytemuck::Pod`), reading costs nothing. For other
/// types (`bool`, `char`, plain enums) the elements are checked once for each process and object.
/// This is linear in their number.
///
/// # Examples
/// ```
/// # use mobula_store as mobula;
/// use mobula::{Array, Plain};
///
/// fn last<E: Plain>(array: &Array<E>) -> Option<E> {
///     array.last().copied()
/// }
///
/// assert_eq!(last(&Array::from(vec!['a', 'b'])), Some('b'));
/// ```
#[diagnostic::on_unimplemented(
    message = "slices of `{Self}` cannot be read in place from shared memory",
    note = "derive `bytemuck::Pod` and `bytemuck::Zeroable` (with `#[repr(C)]`), or pass it by value"
)]
pub trait Plain: bytemuck::NoUninit + bytemuck::CheckedBitPattern + Send + Sync + 'static {}

impl<E: bytemuck::NoUninit + bytemuck::CheckedBitPattern + Send + Sync + 'static> Plain for E {}

/// Returns whether every bit pattern is an `E`.
///
/// `E::Bits` takes every pattern, by the contract of [`bytemuck::CheckedBitPattern`]. So if `E` is
/// that type itself, `E` does, too.
pub(crate) fn any_pattern<E: Plain>() -> bool {
    std::any::TypeId::of::<E>() == std::any::TypeId::of::<E::Bits>()
}
