//! Immutable bytes, in the store or in private memory.

use std::{any::Any, fmt, ptr::NonNull, slice, sync::Arc};

use crate::{Loc, Plain, StoreError, map::Mapping};

/// What keeps memory of the store from being freed while it is looked at. The store never looks
/// into it; whoever made it may downcast it.
pub type Lease = Arc<dyn Any + Send + Sync>;

/// Immutable bytes that are cheap to clone and to send between threads.
///
/// They lie either in private memory or in a read-only mapping of a segment, together with a lease
/// that keeps the store from using the memory for anything else.
#[derive(Clone)]
pub struct Block {
    start: NonNull<u8>,
    len: usize,
    owner: Owner,
}

#[derive(Clone)]
enum Owner {
    /// No bytes at all.
    Nobody,
    /// A vector that nobody changes any more.
    Private { _vec: Arc<dyn Any + Send + Sync> },
    /// A range of a segment. One allocation, so that a clone is one increment.
    Shared(Arc<Shared>),
}

struct Shared {
    loc: Loc,
    // Fields are dropped in this order: the lease ends while the memory is still mapped.
    lease: Lease,
    _mapping: Arc<Mapping>,
}

// SAFETY: the bytes are immutable as long as the block lives (see `bytes`), and `owner` is itself
// `Send` and `Sync`.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// Copies `bytes` into private memory, aligned to `align` bytes or to 64, whichever is more.
    ///
    /// An alignment that is not a power of two is rounded up to one; beyond a page it is cut off
    /// there, as in the store.
    pub fn copy_of(bytes: &[u8], align: usize) -> Block {
        if bytes.is_empty() {
            return Block::default();
        }
        let align = align.clamp(64, crate::heap::MAX_ALIGN).next_power_of_two();
        // Room to move the first byte to an aligned address; the vector does not reallocate.
        let mut vec = Vec::<u8>::with_capacity(bytes.len() + align);
        vec.resize(vec.as_ptr().align_offset(align), 0);
        vec.extend_from_slice(bytes);
        let skipped = vec.len() - bytes.len();
        let vec = Arc::new(vec);
        let start = NonNull::from(&vec[skipped..]).cast();
        Block {
            start,
            len: bytes.len(),
            owner: Owner::Private { _vec: vec },
        }
    }

    /// Takes over the elements of a vector, without a copy.
    pub fn from_vec<E: Plain>(vec: Vec<E>) -> Block {
        if size_of_val(vec.as_slice()) == 0 {
            return Block::default();
        }
        let vec = Arc::new(vec);
        let bytes: &[u8] = bytemuck::cast_slice(vec.as_slice());
        let (start, len) = (NonNull::from(bytes).cast(), bytes.len());
        Block {
            start,
            len,
            owner: Owner::Private { _vec: vec },
        }
    }

    /// A range of a read-only mapping of the segment that `loc` names. `lease` must be what the
    /// crate's documentation calls *pinned while leased*.
    pub(crate) fn shared(
        mapping: Arc<Mapping>,
        loc: Loc,
        lease: Lease,
    ) -> Result<Block, StoreError> {
        let invalid =
            || StoreError::invalid_handle(format!("{loc}, which has only {} bytes", mapping.len()));
        let end = loc.offset.checked_add(loc.len).ok_or_else(invalid)?;
        let start = mapping.range(loc.offset..end).ok_or_else(invalid)?;
        let len = usize::try_from(loc.len).map_err(|_| invalid())?;
        let owner = Owner::Shared(Arc::new(Shared {
            loc,
            lease,
            _mapping: mapping,
        }));
        Ok(Block { start, len, owner })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `start` and `len` are a range of memory that `owner` keeps alive: checked against
        // the mapping in `shared`, taken from a slice of the vector otherwise. Nobody writes there:
        // the vector is reachable through `owner` only, which gives no access to it; and a sealed
        // extent is written by nobody until it is freed (*one producer*), which the lease prevents
        // (*pinned while leased*).
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The address of the first byte. Not to be read through where the length is zero.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What keeps the bytes in the store; `None` for private memory.
    pub fn lease(&self) -> Option<&Lease> {
        match &self.owner {
            Owner::Shared(shared) => Some(&shared.lease),
            Owner::Nobody | Owner::Private { .. } => None,
        }
    }

    /// Where in the store the bytes are; `None` for private memory.
    pub fn loc(&self) -> Option<Loc> {
        match &self.owner {
            Owner::Shared(shared) => Some(shared.loc),
            Owner::Nobody | Owner::Private { .. } => None,
        }
    }
}

impl Default for Block {
    /// No bytes, and no allocation.
    fn default() -> Block {
        Block {
            start: NonNull::dangling(),
            len: 0,
            owner: Owner::Nobody,
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.loc() {
            Some(loc) => write!(f, "Block({loc})"),
            None => write!(f, "Block({} private bytes)", self.len),
        }
    }
}
