//! Values as they are known to the engine: bytes, how to read them, and what they refer to.

use std::sync::Arc;

use mobula_store::{Block, Loc};

use crate::ids::ObjectId;

/// A number that stands for a Rust type, the same in all processes that run one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeTag(pub u64);

/// How the bytes of a value are to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Plain elements one after the other, in the order of `shape` (row-major). One dimension for
    /// slices, vectors and `Array`, any number for `ndarray`.
    Flat {
        /// The element type.
        elem: TypeTag,
        /// Elements along each dimension.
        shape: Vec<u64>,
    },
    /// UTF-8.
    Text,
    /// Encoded by `mobula_store::codec`.
    Packed {
        /// The type that was encoded.
        of: TypeTag,
    },
}

impl Format {
    /// How bytes of this format are to be aligned in private memory: elements as in the store, a
    /// cache line; all else is decoded, and never looked at in place as anything but bytes.
    pub(crate) fn align(&self) -> usize {
        match self {
            Format::Flat { .. } => 64,
            Format::Text | Format::Packed { .. } => 1,
        }
    }
}

/// Where the bytes of a value are.
#[derive(Clone, Debug)]
pub enum Body {
    /// In private memory of each process that holds the value; copied with each message.
    Inline(Block),
    /// In a segment of the store.
    Stored(Loc),
}

/// What a packed value refers to, by index.
#[derive(Clone, Debug)]
pub enum Item {
    /// An array, small enough to travel with the value.
    InlineArray(Arc<Value>),
    /// An array that is an object of its own. Its value is known, since arrays exist before they
    /// are put into anything.
    Array {
        /// The object.
        id: ObjectId,
        /// Its (flat, stored) value.
        value: Arc<Value>,
    },
    /// A ref to an object that may be pending.
    Ref {
        /// The object.
        id: ObjectId,
    },
}

impl Item {
    /// The object that the item keeps alive.
    pub fn id(&self) -> Option<ObjectId> {
        match self {
            Item::InlineArray(_) => None,
            Item::Array { id, .. } | Item::Ref { id } => Some(*id),
        }
    }
}

/// A finished value, as the driver keeps it and as messages carry it.
#[derive(Clone, Debug)]
pub struct Value {
    /// How to read the bytes.
    pub format: Format,
    /// The bytes.
    pub body: Body,
    /// What the bytes refer to by index; empty but for packed values.
    pub items: Vec<Item>,
}

impl Value {
    /// The objects that this value keeps alive.
    pub fn nested(&self) -> impl Iterator<Item = ObjectId> + '_ {
        self.items.iter().filter_map(Item::id)
    }
}

/// How a task ended.
pub type Outcome = Result<Arc<Value>, crate::Error>;
