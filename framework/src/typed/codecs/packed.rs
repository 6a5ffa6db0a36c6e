//! Serde values that are no plain elements: encoded, and decoded where they are used.
//!
//! What a function borrows is decoded once per object and thread, and kept for the next call.

use std::{marker::PhantomData, rc::Rc};

use mobula_worker::{Format, Input, Payload, Result};

use super::{Codec, Own, cache, decode_value, gather, reads_as_slice, scalar, single};
use crate::typed::{
    Value,
    bytes::{pack, tag, unpack},
    flat::Types,
    place::Place,
};

/// Any serde type.
#[derive(Debug)]
pub struct Packed<T>(pub(crate) PhantomData<T>);

impl<T: Value> Codec<T> for Packed<T> {
    type Guard = Rc<T>;

    fn encode(&self, value: &T, place: Place<'_>) -> Result<Payload> {
        match scalar::encode(value) {
            Some(payload) => Ok(payload),
            None => pack(value, tag::<T>(), place),
        }
    }

    fn lend(&self, input: Input) -> Result<Rc<T>> {
        let (payload, id) = single::<T>(input)?;
        cache::decoded(payload, id, decode_value)
    }

    fn borrow<'g>(&self, guard: &'g Rc<T>) -> Result<&'g T> {
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
pub struct PackedSlice<E>(pub(crate) PhantomData<E>);

impl<E: Value> Codec<[E]> for PackedSlice<E> {
    type Guard = Rc<Vec<E>>;

    fn encode(&self, value: &[E], place: Place<'_>) -> Result<Payload> {
        pack(value, tag::<Vec<E>>(), place)
    }

    fn lend(&self, input: Input) -> Result<Rc<Vec<E>>> {
        let (payload, id) = single::<[E]>(input)?;
        cache::decoded(payload, id, |payload| unpack(payload, reads_as_slice::<E>))
    }

    fn borrow<'g>(&self, guard: &'g Rc<Vec<E>>) -> Result<&'g [E]> {
        Ok(guard)
    }

    fn learn(&self, types: &mut Types) {
        types.name::<Vec<E>>();
    }
}

/// `Vec<E>` of any serde type.
#[derive(Debug)]
pub struct PackedVec<E>(pub(crate) PhantomData<E>);

impl<E: Value> Codec<Vec<E>> for PackedVec<E> {
    type Guard = Rc<Vec<E>>;

    fn encode(&self, value: &Vec<E>, place: Place<'_>) -> Result<Payload> {
        pack(value, tag::<Vec<E>>(), place)
    }

    fn lend(&self, input: Input) -> Result<Rc<Vec<E>>> {
        match input {
            Input::Gather(many) => gather(many).map(Rc::new),
            Input::Value(payload, id) => cache::decoded(payload, id, read_vec),
        }
    }

    fn borrow<'g>(&self, guard: &'g Rc<Vec<E>>) -> Result<&'g Vec<E>> {
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
