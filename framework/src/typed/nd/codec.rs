//! How arrays travel: as plain elements with a shape.

use std::{cell::OnceCell, marker::PhantomData};

use mobula_store::Plain;
use mobula_worker::{Input, Payload, Result};
use ndarray::{ArrayBase, ArrayView, Dimension, OwnedRepr};

use super::{NdArray, Owned, learn, payload};
use crate::typed::{
    codecs::{Codec, Own, single},
    flat::Types,
    place::Place,
    probe::{Level6, Probe},
};

/// A parameter that borrows, and says so with a lifetime. Not public API.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a borrow that Mobula can resolve from shared memory",
    label = "borrows something else",
    note = "the known ones are `&T`, `&[T]`, `&str` and `ndarray::ArrayView<'_, T, D>` of `ndarray` 0.16; otherwise take `Array<T>` or an owned value"
)]
pub trait ViewParam {
    /// The owned type.
    type Key;
}

impl<E, D> ViewParam for ArrayView<'_, E, D> {
    type Key = Owned<E, D>;
}

/// Arrays of plain elements, and views of them.
#[derive(Debug)]
pub struct FlatNd<E, D>(PhantomData<(E, D)>);

/// An argument that is seen in place, and copied only where a function borrows an owned array.
#[derive(Debug)]
pub struct Resolved<E: Plain, D: Dimension> {
    stored: NdArray<E, D>,
    owned: OnceCell<Owned<E, D>>,
}

impl<E: Plain, D: Dimension> Resolved<E, D> {
    /// The argument of a function that takes a view.
    pub fn view(&self) -> ArrayView<'_, E, D> {
        self.stored.view()
    }
}

impl<E: Plain, D: Dimension + 'static> Codec<Owned<E, D>> for FlatNd<E, D> {
    type Guard = Resolved<E, D>;

    fn encode(&self, value: &Owned<E, D>, place: Place<'_>) -> Result<Payload> {
        payload(value.view(), place)
    }

    fn lend(&self, input: Input) -> Result<Resolved<E, D>> {
        let stored = NdArray::read(single::<Owned<E, D>>(input)?.0)?;
        Ok(Resolved {
            stored,
            owned: OnceCell::new(),
        })
    }

    fn borrow<'g>(&self, guard: &'g Resolved<E, D>) -> Result<&'g Owned<E, D>> {
        Ok(guard.owned.get_or_init(|| guard.view().to_owned()))
    }

    fn learn(&self, types: &mut Types) {
        types.vec::<E>();
        learn::<E, D>(types);
    }
}

impl<E: Plain, D: Dimension + 'static> Own<Owned<E, D>> for FlatNd<E, D> {
    fn own(&self, input: Input) -> Result<Owned<E, D>> {
        Ok(self.lend(input)?.view().to_owned())
    }
}

impl<E: Plain, D: Dimension + 'static> Level6 for &&&&&Probe<ArrayBase<OwnedRepr<E>, D>> {
    type Codec = FlatNd<E, D>;

    fn codec(&self) -> FlatNd<E, D> {
        FlatNd(PhantomData)
    }
}
