//! Where a future waits, and what its waiting means to others.

use super::super::{
    Holder, RawRwLock, RawSemaphore, raw_lock::RawLock, wait::Queue, waiter_count::Record,
};
use crate::primitive::{Futex, Memory};

/// The queue of a lock, and what a future has announced there.
#[derive(Clone, Debug)]
pub(super) enum Place<M: Memory> {
    /// To have the raw lock. `bars`: STARVING was set for it.
    RawLock { raw_lock: RawLock<M>, bars: bool },
    /// To read. `bars`: TURN was set for it.
    Entrance { lock: RawRwLock<M>, bars: bool },
    /// To write, with the raw lock, when those who read have left.
    Exit { lock: RawRwLock<M>, holder: Holder },
    /// To get a permit. `bars`: STARVING was set in the waiter count for it.
    Permit {
        semaphore: RawSemaphore<M>,
        record: Record,
        bars: bool,
    },
}

impl<M: Memory> Place<M> {
    fn queue(&self) -> Queue<'_, M> {
        match self {
            Place::RawLock { raw_lock, .. } => raw_lock.queue(),
            Place::Entrance { lock, .. } => lock.entrance(),
            Place::Exit { lock, .. } => lock.exit(),
            Place::Permit { semaphore, .. } => semaphore.queue(),
        }
    }

    pub(super) fn futex(&self) -> &M::Futex {
        self.queue().futex()
    }

    /// What tells the queue from all others of this process, while somebody waits there.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self.futex()).addr()
    }

    /// How many are to be woken when the sequence has grown by `growth`.
    pub(super) fn to_wake(&self, growth: u32) -> usize {
        match self {
            // One that was woken is responsible for the rest.
            Place::RawLock { .. } => 1,
            Place::Entrance { .. } | Place::Exit { .. } => usize::MAX,
            // Each of these was for one.
            Place::Permit { .. } => growth as usize,
        }
    }

    /// A future that waited here does not look at the lock: it is gone, or is not polled in time.
    /// Nobody is barred any more for its sake. If it was woken, others get what it was woken for.
    pub(super) fn pass(&self, woken: bool) {
        match self {
            Place::RawLock { raw_lock, bars } => {
                if woken || *bars {
                    raw_lock.step_aside(*bars);
                }
            }
            Place::Entrance { lock, bars } => {
                // All are woken there.
                if *bars {
                    lock.end_turn();
                }
            }
            Place::Exit { lock, holder } => lock.stop_draining(*holder),
            Place::Permit {
                semaphore,
                record,
                bars,
            } => {
                semaphore.leave(*record, *bars);
                if woken {
                    semaphore.pass();
                }
            }
        }
    }

    /// A wake-up came to this process when nobody waited here any longer.
    pub(super) fn pass_for_nobody(&self) {
        match self {
            Place::RawLock { raw_lock, .. } => raw_lock.step_aside(false),
            Place::Entrance { .. } | Place::Exit { .. } => {}
            Place::Permit { semaphore, .. } => semaphore.pass(),
        }
    }

    /// Has all who sleep in the queue look again.
    pub(super) fn alarm(&self) {
        self.futex().increment();
        self.futex().wake();
    }
}
