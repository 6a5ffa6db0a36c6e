//! The locks that this thread has locked for reading.
//!
//! A lock counts its readers and does not list them, since there may be many. A thread that reads
//! twice would wait for itself if a writer came in between. A reader that writes would wait for
//! itself at once. So each thread lists its own locks.

use std::{cell::RefCell, marker::PhantomData};

use mobula_protocol::sync::LockError;

use super::readers::LockNumber;

thread_local! {
    static LOCKS: RefCell<Vec<LockNumber>> = const { RefCell::new(Vec::new()) };
}

/// Marks that this thread has the lock for reading, until the mark is dropped.
pub(super) struct ReadsHere {
    lock: LockNumber,
    on_its_thread: PhantomData<*const ()>,
}

impl ReadsHere {
    /// Records that this thread will read.
    ///
    /// # Errors
    /// The thread reads already.
    #[inline]
    pub(super) fn begin(lock: LockNumber) -> Result<ReadsHere, LockError> {
        // At the end of a thread the list is gone. Then the check is left out.
        let listed = LOCKS.try_with(|locks| {
            let mut locks = locks.borrow_mut();
            let new = !locks.contains(&lock);
            if new {
                locks.push(lock);
            }
            new
        });
        match listed {
            Ok(false) => Err(LockError::Recursive),
            _ => Ok(ReadsHere {
                lock,
                on_its_thread: PhantomData,
            }),
        }
    }

    /// Checks that this thread may write.
    ///
    /// # Errors
    /// The thread reads.
    pub(super) fn none(lock: LockNumber) -> Result<(), LockError> {
        match LOCKS.try_with(|locks| locks.borrow().contains(&lock)) {
            Ok(true) => Err(LockError::Recursive),
            _ => Ok(()),
        }
    }
}

impl Drop for ReadsHere {
    #[inline]
    fn drop(&mut self) {
        let _ = LOCKS.try_with(|locks| {
            let mut locks = locks.borrow_mut();
            // Nearly always, the latest lock is the first to end.
            if let Some(at) = locks.iter().rposition(|lock| *lock == self.lock) {
                locks.swap_remove(at);
            }
        });
    }
}
