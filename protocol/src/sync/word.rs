//! The 64-bit word that says who owns something.
//!
//! | bits | |
//! | --- | --- |
//! | 63..32 | the owner's process, plus one; 0: nobody |
//! | 31..27 | flags, see below |
//! | 26 | the owner is not a thread |
//! | 25..0 | the owner's thread id, or another number of its process |

use crate::ids::WorkerId;

/// Somebody sleeps in the queue, or has until lately. The one who unlocks wakes one of them.
pub(super) const WAITERS: u64 = 1 << 31;
/// A waiter of the queue has waited long: whoever has not yet slept must not take the lock.
pub(super) const STARVING: u64 = 1 << 30;
/// Readers sleep until the writer unlocks.
pub(super) const READERS: u64 = 1 << 29;
/// A reader has waited long: no writer may take the lock before that reader has been there.
pub(super) const TURN: u64 = 1 << 28;
/// The owner is a writer that still waits for readers to leave, and sleeps.
pub(super) const DRAINING: u64 = 1 << 27;

/// All of these.
pub(super) const FLAGS: u64 = WAITERS | STARVING | READERS | TURN | DRAINING;

/// In a tag: it does not name a thread.
pub(super) const DETACHED: u32 = 1 << 26;
/// In a tag: the rest.
pub(super) const NUMBER: u32 = DETACHED - 1;

/// The word of an owner, without flags.
#[inline]
pub(super) fn encode(process: WorkerId, tag: u32) -> u64 {
    process_field(process) << 32 | u64::from(tag)
}

/// What stands for a process: never zero, as ids are given out one by one from zero.
#[inline]
pub(super) fn process_field(process: WorkerId) -> u64 {
    u64::from(process.0.wrapping_add(1))
}

/// Whether nobody owns it. There may be flags.
#[inline]
pub(super) fn is_free(word: u64) -> bool {
    word >> 32 == 0
}

/// Whether it belongs to a holder of `process`.
#[inline]
pub(super) fn belongs_to(word: u64, process: WorkerId) -> bool {
    word >> 32 == process_field(process)
}
