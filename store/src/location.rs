//! Locations of bytes in the store.

use std::{any::Any, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// The largest alignment that every mapping of a segment can promise.
pub(crate) const MAX_ALIGN: usize = 4096;

/// An owner that keeps memory of the store from being freed while it is read. The store never
/// inspects it. Its maker may downcast it.
pub type Lease = Arc<dyn Any + Send + Sync>;

/// A segment. The driver gives out the numbers, and never repeats one within a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SegmentId(pub u32);

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {}", self.0)
    }
}

/// A range of bytes in a segment.
///
/// It is only a name. It keeps nothing alive, and it may come from another process. The code that
/// resolves it checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Loc {
    /// The segment.
    pub segment: SegmentId,
    /// The offset of the first byte in the segment.
    pub offset: u64,
    /// The number of bytes.
    pub len: u64,
}

impl fmt::Display for Loc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loc {
            segment,
            offset,
            len,
        } = self;
        write!(f, "{len} bytes at {offset} of {segment}")
    }
}
