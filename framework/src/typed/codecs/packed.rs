//! Serde values that are no plain elements. They are encoded, and the process that uses them
//! decodes them.
//!
//! A worker decodes an object that functions borrow once, and keeps the value for the next call.

use mobula_protocol::{Format, Input, Payload, Result};

use super::{
    Codec, Lent, Own, Sharing, cache, decode_value, gather, reads_as_slice, scalar, single,
};
use crate::typed::{
    Value,
    bytes::{pack, tag, unpack},
    flat::Types,
    place::Place,
};

/// Any serde type.
#[derive(Debug)]
pub struct Packed<T> {
    /// The functions that keep decoded values for all threads, if threads can share the values.
    pub(crate) sharing: Option<Sharing<T>>,
}

impl<T: Value> Codec<T> for Packed<T> {
    type Guard = Lent<T>;

    fn encode(&self, value: &T, place: Place<'_>) -> Result<Payload> {
        match scalar::encode(value) {
            Some(payload) => Ok(payload),
            None => pack(value, tag::<T>(), place),
        }
    }

    fn lend(&self, input: Input) -> Result<Lent<T>> {
        let (payload, id) = single::<T>(input)?;
        cache::decoded(payload, id, self.sharing, decode_value)
    }

    fn borrow<'g>(&self, guard: &'g Lent<T>) -> Result<&'g T> {
        Ok(guard)
    }

    fn learn(&self, types: &mut Types) {
        types.name::<T>();
    }
}

impl<T: Value> Own<T> for Packed<T> {
    fn own(&self, input: Input) -> Result<T> {
        decode_value(single::<T>(input)?.0)
    }

    #[inline]
    fn read(&self, payload: &Payload) -> Option<T> {
        scalar::decode(payload)
    }
}

/// `[E]` of any serde type.
#[derive(Debug)]
pub struct PackedSlice<E> {
    /// The functions that keep decoded values for all threads, if threads can share the values.
    pub(crate) sharing: Option<Sharing<Vec<E>>>,
}

impl<E: Value> Codec<[E]> for PackedSlice<E> {
    type Guard = Lent<Vec<E>>;

    fn encode(&self, value: &[E], place: Place<'_>) -> Result<Payload> {
        pack(value, tag::<Vec<E>>(), place)
    }

    fn lend(&self, input: Input) -> Result<Lent<Vec<E>>> {
        let (payload, id) = single::<[E]>(input)?;
        cache::decoded(payload, id, self.sharing, |payload| {
            unpack(payload, reads_as_slice::<E>)
        })
    }

    fn borrow<'g>(&self, guard: &'g Lent<Vec<E>>) -> Result<&'g [E]> {
        Ok(guard)
    }

    fn learn(&self, types: &mut Types) {
        types.name::<Vec<E>>();
    }
}

/// `Vec<E>` of any serde type.
#[derive(Debug)]
pub struct PackedVec<E> {
    /// The functions that keep decoded values for all threads, if threads can share the values.
    pub(crate) sharing: Option<Sharing<Vec<E>>>,
}

impl<E: Value> Codec<Vec<E>> for PackedVec<E> {
    type Guard = Lent<Vec<E>>;

    fn encode(&self, value: &Vec<E>, place: Place<'_>) -> Result<Payload> {
        pack(value, tag::<Vec<E>>(), place)
    }

    fn lend(&self, input: Input) -> Result<Lent<Vec<E>>> {
        match input {
            Input::Gather(many) => gather(many).map(|many| Lent::Local(many.into())),
            Input::Value(payload, id) => cache::decoded(payload, id, self.sharing, read_vec),
        }
    }

    fn borrow<'g>(&self, guard: &'g Lent<Vec<E>>) -> Result<&'g Vec<E>> {
        Ok(guard)
    }

    fn learn(&self, types: &mut Types) {
        types.name::<Vec<E>>();
    }
}

impl<E: Value> Own<Vec<E>> for PackedVec<E> {
    fn own(&self, input: Input) -> Result<Vec<E>> {
        match input {
            Input::Gather(many) => gather(many),
            Input::Value(payload, _) => read_vec(payload),
        }
    }
}

fn read_vec<E: Value>(payload: Payload) -> Result<Vec<E>> {
    match payload.format {
        Format::Packed { .. } => unpack(payload, reads_as_slice::<E>),
        _ => decode_value(payload),
    }
}
