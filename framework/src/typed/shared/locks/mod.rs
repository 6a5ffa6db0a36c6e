//! Locks between processes, and other objects by which their threads wait for each other.
//!
//! The protocols are in `mobula_protocol::sync`, which also says what the death of a process means
//! for each. The driver recovers the locks that a dead worker could reach. The modules here add
//! memory, data and guards.

mod barrier;
mod cell;
mod condvar;
mod data;
mod errors;
mod exclusive;
mod mutex;
mod once;
mod protected;
mod rwlock;
mod semaphore;
mod waiting;

pub use barrier::SharedBarrier;
pub use condvar::SharedCondvar;
pub use data::SharedData;
pub use mutex::{OwnedMutexGuard, SharedMutex, SharedMutexGuard};
pub use once::SharedOnce;
pub use rwlock::{
    OwnedReadGuard, OwnedWriteGuard, SharedReadGuard, SharedRwLock, SharedWriteGuard,
};
pub use semaphore::{SharedPermit, SharedSemaphore};
