//! Functions that rest on a promise of the engine cannot be called without one.

mod common;

use std::{
    io,
    ops::Range,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, atomic::AtomicU64},
};

use common::{ENGINE, ID};
use mobula_store::{
    AtomicSlice, Backing, Block, EnginePromise, Heap, Lease, Lent, LentRef, LentTile, Loc, Mapped,
    Region, SegmentFile, Segments, SharedRef, SharedWords, StoreError, Writables,
};

type Stored<T> = Result<T, StoreError>;

/// The types say it; there is nothing to run. How a promise is made is in the documentation of its
/// type.
#[test]
fn each_function_that_rests_on_a_promise_takes_one() {
    let _: fn(OwnedFd, Option<OwnedFd>, u64, EnginePromise) -> Stored<SegmentFile> =
        SegmentFile::from_descriptors;
    let _: for<'f> fn(&'f SegmentFile, EnginePromise) -> Option<BorrowedFd<'f>> =
        SegmentFile::read_write_fd;
    let _: fn(&SegmentFile, u64, u64, EnginePromise) -> io::Result<()> = SegmentFile::punch;
    let _: fn(&Heap, Loc, EnginePromise) -> Stored<()> = Heap::free;
    let _: fn(&Heap, Loc, Lease, EnginePromise) -> Stored<Block> = Heap::block;
    let _: fn(&Arc<Heap>, Loc, Lease, EnginePromise) -> Stored<Region> = Heap::region;
    let _: fn(&Segments, Loc, Lease, EnginePromise) -> Stored<Block> = Segments::resolve;
    let _: fn(Mapped, Loc, Lease, EnginePromise) -> Stored<Block> = Mapped::resolve;
    let _: fn(&Writables, Loc, Lease, EnginePromise) -> Stored<Region> = Writables::open;
    let _: for<'r> fn(&'r Region, usize, usize, EnginePromise) -> Option<&'r [AtomicU64]> =
        Region::atomics;
    let _: fn(&Region, usize, usize, EnginePromise) -> Option<Lent<u8>> = Region::lend;
    let _: for<'r> fn(&'r Region, usize, usize, EnginePromise) -> Option<LentRef<'r, u8>> =
        Region::lend_ref;
    let _: for<'r> fn(&'r Region, usize, usize, EnginePromise) -> Option<SharedRef<'r, u8>> =
        Region::share;
    type Tile = fn(
        &Region,
        usize,
        usize,
        Range<usize>,
        Range<usize>,
        EnginePromise,
    ) -> Option<LentTile<u8>>;
    let _: Tile = Region::lend_tile;
    let _: fn(&Region, usize, usize, EnginePromise) -> Option<AtomicSlice<AtomicU64>> =
        AtomicSlice::new;
}

/// Else words of one value could change bytes that are looked at by another.
#[test]
fn a_file_is_words_or_bytes_whichever_value_stands_for_it() {
    const LEN: u64 = 1 << 20;
    let file = || SegmentFile::create(LEN, LEN, Backing::Auto).unwrap();
    let again = |file: &SegmentFile| {
        let fd = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
        let write = file.read_write_fd(ENGINE).map(fd);
        SegmentFile::from_descriptors(fd(file.as_fd()), write, LEN, ENGINE).unwrap()
    };
    let segments = Segments::new();

    let words = file();
    let other = again(&words);
    let mapped = SharedWords::map(&words).unwrap();
    segments.insert(ID, &other).unwrap_err();
    Writables::new().insert(ID, &other).unwrap_err();
    SharedWords::map(&other).unwrap();
    // Mapped, it is what it was, also when no value is left.
    let third = again(&other);
    drop((words, other));
    segments.insert(ID, &third).unwrap_err();
    let fourth = again(&third);
    drop((third, mapped));
    segments.insert(ID, &fourth).unwrap_err();

    let bytes = file();
    let other = again(&bytes);
    segments.insert(ID, &bytes).unwrap();
    drop(bytes);
    SharedWords::map(&other).unwrap_err();
    Writables::new().insert(ID, &other).unwrap();
}
