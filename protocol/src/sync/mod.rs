//! Locks, and other things by which the threads of several processes wait for each other, in shared
//! memory.
//!
//! These are the protocols alone, over [`Memory`](crate::primitive::Memory): they protect nothing
//! by themselves. They bear that a process dies at any instruction: the driver, once it knows that
//! it is dead, *recovers* everything that the process could reach. Until then others may wait for
//! what the dead one holds; afterwards nobody does. They bear any content of their words: the worst
//! that a stray write does is a wait that does not end before its deadline, or an acquisition that
//! should not have been.
//!
//! Nothing here wakes up periodically, and nothing that is to be had at once makes a system call.
//! How each works, and why nobody is left asleep, stands in `sync/README.md`.

mod barrier;
mod cause;
mod condvar;
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
pub use holder::Holder;
pub use mutex::RawMutex;
pub use once::RawOnce;
pub use outcome::{Acquired, LockError, NotHolder};
pub use polled::{PollError, Polled, Waiters};
pub use rwlock::{LocalReaders, RawRwLock};
pub use semaphore::{Permit, RawSemaphore};
pub use wait::{Ended, Sleep, Sleeper, Waiting};
