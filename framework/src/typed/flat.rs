//! The table of types that are stored flat, and the names of types.
//!
//! Code that is generic over all serde types (`put`, `get`) cannot see at compile time that a
//! `Vec<f64>` is plain. So it looks into a table by `TypeId`. The table has the primitive types,
//! small fixed arrays of them, and the types in the signatures of this program's remote functions.
//! It is the same in all processes of a program.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    fmt,
    sync::LazyLock,
};

use mobula_protocol::{Payload, Result, TypeTag};
use mobula_store::{Array, NumberMap, Plain, codec::type_tag};
use parking_lot::RwLock;

use super::{
    bytes::{as_text, flat, flat_array, has_size, read_flat_1, read_text, text},
    place::Place,
};

/// An entry that a program submits for each remote function: adds the types of its signature.
#[derive(Debug)]
pub struct Signature(pub fn(&mut Types));

inventory::collect!(Signature);

/// The table.
#[derive(Default)]
pub struct Types {
    flat: ById,
    names: HashMap<TypeTag, &'static str>,
}

/// A map without a hash of its own. A `TypeId` is a hash already, which no input can choose.
type ById = NumberMap<TypeId, FlatType>;

/// The functions that turn the values of one type into flat payloads and back.
#[derive(Clone, Copy)]
pub(crate) struct FlatType {
    encode: fn(&dyn Any, Place<'_>) -> Result<Payload>,
    decode: Decode,
}

/// Puts the value into an `Option` of its type. A box would cost an allocation for each value.
type Decode = fn(Payload, &mut dyn Any) -> Result<()>;

/// Types that this process has put as slices, and that no signature mentions. Their values are
/// flat, too, and `get` has to read them.
static PUT_AS_SLICES: LazyLock<RwLock<ById>> = LazyLock::new(RwLock::default);

impl Types {
    /// Returns the table of this program.
    pub(crate) fn all() -> &'static Types {
        static TYPES: LazyLock<Types> = LazyLock::new(|| {
            let mut types = Types::default();
            types.primitives();
            for Signature(add) in inventory::iter::<Signature> {
                add(&mut types);
            }
            types
        });
        &TYPES
    }

    /// Adds vectors of plain elements.
    pub(crate) fn vec<E: Plain>(&mut self) {
        self.name::<E>();
        self.name::<Vec<E>>();
        if has_size::<E>() {
            self.add(TypeId::of::<Vec<E>>(), FlatType::vec::<E>());
            self.add(TypeId::of::<Array<E>>(), FlatType::array::<E>());
        }
    }

    /// Adds a type, unless the table has it.
    fn add(&mut self, id: TypeId, flat: FlatType) {
        self.flat.entry(id).or_insert(flat);
    }

    /// Adds a type that `encode` and `decode` turn into a flat payload and back.
    pub(crate) fn insert<T: Any>(
        &mut self,
        encode: fn(&dyn Any, Place<'_>) -> Result<Payload>,
        decode: Decode,
    ) {
        self.name::<T>();
        self.add(TypeId::of::<T>(), FlatType { encode, decode });
    }

    /// Returns the name of this type in messages.
    pub(crate) fn name<T: 'static>(&mut self) {
        self.add_name(TypeTag(type_tag::<T>()), type_name::<T>());
    }

    fn add_name(&mut self, tag: TypeTag, name: &'static str) {
        self.names.insert(tag, name);
    }

    /// Returns the name of this actor in messages.
    pub(crate) fn actor<A: super::Actor>(&mut self) {
        self.add_name(super::actor::tag::<A>(), type_name::<A>());
    }

    /// Returns the name of the type with this tag.
    pub(crate) fn of_tag(&self, tag: TypeTag) -> Option<&'static str> {
        self.names.get(&tag).copied()
    }

    fn primitives(&mut self) {
        macro_rules! elements {
            ($($element:ty),*) => { $(
                self.vec::<$element>();
                self.vec::<[$element; 2]>();
                self.vec::<[$element; 3]>();
                self.vec::<[$element; 4]>();
                #[cfg(any(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
                super::nd::learn_all::<$element>(self);
            )* };
        }
        elements!(
            u8, i8, u16, i16, u32, i32, u64, i64, usize, isize, u128, i128, f32, f64
        );
        self.vec::<bool>();
        self.vec::<char>();
        self.insert::<String>(
            |value, place| text(same::<String>(value), place),
            |payload, to| {
                let block = read_text::<String>(payload)?;
                give(to, as_text(&block)?.to_owned());
                Ok(())
            },
        );
    }
}

impl FlatType {
    fn vec<E: Plain>() -> FlatType {
        FlatType {
            encode: |value, place| {
                let vec = same::<Vec<E>>(value);
                flat::<E>(vec, &[vec.len()], place)
            },
            decode: |payload, to| {
                give(to, read_flat_1::<Vec<E>, E>(payload)?.to_vec());
                Ok(())
            },
        }
    }

    /// Returns the entry of `Array<E>`. Its functions do what serde does, in a quarter of the time.
    fn array<E: Plain>() -> FlatType {
        FlatType {
            encode: |value, _| Ok(flat_array(same::<Array<E>>(value))),
            decode: |payload, to| {
                give(to, read_flat_1::<Array<E>, E>(payload)?);
                Ok(())
            },
        }
    }
}

/// Remembers that this process has put slices of `E`.
pub(crate) fn remember<E: Plain>() {
    let id = TypeId::of::<Vec<E>>();
    if !Types::all().flat.contains_key(&id) && !PUT_AS_SLICES.read().contains_key(&id) {
        PUT_AS_SLICES.write().insert(id, FlatType::vec::<E>());
    }
}

/// Returns the value as a flat payload, if its type is in the table.
pub(crate) fn encode<T: Any>(value: &T, place: Place<'_>) -> Option<Result<Payload>> {
    let flat = Types::all().flat.get(&TypeId::of::<T>())?;
    Some((flat.encode)(value, place))
}

/// Reads a flat payload if the table has `T`. Otherwise returns the payload.
pub(crate) fn decode<T: Any>(payload: Payload) -> std::result::Result<Result<T>, Payload> {
    let id = TypeId::of::<T>();
    let known = Types::all().flat.get(&id).copied();
    let Some(flat) = known.or_else(|| PUT_AS_SLICES.read().get(&id).copied()) else {
        return Err(payload);
    };
    let mut value: Option<T> = None;
    let decoded = (flat.decode)(payload, &mut value);
    Ok(decoded.map(|()| match value {
        Some(value) => value,
        None => unreachable!("the table has another type under {}", type_name::<T>()),
    }))
}

/// Puts a value into the `Option` of [`decode`].
pub(crate) fn give<T: Any>(to: &mut dyn Any, value: T) {
    if let Some(to) = to.downcast_mut::<Option<T>>() {
        *to = Some(value);
    }
}

/// Returns the value with the type of its entry in the table.
pub(crate) fn same<T: Any>(value: &dyn Any) -> &T {
    match value.downcast_ref() {
        Some(value) => value,
        None => unreachable!("the table has another type under {}", type_name::<T>()),
    }
}

impl fmt::Debug for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Types({} flat, {} names)",
            self.flat.len(),
            self.names.len()
        )
    }
}
