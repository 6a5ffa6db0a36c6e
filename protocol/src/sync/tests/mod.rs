//! The primitives on real futexes, in two mappings of one memory. Threads stand for processes. A
//! process dies by doing nothing more, and the tests recover what it held. The models check the
//! orders of events, and these tests check the use of the kernel.

mod barrier;
mod condvar;
mod holder;
mod mutex;
mod once;
mod polled;
mod rwlock;
mod semaphore;
mod turns;

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use mobula_store::{Backing, SegmentFile, SharedWords};

use super::*;
use crate::{
    ids::WorkerId,
    primitive::{Memory, Region, Word},
};

/// Returns two mappings of one file, like those of two processes.
fn mappings() -> [Region; 2] {
    let len = SharedWords::NARROW_BYTES as u64 + 4096;
    let file = SegmentFile::create(len, len, Backing::Anonymous).unwrap();
    [(); 2].map(|()| Region::new(SharedWords::map(&file).unwrap()))
}

fn memory() -> Region {
    let [memory, _] = mappings();
    memory
}

/// Returns the first thread of a process.
fn holder(process: u32) -> Holder {
    Holder::of(process, process as u16, 1)
}

fn killed(pid: u32) -> Cause {
    let how = How::Signal(9);
    Cause { pid, how }
}

/// Returns a deadline that passes only in a test that hangs.
fn soon() -> Option<Instant> {
    after(Duration::from_secs(120))
}

fn after(time: Duration) -> Option<Instant> {
    Some(Instant::now() + time)
}

const SHORT: Duration = Duration::from_millis(5);

/// Processes that die and have successors, with ids that are never used again.
struct Life {
    id: u32,
    slot: u16,
    random: u64,
}

static NEXT_ID: AtomicU32 = AtomicU32::new(1000);

impl Life {
    fn new(slot: u16) -> Life {
        Life {
            id: NEXT_ID.fetch_add(1, Relaxed),
            slot,
            random: 0x9e37_79b9_7f4a_7c15 ^ u64::from(slot) << 17,
        }
    }

    fn holder(&self) -> Holder {
        Holder::of(self.id, self.slot, self.id)
    }

    fn slot(&self) -> ProcessSlot {
        ProcessSlot::new(self.slot).unwrap()
    }

    /// Puts the next process on this process slot. Returns the id of the dead one.
    fn die(&mut self) -> WorkerId {
        let dead = WorkerId(self.id);
        self.id = NEXT_ID.fetch_add(1, Relaxed);
        for _ in 0..self.below(3) {
            thread::yield_now();
        }
        dead
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }
}

/// Returns whether threads that have not waited are barred.
fn is_promised(mutex: &RawMutex) -> bool {
    mutex.raw_lock().word().load(Relaxed) & word::STARVING != 0
}

/// Returns whether a thread waits, or has waited lately.
fn is_waited_for(mutex: &RawMutex) -> bool {
    mutex.raw_lock().word().load(Relaxed) & word::WAITERS != 0
}

/// Adds one to a word that only one thread may change at a time.
fn add_one(memory: &Region, at: usize) {
    let word = &memory.words()[at];
    let value = word.load(Relaxed);
    if value.is_multiple_of(64) {
        // Gives others the chance to make an error.
        thread::yield_now();
    }
    word.store(value + 1, Relaxed);
}

/// Waits until `condition` holds. Another thread makes it hold.
fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_micros(50));
    }
}
