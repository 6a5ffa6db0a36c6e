//! What may be passed where a remote function takes, or borrows, a value.

mod slice;
mod table;

#[cfg(any(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
pub(crate) use table::refs;

use std::sync::Arc;

use mobula_protocol::{ObjectHandle, Payload, Result};

/// What may be passed where a remote function takes a `T` or borrows one.
///
/// For each parameter that is: the value, a borrow of it, an [`ObjectRef`](crate::ObjectRef) to it
/// (stored, or the pending result of another task) or a borrow of that. Besides:
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
/// A value is encoded when the call is made; a ref is passed on as it is. It is implemented for all
/// that fits; there is nothing to implement by hand.
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
/// What it holds leads to no engine and no memory, in a program that does not depend on Mobula's
/// inner crates:
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
    /// A value of the caller's.
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

/// A borrow of it.
#[diagnostic::do_not_recommend]
impl<T: ?Sized> IntoArg<T> for &T {
    fn with_source<R>(self, f: impl FnOnce(Source<'_, T>) -> R) -> R {
        f(Source::Local(self))
    }
}
