//! The codecs of arrays, which travel as plain elements with a shape.

use std::{cell::OnceCell, fmt, marker::PhantomData};

use mobula_protocol::{Input, Payload, Result};
use mobula_store::Plain;

use super::{NdArray, NdDim, learn};
use crate::typed::{
    codecs::{Codec, Own, single},
    flat::Types,
    place::Place,
};

/// Arrays of plain elements, and views of them.
#[derive(Debug)]
pub struct FlatNd<E, D>(pub(super) PhantomData<(E, D)>);

/// An argument that is seen in place, and copied only where a function borrows an owned array.
pub struct Resolved<E: Plain, D: NdDim> {
    stored: NdArray<E, D>,
    owned: OnceCell<D::Owned<E>>,
}

impl<E: Plain, D: NdDim> Resolved<E, D> {
    /// The argument of a function that takes a view.
    pub fn view(&self) -> D::View<'_, E> {
        self.stored.view()
    }
}

impl<E: Plain, D: NdDim> fmt::Debug for Resolved<E, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resolved({:?})", self.stored.shape())
    }
}

impl<E: Plain, D: NdDim> Codec<D::Owned<E>> for FlatNd<E, D> {
    type Guard = Resolved<E, D>;

    fn encode(&self, value: &D::Owned<E>, place: Place<'_>) -> Result<Payload> {
        D::payload(value, place)
    }

    fn lend(&self, input: Input) -> Result<Resolved<E, D>> {
        let stored = NdArray::stored(single::<D::Owned<E>>(input)?.0)?;
        Ok(Resolved {
            stored,
            owned: OnceCell::new(),
        })
    }

    fn borrow<'g>(&self, guard: &'g Resolved<E, D>) -> Result<&'g D::Owned<E>> {
        Ok(guard.owned.get_or_init(|| guard.stored.to_owned()))
    }

    fn learn(&self, types: &mut Types) {
        types.vec::<E>();
        learn::<E, D>(types);
    }
}

impl<E: Plain, D: NdDim> Own<D::Owned<E>> for FlatNd<E, D> {
    fn own(&self, input: Input) -> Result<D::Owned<E>> {
        Ok(self.lend(input)?.stored.to_owned())
    }
}
