//! The segments that this process can read.

use std::{fmt, hash::BuildHasherDefault, sync::Arc};

use dashmap::{DashMap, Entry};

use crate::{
    Block, EnginePromise, Lease, Loc, NumberHasher, SegmentFile, SegmentId, StoreError,
    map::Mapping,
};

/// This process' table of read-only mappings.
#[derive(Default)]
pub struct Segments {
    mappings: DashMap<SegmentId, Arc<Mapping>, BuildHasherDefault<NumberHasher>>,
}

/// A segment that this process can read.
#[derive(Clone, Debug)]
pub struct Mapped {
    id: SegmentId,
    mapping: Arc<Mapping>,
}

impl Segments {
    /// Returns an empty table.
    pub fn new() -> Segments {
        Segments::default()
    }

    /// Maps a segment. The descriptors may be closed afterwards.
    ///
    /// # Errors
    /// Fails if the number is taken, or if the system refuses the mapping.
    pub fn insert(&self, id: SegmentId, file: &SegmentFile) -> Result<(), StoreError> {
        let mapping = Mapping::read_only(file)?;
        match self.mappings.entry(id) {
            Entry::Occupied(_) => Err(StoreError::other(format!("{id} is mapped already"))),
            Entry::Vacant(place) => {
                place.insert(mapping);
                Ok(())
            }
        }
    }

    /// Removes a segment. It is unmapped with its last block. Returns whether the table had it.
    pub fn remove(&self, id: SegmentId) -> bool {
        // The unmapping takes a while. The lock is free again by then.
        let removed = self.mappings.remove(&id);
        removed.is_some()
    }

    /// Returns whether the segment is mapped.
    pub fn contains(&self, id: SegmentId) -> bool {
        self.mappings.contains_key(&id)
    }

    /// Returns the bytes at a location. It adds the offset to the base, makes no system call and
    /// reads no page. The first read of a page in this process is a fault, which brings 64 KiB. A
    /// first read of 800 MiB takes 71 ms, and later ones take 29 ms.
    ///
    /// If the kernel entered all pages at once, it would take 46 ms more than the later reads, so
    /// that gains nothing. `lease` is dropped with the last clone of the block.
    ///
    /// *Pinned while leased*: the lease keeps the producer from freeing the location. *One use*: no
    /// process has it writable as shared memory.
    ///
    /// # Errors
    /// Fails with an invalid handle if the segment is not mapped or the range is not in it.
    pub fn resolve(
        &self,
        loc: Loc,
        lease: Lease,
        engine: EnginePromise,
    ) -> Result<Block, StoreError> {
        let mapped = self.find(loc.segment).ok_or_else(|| {
            StoreError::invalid_handle(format!("{loc}, which this process has not mapped"))
        })?;
        mapped.resolve(loc, lease, engine)
    }

    /// Returns the segment, if it is mapped.
    pub fn find(&self, id: SegmentId) -> Option<Mapped> {
        let mapping = self.mappings.get(&id)?.clone();
        Some(Mapped { id, mapping })
    }
}

impl Mapped {
    /// Returns the bytes at a location in this segment, like [`Segments::resolve`].
    ///
    /// # Errors
    /// Fails with an invalid handle if the location is not in it.
    pub fn resolve(self, loc: Loc, lease: Lease, _: EnginePromise) -> Result<Block, StoreError> {
        if loc.segment != self.id {
            return Err(StoreError::invalid_handle(format!(
                "{loc}, which is not in {}",
                self.id
            )));
        }
        Block::shared(self.mapping, loc, lease)
    }
}

impl fmt::Debug for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ids: Vec<_> = self.mappings.iter().map(|mapping| *mapping.key()).collect();
        ids.sort_unstable();
        f.debug_tuple("Segments").field(&ids).finish()
    }
}
