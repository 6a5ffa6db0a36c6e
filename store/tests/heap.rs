//! Allocation in a segment: what a producer relies on.

mod common;

use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use mobula_store::{
    Backing, Budget, Capacity, Heap, Lease, Loc, SegmentFile, SegmentId, StoreError,
};

use common::{ENGINE, ID, heap, no_lease, put};

const MIB: usize = 1 << 20;

/// The bytes behind a reserved extent of 64 KiB or more.
const GAP: usize = 4096;

#[test]
fn what_is_put_is_what_is_read() {
    let (heap, budget) = heap(4 << 20);
    let bytes: Vec<u8> = (0..100_000).map(|i| (i % 251) as u8).collect();
    let loc = put(&heap, &bytes);
    assert_eq!((loc.segment, loc.len), (ID, 100_000));
    assert_eq!(
        heap.block(loc, no_lease(), ENGINE)
            .expect("it is there")
            .bytes(),
        bytes
    );
    assert_eq!(heap.in_use(), 100_032, "whole granules of 64 bytes");
    assert!(heap.committed() >= heap.in_use() && heap.committed() == budget.used());

    heap.free(loc, ENGINE).expect("it is there");
    assert_eq!(heap.in_use(), 0);
    assert_eq!(
        heap.trim(0),
        budget.capacity().min(256 << 10),
        "one step was committed"
    );
    assert_eq!((heap.committed(), budget.used()), (0, 0));
}

#[test]
fn extents_are_aligned_to_64_bytes_or_more() {
    let (heap, _) = heap(1 << 20);
    for align in [1, 8, 64, 128, 4096] {
        for len in [1, 63, 64, 65, 1000] {
            let mut building = heap.reserve(len, align).expect("there is room");
            let align = align.max(64);
            assert_eq!(building.bytes_mut().as_ptr() as usize % align, 0);
            let extent = building.seal();
            assert_eq!(extent.loc().offset % align as u64, 0);
            assert_eq!(extent.block().bytes().as_ptr() as usize % align, 0);
            // Leave small holes behind, so that later extents have to be aligned in them.
            extent.adopt(|_| no_lease());
        }
    }
    for align in [0, 3, 8192] {
        let error = heap.reserve(1, align).expect_err("impossible");
        assert!(
            !error.is_full() && error.to_string().contains("4096"),
            "{error}"
        );
    }
}

#[test]
fn empty_extents_have_a_place_of_their_own() {
    let (heap, _) = heap(1 << 20);
    let (a, b) = (put(&heap, &[]), put(&heap, &[]));
    assert_ne!(a, b);
    assert!(
        heap.block(a, no_lease(), ENGINE)
            .expect("it is there")
            .is_empty()
    );
    heap.free(a, ENGINE).expect("it is there");
    assert!(heap.free(a, ENGINE).expect_err("twice").is_invalid_handle());
    heap.free(b, ENGINE).expect("it is there");
    assert_eq!(heap.in_use(), 0);
}

#[test]
fn freed_memory_is_taken_first_and_stays_as_it_was() {
    let (heap, budget) = heap(8 << 20);
    let (a, _b) = (put(&heap, &[1; MIB]), put(&heap, &[2; MIB]));
    let committed = budget.used();
    heap.free(a, ENGINE).expect("it is there");
    let building = heap.reserve(MIB - GAP, 64).expect("there is room");
    assert!(
        building.iter().all(|&byte| byte == 1),
        "memory is warm, and nobody cleared it"
    );
    assert_eq!(building.seal().loc().offset, a.offset);
    assert_eq!(budget.used(), committed);
}

#[test]
fn only_what_is_there_can_be_freed_and_only_once() {
    let (heap, _) = heap(1 << 20);
    let loc = put(&heap, &[5; 100]);
    let building = heap.reserve(100, 1).expect("there is room");
    let sealed = heap.reserve(100, 1).expect("there is room").seal();
    let at = |offset| Loc {
        segment: ID,
        offset,
        len: 100,
    };
    let wrong = [
        Loc {
            segment: SegmentId(8),
            ..loc
        },
        Loc { len: 99, ..loc },
        Loc { len: 128, ..loc },
        Loc {
            offset: loc.offset + 64,
            ..loc
        },
        Loc {
            offset: u64::MAX,
            len: u64::MAX,
            ..loc
        },
        // These belong to their handles, not to the engine.
        at(128),
        sealed.loc(),
    ];
    for loc in wrong {
        assert!(
            heap.free(loc, ENGINE)
                .expect_err("nothing to free")
                .is_invalid_handle(),
            "{loc}"
        );
    }
    let neighbour = at(128);
    assert_eq!(
        neighbour.offset,
        building.seal().loc().offset,
        "the test's premise"
    );
    assert_eq!(
        heap.block(loc, no_lease(), ENGINE)
            .expect("it is there")
            .bytes(),
        [5; 100]
    );
    heap.free(loc, ENGINE).expect("it is there");
    assert!(
        heap.free(loc, ENGINE)
            .expect_err("twice")
            .is_invalid_handle()
    );
    assert!(
        heap.block(loc, no_lease(), ENGINE)
            .expect_err("it is gone")
            .is_invalid_handle()
    );
}

#[test]
fn handles_free_what_nobody_adopted() {
    let (heap, _) = heap(1 << 20);
    drop(heap.reserve(1000, 1).expect("there is room"));
    let extent = heap.reserve(1000, 1).expect("there is room").seal();
    let block = extent.block();
    drop(extent);
    assert_eq!(heap.in_use(), 1024, "the block keeps it");
    assert!(
        block
            .lease()
            .is_some_and(|lease| lease.is::<mobula_store::Extent>())
    );
    drop(block);
    assert_eq!(heap.in_use(), 0);
}

#[test]
fn the_first_adoption_counts() {
    let (heap, _) = heap(1 << 20);
    let extent = heap.reserve(1000, 1).expect("there is room").seal();
    assert!(extent.adopted().is_none());
    let calls = AtomicUsize::new(0);
    let leases: Vec<Lease> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|i| {
                let (extent, calls) = (&extent, &calls);
                scope.spawn(move || {
                    extent.adopt(|loc| {
                        calls.fetch_add(1, Ordering::Relaxed);
                        Arc::new((i, loc))
                    })
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    assert_eq!(calls.into_inner(), 1);
    assert!(leases.iter().all(|lease| Arc::ptr_eq(lease, &leases[0])));
    let block = extent.block();
    assert!(Arc::ptr_eq(
        block.lease().expect("it is stored"),
        &leases[0]
    ));

    let loc = extent.loc();
    drop((extent, block));
    assert_eq!(heap.in_use(), 1024, "the memory is the lease's now");
    let lease = leases[0]
        .downcast_ref::<(i32, Loc)>()
        .expect("what was made");
    assert_eq!(lease.1, loc);
    heap.free(loc, ENGINE).expect("it is there");
}

#[test]
fn a_lease_may_free_while_it_is_being_made() {
    // Another process may be told at once, and free the extent at once.
    let (heap, _) = heap(1 << 20);
    let extent = heap.reserve(10, 1).expect("there is room").seal();
    extent.adopt(|loc| {
        heap.free(loc, ENGINE).expect("adopted already");
        no_lease()
    });
    drop(extent);
    assert_eq!(heap.in_use(), 0);
}

#[test]
fn an_adoption_that_panics_leaves_the_extent_to_its_handle() {
    let (heap, _) = heap(1 << 20);
    let extent = heap.reserve(10, 1).expect("there is room").seal();
    let adopt = || extent.adopt(|_| panic!("as the test wants it"));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(adopt)).expect_err("it panics");
    drop(extent);
    assert_eq!(heap.in_use(), 0);
}

#[test]
fn a_full_store_is_an_error_with_numbers_and_heals() {
    let (heap, budget) = heap(4 << 20);
    let loc = put(&heap, &[1; 3 * MIB]);
    for wanted in [2 * MIB, 100 * MIB, usize::MAX] {
        let error = heap.reserve(wanted, 64).expect_err("too much");
        assert!(error.is_full(), "{error}");
        assert!(
            error.to_string().contains("3 MiB of 4 MiB in use"),
            "{error}"
        );
    }
    assert_eq!(budget.used(), 3 << 20, "what failed took nothing");
    heap.free(loc, ENGINE).expect("it is there");
    drop(heap.reserve(4 * MIB, 64).expect("the free memory serves"));
}

#[test]
fn near_the_limit_exactly_what_is_needed_is_committed() {
    let page = rustix::param::page_size() as u64;
    let capacity = (256 << 10) + 2 * page;
    let (heap, budget) = heap(capacity);
    let _first = put(&heap, &[1; 256 << 10]);
    assert_eq!(budget.used(), 256 << 10);
    let _second = put(&heap, &[2; 100]);
    assert_eq!(
        budget.used(),
        (256 << 10) + page,
        "no step of 256 KiB fits any more"
    );
}

#[test]
fn a_heap_gives_up_its_own_free_memory_before_it_fails() {
    let (heap, budget) = heap(4 << 20);
    let locs = [(); 4].map(|()| put(&heap, &[1; MIB]));
    // Two free places of 1 MiB, apart: neither holds 2 MiB, and the budget is used up.
    heap.free(locs[0], ENGINE).expect("it is there");
    heap.free(locs[2], ENGINE).expect("it is there");
    assert_eq!(budget.used(), 4 << 20);
    let large = put(&heap, &[3; 2 * MIB]);
    assert_eq!(budget.used(), 4 << 20);
    for (loc, byte) in [(locs[1], 1), (locs[3], 1), (large, 3)] {
        let block = heap.block(loc, no_lease(), ENGINE).expect("it is there");
        assert!(block.bytes().iter().all(|&b| b == byte));
    }
}

#[test]
fn trimmed_memory_is_committed_again_when_it_is_needed() {
    let (heap, budget) = heap(4 << 20);
    let a = put(&heap, &[1; MIB]);
    let b = put(&heap, &[2; MIB]);
    heap.free(a, ENGINE).expect("it is there");
    assert_eq!(heap.trim(MIB as u64), 0, "so much may stay");
    assert_eq!(heap.trim(MIB as u64 / 2), 1 << 19);
    assert_eq!(budget.used(), (2 << 20) - (1 << 19));
    assert_eq!(heap.trim(0), 1 << 19);
    let again = heap.reserve(MIB - GAP, 64).expect("there is room");
    assert!(
        again.iter().all(|&byte| byte == 0),
        "the system gave new memory"
    );
    assert_eq!(again.seal().loc().offset, a.offset, "the hole fits best");
    assert!(
        heap.block(b, no_lease(), ENGINE)
            .expect("it is there")
            .bytes()
            .iter()
            .all(|&b| b == 2)
    );
}

#[test]
fn a_heap_that_goes_away_gives_its_budget_back() {
    let (heap, budget) = heap(4 << 20);
    let loc = put(&heap, &[1; 1000]);
    let block = heap.block(loc, no_lease(), ENGINE).expect("it is there");
    drop(heap);
    assert_eq!(budget.used(), 0);
    assert_eq!(block.bytes(), [1; 1000], "a view outlives its heap");
}

#[test]
fn several_heaps_share_a_budget() {
    let budget = Arc::new(Capacity::new(1 << 20));
    let heaps = [1, 2].map(|id| {
        let file = SegmentFile::create(2 << 20, 1 << 20, Backing::Anonymous).expect("a file");
        Heap::new(SegmentId(id), file, budget.clone() as Arc<dyn Budget>).expect("a heap")
    });
    let _first = put(&heaps[0], &[1; 3 << 18]);
    assert!(
        heaps[1]
            .reserve(1 << 19, 64)
            .expect_err("too much")
            .is_full()
    );
    let _second = put(&heaps[1], &[1; 1 << 18]);
    assert_eq!(budget.used(), 1 << 20);
}

/// A budget that needs another thread of its process to go on, as a worker's does: the driver's
/// answer comes behind messages that free extents.
struct Reentrant {
    heap: OnceLock<(Weak<Heap>, Loc)>,
}

impl Budget for Reentrant {
    fn acquire(&self, _: u64) -> Result<(), StoreError> {
        let Some((heap, loc)) = self
            .heap
            .get()
            .and_then(|(h, loc)| Some((h.upgrade()?, *loc)))
        else {
            return Ok(());
        };
        thread::scope(|scope| {
            scope
                .spawn(|| heap.free(loc, ENGINE))
                .join()
                .expect("no panic")
        })
    }

    fn release(&self, _: u64) {}
}

#[test]
fn no_lock_is_held_while_a_budget_is_asked() {
    let budget = Arc::new(Reentrant {
        heap: OnceLock::new(),
    });
    let file = SegmentFile::create(8 << 20, 8 << 20, Backing::Anonymous).expect("a file");
    let heap = Heap::new(ID, file, budget.clone() as Arc<dyn Budget>).expect("a heap");
    let loc = put(&heap, &[1; 100]);
    assert!(budget.heap.set((Arc::downgrade(&heap), loc)).is_ok());
    drop(heap.reserve(MIB, 64).expect("there is room"));
    assert_eq!(heap.in_use(), 0);
}

#[test]
fn many_threads_never_share_an_extent() {
    let (heap, budget) = heap(4 << 20);
    thread::scope(|scope| {
        for seed in 0..4_u8 {
            let heap = &heap;
            scope.spawn(move || {
                let mut held = Vec::new();
                let mut random = u32::from(seed) + 1;
                for round in 0..2000_u32 {
                    // A linear congruential generator is random enough to mix sizes.
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let len = (random >> 16) as usize % 20_000;
                    let byte = seed.wrapping_mul(61) ^ round as u8;
                    match heap.reserve(len, 64) {
                        Ok(mut building) => {
                            building.bytes_mut().fill(byte);
                            held.push((building.seal(), byte));
                        }
                        Err(error) => assert!(error.is_full(), "{error}"),
                    }
                    if held.len() > 20 {
                        let (extent, byte) = held.swap_remove(random as usize % held.len());
                        assert!(extent.block().bytes().iter().all(|&b| b == byte));
                    }
                    if round % 256 == 255 {
                        heap.trim(1 << 18);
                    }
                }
                for (extent, byte) in held {
                    assert!(extent.block().bytes().iter().all(|&b| b == byte));
                }
            });
        }
    });
    assert_eq!(heap.in_use(), 0);
    assert_eq!(heap.committed(), budget.used());
    heap.trim(0);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_write_beyond_the_end_changes_no_neighbour_and_is_found_out() {
    let (heap, _) = heap(64 << 20);
    for len in [64 << 10, 100_001, 1 << 20] {
        let mut building = heap.reserve(len, 8).unwrap();
        let mut neighbour = heap.reserve(len, 8).unwrap();
        neighbour.bytes_mut().fill(7);
        let other = heap.copy(&vec![7; len], 8).unwrap();
        let end = building.bytes_mut().as_mut_ptr_range().end;
        // SAFETY: none; this is the bug that the test is about. The memory is the gap's.
        unsafe { std::slice::from_raw_parts_mut(end, 512) }.fill(0xee);
        let (neighbour, other) = (neighbour.seal(), other.seal());
        assert!(
            [neighbour, other]
                .iter()
                .all(|object| object.block().bytes() == vec![7; len])
        );
        let sealed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| building.seal()));
        let message = *sealed.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("beyond the end of an array"), "{message}");
    }
    assert_eq!(heap.in_use(), 0);
}
