//! Types without a codec.

use std::marker::PhantomData;

use mobula_protocol::{Error, Input, Payload, Result};

use super::{Codec, Own};
use crate::typed::{Value, flat::Types, place::Place};

/// Takes the place of the codec of a type that cannot travel. So the compiler reports the missing
/// trait once, at the type, and nothing else. No program that uses it compiles.
#[derive(Debug)]
pub struct NoCodec<T: ?Sized>(pub(crate) PhantomData<fn(&T)>);

impl<T: ?Sized> NoCodec<T> {
    /// Does not compile: `U`, the type or its element, is not a [`Value`].
    pub fn admits<U: Value>(&self) {}
}

impl<T: ?Sized> Codec<T> for NoCodec<T> {
    type Guard = Box<T>;

    fn encode(&self, _: &T, _: Place<'_>) -> Result<Payload> {
        Err(never::<T>())
    }

    fn lend(&self, _: Input) -> Result<Box<T>> {
        Err(never::<T>())
    }

    fn borrow<'g>(&self, guard: &'g Box<T>) -> Result<&'g T> {
        Ok(guard)
    }

    fn learn(&self, _: &mut Types) {}
}

impl<T> Own<T> for NoCodec<T> {
    fn own(&self, _: Input) -> Result<T> {
        Err(never::<T>())
    }
}

fn never<T: ?Sized>() -> Error {
    Error::internal(format!("`{}` cannot travel", std::any::type_name::<T>()))
}
