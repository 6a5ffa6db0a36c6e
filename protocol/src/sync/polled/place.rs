//! The place where a future waits, and the effects of its wait on others.

use super::super::{
    Holder, RawRwLock, RawSemaphore, raw_lock::RawLock, wait::Queue, waiter_count::Record,
};
use crate::primitive::{Futex, Memory};

/// The queue of a lock, and the announcements of a future there.
#[derive(Clone, Debug)]
pub(super) enum Place<M: Memory> {
    /// The future wants the raw lock. `bars`: STARVING was set for it.
    RawLock { raw_lock: RawLock<M>, bars: bool },
    /// The future wants to read. `bars`: TURN was set for it.
    Entrance { lock: RawRwLock<M>, bars: bool },
    /// The future has the raw lock, and wants to write when the readers have left.
    Exit { lock: RawRwLock<M>, holder: Holder },
    /// The future wants a permit. `bars`: STARVING was set in the waiter count for it.
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

    /// Returns an address that tells the queue from all others of this process, while a future
    /// waits there.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self.futex()).addr()
    }

    /// Returns the number of futures to wake after the sequence has grown by `growth`.
    pub(super) fn to_wake(&self, growth: u32) -> usize {
        match self {
            // A woken future is responsible for the rest.
            Place::RawLock { .. } => 1,
            Place::Entrance { .. } | Place::Exit { .. } => usize::MAX,
            // Each increment was for one future.
            Place::Permit { .. } => growth as usize,
        }
    }

    /// Acts for a future that waited here and does not check the lock, since it is gone or is not
    /// polled in time. Ends its barring of others. If it was woken, another waiter gets its
    /// wake-up.
    pub(super) fn pass(&self, woken: bool) {
        match self {
            Place::RawLock { raw_lock, bars } => {
                if woken || *bars {
                    raw_lock.step_aside(*bars);
                }
            }
            Place::Entrance { lock, bars } => {
                // All futures are woken there.
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

    /// Passes on a wake-up that came to this process when no future waited here any longer.
    pub(super) fn pass_for_nobody(&self) {
        match self {
            Place::RawLock { raw_lock, .. } => raw_lock.step_aside(false),
            Place::Entrance { .. } | Place::Exit { .. } => {}
            Place::Permit { semaphore, .. } => semaphore.pass(),
        }
    }

    /// Wakes all sleepers of the queue. They check the lock again.
    pub(super) fn alarm(&self) {
        self.futex().increment();
        self.futex().wake();
    }
}
