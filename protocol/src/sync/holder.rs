//! Who holds something.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use super::word::{DETACHED, NUMBER, encode};
use crate::ids::{ProcessSlot, WorkerId};

/// Who takes a lock: a process, and within it a thread, or one guard that threads pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    process: WorkerId,
    slot: ProcessSlot,
    tag: u32,
}

thread_local! {
    static THREAD: Cell<u32> = const { Cell::new(0) };
}

impl Holder {
    /// The calling thread. A lock that it holds and takes once more is an error then, and only it
    /// can unlock. Cost: a system call the first time in each thread.
    #[inline]
    pub fn this_thread(process: WorkerId, slot: ProcessSlot) -> Holder {
        let mut tag = THREAD.get();
        if tag == 0 {
            tag = thread_id();
            THREAD.set(tag);
        }
        Holder { process, slot, tag }
    }

    /// A holder that is no thread: for what an asynchronous task holds, which may go on in another
    /// thread. Each call gives another one. Nothing is known about recursion then: a task that
    /// takes a lock twice waits for itself.
    pub fn detached(process: WorkerId, slot: ProcessSlot) -> Holder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Numbers come again after 2^26. That does harm only if two guards with the same number are
        // alive in one process, and one of them is used to unlock what the other one holds.
        let number = NEXT.fetch_add(1, Relaxed) & NUMBER;
        Holder {
            process,
            slot,
            tag: number | DETACHED,
        }
    }

    /// A thread of the tests, which play several processes.
    #[cfg(test)]
    pub(super) fn of(process: u32, slot: u16, thread: u32) -> Holder {
        Holder {
            process: WorkerId(process),
            slot: ProcessSlot::new(slot).unwrap(),
            tag: thread & NUMBER,
        }
    }

    /// Its process.
    pub const fn process(self) -> WorkerId {
        self.process
    }

    /// The process slot of its process.
    pub const fn slot(self) -> ProcessSlot {
        self.slot
    }

    /// What tells it from other holders of its process: the kernel's thread id, or for a
    /// [detached](Holder::detached) one a number with a mark.
    pub const fn tag(self) -> u32 {
        self.tag
    }

    /// The word of a lock that it holds.
    #[inline]
    pub(super) fn word(self) -> u64 {
        encode(self.process, self.tag)
    }

    /// Whether `owner`, a word without flags, is this very thread.
    #[inline]
    pub(super) fn is_this_thread(self, owner: u64) -> bool {
        self.tag & DETACHED == 0 && owner == self.word()
    }
}

#[cold]
fn thread_id() -> u32 {
    // Linux numbers threads up to 2^22 (`PID_MAX_LIMIT`).
    rustix::thread::gettid().as_raw_nonzero().get() as u32 & NUMBER
}
