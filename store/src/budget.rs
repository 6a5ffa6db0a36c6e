//! The budget of the memory that heaps commit.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::StoreError;

/// A bound of the memory that heaps commit, over all processes of a runtime.
///
/// The driver's heap asks a [`Capacity`], and a worker's heap asks the driver. A heap holds no lock
/// while it asks, so `acquire` may wait for another process.
pub trait Budget: Send + Sync {
    /// Takes `bytes` out of the budget.
    ///
    /// # Errors
    /// Fails if the budget has fewer bytes. Then nothing is taken, and the error has the numbers.
    fn acquire(&self, bytes: u64) -> Result<(), StoreError>;

    /// Gives back `bytes` that were taken before.
    fn release(&self, bytes: u64);
}

/// A budget with a fixed number of bytes: the driver's.
pub struct Capacity {
    capacity: u64,
    used: AtomicU64,
}

impl Capacity {
    /// Returns a budget of `capacity` bytes, all of them free.
    pub fn new(capacity: u64) -> Capacity {
        Capacity {
            capacity,
            used: AtomicU64::new(0),
        }
    }

    /// Returns the number of taken bytes.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Returns the number of all bytes.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Takes `bytes`, or nothing if fewer are free. Returns whether it took them.
    pub fn try_charge(&self, bytes: u64) -> bool {
        self.charge(bytes).is_ok()
    }

    fn charge(&self, bytes: u64) -> Result<(), u64> {
        // The counter protects no other data.
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|&sum| sum <= self.capacity)
            })
            .map(drop)
    }
}

impl Budget for Capacity {
    fn acquire(&self, bytes: u64) -> Result<(), StoreError> {
        self.charge(bytes)
            .map_err(|used| StoreError::full(bytes, used, self.capacity))
    }

    fn release(&self, bytes: u64) {
        let before = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                // It never falls below zero, which would turn the counter into a huge number.
                Some(used.saturating_sub(bytes))
            });
        debug_assert!(
            before.is_ok_and(|used| used >= bytes),
            "more was given back than taken"
        );
    }
}

impl fmt::Debug for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capacity")
            .field("used", &self.used())
            .field("capacity", &self.capacity)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capacity_is_never_exceeded() {
        let capacity = Capacity::new(100);
        capacity.acquire(60).expect("fits");
        let error = capacity.acquire(41).expect_err("does not fit");
        assert!(error.is_full());
        assert!(
            error
                .to_string()
                .contains("41 bytes wanted, 60 bytes of 100 bytes"),
            "{error}"
        );
        assert!(!capacity.try_charge(u64::MAX), "the sum overflows");
        assert!(capacity.try_charge(40));
        capacity.release(100);
        assert_eq!(capacity.used(), 0);
    }
}
