//! Ids. Each kind is a type of its own, so one cannot stand for another.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of processes that can share memory at a time.
pub const PROCESS_SLOTS: usize = if cfg!(loom) { 64 } else { 4160 };

/// A small number of a process, below [`PROCESS_SLOTS`]. Two living processes of a runtime never
/// have the same one. The slot of a dead process may go to another process after everything that
/// the dead one shared is recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessSlot(u16);

impl ProcessSlot {
    /// The slot of the driver.
    pub const DRIVER: ProcessSlot = ProcessSlot(0);

    /// Returns the slot with this number, if there is one.
    pub const fn new(number: u16) -> Option<ProcessSlot> {
        if (number as usize) < PROCESS_SLOTS {
            Some(ProcessSlot(number))
        } else {
            None
        }
    }

    /// Returns the number of the slot, below [`PROCESS_SLOTS`].
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// A worker process. Workers are numbered from 1 in the order of their starts within one runtime. A
/// number is never used again, so a late message of a dead worker cannot be taken for its
/// successor's. The driver counts as number 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WorkerId(pub u32);

impl WorkerId {
    /// The process that started the runtime.
    pub const DRIVER: WorkerId = WorkerId(0);
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.0)
    }
}

/// An object in one runtime. The process that makes the object makes the id, and asks no other
/// process. `origin` says which process that is, and `seq` tells its ids apart. A task has the id
/// of its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectId {
    /// The process that made the id.
    pub origin: WorkerId,
    /// The number of the id among those of this process. A worker counts its ids. The driver
    /// combines the place of the object in its table with the number of earlier uses of the place.
    pub seq: u64,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.origin.0, self.seq)
    }
}

/// A remote function: its place in the sorted registry. All processes of a runtime have the same
/// registry. They compare fingerprints before the first task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FunctionIndex(pub u32);

/// One of the state words in a worker's mailbox (see `mailbox`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskSlot(pub u32);

/// A number that tells one use of a [`TaskSlot`] from every other use of it. Each hand-over of a
/// task to a worker has its own number. Numbers never repeat for that worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attempt(pub u64);

/// The run that sends a message, if it is known. It takes eight bytes, and `Option<Attempt>` takes
/// sixteen, which would make all messages longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaybeRun(u64);

impl MaybeRun {
    /// No worker comes to have so many runs.
    const NONE: u64 = u64::MAX;

    /// Returns the run.
    pub fn get(self) -> Option<Attempt> {
        (self.0 != MaybeRun::NONE).then_some(Attempt(self.0))
    }
}

impl From<Option<Attempt>> for MaybeRun {
    fn from(run: Option<Attempt>) -> MaybeRun {
        MaybeRun(run.map_or(MaybeRun::NONE, |run| run.0))
    }
}
