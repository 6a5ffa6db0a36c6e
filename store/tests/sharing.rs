//! Extents that several processes write to.

mod common;

use std::{
    os::{fd::AsFd, unix::process::ExitStatusExt},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use mobula_store::{
    AtomicF64, Backing, Budget, Capacity, Extent, Heap, Loc, SegmentFile, SegmentId, Writables,
    is_cell,
};

use common::ENGINE;

const SEGMENT: SegmentId = SegmentId(5);
const LEN: u64 = 64 << 20;

/// A producer, and what another process has of its segment.
fn two_processes() -> (Arc<Heap>, Writables) {
    let file = SegmentFile::create(LEN, LEN, Backing::Auto).unwrap();
    let again = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
    let other = SegmentFile::from_descriptors(
        again(file.as_fd()),
        file.read_write_fd(ENGINE).map(again),
        file.len(),
        ENGINE,
    )
    .unwrap();
    let capacity: Arc<dyn Budget> = Arc::new(Capacity::new(LEN));
    let heap = Heap::new(SEGMENT, file, capacity).unwrap();
    let writables = Writables::new();
    writables.insert(SEGMENT, &other).unwrap();
    (heap, writables)
}

/// A shared extent, adopted.
fn shared(heap: &Arc<Heap>, len: usize) -> Loc {
    let extent: Arc<Extent> = heap.reserve_shared(len).unwrap().seal();
    drop(extent.adopt(|_| Arc::new(())));
    extent.loc()
}

#[test]
fn what_one_writes_the_other_reads() {
    let (heap, other) = two_processes();
    for len in [8, 4096, 4104, 1 << 20] {
        let loc = shared(&heap, len);
        let mine = heap.region(loc, Arc::new(()), ENGINE).unwrap();
        let theirs = other.open(loc, Arc::new(()), ENGINE).unwrap();
        let count = len / 8;
        assert_eq!(
            mine.atomics::<AtomicU64>(0, count, ENGINE).unwrap().len(),
            count
        );
        let last = |region: &mobula_store::Region| {
            let words = region.atomics::<AtomicU64>(0, count, ENGINE).unwrap();
            words[count - 1].fetch_add(1, Ordering::SeqCst)
        };
        assert_eq!(
            [last(&mine), last(&theirs), last(&mine)],
            [0, 1, 2],
            "{len}"
        );
    }
}

#[test]
fn shared_memory_begins_as_zeros_also_when_it_was_used_before() {
    let (heap, _) = two_processes();
    for len in [64, 100_000] {
        let loc = shared(&heap, len);
        let mut lent = heap
            .region(loc, Arc::new(()), ENGINE)
            .unwrap()
            .lend::<u8>(0, len, ENGINE)
            .unwrap();
        lent.fill(0xff);
        drop(lent);
        heap.free(loc, ENGINE).unwrap();
        let again = shared(&heap, len);
        assert_eq!(again.offset, loc.offset, "the test needs the same memory");
        let lent = heap
            .region(again, Arc::new(()), ENGINE)
            .unwrap()
            .lend::<u8>(0, len, ENGINE)
            .unwrap();
        assert!(lent.iter().all(|&byte| byte == 0));
    }
}

#[test]
fn large_ones_share_no_page_and_small_ones_share_slabs() {
    let (heap, _) = two_processes();
    let large: Vec<Loc> = (0..4).map(|_| shared(&heap, 5000)).collect();
    for loc in &large {
        assert!(!is_cell(*loc));
        assert_eq!(loc.offset % 4096, 0);
        let ordinary = heap.reserve(64, 1).unwrap().seal().loc();
        let pages = loc.offset..(loc.offset + loc.len).next_multiple_of(4096);
        assert!(!pages.contains(&ordinary.offset));
    }
    let before = heap.in_use();
    let small: Vec<Loc> = (0..2000).map(|_| shared(&heap, 16)).collect();
    assert!(small.iter().all(|loc| is_cell(*loc)));
    assert!(heap.in_use() - before <= 3 * (64 << 10));
    // They are free again one by one, and no memory is taken for the next.
    small
        .iter()
        .for_each(|loc| heap.free(*loc, ENGINE).unwrap());
    assert!(heap.free(small[0], ENGINE).is_err());
    let (after, again) = (heap.in_use(), shared(&heap, 16));
    assert!(small.contains(&again));
    assert_eq!(heap.in_use(), after);
}

#[test]
fn parts_and_tiles_are_where_they_should_be() {
    let (heap, other) = two_processes();
    let (rows, width) = (10, 700);
    let loc = shared(&heap, rows * width * 8);
    let region = heap.region(loc, Arc::new(()), ENGINE).unwrap();
    let mut part = region.lend::<f64>(width * 8, width, ENGINE).unwrap();
    part.fill(1.0);
    let mut tile = other
        .open(loc, Arc::new(()), ENGINE)
        .unwrap()
        .lend_tile::<f64>(0, width, 4..7, 100..103, ENGINE)
        .unwrap();
    assert_eq!(tile.shape(), (3, 3));
    for row in 0..3 {
        tile.row_mut(row).fill(2.0 + row as f64);
    }
    drop((part, tile));
    let all = region.lend::<f64>(0, rows * width, ENGINE).unwrap();
    for (at, value) in all.iter().enumerate() {
        let (row, column) = (at / width, at % width);
        let expected = match row {
            1 => 1.0,
            4..7 if (100..103).contains(&column) => 2.0 + (row - 4) as f64,
            _ => 0.0,
        };
        assert_eq!(*value, expected, "row {row} column {column}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (heap, other) = two_processes();
    let loc = shared(&heap, 8000);
    let region = heap.region(loc, Arc::new(()), ENGINE).unwrap();
    assert!(region.lend::<f64>(0, 1000, ENGINE).is_some());
    assert!(region.lend::<f64>(0, 1001, ENGINE).is_none());
    assert!(region.lend::<f64>(8, 1000, ENGINE).is_none());
    assert!(region.lend::<f64>(4, 1, ENGINE).is_none(), "not aligned");
    assert!(region.lend::<f64>(usize::MAX, 1, ENGINE).is_none());
    assert!(region.lend::<f64>(0, usize::MAX / 4, ENGINE).is_none());
    assert!(region.lend::<[u8; 0]>(0, 1, ENGINE).is_none());
    assert!(region.atomics::<AtomicF64>(8000, 0, ENGINE).is_some());
    assert!(region.atomics::<AtomicF64>(8000, 1, ENGINE).is_none());
    assert!(
        region
            .lend_tile::<f64>(0, 100, 0..10, 0..100, ENGINE)
            .is_some()
    );
    assert!(
        region
            .lend_tile::<f64>(0, 100, 0..11, 0..1, ENGINE)
            .is_none()
    );
    assert!(
        region
            .lend_tile::<f64>(0, 100, 0..1, 0..101, ENGINE)
            .is_none()
    );
    assert!(
        region
            .lend_tile::<f64>(0, usize::MAX, 0..2, 0..1, ENGINE)
            .is_none()
    );
    assert_eq!(
        region
            .lend_tile::<f64>(0, 100, 3..3, 0..5, ENGINE)
            .unwrap()
            .shape(),
        (0, 5)
    );
    let beyond = Loc { offset: LEN, ..loc };
    assert!(
        other
            .open(beyond, Arc::new(()), ENGINE)
            .unwrap_err()
            .is_invalid_handle()
    );
    let elsewhere = Loc {
        segment: SegmentId(6),
        ..loc
    };
    assert!(
        other
            .open(elsewhere, Arc::new(()), ENGINE)
            .unwrap_err()
            .is_invalid_handle()
    );
    assert!(
        heap.region(Loc { len: 7999, ..loc }, Arc::new(()), ENGINE)
            .is_err()
    );
}

#[test]
fn an_extent_in_use_cannot_be_closed() {
    let (heap, other) = two_processes();
    let loc = shared(&heap, 10_000);
    let region = other.open(loc, Arc::new(()), ENGINE).unwrap();
    let same = other.open(loc, Arc::new(()), ENGINE).unwrap();
    drop(region);
    assert!(!other.close(loc));
    let lent = same.lend::<u8>(0, 1, ENGINE).unwrap();
    drop(same);
    assert!(!other.close(loc), "what was lent keeps it open");
    drop(lent);
    assert!(other.close(loc));
    assert!(other.close(loc), "twice is as good");
    // And it can be opened again.
    let region = other.open(loc, Arc::new(()), ENGINE).unwrap();
    region.lend::<u8>(0, 1, ENGINE).unwrap()[0] = 1;
}

#[test]
fn writes_to_what_is_not_open_are_stopped() {
    const TEST: &str = "writes_to_what_is_not_open_are_stopped";
    let Some(role) = common::role() else {
        for role in ["beside", "closed"] {
            let output = common::again(TEST, role).output().unwrap();
            let stdout = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.signal(), Some(11), "{role}: {stdout}");
            assert!(stdout.contains("about to write"), "{role}: {stdout}");
        }
        return;
    };
    common::no_core_file();
    let (heap, other) = two_processes();
    let (open, neighbour) = (shared(&heap, 8192), shared(&heap, 8192));
    let region = other.open(open, Arc::new(()), ENGINE).unwrap();
    let word = &region.atomics::<AtomicU64>(0, 1, ENGINE).unwrap()[0];
    word.store(1, Ordering::SeqCst);
    let mut address = word.as_ptr();
    if role == "beside" {
        address = address.wrapping_byte_offset(neighbour.offset as isize - open.offset as isize);
    } else {
        drop(region);
        assert!(other.close(open));
    }
    println!("about to write");
    // SAFETY: none. This is the accident that the store has to contain: nothing may be written
    // there, so the write faults.
    unsafe { address.write_volatile(2) };
}

#[test]
fn an_extent_is_written_or_read_as_an_object_never_both() {
    let (heap, _) = two_processes();
    let lease = || -> mobula_store::Lease { Arc::new(()) };
    // An object is not written.
    let object = heap.copy(&[1; 100_000], 64).unwrap().seal();
    let view = object.block();
    assert!(
        heap.region(object.loc(), lease(), ENGINE)
            .unwrap_err()
            .is_invalid_handle()
    );
    assert_eq!(view.bytes(), [1; 100_000]);
    for len in [64, 100_000] {
        let loc = shared(&heap, len);
        let region = heap.region(loc, lease(), ENGINE).unwrap();
        let same = heap.region(loc, lease(), ENGINE).unwrap();
        assert!(heap.has_regions(loc));
        // Memory that is written is neither read as an object nor freed.
        assert!(heap.block(loc, lease(), ENGINE).is_err());
        drop(region);
        assert!(heap.block(loc, lease(), ENGINE).is_err());
        assert!(heap.free(loc, ENGINE).unwrap_err().is_invalid_handle());
        drop(same);
        assert!(!heap.has_regions(loc));
        if !is_cell(loc) {
            // From its first look on it is an object for good.
            assert_eq!(heap.block(loc, lease(), ENGINE).unwrap().len(), len);
            assert!(heap.region(loc, lease(), ENGINE).is_err());
        }
        heap.free(loc, ENGINE).unwrap();
        assert!(heap.region(loc, lease(), ENGINE).is_err());
    }
}

#[test]
#[should_panic(expected = "never read as a block")]
fn the_handle_of_a_shared_extent_gives_no_block() {
    let (heap, _) = two_processes();
    let _ = heap.reserve_shared(100_000).unwrap().seal().block();
}

#[test]
fn shared_memory_makes_no_array() {
    let (heap, _) = two_processes();
    let building = heap.reserve_shared(64).unwrap();
    let error = mobula_store::Array::<u64>::from_building(building).unwrap_err();
    assert!(error.is_type_mismatch(), "{error}");
}

/// A process that may write a part of a heap gets whole pages of it. A stray write there may change
/// other shared memory of that heap, but no object.
#[test]
fn no_object_lies_in_pages_that_others_may_write() {
    const SLAB: u64 = 64 << 10;
    let (heap, _) = two_processes();
    let (mut objects, mut shared_ones) = (Vec::new(), Vec::new());
    // Some are freed again, so that later ones lie in memory that was in use.
    for round in 0..3 {
        for n in 0..200 {
            let len = [8, 100, 3000, 5000, 70_000][n % 5];
            objects.push(heap.reserve(len, 8).unwrap().seal());
            let extent = heap.reserve_shared(len).unwrap().seal();
            shared_ones.push(extent);
        }
        if round < 2 {
            let mut n = 0;
            let mut every_third = |_: &Arc<Extent>| {
                n += 1;
                n % 3 == 0
            };
            objects.retain(&mut every_third);
            shared_ones.retain(&mut every_third);
        }
    }
    let page = rustix::param::page_size() as u64;
    let written = shared_ones.iter().map(|extent| {
        let (Loc { offset, len, .. }, unit) = match extent.loc() {
            loc if is_cell(loc) => (loc, SLAB),
            loc => (loc, page),
        };
        offset / unit * unit..(offset + len).next_multiple_of(unit)
    });
    let mut written: Vec<_> = written.collect();
    written.sort_by_key(|range| range.start);
    for object in &objects {
        let Loc { offset, len, .. } = object.loc();
        let hit = written
            .iter()
            .find(|range| range.start < offset + len && offset < range.end);
        assert_eq!(hit, None, "{}", object.loc());
    }
}
