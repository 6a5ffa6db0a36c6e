//! What can be put, and passed to functions that take arrays or views.

use mobula_store::{Array, Plain};
use mobula_worker::{Payload, Result};
use ndarray::{ArcArray, Array1, ArrayView, ArrayViewMut, CowArray, Dimension};

use super::{Owned, payload};
use crate::typed::{
    IntoArg, ObjectRef, Put,
    arg::{Source, refs},
    how,
    place::Place,
};

#[diagnostic::do_not_recommend]
impl<E: Plain, D: Dimension> Put<how::View> for ArrayView<'_, E, D> {
    type Object = Owned<E, D>;

    fn payload(&self, place: Place<'_>) -> Result<Payload> {
        payload(self.view(), place)
    }
}

#[diagnostic::do_not_recommend]
impl<E: Plain, D: Dimension> Put<how::View> for ArrayViewMut<'_, E, D> {
    type Object = Owned<E, D>;

    fn payload(&self, place: Place<'_>) -> Result<Payload> {
        payload(self.view(), place)
    }
}

macro_rules! locals {
    ($($have:ty),*) => { $(
        #[diagnostic::do_not_recommend]
        impl<'a, E: Plain, D: Dimension> IntoArg<Owned<E, D>> for $have {
            fn with_source<R>(self, f: impl FnOnce(Source<'_, Owned<E, D>>) -> R) -> R {
                f(Source::Encoded(payload(self.view(), Place::Current)))
            }
        }
    )* };
}

locals!(
    ArrayView<'a, E, D>,
    &ArrayView<'a, E, D>,
    &ArrayViewMut<'a, E, D>,
    CowArray<'a, E, D>,
    &CowArray<'a, E, D>
);

macro_rules! shared {
    ($($have:ty),*) => { $(
        #[diagnostic::do_not_recommend]
        impl<E: Plain, D: Dimension> IntoArg<Owned<E, D>> for $have {
            fn with_source<R>(self, f: impl FnOnce(Source<'_, Owned<E, D>>) -> R) -> R {
                f(Source::Encoded(payload(self.view(), Place::Current)))
            }
        }
    )* };
}

shared!(ArcArray<E, D>, &ArcArray<E, D>);

// With one dimension, all that is stored flat is the same.
refs! {
    [E] Vec<E> => Array1<E>;
    [E] Array<E> => Array1<E>;
    [E] Array1<E> => [E];
    [E] Array1<E> => Vec<E>;
    [E] Array1<E> => Array<E>;
}
