//! Locks, barriers, semaphores and other objects in shared memory by which the threads of several
//! processes wait for each other.
//!
//! These are the protocols alone, over [`Memory`](crate::primitive::Memory). They protect no data
//! by themselves.
//!
//! A process may die at any instruction. When the driver knows of the death, it *recovers*
//! everything that the process could reach. Until then others may wait for what the dead process
//! holds, and afterwards no longer.
//!
//! The words may have any content. The worst result of a stray write is a wait that does not end
//! before its deadline, or an acquisition that should have failed.
//!
//! Nothing here wakes up periodically. An acquisition that need not wait makes no system call.
//! `sync/README.md` explains each protocol, and why no thread is left asleep.

mod barrier;
mod cause;
mod condvar;
mod exclusive;
mod holder;
mod mutex;
mod once;
mod outcome;
mod polled;
mod raw_lock;
mod rwlock;
mod semaphore;
mod wait;
mod waiter_count;
mod word;

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;

pub use crate::ids::{PROCESS_SLOTS, ProcessSlot};
pub use barrier::{BarrierError, RawBarrier};
pub use cause::{Cause, How};
pub use condvar::{RawCondvar, WaitError, Waited};
pub use exclusive::Exclusive;
pub use holder::Holder;
pub use mutex::RawMutex;
pub use once::RawOnce;
pub use outcome::{Acquired, LockError, NotHolder};
pub use polled::{PollError, Polled, Waiters};
pub use rwlock::{LocalReaders, RawRwLock};
pub use semaphore::{Permit, RawSemaphore};
pub use wait::{Ended, Sleep, Sleeper, Waiting};
