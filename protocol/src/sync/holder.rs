//! The identity of a lock's holder.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use super::word::{DETACHED, NUMBER, encode};
use crate::ids::{ProcessSlot, WorkerId};

/// The holder of a lock: a process, and a thread in it, or a guard that threads pass on.
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
    /// Returns the calling thread as a holder. A second take of a lock that it holds is an error,
    /// and only this thread can unlock it. Cost: a system call the first time in each thread.
    #[inline]
    pub fn this_thread(process: WorkerId, slot: ProcessSlot) -> Holder {
        let mut tag = THREAD.get();
        if tag == 0 {
            tag = thread_id();
            THREAD.set(tag);
        }
        Holder { process, slot, tag }
    }

    /// Returns a holder that is no thread, for a lock of an asynchronous task, which may go on in
    /// another thread. Each call returns another holder. Recursion is not detected: a task that
    /// takes a lock twice waits for itself.
    pub fn detached(process: WorkerId, slot: ProcessSlot) -> Holder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Numbers repeat after 2^26. That does harm only if two guards with one number are alive in
        // one process, and one of them unlocks what the other one holds.
        let number = NEXT.fetch_add(1, Relaxed) & NUMBER;
        Holder {
            process,
            slot,
            tag: number | DETACHED,
        }
    }

    /// Returns a thread as a holder, for tests that simulate several processes.
    #[cfg(test)]
    pub(super) fn of(process: u32, slot: u16, thread: u32) -> Holder {
        Holder {
            process: WorkerId(process),
            slot: ProcessSlot::new(slot).unwrap(),
            tag: thread & NUMBER,
        }
    }

    /// Returns its process.
    pub const fn process(self) -> WorkerId {
        self.process
    }

    /// Returns the slot of its process.
    pub const fn slot(self) -> ProcessSlot {
        self.slot
    }

    /// Returns the number that tells it from other holders of its process. It is the kernel's
    /// thread id. A [detached](Holder::detached) holder has a number with a mark.
    pub const fn tag(self) -> u32 {
        self.tag
    }

    /// Returns the word of a lock that it holds.
    #[inline]
    pub(super) fn word(self) -> u64 {
        encode(self.process, self.tag)
    }

    /// Returns whether `owner`, a word without flags, is this thread.
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
