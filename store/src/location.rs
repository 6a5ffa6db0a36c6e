//! Where bytes lie in the store.

use std::{any::Any, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// The largest alignment that every mapping of a segment can promise.
pub(crate) const MAX_ALIGN: usize = 4096;

/// What keeps memory of the store from being freed while it is looked at. The store never looks
/// into it; whoever made it may downcast it.
pub type Lease = Arc<dyn Any + Send + Sync>;

/// A segment. Numbers are given out by the driver and never used again within one runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SegmentId(pub u32);

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {}", self.0)
    }
}

/// A range of bytes in a segment.
///
/// It is only a name: it keeps nothing alive, and it may come from another process. Whoever
/// resolves it checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Loc {
    /// Which segment.
    pub segment: SegmentId,
    /// Where the bytes begin, counted from the segment's first byte.
    pub offset: u64,
    /// How many bytes.
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
