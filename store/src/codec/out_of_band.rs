//! Items out of band: arrays and refs.
//!
//! The bytes hold an extension with the index and the kind of the item. Its payload is a map with
//! the key nil. No struct, tuple or map of ordinary keys reads as that, so an untagged enum never
//! takes an array for another variant. A map can also be flattened and tagged.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
    ser::{self, SerializeMap as _},
};

use super::{
    format::HANDLE_BYTES,
    handle::{HANDLE_NAME, Handle, HandleKind},
    scope::{DECODE, ENCODE},
    tag::describe,
};

/// Writes a handle in the place of a value, for the `Serialize` of types that travel out of band.
///
/// `tag` is the [`type_tag`](crate::codec::type_tag) of the type that it refers to.
///
/// # Errors
/// Fails if no [`encode`](super::encode) runs on this thread, since no reader could find it then.
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
            once: false,
        },
    )
}

/// Reads a handle, for the `Deserialize` of types that travel out of band.
///
/// # Errors
/// Fails if no [`decode`](super::decode) runs on this thread, or if the bytes are no handle of that
/// kind and tag.
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

/// The description of a handle in the bytes.
struct Place {
    kind: u8,
    index: u32,
    tag: u64,
    /// Whether it is read only once. The decoder here reads it once, but serde may read a buffered
    /// value several times.
    once: bool,
}

impl Place {
    fn resolve(&self, kind: HandleKind, tag: u64) -> Result<Handle, String> {
        let Place { index, .. } = *self;
        // Each handle is written with a number of its own.
        let handle = match self.once {
            true => DECODE.take(index as usize),
            false => DECODE.handle(index as usize),
        };
        let Some(handle) = handle else {
            return Err(format!(
                "it refers to item {index} of {}, or to one for the second time",
                DECODE.len()
            ));
        };
        if self.kind != kind.code() || handle.kind() != kind {
            return Err(format!(
                "item {index} is an {}, not an {}",
                handle.kind().name(),
                kind.name()
            ));
        }
        let found = match &handle {
            Handle::Array(array) if array.elem != tag => array.elem,
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
        inner.deserialize_map(MapVisitor { kind: self.kind })
    }

    /// Reads a handle from the decoder here, which knows the form of a handle.
    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Place, E> {
        let PlaceBytes(kind, index, tag) = PlaceBytes::read(bytes)?;
        Ok(Place {
            kind,
            index,
            tag,
            once: true,
        })
    }
}

struct MapVisitor {
    kind: HandleKind,
}

impl<'de> Visitor<'de> for MapVisitor {
    type Value = Place;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an {}", self.kind.name())
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
        Ok(Place {
            kind,
            index,
            tag,
            once: false,
        })
    }
}

/// The kind, the index and the tag.
struct PlaceBytes(u8, u32, u64);

impl PlaceBytes {
    fn read<E: de::Error>(bytes: &[u8]) -> Result<PlaceBytes, E> {
        let parts = bytes.split_first().and_then(|(&kind, rest)| {
            let (index, tag) = rest.split_first_chunk()?;
            Some((
                kind,
                u32::from_le_bytes(*index),
                u64::from_le_bytes(tag.try_into().ok()?),
            ))
        });
        match parts {
            Some((kind, index, tag)) => Ok(PlaceBytes(kind, index, tag)),
            None => Err(E::invalid_length(bytes.len(), &BytesVisitor)),
        }
    }
}

impl Serialize for PlaceBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = [self.0; HANDLE_BYTES];
        bytes[1..5].copy_from_slice(&self.1.to_le_bytes());
        bytes[5..].copy_from_slice(&self.2.to_le_bytes());
        serializer.serialize_bytes(&bytes)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = PlaceBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("13 bytes that say which item")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<PlaceBytes, E> {
        PlaceBytes::read(bytes)
    }
}

impl<'de> Deserialize<'de> for PlaceBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PlaceBytes, D::Error> {
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::codec::{decode, encode, reader::Decoder};

    #[test]
    fn the_short_way_reads_what_is_written() {
        struct Ref(u64);

        impl Serialize for Ref {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serialize_handle(
                    serializer,
                    HandleKind::Ref,
                    self.0,
                    Handle::Ref(Arc::new(())),
                )
            }
        }

        let encoded = encode(&(Ref(7), Ref(u64::MAX))).unwrap();
        let mut decoder = Decoder::new(&encoded.bytes[1..]);
        for (n, tag) in [(0, 7), (1, u64::MAX)] {
            let bytes = decoder.next_handle().expect("a handle as it is written");
            let PlaceBytes(kind, index, found) =
                PlaceBytes::read::<de::value::Error>(bytes).unwrap();
            assert_eq!((kind, index, found), (HandleKind::Ref.code(), n, tag));
        }
        assert!(decoder.next_handle().is_none() && decoder.finish().is_ok());
    }

    #[test]
    fn an_item_is_given_out_once() {
        #[derive(Debug)]
        struct Ref;

        impl Serialize for Ref {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let handle = Handle::Ref(Arc::new(()));
                serialize_handle(serializer, HandleKind::Ref, 7, handle)
            }
        }

        impl<'de> Deserialize<'de> for Ref {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ref, D::Error> {
                deserialize_handle(deserializer, HandleKind::Ref, 7).map(|_| Ref)
            }
        }

        let mut encoded = encode(&(Ref, Ref)).unwrap();
        decode::<(Ref, Ref)>(&encoded.bytes, &encoded.items).unwrap();
        // The number of the second one becomes that of the first one.
        let at = encoded.bytes.len() - HANDLE_BYTES + 1;
        assert_eq!(encoded.bytes[at], 1);
        encoded.bytes[at] = 0;
        let error = decode::<(Ref, Ref)>(&encoded.bytes, &encoded.items).unwrap_err();
        assert!(error.to_string().contains("second time"), "{error}");
    }
}
