//! Immutable bytes, in the store or in private memory.

use std::{fmt, mem::MaybeUninit, ptr::NonNull, slice, sync::Arc};

use crate::{Lease, Loc, Plain, StoreError, location::MAX_ALIGN, map::Mapping};

/// The least alignment of aligned bytes: a cache line, so that vectorised code finds aligned data.
const LEAST_ALIGN: usize = 64;

/// Immutable bytes that are cheap to clone and to send between threads.
///
/// They lie in private memory, or in a read-only mapping of a segment. The second kind has a lease
/// that keeps the store from reusing the memory.
///
/// If the bytes need no alignment, up to [`Block::SMALL`] of them lie in the block itself, without
/// an allocation. So a move of the block can change the address of the bytes.
#[derive(Clone)]
pub struct Block {
    place: Place,
}

/// The place of the bytes of a block. A block has 32 bytes with the tag, because of the order of
/// sizes.
#[derive(Clone)]
enum Place {
    /// In the block itself.
    Small { len: u8, bytes: [u8; Block::SMALL] },
    /// `len` bytes after the first `skip` bytes of an allocation, which also holds the counts.
    Copied {
        skip: u16,
        len: usize,
        all: Arc<[u8]>,
    },
    /// A vector that no code changes any more.
    Vector(Arc<dyn Bytes>),
    /// In a segment.
    Shared(View),
}

/// A range of a segment.
#[derive(Clone)]
struct View {
    start: NonNull<u8>,
    len: usize,
    /// The rest is one allocation, so a clone is one increment.
    keep: Arc<Keep>,
}

struct Keep {
    loc: Loc,
    // Fields are dropped in this order, so the lease ends while the memory is still mapped.
    lease: Lease,
    _mapping: Arc<Mapping>,
}

// SAFETY: the bytes are immutable as long as the view lives (see `View::bytes`), and `keep` is
// itself `Send` and `Sync`.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

/// Elements of any type as bytes.
trait Bytes: Send + Sync {
    fn bytes(&self) -> &[u8];
}

impl<E: Plain> Bytes for Vec<E> {
    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(self)
    }
}

impl Block {
    /// The largest number of bytes that lie in the block itself if they need no alignment. A block
    /// with an allocation needs as much room.
    pub const SMALL: usize = 30;

    /// Copies `bytes` into private memory.
    ///
    /// With an `align` of 0 or 1 the bytes may lie anywhere, and up to [`Block::SMALL`] of them
    /// need no allocation. Otherwise they are aligned to `align` bytes, and at least to 64. `align`
    /// is rounded up to a power of two, and to at most a page, like in the store. More bytes need
    /// one allocation.
    #[inline]
    pub fn copy_of(bytes: &[u8], align: usize) -> Block {
        if bytes.is_empty() || (align <= 1 && bytes.len() <= Block::SMALL) {
            return Block::small(bytes);
        }
        Block::allocated(bytes, align)
    }

    fn allocated(bytes: &[u8], align: usize) -> Block {
        if align <= 1 {
            return Block {
                place: Place::Copied {
                    skip: 0,
                    len: bytes.len(),
                    all: bytes.into(),
                },
            };
        }
        let align = align.clamp(LEAST_ALIGN, MAX_ALIGN).next_power_of_two();
        // This is room to move the first byte to an aligned address. A request for the alignment
        // would take the allocator longer than the rest of this function.
        let mut all = Arc::<[u8]>::new_uninit_slice(bytes.len() + align - 1);
        let skip = all.as_ptr().cast::<u8>().align_offset(align);
        {
            let Some(all) = Arc::get_mut(&mut all) else {
                unreachable!("nobody else has it yet")
            };
            let (before, rest) = all.split_at_mut(skip);
            let (middle, after) = rest.split_at_mut(bytes.len());
            before.fill(MaybeUninit::new(0));
            for (place, byte) in middle.iter_mut().zip(bytes) {
                place.write(*byte);
            }
            after.fill(MaybeUninit::new(0));
        }
        // SAFETY: the three parts, which were written, are all of it.
        let all = unsafe { all.assume_init() };
        Block {
            place: Place::Copied {
                // It is less than a page.
                skip: skip as u16,
                len: bytes.len(),
                all,
            },
        }
    }

    /// Takes over the elements of a vector without a copy. But up to [`Block::SMALL`] elements of
    /// one byte move into the block itself.
    pub fn from_vec<E: Plain>(vec: Vec<E>) -> Block {
        if align_of::<E>() == 1 && size_of_val(vec.as_slice()) <= Block::SMALL {
            return Block::small(bytemuck::cast_slice(&vec));
        }
        Block::in_place(vec)
    }

    /// Takes over a vector like [`Block::from_vec`], but never moves elements. If the block is not
    /// empty, they stay at their address.
    pub(crate) fn in_place<E: Plain>(vec: Vec<E>) -> Block {
        if size_of_val(vec.as_slice()) == 0 {
            return Block::default();
        }
        Block {
            place: Place::Vector(Arc::new(vec)),
        }
    }

    /// Returns a block with `bytes`, at most [`Block::SMALL`] of them, in the block itself.
    #[inline]
    fn small(bytes: &[u8]) -> Block {
        let mut own = [0; Block::SMALL];
        copy_short(&mut own[..bytes.len()], bytes);
        Block::from_small(own, bytes.len())
    }

    /// Returns a block with the first `len` of these bytes, or with all if `len` is larger, in the
    /// block itself.
    #[inline]
    pub fn from_small(bytes: [u8; Block::SMALL], len: usize) -> Block {
        let len = len.min(Block::SMALL) as u8;
        Block {
            place: Place::Small { len, bytes },
        }
    }

    /// Returns the bytes that [lie in the block itself](Block::SMALL), and their number. The bytes
    /// after that number may have any value. A copy of all takes less time than one of exactly that
    /// number.
    #[inline]
    pub fn as_small(&self) -> Option<(&[u8; Block::SMALL], usize)> {
        match &self.place {
            Place::Small { len, bytes } => Some((bytes, usize::from(*len))),
            _ => None,
        }
    }

    /// Returns a range of a read-only mapping of the segment that `loc` names. `lease` must do what
    /// the crate's documentation calls *pinned while leased*.
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
        let keep = Arc::new(Keep {
            loc,
            lease,
            _mapping: mapping,
        });
        Ok(Block {
            place: Place::Shared(View { start, len, keep }),
        })
    }

    /// Returns the bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        match &self.place {
            Place::Small { len, bytes } => &bytes[..usize::from(*len)],
            Place::Copied { skip, len, all } => &all[usize::from(*skip)..][..*len],
            Place::Vector(vec) => vec.bytes(),
            Place::Shared(view) => view.bytes(),
        }
    }

    /// Returns the bytes at an address that stays when the block is moved or cloned. If the bytes
    /// are private, the address is a multiple of `align`. Copies them only if they are not so
    /// already.
    pub(crate) fn pinned(self, align: usize) -> Block {
        let in_place = match &self.place {
            Place::Small { len, .. } => *len == 0,
            Place::Copied { .. } | Place::Vector(_) => {
                self.bytes().as_ptr().addr().is_multiple_of(align)
            }
            Place::Shared(_) => true,
        };
        if in_place {
            self
        } else {
            // With an alignment of 1 they would lie in the block itself.
            Block::copy_of(self.bytes(), align.max(LEAST_ALIGN))
        }
    }

    /// Returns the number of bytes.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.place {
            Place::Small { len, .. } => usize::from(*len),
            Place::Copied { len, .. } => *len,
            Place::Vector(vec) => vec.bytes().len(),
            Place::Shared(view) => view.len,
        }
    }

    /// Returns whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the lease that keeps the bytes in the store, or `None` for private memory.
    pub fn lease(&self) -> Option<&Lease> {
        match &self.place {
            Place::Shared(view) => Some(&view.keep.lease),
            Place::Small { .. } | Place::Copied { .. } | Place::Vector(_) => None,
        }
    }

    /// Returns the location of the bytes in the store, or `None` for private memory.
    pub fn loc(&self) -> Option<Loc> {
        match &self.place {
            Place::Shared(view) => Some(view.keep.loc),
            Place::Small { .. } | Place::Copied { .. } | Place::Vector(_) => None,
        }
    }
}

/// Copies like `copy_from_slice`, but without a call for few bytes.
#[inline]
fn copy_short(to: &mut [u8], from: &[u8]) {
    macro_rules! ends {
        ($n:literal) => {
            if let (Some(first), Some(last)) = (from.first_chunk::<$n>(), from.last_chunk::<$n>())
                && let Some(place) = to.first_chunk_mut::<$n>()
            {
                *place = *first;
                if let Some(place) = to.last_chunk_mut::<$n>() {
                    *place = *last;
                }
            }
        };
    }
    match from.len() {
        0 => {}
        1 => ends!(1),
        2..4 => ends!(2),
        4..8 => ends!(4),
        8..=16 => ends!(8),
        _ => to.copy_from_slice(from),
    }
}

impl View {
    #[inline]
    fn bytes(&self) -> &[u8] {
        // SAFETY: `start` and `len` are a range of the mapping, checked in `Block::shared`, and
        // `keep` keeps it mapped. Nobody writes there: a sealed extent is written by nobody until
        // it is freed (*one producer*), which the lease prevents (*pinned while leased*).
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Default for Block {
    /// Returns a block without bytes and without an allocation.
    fn default() -> Block {
        Block::small(&[])
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.loc() {
            Some(loc) => write!(f, "Block({loc})"),
            None => write!(f, "Block({} private bytes)", self.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_small() {
        assert_eq!(size_of::<Block>(), 32);
        assert_eq!(size_of::<Option<Block>>(), 32);
    }

    #[test]
    fn blocks_of_all_lengths_have_their_bytes() {
        let bytes: Vec<u8> = (1..=40).collect();
        for len in 0..=bytes.len() {
            let block = Block::copy_of(&bytes[..len], 1);
            assert_eq!(block.bytes(), &bytes[..len]);
            let small = block.as_small().map(|(all, len)| &all[..len]);
            assert_eq!(small, (len <= Block::SMALL).then_some(&bytes[..len]));
            let all = *bytes.first_chunk().unwrap();
            let small = Block::from_small(all, len);
            assert_eq!(small.bytes(), &bytes[..len.min(Block::SMALL)]);
        }
    }

    #[test]
    fn only_what_moves_or_is_misaligned_is_copied() {
        let small = Block::copy_of(&[1, 2, 3], 1);
        let pinned = small.pinned(1);
        assert_eq!(pinned.bytes(), [1, 2, 3]);
        let address = pinned.bytes().as_ptr();
        let moved = Box::new(pinned.clone().pinned(64));
        assert_eq!(moved.bytes().as_ptr(), address);

        let vec = vec![7_u64; 100];
        let address = vec.as_ptr();
        let block = Block::in_place(vec).pinned(8);
        assert_eq!(block.bytes().as_ptr(), address.cast());
        let page = Block::in_place(vec![7_u8; 1000]).pinned(4096);
        assert!(page.bytes().as_ptr().addr().is_multiple_of(4096));
        assert_eq!(page.bytes(), [7; 1000]);
    }
}
