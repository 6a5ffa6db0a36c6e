//! Memory: the budget of the driver's own heap, and the segments of dead workers.
//!
//! The driver's heap requests memory here. The workers request memory by message
//! (`peers/needs.rs`). If nothing is left, the driver trims its own heap and asks all workers to
//! return unused memory.

pub(super) mod orphans;

use std::{
    fmt,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use mobula_store::{Budget, Capacity, StoreError};
use parking_lot::RwLock;

use crate::engines::processes::Driver;

/// The maximum time that an allocation of the driver waits for memory from workers.
const PATIENCE: Duration = Duration::from_millis(500);

/// The budget of the driver's own heap.
pub(in crate::engines::processes) struct DriverBudget {
    capacity: Arc<Capacity>,
    driver: RwLock<Weak<Driver>>,
}

impl DriverBudget {
    pub(in crate::engines::processes) fn new(capacity: Arc<Capacity>) -> DriverBudget {
        DriverBudget {
            capacity,
            driver: RwLock::new(Weak::new()),
        }
    }

    pub(in crate::engines::processes) fn serve(&self, driver: Weak<Driver>) {
        *self.driver.write() = driver;
    }
}

impl Budget for DriverBudget {
    fn acquire(&self, bytes: u64) -> Result<(), StoreError> {
        let Err(full) = self.capacity.acquire(bytes) else {
            return Ok(());
        };
        let Some(driver) = self.driver.read().upgrade() else {
            return Err(full);
        };
        if bytes > self.capacity.capacity() {
            return Err(full);
        }
        driver.reclaim(PATIENCE);
        self.capacity.acquire(bytes)
    }

    fn release(&self, bytes: u64) {
        self.capacity.release(bytes);
    }
}

impl Driver {
    /// Frees unreferenced objects, and asks all workers to return unused memory. Waits up to
    /// `patience` for their answers.
    fn reclaim(&self, patience: Duration) {
        self.with(|_, peers| peers.trim_all());
        let deadline = Instant::now() + patience;
        while self.with(|_, peers| peers.trimming()) && Instant::now() < deadline {
            if !self.poll() {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    }
}

impl fmt::Debug for DriverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.capacity.fmt(f)
    }
}
