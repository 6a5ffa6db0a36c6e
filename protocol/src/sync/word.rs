//! The 64-bit word that has the owner of a lock.
//!
//! | bits | |
//! | --- | --- |
//! | 63..32 | the owner's process, plus one; 0: nobody |
//! | 31..27 | flags, see below |
//! | 26 | the owner is not a thread |
//! | 25..0 | the owner's thread id, or another number of its process |

use crate::ids::WorkerId;

/// A thread sleeps in the queue, or has slept lately. The unlocking thread wakes one of them.
pub(super) const WAITERS: u64 = 1 << 31;
/// A waiter of the queue has waited long. A thread that has not yet slept must not take the lock.
pub(super) const STARVING: u64 = 1 << 30;
/// Readers sleep until the writer unlocks.
pub(super) const READERS: u64 = 1 << 29;
/// A reader has waited long. No writer may take the lock before this reader has had it.
pub(super) const TURN: u64 = 1 << 28;
/// The owner is a writer that sleeps until the readers have left.
pub(super) const DRAINING: u64 = 1 << 27;

/// All flags.
pub(super) const FLAGS: u64 = WAITERS | STARVING | READERS | TURN | DRAINING;

/// The mark in a tag that names no thread.
pub(super) const DETACHED: u32 = 1 << 26;
/// The part of a tag below the mark.
pub(super) const NUMBER: u32 = DETACHED - 1;

/// Returns the word of an owner, without flags.
#[inline]
pub(super) fn encode(process: WorkerId, tag: u32) -> u64 {
    process_field(process) << 32 | u64::from(tag)
}

/// Returns the number that stands for a process. It is never 0, since ids are given out one by one
/// from 0.
#[inline]
pub(super) fn process_field(process: WorkerId) -> u64 {
    u64::from(process.0.wrapping_add(1))
}

/// Returns whether the word has no owner. It may have flags.
#[inline]
pub(super) fn is_free(word: u64) -> bool {
    word >> 32 == 0
}

/// Returns whether the owner is a holder of `process`.
#[inline]
pub(super) fn belongs_to(word: u64, process: WorkerId) -> bool {
    word >> 32 == process_field(process)
}
