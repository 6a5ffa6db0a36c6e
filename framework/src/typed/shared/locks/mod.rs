//! Locks between processes, and other things by which their threads wait for each other.
//!
//! The protocols, and what the death of a process means for each, are in `mobula_protocol::sync`;
//! the driver recovers what a dead worker could reach. Here they get memory, data and guards.

mod barrier;
mod cell;
mod condvar;
mod data;
mod errors;
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
