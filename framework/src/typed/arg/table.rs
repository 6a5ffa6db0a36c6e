//! The table of argument types, beyond the value and a borrow of it.
//!
//! There is no numeric widening and no `[T; N]` by value for `&[T]`, since either would leave the
//! type of a literal open.

use std::{
    borrow::Cow,
    marker::PhantomData,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use mobula_store::{Array, Plain};

use super::{IntoArg, Source, slice};
use crate::typed::{
    ArraySlice, ObjectRef,
    bytes::flat_array,
    codecs::{Codec, FlatSlice},
    place::Place,
};

/// `[generics] have => want;`: a ref of `have` fits where a `want` is taken.
macro_rules! refs {
    ($([$($generics:tt)*] $have:ty => $want:ty;)*) => { $(
        #[diagnostic::do_not_recommend]
        impl<$($generics)*> IntoArg<$want> for ObjectRef<$have> {
            fn with_source<R>(self, f: impl FnOnce(Source<'_, $want>) -> R) -> R {
                f(Source::Object(self.into_entry()))
            }
        }

        #[diagnostic::do_not_recommend]
        impl<$($generics)*> IntoArg<$want> for &ObjectRef<$have> {
            fn with_source<R>(self, f: impl FnOnce(Source<'_, $want>) -> R) -> R {
                f(Source::Object(self.entry().clone()))
            }
        }
    )* };
}
#[cfg(any(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
pub(crate) use refs;

refs! {
    [T] T => T;
    [E] Vec<E> => [E];
    [E] Array<E> => [E];
    [E, const N: usize] [E; N] => [E];
    [E] Vec<E> => Array<E>;
    [E] Array<E> => Vec<E>;
    [] String => str;
    [] PathBuf => Path;
}

/// `[generics] have => want, value => expression;`: a local value of another type, seen as a
/// `want`.
macro_rules! locals {
    ($([$($generics:tt)*] $have:ty => $want:ty, $value:ident => $seen:expr;)*) => { $(
        #[diagnostic::do_not_recommend]
        impl<$($generics)*> IntoArg<$want> for $have {
            fn with_source<R>(self, f: impl FnOnce(Source<'_, $want>) -> R) -> R {
                let $value = self;
                f(Source::Local($seen))
            }
        }
    )* };
}

locals! {
    [E] Vec<E> => [E], v => &v[..];
    [E] &Vec<E> => [E], v => &v[..];
    [E, const N: usize] &[E; N] => [E], v => &v[..];
    ['a, E] &&'a [E] => [E], v => v;
    [E] Box<[E]> => [E], v => &v[..];
    [E] &Box<[E]> => [E], v => &v[..];
    [E] Rc<[E]> => [E], v => &v[..];
    [E] &Rc<[E]> => [E], v => &v[..];
    [E] Arc<[E]> => [E], v => &v[..];
    [E] &Arc<[E]> => [E], v => &v[..];
    ['a, E: Clone] Cow<'a, [E]> => [E], v => &v[..];
    [E: Clone] &[E] => Vec<E>, v => &v.to_vec();
    [E: Clone, const N: usize] [E; N] => Vec<E>, v => &Vec::from(v);
    [E: Clone, const N: usize] &[E; N] => Vec<E>, v => &v.to_vec();
    [] String => str, v => &v[..];
    [] &String => str, v => &v[..];
    ['a] &&'a str => str, v => v;
    ['a] Cow<'a, str> => str, v => &v[..];
    [] &str => String, v => &v.to_owned();
    ['a] Cow<'a, str> => String, v => &v.into_owned();
    [] &str => PathBuf, v => &PathBuf::from(v);
    [] &Path => PathBuf, v => &v.to_owned();
    [] &str => Path, v => Path::new(v);
    [] String => Path, v => Path::new(&v);
    [] &String => Path, v => Path::new(v);
    [] PathBuf => Path, v => v.as_path();
    [] &PathBuf => Path, v => v.as_path();
}

/// `[generics] have => want, value => payload;`: a value that is an `Array`, or becomes one.
macro_rules! arrays {
    ($([$($generics:tt)*] $have:ty => $want:ty, $value:ident => $payload:expr;)*) => { $(
        #[diagnostic::do_not_recommend]
        impl<$($generics)*> IntoArg<$want> for $have {
            fn with_source<R>(self, f: impl FnOnce(Source<'_, $want>) -> R) -> R {
                let $value = self;
                f(Source::Encoded($payload))
            }
        }
    )* };
}

arrays! {
    [E: Plain] Array<E> => [E], v => Ok(flat_array(&v));
    [E: Plain] &Array<E> => [E], v => Ok(flat_array(v));
    [E: Plain] ArraySlice<E> => [E], v => slice::payload(&v);
    [E: Plain] &ArraySlice<E> => [E], v => slice::payload(v);
    [E: Plain] ArraySlice<E> => Vec<E>, v => slice::payload(&v);
    [E: Plain] &ArraySlice<E> => Vec<E>, v => slice::payload(v);
    [E: Plain] ArraySlice<E> => Array<E>, v => slice::payload(&v);
    [E: Plain] &ArraySlice<E> => Array<E>, v => slice::payload(v);
    [E: Plain] Vec<E> => Array<E>, v => Ok(flat_array(&Array::from(v)));
    [E: Plain] &Vec<E> => Array<E>, v => FlatSlice(PhantomData).encode(v, Place::Current);
    [E: Plain] &[E] => Array<E>, v => FlatSlice(PhantomData).encode(v, Place::Current);
    [E: Plain, const N: usize] [E; N] => Array<E>, v => FlatSlice(PhantomData).encode(&v, Place::Current);
    [E: Plain, const N: usize] &[E; N] => Array<E>, v => FlatSlice(PhantomData).encode(v, Place::Current);
}

/// Many refs where the function takes a vector.
macro_rules! gather {
    ($([$($generics:tt)*] $have:ty;)*) => { $(
        #[diagnostic::do_not_recommend]
        impl<$($generics)*> IntoArg<Vec<T>> for $have {
            fn with_source<R>(self, f: impl FnOnce(Source<'_, Vec<T>>) -> R) -> R {
                f(Source::Gather(self.iter().map(|object| object.entry().clone()).collect()))
            }
        }
    )* };
}

gather! {
    [T] &[ObjectRef<T>];
    [T] &Vec<ObjectRef<T>>;
    [T, const N: usize] &[ObjectRef<T>; N];
}
