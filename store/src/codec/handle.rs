//! What travels out of band: arrays and refs.
//!
//! The bytes hold an extension that says which of the items it is, and what. Its payload is a map
//! with the key nil: no struct, tuple or map of ordinary keys reads as that, so in an untagged enum
//! an array is never taken for another variant. And since it is a map, it can be flattened and
//! tagged.

use std::{any::Any, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
    ser::{self, SerializeMap as _},
};

use super::{
    scope::{DECODE, ENCODE},
    tag::describe,
};
use crate::Block;

/// The name under which serde carries a handle, as a newtype struct.
pub(super) const HANDLE_NAME: &str = "$mobula::handle";

/// Something that a value refers to instead of containing it.
#[derive(Clone)]
pub enum Handle {
    /// Plain elements in shared or private memory.
    Array {
        /// Where the elements are.
        block: Block,
        /// The [`type_tag`](crate::codec::type_tag) of the element type.
        elem: u64,
        /// How many elements.
        len: u64,
    },
    /// A ref to an object, as the engine represents it.
    Ref(Arc<dyn Any + Send + Sync>),
}

/// Which kind of handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleKind {
    /// [`Handle::Array`].
    Array,
    /// [`Handle::Ref`].
    Ref,
}

impl Handle {
    fn kind(&self) -> HandleKind {
        match self {
            Handle::Array { .. } => HandleKind::Array,
            Handle::Ref(_) => HandleKind::Ref,
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Handle::Array { block, elem, len } => f
                .debug_struct("Array")
                .field("block", block)
                .field("elem", elem)
                .field("len", len)
                .finish(),
            Handle::Ref(_) => f.write_str("Ref(..)"),
        }
    }
}

impl HandleKind {
    fn code(self) -> u8 {
        match self {
            HandleKind::Array => 0,
            HandleKind::Ref => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            HandleKind::Array => "Array",
            HandleKind::Ref => "ObjectRef",
        }
    }

    fn way_out(self) -> &'static str {
        match self {
            HandleKind::Array => "convert it with to_vec()",
            HandleKind::Ref => "get its value first",
        }
    }
}

/// Writes a handle in the place of a value: for the `Serialize` of types that travel out of band.
///
/// `tag` is the [`type_tag`](crate::codec::type_tag) of what it refers to.
///
/// # Errors
/// If no [`encode`](super::encode) runs on this thread, since nobody else could read it.
pub fn serialize_handle<S: Serializer>(
    serializer: S,
    kind: HandleKind,
    tag: u64,
    handle: Handle,
) -> Result<S::Ok, S::Error> {
    let Some(index) = ENCODE.push(handle) else {
        return Err(ser::Error::custom(format_args!(
            "an {} travels only through Mobula's own encoding; {}",
            kind.name(),
            kind.way_out()
        )));
    };
    let index = u32::try_from(index)
        .map_err(|_| ser::Error::custom("a value refers to more than 2^32 arrays and refs"))?;
    serializer.serialize_newtype_struct(
        HANDLE_NAME,
        &Place {
            kind: kind.code(),
            index,
            tag,
        },
    )
}

/// Reads a handle: for the `Deserialize` of types that travel out of band.
///
/// # Errors
/// If no [`decode`](super::decode) runs on this thread, or if what stands there is no handle of
/// that kind and tag.
pub fn deserialize_handle<'de, D: Deserializer<'de>>(
    deserializer: D,
    kind: HandleKind,
    tag: u64,
) -> Result<Handle, D::Error> {
    if !DECODE.is_active() {
        return Err(de::Error::custom(format_args!(
            "an {} can be read only from Mobula's own encoding",
            kind.name()
        )));
    }
    let place = deserializer.deserialize_newtype_struct(HANDLE_NAME, PlaceVisitor { kind })?;
    place.resolve(kind, tag).map_err(de::Error::custom)
}

/// What the bytes say about a handle.
struct Place {
    kind: u8,
    index: u32,
    tag: u64,
}

impl Place {
    fn resolve(&self, kind: HandleKind, tag: u64) -> Result<Handle, String> {
        let Place { index, .. } = *self;
        let Some(handle) = DECODE.handle(index as usize) else {
            return Err(format!("it refers to item {index} of {}", DECODE.len()));
        };
        if self.kind != kind.code() || handle.kind() != kind {
            return Err(format!(
                "item {index} is an {}, not an {}",
                handle.kind().name(),
                kind.name()
            ));
        }
        let found = match handle {
            Handle::Array { elem, .. } if elem != tag => elem,
            _ => self.tag,
        };
        if found != tag {
            return Err(format!(
                "item {index} is an {} of {}, not of {}",
                kind.name(),
                describe(found),
                describe(tag)
            ));
        }
        Ok(handle)
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&(), &PlaceBytes(self.kind, self.index, self.tag))?;
        map.end()
    }
}

struct PlaceVisitor {
    kind: HandleKind,
}

impl<'de> Visitor<'de> for PlaceVisitor {
    type Value = Place;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an {}", self.kind.name())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Place, D::Error> {
        inner.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Place, A::Error> {
        let entry = map.next_entry::<(), PlaceBytes>()?;
        let Some(((), PlaceBytes(kind, index, tag))) = entry else {
            return Err(de::Error::invalid_length(0, &self));
        };
        if map.next_key::<IgnoredAny>()?.is_some() {
            return Err(de::Error::custom(format_args!(
                "an {} has one entry, and here are more",
                self.kind.name()
            )));
        }
        Ok(Place { kind, index, tag })
    }
}

/// Kind, index and tag in 13 bytes.
struct PlaceBytes(u8, u32, u64);

impl Serialize for PlaceBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = [self.0; 13];
        bytes[1..5].copy_from_slice(&self.1.to_le_bytes());
        bytes[5..].copy_from_slice(&self.2.to_le_bytes());
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for PlaceBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PlaceBytes, D::Error> {
        struct BytesVisitor;

        impl Visitor<'_> for BytesVisitor {
            type Value = PlaceBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("13 bytes that say which item")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<PlaceBytes, E> {
                let parts = bytes.split_first().and_then(|(&kind, rest)| {
                    let (index, tag) = rest.split_first_chunk()?;
                    Some((
                        kind,
                        u32::from_le_bytes(*index),
                        u64::from_le_bytes(tag.try_into().ok()?),
                    ))
                });
                let Some((kind, index, tag)) = parts else {
                    return Err(E::invalid_length(bytes.len(), &self));
                };
                Ok(PlaceBytes(kind, index, tag))
            }
        }

        deserializer.deserialize_bytes(BytesVisitor)
    }
}
