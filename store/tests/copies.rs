//! Bytes that are copied into the store: into warm memory, into new memory, and where there is
//! none.

mod common;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use mobula_store::{Backing, Budget, Building, Capacity, Heap, SegmentFile, StoreError};

use common::{ENGINE, ID, heap, no_lease, put, role};

const MIB: usize = 1 << 20;

/// Bytes that differ from place to place and from seed to seed.
fn noise(len: usize, seed: u8) -> Vec<u8> {
    // The length has no small factor, so whatever copies whole pieces to a wrong place is seen.
    let pattern: Vec<u8> = (0..65_521_u32)
        .map(|i| (i ^ (i >> 8)) as u8 ^ seed)
        .collect();
    let mut bytes = pattern.repeat(len / pattern.len() + 1);
    bytes.truncate(len);
    bytes
}

/// Whether what is seen of a sealed extent is `bytes`.
fn holds(building: Building, bytes: &[u8]) -> bool {
    building.seal().block().bytes() == bytes
}

#[test]
fn copies_arrive_in_new_and_in_warm_memory() {
    let (heap, budget) = heap(64 << 20);
    // Less than a step, a piece, several pieces with and without several threads, and odd ends.
    for len in [
        0,
        1,
        63,
        4097,
        300_000,
        MIB + 1,
        3 * MIB,
        9 * MIB + 13,
        20 * MIB - 1,
    ] {
        for seed in [1, 2] {
            let bytes = noise(len, seed);
            for align in [1, 64, 4096] {
                let building = heap.copy(&bytes, align).expect("there is room");
                assert_eq!(building.as_ptr().addr() % align.max(64), 0);
                assert_eq!(building.len(), len);
                assert!(holds(building, &bytes), "{len} bytes, aligned to {align}");
            }
            if seed == 1 {
                heap.trim(0);
                assert_eq!(budget.used(), 0);
            }
        }
    }
    assert_eq!(heap.in_use(), 0);
}

#[test]
fn copies_arrive_across_warm_and_cold_ranges() {
    let (heap, budget) = heap(64 << 20);
    // Extents side by side, every other one of which goes away, and becomes a hole in part.
    let held: Vec<_> = (0..8)
        .map(|seed| (heap.copy(&noise(5 * MIB / 2 + 320, seed), 64)).expect("there is room"))
        .collect();
    let mut seeds = 0..;
    let (kept, freed): (Vec<_>, Vec<_>) = held
        .into_iter()
        .map(|building| (seeds.next().expect("endless"), building))
        .partition(|(seed, _)| *seed == 0 || *seed == 7);
    drop(freed);
    // Warm, cold and warm again: what the trim takes is at the top, so warm it below and above.
    heap.trim(9 << 20);
    let top = heap.copy(&noise(MIB, 98), 64).expect("warm");
    let bytes = noise(14 * MIB + 5, 99);
    let before = budget.used();
    let building = heap.copy(&bytes, 64).expect("there is room");
    assert!(budget.used() > before, "some of it was cold");
    assert!(
        budget.used() - before < 14 << 20,
        "some of it was warm: {before}, {}",
        budget.used()
    );
    assert!(holds(building, &bytes));
    for (seed, building) in kept {
        assert!(
            holds(building, &noise(5 * MIB / 2 + 320, seed)),
            "neighbours stay as they were"
        );
    }
    drop(top);
    assert_eq!(heap.in_use(), 0);
}

#[test]
fn alignments_that_are_impossible_are_errors() {
    let (heap, budget) = heap(1 << 20);
    for align in [0, 3, 8192] {
        let error = heap.copy(&[1, 2], align).expect_err("impossible");
        assert!(!error.is_full(), "{error}");
    }
    assert_eq!((heap.in_use(), budget.used()), (0, 0));
}

#[test]
fn what_the_budget_refuses_takes_nothing() {
    let (heap, budget) = heap(16 << 20);
    let first = noise(9 * MIB, 1);
    let loc = put(&heap, &first);
    let error = heap.copy(&noise(8 * MIB, 2), 64).expect_err("too much");
    assert!(error.is_full(), "{error}");
    assert!(
        error
            .to_string()
            .contains("8 MiB wanted, 9 MiB of 16 MiB in use"),
        "{error}"
    );
    assert_eq!((heap.in_use(), budget.used()), (9 << 20, 9 << 20));
    assert_eq!(
        heap.block(loc, no_lease(), ENGINE)
            .expect("it is there")
            .bytes(),
        first
    );
    heap.free(loc, ENGINE).expect("it is there");
    // Now it fits, but for the own free memory that must be given up first.
    let bytes = noise(16 * MIB, 3);
    assert!(holds(heap.copy(&bytes, 64).expect("room"), &bytes));
}

/// A budget of single pages. Once it has an extent of the heap it frees that, and says no for ever.
#[derive(Default)]
struct Frees {
    held: Mutex<Option<Building>>,
    ended: AtomicBool,
}

impl Budget for Frees {
    fn acquire(&self, bytes: u64) -> Result<(), StoreError> {
        let page = rustix::param::page_size() as u64;
        if self.held.lock().expect("no panic").take().is_some() {
            self.ended.store(true, Ordering::Relaxed);
        }
        if bytes == page && !self.ended.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err(StoreError::full(bytes, 1, 1))
        }
    }

    fn release(&self, _: u64) {}
}

#[test]
fn what_others_free_meanwhile_is_filled_as_well() {
    let budget = Arc::new(Frees::default());
    let file = SegmentFile::create(16 << 20, 16 << 20, Backing::Anonymous).expect("a file");
    let heap = Heap::new(ID, file, budget.clone() as Arc<dyn Budget>).expect("a heap");
    let page = rustix::param::page_size();
    let _rest = heap.reserve(page - 1024, 64).expect("a page");
    let held = heap.reserve(1024, 64).expect("what is left of the page");
    let place = held.as_ptr();
    // Nothing is free when the copy begins; but it is when the budget has said no.
    *budget.held.lock().expect("no panic") = Some(held);
    let bytes = noise(1024, 1);
    let building = heap.copy(&bytes, 64).expect("it is free by then");
    assert_eq!(building.as_ptr(), place);
    assert!(holds(building, &bytes));
    assert_eq!(heap.committed(), page as u64);
}

#[test]
fn many_threads_copy_side_by_side() {
    let (heap, budget) = heap(64 << 20);
    thread::scope(|scope| {
        for seed in 0..4 {
            let heap = &heap;
            scope.spawn(move || {
                for round in 0..6_usize {
                    let bytes = noise((seed as usize + 1) * 3 * MIB / (round + 1), seed);
                    let building = heap.copy(&bytes, 64).expect("there is room");
                    if round % 2 == 0 {
                        heap.trim(1 << 20);
                    }
                    assert!(holds(building, &bytes));
                }
            });
        }
    });
    assert_eq!((heap.in_use(), heap.committed()), (0, budget.used()));
    heap.trim(0);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_forked_child_copies_nothing() {
    unsafe extern "C" {
        fn fork() -> i32;
        fn _exit(status: i32) -> !;
        fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    }
    // In a process with few threads: what others of this one hold while it forks stays held.
    if role().is_none() {
        let output = common::again("a_forked_child_copies_nothing", "forks").output();
        let output = output.expect("the test can start itself");
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let (heap, budget) = heap(32 << 20);
    let bytes = noise(9 * MIB, 5);
    let building = heap.copy(&bytes, 64).expect("there is room");
    // SAFETY: the child calls nothing that needs another thread, and leaves without destructors.
    let status = unsafe {
        let child = fork();
        if child == 0 {
            let refused = heap.copy(&bytes, 64).is_err_and(|error| !error.is_full());
            let nothing = (heap.in_use(), heap.committed(), heap.trim(0)) == (0, 0, 0);
            _exit(if refused && nothing { 7 } else { 1 });
        }
        let mut status = 0;
        assert_eq!(waitpid(child, &mut status, 0), child);
        status
    };
    assert_eq!(status >> 8, 7);
    assert_eq!(budget.used(), heap.committed());
    assert!(holds(building, &bytes));
    assert!(holds(heap.copy(&bytes, 64).expect("room"), &bytes));
}

#[test]
fn a_budget_is_charged_for_all_that_is_taken() {
    let capacity = Arc::new(Capacity::new(32 << 20));
    let file = SegmentFile::create(64 << 20, 32 << 20, Backing::Anonymous).expect("a file");
    let memory = file
        .read_only_fd()
        .try_clone_to_owned()
        .expect("descriptors are left");
    let heap = Heap::new(ID, file, capacity.clone() as Arc<dyn Budget>).expect("a heap");
    let taken = || {
        let stat = rustix::fs::fstat(&memory).expect("it is open");
        stat.st_blocks.cast_unsigned() * 512
    };
    let mut held = Vec::new();
    for len in [100, 70_000, MIB + 3, 9 * MIB + 1] {
        held.push(heap.copy(&noise(len, 1), 64).expect("there is room"));
        assert_eq!(taken(), capacity.used(), "{len}");
    }
    let error = heap.copy(&noise(30 * MIB, 1), 64).expect_err("too much");
    assert!(error.is_full());
    assert_eq!(taken(), capacity.used());
    held.clear();
    heap.trim(0);
    assert_eq!((taken(), capacity.used()), (0, 0));
}
