//! Arguments: values that may be passed where a remote function takes, or borrows, a value.

mod slice;
mod table;

#[cfg(any(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
pub(crate) use table::refs;

use std::sync::Arc;

use mobula_protocol::{ObjectHandle, Payload, Result};

/// Values that may be passed where a remote function takes a `T` or borrows one.
///
/// For each parameter these are the value, a borrow of it, an [`ObjectRef`](crate::ObjectRef) of
/// it, stored or pending, and a borrow of that. Besides:
///
/// | The function has | it also takes |
/// | --- | --- |
/// | `&[T]` | slices, vectors, `&[T; N]`, `Box`, `Rc`, `Arc` and `Cow` of `[T]`, [`Array<T>`](crate::Array), [`ArraySlice<T>`](crate::ArraySlice), refs of `Vec<T>`, `Array<T>` and `[T; N]` |
/// | `&str`, `String` | `&str`, `String`, `Cow<str>`, refs of `String` |
/// | `&Path` | `&Path`, `PathBuf`, `&str`, `String`, refs of `PathBuf` |
/// | `Array<T>` | vectors, slices, `[T; N]`, `ArraySlice<T>`, refs of `Array<T>` and `Vec<T>` |
/// | `Vec<T>` | slices, arrays, `ArraySlice<T>`, refs of `Vec<T>` and `Array<T>`, and many refs of `T`: `&[ObjectRef<T>]`, `&Vec<ObjectRef<T>>` |
/// | `ndarray`'s views | arrays and views of the same rank, refs of them; for one dimension refs of `Vec<T>` and `Array<T>` |
///
/// A value is encoded when the call is made. A ref is passed on as it is. All fitting types
/// implement the trait. There is nothing to implement by hand.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn total(numbers: &[u64], offset: u64) -> u64 {
///     numbers.iter().sum::<u64>() + offset
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let stored = rt.put(&vec![1_u64, 2, 3])?;
/// let six = rt.spawn(total::remote(&stored, 0)); // a ref of the vector
/// assert_eq!(rt.spawn(total::remote(vec![4], six)).get()?, 10); // a pending result
/// assert_eq!(rt.spawn(total::remote(&[1, 2], &10)).get()?, 13);
/// # Ok(())
/// # }
/// ```
///
/// Code that is generic over the argument names the trait:
///
/// ```
/// use mobula::{IntoArg, UnspawnedCall, prelude::*};
///
/// #[remote]
/// fn length(text: &str) -> usize {
///     text.len()
/// }
///
/// fn length_of<A: IntoArg<str>>(text: A) -> UnspawnedCall<usize> {
///     length::remote(text)
/// }
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// assert_eq!(rt.spawn(length_of("seven")).get()?, 5);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be passed where the remote function takes `{T}`",
    label = "expected `{T}`, a borrow of it, or an `ObjectRef` to it"
)]
pub trait IntoArg<T: ?Sized>: Sized {
    /// Calls `f` with the argument. Not public API.
    #[doc(hidden)]
    fn with_source<R>(self, f: impl FnOnce(Source<'_, T>) -> R) -> R;
}

/// An argument before it is encoded. Not public API.
///
/// In a program that does not depend on Mobula's inner crates, it gives access to no engine and no
/// memory:
///
/// ```compile_fail,E0061
/// use mobula::{IntoArg, __private::Source, prelude::*};
///
/// fn opens(object: &ObjectRef<Vec<u64>>) -> bool {
///     IntoArg::<Vec<u64>>::with_source(object, |source| match source {
///         Source::Object(entry) => entry.engine().is_some(),
///         _ => false,
///     })
/// }
/// ```
#[derive(Debug)]
pub enum Source<'a, T: ?Sized> {
    /// A value of the caller.
    Local(&'a T),
    /// A value that has its final form already, or could not get it.
    Encoded(Result<Payload>),
    /// An object.
    Object(Arc<ObjectHandle>),
    /// Many objects.
    Gather(Vec<Arc<ObjectHandle>>),
}

/// The value itself. There is no bound, so that the type of a literal is inferred from `T`.
#[diagnostic::do_not_recommend]
impl<T> IntoArg<T> for T {
    fn with_source<R>(self, f: impl FnOnce(Source<'_, T>) -> R) -> R {
        f(Source::Local(&self))
    }
}

/// A borrow of the value.
#[diagnostic::do_not_recommend]
impl<T: ?Sized> IntoArg<T> for &T {
    fn with_source<R>(self, f: impl FnOnce(Source<'_, T>) -> R) -> R {
        f(Source::Local(self))
    }
}
