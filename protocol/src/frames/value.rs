//! Values for a peer that passes them on. They are bytes, and lists of the objects and places that
//! the receiver replaces.

use std::{fmt, sync::Arc};

use mobula_store::{Loc, SegmentId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{PeerId, malformed};
use crate::{
    Result,
    argument::Argument,
    ids::{ObjectId, WorkerId},
    value::{Body, Value, WireAttachment},
    wire,
};

/// Bytes in MessagePack's own form for bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Bytes, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> std::result::Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> std::result::Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

/// The place of bytes outside frames: a range of a segment that the reader has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The segment.
    pub segment: u32,
    /// The first byte.
    pub offset: u64,
    /// How many.
    pub len: u64,
}

impl From<Loc> for Place {
    fn from(loc: Loc) -> Place {
        Place {
            segment: loc.segment.0,
            offset: loc.offset,
            len: loc.len,
        }
    }
}

impl From<Place> for Loc {
    fn from(place: Place) -> Loc {
        Loc {
            segment: SegmentId(place.segment),
            offset: place.offset,
            len: place.len,
        }
    }
}

/// A range of the segment of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// The first byte.
    pub offset: u64,
    /// How many.
    pub len: u64,
}

/// An object that a value refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The object.
    pub id: PeerId,
    /// Whether the object is an array that is read with the value. Then its bytes have to be on the
    /// machine of the value.
    pub is_array: bool,
}

/// A value on its way through a peer.
///
/// In `blob`, objects are indices into `refs`, and places have only their lengths. The peer passes
/// `blob` on, and makes both lists anew for the receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerValue {
    /// The value, encoded.
    pub blob: Bytes,
    /// The objects that the value refers to, in order.
    pub refs: Vec<Reference>,
    /// The places of stored bytes: those of the value itself, then those of each array among
    /// `refs`. Messages to the peer only have the place of the value itself.
    pub places: Vec<Place>,
}

impl PeerValue {
    /// Returns the form for the peer.
    ///
    /// # Errors
    /// The value cannot be encoded.
    pub fn of(value: &Value) -> Result<PeerValue> {
        let (mut refs, mut places) = (Vec::new(), Vec::new());
        let mut plain = value.clone();
        if let Body::Stored(loc) = &mut plain.body {
            places.push(Place::from(*loc));
            *loc = nowhere(*loc);
        }
        for attachment in &mut plain.attachments {
            let (id, is_array) = match attachment {
                WireAttachment::InlineArray(_) => continue,
                WireAttachment::Array { id, value } => {
                    if let Body::Stored(loc) = value.body {
                        let mut array = Value::clone(value);
                        array.body = Body::Stored(nowhere(loc));
                        *value = Arc::new(array);
                    }
                    (id, true)
                }
                WireAttachment::Ref { id } => (id, false),
            };
            let index = refs.len() as u64;
            refs.push(Reference {
                id: PeerId::from(*id),
                is_array,
            });
            *id = ObjectId {
                origin: WorkerId::DRIVER,
                seq: index,
            };
        }
        let mut blob = Vec::new();
        wire::encode_value(&plain, &mut blob).map_err(malformed)?;
        Ok(PeerValue {
            blob: Bytes(blob),
            refs,
            places,
        })
    }

    /// Returns the value that has arrived.
    ///
    /// # Errors
    /// The bytes are no value, or the lists do not fit the value.
    pub fn value(&self) -> Result<Value> {
        let mut value = wire::decode_value(&self.blob.0).map_err(malformed)?;
        let (mut refs, mut places) = (self.refs.iter(), self.places.iter());
        let mut here = |body: &mut Body| -> Result<()> {
            if let Body::Stored(loc) = body {
                match places.next() {
                    Some(place) if place.len == loc.len => *loc = Loc::from(*place),
                    _ => return Err(malformed("no place for stored bytes")),
                }
            }
            Ok(())
        };
        here(&mut value.body)?;
        let mut count = 0;
        for attachment in &mut value.attachments {
            let (own, array) = match attachment {
                WireAttachment::InlineArray(array) => {
                    if matches!(array.body, Body::Stored(_)) {
                        return Err(malformed("an inline array that is stored"));
                    }
                    continue;
                }
                WireAttachment::Array { id, value } => (id, Some(value)),
                WireAttachment::Ref { id } => (id, None),
            };
            let reference = refs
                .next()
                .filter(|reference| own.seq == count && reference.is_array == array.is_some());
            let reference = reference.ok_or_else(|| malformed("no object for a reference"))?;
            *own = ObjectId::from(reference.id);
            count += 1;
            if let Some(array) = array {
                let mut plain = Value::clone(array);
                here(&mut plain.body)?;
                *array = Arc::new(plain);
            }
        }
        match (refs.next(), places.next()) {
            (None, None) => Ok(value),
            _ => Err(malformed("more objects or places than the value has")),
        }
    }
}

/// An argument of a call. In messages to the process, an object has its value. In messages to the
/// peer, it may be pending.
pub type PeerArg = Argument<PeerValue, (PeerId, Option<PeerValue>)>;

/// Returns a location that has only the length.
fn nowhere(loc: Loc) -> Loc {
    Loc {
        segment: SegmentId(0),
        offset: 0,
        len: loc.len,
    }
}
