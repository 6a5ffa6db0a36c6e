//! Identities. Each is a type of its own, so that one cannot stand for another.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many processes can share memory at a time.
pub const PROCESS_SLOTS: usize = if cfg!(loom) { 64 } else { 4160 };

/// A small number of a process, below [`PROCESS_SLOTS`]. No two living processes of a runtime have
/// the same. The process slot of a dead process can be given away again after everything that it
/// shared was recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessSlot(u16);

impl ProcessSlot {
    /// The driver's.
    pub const DRIVER: ProcessSlot = ProcessSlot(0);

    /// ProcessSlot `number`, if there is one.
    pub const fn new(number: u16) -> Option<ProcessSlot> {
        if (number as usize) < PROCESS_SLOTS {
            Some(ProcessSlot(number))
        } else {
            None
        }
    }

    /// Its number, below [`PROCESS_SLOTS`].
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// A worker process, numbered from 1 in the order of their starts within one runtime. A number is
/// never used again, so that a late message of a dead worker cannot be taken for its successor's.
/// The driver counts as number 0.
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

/// An object in one runtime. The process that makes the object mints the id, without asking
/// anybody: `origin` says which process, `seq` counts there. A task is known by the id of its
/// result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectId {
    /// Who minted the id.
    pub origin: WorkerId,
    /// How many that process had minted before.
    pub seq: u64,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.origin.0, self.seq)
    }
}

/// A remote function: its place in the sorted registry, which is the same in all processes of a
/// runtime (they compare fingerprints before the first task).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FunctionIndex(pub u32);

/// One of the state words in a worker's mailbox (see `mailbox`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskSlot(pub u32);

/// Tells one use of a [`TaskSlot`] from every other use of it: one number for each hand-over of a
/// task to a worker, never repeated for that worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attempt(pub u64);
