//! Plain elements: stored one after the other, borrowed in place.

use std::marker::PhantomData;

use mobula_protocol::{Format, Input, Payload, Result};
use mobula_store::{Array, Plain};

use super::{Codec, Lent, Own, Sharing, cache, encode_value, gather, reads_as_slice, single};
use crate::typed::{
    ArraySlice, ObjectRef, Value,
    bytes::{flat, flat_array, has_size, pack, read_flat_1, tag, unpack},
    flat::Types,
    place::Place,
};

/// Returns whether the payload is an `ArraySlice`: a range, and the array with all its elements.
fn is_slice<E: Plain>(payload: &Payload) -> bool {
    matches!(&payload.format, Format::Packed { of } if *of == tag::<ArraySlice<E>>())
}

fn sliced<E: Plain>(payload: Payload) -> Result<ArraySlice<E>> {
    unpack(payload, |of| of == tag::<ArraySlice<E>>())
}

/// `[E]` where `E` is plain and cannot travel otherwise.
#[derive(Debug)]
pub struct FlatSlice<E>(pub(crate) PhantomData<E>);

impl<E: Plain> Codec<[E]> for FlatSlice<E> {
    type Guard = ArraySlice<E>;

    fn encode(&self, value: &[E], place: Place<'_>) -> Result<Payload> {
        const {
            assert!(
                has_size::<E>(),
                "elements of size zero cannot be stored as an array"
            )
        };
        flat(value, &[value.len()], place)
    }

    fn lend(&self, input: Input) -> Result<ArraySlice<E>> {
        let (payload, _) = single::<[E]>(input)?;
        if is_slice::<E>(&payload) {
            return sliced(payload);
        }
        Ok(read_flat_1::<[E], E>(payload)?.into())
    }

    fn borrow<'g>(&self, guard: &'g ArraySlice<E>) -> Result<&'g [E]> {
        Ok(guard)
    }

    fn learn(&self, types: &mut Types) {
        types.vec::<E>();
    }
}

/// `[E]` where `E` is plain and a serde type too: the object may also be a packed `[E; N]`.
#[derive(Debug)]
pub struct FlatOrPackedSlice<E>(pub(crate) PhantomData<E>);

/// Elements in place, or decoded.
#[derive(Debug)]
pub enum Elements<E> {
    /// A whole array, in place.
    Stored(Array<E>),
    /// A range of an array, in place.
    Sliced(ArraySlice<E>),
    /// A decoded vector.
    Decoded(Lent<Vec<E>>),
}

impl<E: Plain + Value> Codec<[E]> for FlatOrPackedSlice<E> {
    type Guard = Elements<E>;

    fn encode(&self, value: &[E], place: Place<'_>) -> Result<Payload> {
        encode_slice(value, place)
    }

    fn lend(&self, input: Input) -> Result<Elements<E>> {
        let (payload, id) = single::<[E]>(input)?;
        if let Format::Packed { .. } = payload.format {
            if is_slice::<E>(&payload) {
                return Ok(Elements::Sliced(sliced(payload)?));
            }
            let read = |payload: Payload| unpack::<Vec<E>>(payload, reads_as_slice::<E>);
            return Ok(Elements::Decoded(cache::decoded(
                payload,
                id,
                Some(Sharing::NEW),
                read,
            )?));
        }
        Ok(Elements::Stored(read_flat_1::<[E], E>(payload)?))
    }

    fn borrow<'g>(&self, guard: &'g Elements<E>) -> Result<&'g [E]> {
        Ok(match guard {
            Elements::Stored(array) => array,
            Elements::Sliced(slice) => slice,
            Elements::Decoded(vec) => vec,
        })
    }

    fn learn(&self, types: &mut Types) {
        types.vec::<E>();
    }
}

fn encode_slice<E: Plain + Value>(value: &[E], place: Place<'_>) -> Result<Payload> {
    if has_size::<E>() {
        flat(value, &[value.len()], place)
    } else {
        pack(value, tag::<Vec<E>>(), place)
    }
}

/// `Vec<E>` where `E` is plain and cannot travel otherwise.
#[derive(Debug)]
pub struct PlainVec<E>(pub(crate) PhantomData<E>);

impl<E: Plain> Codec<Vec<E>> for PlainVec<E> {
    type Guard = Vec<E>;

    fn encode(&self, value: &Vec<E>, place: Place<'_>) -> Result<Payload> {
        FlatSlice(PhantomData).encode(value, place)
    }

    fn lend(&self, input: Input) -> Result<Vec<E>> {
        self.own(input)
    }

    fn borrow<'g>(&self, guard: &'g Vec<E>) -> Result<&'g Vec<E>> {
        Ok(guard)
    }

    fn learn(&self, types: &mut Types) {
        types.vec::<E>();
    }
}

impl<E: Plain> Own<Vec<E>> for PlainVec<E> {
    fn own(&self, input: Input) -> Result<Vec<E>> {
        let (payload, _) = single::<Vec<E>>(input)?;
        if is_slice::<E>(&payload) {
            return Ok(sliced::<E>(payload)?.to_vec());
        }
        Ok(read_flat_1::<Vec<E>, E>(payload)?.to_vec())
    }
}

/// `Vec<E>` where `E` is plain and a serde type too.
#[derive(Debug)]
pub struct FlatVec<E>(pub(crate) PhantomData<E>);

impl<E: Plain + Value> Codec<Vec<E>> for FlatVec<E> {
    type Guard = Vec<E>;

    fn encode(&self, value: &Vec<E>, place: Place<'_>) -> Result<Payload> {
        encode_slice(value, place)
    }

    fn lend(&self, input: Input) -> Result<Vec<E>> {
        self.own(input)
    }

    fn borrow<'g>(&self, guard: &'g Vec<E>) -> Result<&'g Vec<E>> {
        Ok(guard)
    }

    fn learn(&self, types: &mut Types) {
        types.vec::<E>();
    }
}

impl<E: Plain + Value> Own<Vec<E>> for FlatVec<E> {
    fn own(&self, input: Input) -> Result<Vec<E>> {
        match input {
            Input::Gather(many) => gather(many),
            Input::Value(payload, _) => match payload.format {
                Format::Packed { .. } if is_slice::<E>(&payload) => {
                    Ok(sliced::<E>(payload)?.to_vec())
                }
                Format::Packed { .. } => unpack(payload, reads_as_slice::<E>),
                _ => Ok(read_flat_1::<Vec<E>, E>(payload)?.to_vec()),
            },
        }
    }
}

/// `Array<E>`: shared, never copied, but for a slice of another one.
#[derive(Debug)]
pub struct FlatArray<E>(pub(crate) PhantomData<E>);

impl<E: Plain> Codec<Array<E>> for FlatArray<E> {
    type Guard = Array<E>;

    fn encode(&self, value: &Array<E>, _: Place<'_>) -> Result<Payload> {
        Ok(flat_array(value))
    }

    fn lend(&self, input: Input) -> Result<Array<E>> {
        self.own(input)
    }

    fn borrow<'g>(&self, guard: &'g Array<E>) -> Result<&'g Array<E>> {
        Ok(guard)
    }

    fn learn(&self, types: &mut Types) {
        types.vec::<E>();
        types.name::<Array<E>>();
    }
}

impl<E: Plain> Own<Array<E>> for FlatArray<E> {
    fn own(&self, input: Input) -> Result<Array<E>> {
        let (payload, _) = single::<Array<E>>(input)?;
        if is_slice::<E>(&payload) {
            return Ok(Array::from(&sliced::<E>(payload)?[..]));
        }
        read_flat_1::<Array<E>, E>(payload)
    }
}

/// `ObjectRef<Vec<E>>`: handed over as a ref, and a reason to store `Vec<E>` flat.
#[derive(Debug)]
pub struct RefToVec<E>(pub(crate) PhantomData<E>);

impl<E: Plain> Codec<ObjectRef<Vec<E>>> for RefToVec<E> {
    type Guard = ObjectRef<Vec<E>>;

    fn encode(&self, value: &ObjectRef<Vec<E>>, place: Place<'_>) -> Result<Payload> {
        encode_value(value, place)
    }

    fn lend(&self, input: Input) -> Result<ObjectRef<Vec<E>>> {
        self.own(input)
    }

    fn borrow<'g>(&self, guard: &'g ObjectRef<Vec<E>>) -> Result<&'g ObjectRef<Vec<E>>> {
        Ok(guard)
    }

    fn learn(&self, types: &mut Types) {
        types.vec::<E>();
        types.name::<ObjectRef<Vec<E>>>();
    }
}

impl<E: Plain> Own<ObjectRef<Vec<E>>> for RefToVec<E> {
    fn own(&self, input: Input) -> Result<ObjectRef<Vec<E>>> {
        super::decode_value(single::<ObjectRef<Vec<E>>>(input)?.0)
    }
}
