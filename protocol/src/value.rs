//! Values in the form that the engine uses: bytes, their format, and the objects that they refer
//! to.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use mobula_store::{
    Block, Loc,
    codec::{self, NIL, type_tag},
};
use serde::{Deserialize, Serialize};

use crate::{ids::ObjectId, shape::Shape};

/// A number that stands for a Rust type. All processes that run one program have the same number
/// for a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeTag(pub u64);

/// The way in which the bytes of a value are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Plain elements one after the other, in the order of `shape` (row-major). Slices, vectors and
    /// `Array` have one dimension. `ndarray` has any number of them.
    Flat {
        /// The element type.
        elem: TypeTag,
        /// Elements along each dimension.
        shape: Shape,
    },
    /// UTF-8.
    Text,
    /// Encoded by `mobula_store::codec`.
    Packed {
        /// The type that was encoded.
        of: TypeTag,
    },
    /// Memory that several processes write to. Nothing reads it as bytes: see
    /// [`SharedMemory::region`](crate::SharedMemory::region).
    Shared {
        /// The use of the memory.
        kind: SharedKind,
        /// The element type.
        of: TypeTag,
        /// Elements along each dimension.
        shape: Shape,
    },
    /// A part of a shared array, lent to the holder of this object. The array is the value's only
    /// attachment. There are no bytes.
    Part {
        /// The element type.
        of: TypeTag,
        /// The place of the part in its array.
        range: Box<PartRange>,
    },
}

/// The uses of shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SharedKind {
    /// Elements of which parts are lent.
    Array,
    /// Atomics.
    Atomics,
    /// A lock over one holder's data.
    Mutex,
    /// A lock over one writer's or many readers' data.
    RwLock,
    /// A condition variable.
    Condvar,
    /// A barrier.
    Barrier,
    /// A semaphore.
    Semaphore,
    /// A function that is called once.
    Once,
}

impl SharedKind {
    /// All kinds, in the order of their numbers.
    pub(crate) const ALL: [SharedKind; 8] = [
        SharedKind::Array,
        SharedKind::Atomics,
        SharedKind::Mutex,
        SharedKind::RwLock,
        SharedKind::Condvar,
        SharedKind::Barrier,
        SharedKind::Semaphore,
        SharedKind::Once,
    ];
}

/// The place of a part in its shared array, in elements.
///
/// # Examples
/// ```
/// use mobula::{PartRange, prelude::*};
///
/// #[remote]
/// fn fails(part: &mut [u32]) -> Result<(), String> {
///     Err(format!("a part of {} elements", part.len()))
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let array = rt.shared_array::<u32>(100, 0)?;
/// fails::remote(array.part_mut(30..50)?).spawn().detach();
/// assert_eq!(array.settle()?[0].part, PartRange::Span { start: 30, end: 50 });
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PartRange {
    /// Consecutive elements.
    Span {
        /// The first element.
        start: u64,
        /// The element after the last.
        end: u64,
    },
    /// A rectangle.
    Tile {
        /// The first row, and the row after the last.
        rows: (u64, u64),
        /// The first column, and the column after the last.
        columns: (u64, u64),
        /// Elements of a row of the array.
        width: u64,
    },
}

impl PartRange {
    /// Returns the first element and the element after the last. For a tile, other elements lie
    /// between. Returns `None` if no array can have this part.
    ///
    /// # Examples
    /// ```
    /// use mobula::PartRange;
    ///
    /// assert_eq!(PartRange::Span { start: 3, end: 7 }.bounds(), Some((3, 7)));
    /// let tile = PartRange::Tile { rows: (1, 3), columns: (2, 4), width: 10 };
    /// assert_eq!(tile.bounds(), Some((12, 24)));
    /// ```
    pub fn bounds(&self) -> Option<(u64, u64)> {
        match *self {
            PartRange::Span { start, end } => (start <= end).then_some((start, end)),
            PartRange::Tile {
                rows,
                columns,
                width,
            } => {
                if rows.0 > rows.1 || columns.0 > columns.1 || columns.1 > width {
                    return None;
                }
                if rows.0 == rows.1 || columns.0 == columns.1 {
                    return Some((0, 0));
                }
                let start = rows.0.checked_mul(width)?.checked_add(columns.0)?;
                let end = (rows.1 - 1).checked_mul(width)?.checked_add(columns.1)?;
                Some((start, end))
            }
        }
    }

    /// Returns whether both have an element in common.
    ///
    /// A tile and a span, or tiles of different widths, count as overlapping if their bounds do.
    ///
    /// # Examples
    /// ```
    /// use mobula::PartRange;
    ///
    /// let span = |start, end| PartRange::Span { start, end };
    /// assert!(span(0, 5).overlaps(&span(4, 8)));
    /// assert!(!span(0, 5).overlaps(&span(5, 8)));
    /// let tile = |columns| PartRange::Tile { rows: (0, 2), columns, width: 10 };
    /// assert!(!tile((0, 5)).overlaps(&tile((5, 10))));
    /// ```
    pub fn overlaps(&self, other: &PartRange) -> bool {
        let common = |(a, b): (u64, u64), (c, d): (u64, u64)| a.max(c) < b.min(d);
        match (self, other) {
            (
                PartRange::Tile {
                    rows,
                    columns,
                    width,
                },
                PartRange::Tile {
                    rows: others,
                    columns: theirs,
                    width: its,
                },
            ) if width == its => common(*rows, *others) && common(*columns, *theirs),
            _ => match (self.bounds(), other.bounds()) {
                (Some(own), Some(its)) => common(own, its),
                _ => true,
            },
        }
    }
}

impl fmt::Display for PartRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartRange::Span { start, end } => write!(f, "elements {start}..{end}"),
            PartRange::Tile { rows, columns, .. } => write!(
                f,
                "rows {}..{}, columns {}..{}",
                rows.0, rows.1, columns.0, columns.1
            ),
        }
    }
}

/// A part whose last task began and failed: its elements may be half written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IncompleteRange {
    /// The place of the part.
    pub range: PartRange,
    /// The error of the task.
    pub error: crate::Error,
}

impl Format {
    /// Returns the alignment that bytes of this format need in private memory. Elements begin at a
    /// cache line, like those in the store. Values of other formats are decoded: only bytes are
    /// read in place from them.
    pub fn align(&self) -> usize {
        match self {
            Format::Flat { .. } => 64,
            Format::Text | Format::Packed { .. } | Format::Shared { .. } | Format::Part { .. } => 1,
        }
    }
}

/// The place of the bytes of a value.
#[derive(Clone, Debug)]
pub enum Body {
    /// In private memory of each process that holds the value. Each message copies the bytes.
    Inline(Block),
    /// In a segment of the store.
    Stored(Loc),
}

/// An object that a packed value refers to, by index.
#[derive(Clone, Debug)]
pub enum WireAttachment {
    /// An array that is small enough to travel with the value.
    InlineArray(Arc<Value>),
    /// An array, or shared memory, that is an object of its own. Its value is known, since such an
    /// object exists before a value can refer to it.
    Array {
        /// The object.
        id: ObjectId,
        /// Its stored value: flat or shared.
        value: Arc<Value>,
    },
    /// A ref to an object that may be pending.
    Ref {
        /// The object.
        id: ObjectId,
    },
}

impl WireAttachment {
    /// Returns the object that the attachment keeps alive, with its value if the attachment has it.
    pub fn object(&self) -> Option<(ObjectId, Option<&Arc<Value>>)> {
        match self {
            WireAttachment::InlineArray(_) => None,
            WireAttachment::Array { id, value } => Some((*id, Some(value))),
            WireAttachment::Ref { id } => Some((*id, None)),
        }
    }

    /// Returns the object that the attachment keeps alive.
    pub fn id(&self) -> Option<ObjectId> {
        match self {
            WireAttachment::InlineArray(_) => None,
            WireAttachment::Array { id, .. } | WireAttachment::Ref { id } => Some(*id),
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
    /// The objects that the bytes refer to by index. Only packed values and parts have attachments.
    pub attachments: Vec<WireAttachment>,
}

/// The value of tasks without a result. A program with a million such tasks saves a million values.
static UNIT: LazyLock<Arc<Value>> = LazyLock::new(|| {
    Arc::new(Value {
        format: Format::Packed {
            of: TypeTag(type_tag::<()>()),
        },
        body: Body::Inline(Block::copy_of(&[NIL], 1)),
        attachments: Vec::new(),
    })
});

impl Value {
    /// Returns the value of `()`. Cost: a reference count.
    pub fn unit() -> Arc<Value> {
        UNIT.clone()
    }

    /// Returns this value behind a reference count. This costs an allocation, except for the value
    /// of `()`, which all share.
    pub fn share(self) -> Arc<Value> {
        match self.is_unit() {
            true => Value::unit(),
            false => Arc::new(self),
        }
    }

    fn is_unit(&self) -> bool {
        matches!(self.format, Format::Packed { of } if of == TypeTag(type_tag::<()>()))
            && matches!(&self.body, Body::Inline(block) if *block.bytes() == [NIL])
            && self.attachments.is_empty()
    }

    /// Returns a value that stands for another one: for the value of the attachment's object.
    pub fn standing_for(attachment: WireAttachment) -> Value {
        Value {
            format: Format::Packed { of: TypeTag(0) },
            body: Body::Inline(Block::default()),
            attachments: vec![attachment],
        }
    }

    /// Returns the value that describes a queue. `state` has the number of values in it, whether it
    /// is closed, and a count. The count is that of the values that were ever put in, plus those
    /// that wait for room.
    ///
    /// # Errors
    /// Fails if the codec cannot encode `state`.
    pub fn queue_state(state: (u64, bool, u64)) -> crate::Result<Value> {
        let encoded =
            codec::encode(&state).map_err(|error| crate::Error::codec(error.to_string()))?;
        Ok(Value {
            format: Format::Packed {
                of: TypeTag(type_tag::<(u64, bool, u64)>()),
            },
            body: Body::Inline(Block::copy_of(&encoded.bytes, 1)),
            attachments: Vec::new(),
        })
    }

    /// Returns the attachment that the value [stands for](Value::standing_for), or `None`. Encoded
    /// values have at least one byte, so they differ from such a value.
    pub fn stands_for(&self) -> Option<&WireAttachment> {
        match (&self.format, &self.body, &*self.attachments) {
            (Format::Packed { of: TypeTag(0) }, Body::Inline(block), [attachment])
                if block.is_empty() =>
            {
                Some(attachment)
            }
            _ => None,
        }
    }

    /// Returns whether the value is data that never changes, with all values that it refers to.
    ///
    /// Three things are no such data: memory that processes write to, a part of such memory, and an
    /// object that may be pending. A value that refers to one of them is no such data either. A
    /// call with data alone waits for nothing, and leaves no argument half written. Cost: one step
    /// for each attachment, up to the first that decides.
    pub fn is_data(&self) -> bool {
        let data = match &self.format {
            Format::Flat { .. } | Format::Text | Format::Packed { .. } => true,
            Format::Shared { .. } | Format::Part { .. } => false,
        };
        data && self.attachments.iter().all(|attachment| match attachment {
            WireAttachment::InlineArray(_) => true,
            WireAttachment::Array { value, .. } => value.is_data(),
            WireAttachment::Ref { .. } => false,
        })
    }

    /// Returns the objects that this value keeps alive.
    pub fn nested(&self) -> impl Iterator<Item = ObjectId> + '_ {
        self.attachments.iter().filter_map(WireAttachment::id)
    }
}

/// The end of a task: its result or its error.
pub type Outcome = Result<Arc<Value>, crate::Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_small() {
        assert_eq!(size_of::<Format>(), 32);
    }

    #[test]
    fn units_are_one_value_and_nothing_else_is() {
        let packed = |of: u64, bytes: &[u8]| Value {
            format: Format::Packed { of: TypeTag(of) },
            body: Body::Inline(Block::copy_of(bytes, 1)),
            attachments: Vec::new(),
        };
        let unit = mobula_store::codec::encode(&()).unwrap().bytes;
        let shared = packed(type_tag::<()>(), &unit).share();
        assert!(Arc::ptr_eq(&shared, &Value::unit()));
        // The first has the byte of `None`. The second has a unit's type with other bytes, like a
        // value in damaged memory.
        for other in [
            packed(type_tag::<Option<u8>>(), &unit),
            packed(type_tag::<()>(), &[7]),
        ] {
            let (bytes, other) = (other.body.clone(), other.share());
            assert!(!Arc::ptr_eq(&other, &shared));
            let (Body::Inline(before), Body::Inline(after)) = (bytes, &other.body) else {
                panic!("{other:?}");
            };
            assert_eq!(before.bytes(), after.bytes());
        }
    }

    #[test]
    fn data_is_what_nobody_writes_or_waits_for() {
        let value = |format: Format, attachments: Vec<WireAttachment>| Value {
            format,
            body: Body::Inline(Block::copy_of(b"", 1)),
            attachments,
        };
        let of = TypeTag(1);
        let id = ObjectId {
            origin: crate::WorkerId(1),
            seq: 1,
        };
        let flat = Format::Flat {
            elem: of,
            shape: Shape::of_vec(0),
        };
        let shared = Format::Shared {
            kind: SharedKind::Barrier,
            of,
            shape: Shape::of_vec(1),
        };
        let range = Box::new(PartRange::Span { start: 0, end: 1 });
        let beside = |format: Format| WireAttachment::Array {
            id,
            value: Arc::new(value(format, vec![])),
        };
        let packed = |attachments| value(Format::Packed { of }, attachments).is_data();
        let inline = WireAttachment::InlineArray(Arc::new(value(flat.clone(), vec![])));
        assert!(value(Format::Text, vec![]).is_data() && value(flat.clone(), vec![]).is_data());
        assert!(packed(vec![]) && packed(vec![inline.clone(), beside(flat)]));
        assert!(!value(shared.clone(), vec![]).is_data());
        assert!(!value(Format::Part { of, range }, vec![]).is_data());
        assert!(!packed(vec![inline, beside(shared)]) && !packed(vec![WireAttachment::Ref { id }]));
    }

    #[test]
    fn ranges_overlap_where_they_share_an_element() {
        let span = |start, end| PartRange::Span { start, end };
        let tile = |rows, columns| PartRange::Tile {
            rows,
            columns,
            width: 10,
        };
        assert!(!span(0, 5).overlaps(&span(5, 9)));
        assert!(span(0, 5).overlaps(&span(4, 9)));
        assert!(!span(3, 3).overlaps(&span(0, 9)));
        assert!(!tile((0, 5), (0, 5)).overlaps(&tile((0, 5), (5, 10))));
        assert!(tile((0, 5), (0, 5)).overlaps(&tile((4, 6), (4, 6))));
        // This span lies between the first and the last element of the tile.
        assert!(tile((0, 2), (0, 5)).overlaps(&span(7, 8)));
        assert!(!tile((0, 2), (0, 5)).overlaps(&span(15, 20)));
        assert_eq!(tile((2, 4), (1, 3)).bounds(), Some((21, 33)));
        assert_eq!(tile((2, 2), (1, 3)).bounds(), Some((0, 0)));
        assert_eq!(tile((0, 1), (9, 11)).bounds(), None);
        let huge = tile((u64::MAX - 1, u64::MAX), (0, 1));
        assert_eq!(huge.bounds(), None);
        assert!(huge.overlaps(&span(0, 1)));
    }
}
