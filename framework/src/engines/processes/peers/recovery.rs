//! The recovery of locks that a dead worker may have held or waited for.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use mobula_protocol::{
    SharedKind, WorkerId,
    primitive::Memory,
    sync::{
        Cause, How, ProcessSlot, RawBarrier, RawCondvar, RawMutex, RawOnce, RawRwLock, RawSemaphore,
    },
};
use mobula_store::{Loc, Region};
use rustix::process::WaitIdStatus;

use crate::engines::processes::peers::Peers;
use crate::promise::ENGINE;

/// The slots of living processes.
#[derive(Debug)]
pub(in crate::engines::processes) struct ProcessSlots {
    free: Vec<ProcessSlot>,
    fresh: u16,
}

impl Default for ProcessSlots {
    fn default() -> ProcessSlots {
        ProcessSlots {
            free: Vec::new(),
            // The driver has the first slot.
            fresh: 1,
        }
    }
}

impl ProcessSlots {
    /// Returns a process slot that no living process has, or `None` if all are in use.
    pub(in crate::engines::processes) fn take(&mut self) -> Option<ProcessSlot> {
        if let Some(process_slot) = self.free.pop() {
            return Some(process_slot);
        }
        // Without a further slot, `fresh` stays. It never wraps to the driver's slot.
        let process_slot = ProcessSlot::new(self.fresh)?;
        self.fresh += 1;
        Some(process_slot)
    }

    /// Returns the slot of a dead process, after the recovery of all locks that the process could
    /// reach.
    pub(in crate::engines::processes) fn give_back(&mut self, process_slot: ProcessSlot) {
        self.free.push(process_slot);
    }
}

/// The memory of a lock: its words, and its futexes behind them. For a semaphore, the first word
/// determines the number of words.
#[derive(Clone, Debug)]
struct Words {
    region: Region,
    futexes_at: usize,
    futexes: usize,
}

impl Memory for Words {
    type Word = AtomicU64;
    type Futex = AtomicU32;

    fn words(&self) -> &[AtomicU64] {
        self.region
            .atomics(0, self.futexes_at / 8, ENGINE)
            .unwrap_or(&[])
    }

    fn futex(&self, at: usize) -> &AtomicU32 {
        let futexes = self.region.atomics(self.futexes_at, self.futexes, ENGINE);
        &futexes.unwrap_or(&[])[at]
    }

    fn fence() {
        std::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// Returns how a process died, for processes that use its locks later.
pub(in crate::engines::processes) fn cause(pid: u32, status: Option<&WaitIdStatus>) -> Cause {
    let code = status.and_then(WaitIdStatus::exit_status);
    let signal = status.and_then(WaitIdStatus::terminating_signal);
    let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    let how = match (code, signal) {
        (Some(code), _) => How::Exited(byte(code)),
        (None, Some(signal)) => How::Signal(byte(signal)),
        (None, None) => How::Unknown,
    };
    Cause { pid, how }
}

impl Peers {
    /// Frees the locks that a dead worker held, and wakes the threads that waited for it. The
    /// caller has the driver's lock, so that the locks are not freed meanwhile. Costs one to three
    /// system calls for each lock that the worker could reach.
    pub(in crate::engines::processes) fn recover_locks(&mut self, dead: WorkerId, cause: Cause) {
        let Some(peer) = self.peers.get_mut(dead) else {
            return;
        };
        let process_slot = peer.process_slot;
        for (loc, kind) in std::mem::take(&mut peer.locks) {
            if let Some(region) = self.region_of(loc) {
                recover(region, kind, dead, process_slot, cause);
            }
        }
    }

    fn region_of(&self, loc: Loc) -> Option<Region> {
        if loc.segment == self.heap.id() {
            return self.heap.region(loc, Arc::new(()), ENGINE).ok();
        }
        if let Some(file) = self.files.get(&loc.segment) {
            self.writables.insert(loc.segment, file).ok()?;
        }
        self.writables.open(loc, Arc::new(()), ENGINE).ok()
    }
}

fn recover(
    region: Region,
    kind: SharedKind,
    dead: WorkerId,
    process_slot: ProcessSlot,
    cause: Cause,
) {
    let words = |count: usize, futexes: usize| {
        let memory = Words {
            futexes_at: count * 8,
            futexes,
            region: region.clone(),
        };
        (count * 8 + futexes * 4 <= region.len()).then_some(memory)
    };
    let done = match kind {
        SharedKind::Mutex => {
            words(RawMutex::<Words>::WORDS, RawMutex::<Words>::FUTEXES).map(|memory| {
                RawMutex::new(memory, 0, 0).recover(dead, cause);
            })
        }
        SharedKind::RwLock => {
            words(RawRwLock::<Words>::WORDS, RawRwLock::<Words>::FUTEXES).map(|memory| {
                RawRwLock::new(memory, 0, 0).recover(dead, process_slot, cause);
            })
        }
        SharedKind::Condvar => words(RawCondvar::<Words>::WORDS, RawCondvar::<Words>::FUTEXES)
            .map(|memory| RawCondvar::new(memory, 0, 0).recover()),
        SharedKind::Barrier => words(RawBarrier::<Words>::WORDS, RawBarrier::<Words>::FUTEXES)
            .map(|memory| RawBarrier::new(memory, 0, 0).break_with(cause)),
        SharedKind::Once => {
            words(RawOnce::<Words>::WORDS, RawOnce::<Words>::FUTEXES).map(|memory| {
                RawOnce::new(memory, 0, 0).recover(dead);
            })
        }
        SharedKind::Semaphore => {
            let permits = region
                .atomics::<AtomicU64>(0, 1, ENGINE)
                .map_or(0, |words| words[0].load(Ordering::Relaxed));
            let count = RawSemaphore::<Words>::words(u32::try_from(permits).unwrap_or(0));
            words(count, RawSemaphore::<Words>::FUTEXES).map(|memory| {
                RawSemaphore::new(memory, 0, 0).recover(dead);
            })
        }
        SharedKind::Array | SharedKind::Atomics => Some(()),
    };
    if done.is_none() {
        eprintln!("mobula: the memory of a lock that a dead worker knew is too short");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_slot_is_taken_once() {
        let mut process_slots = ProcessSlots::default();
        let (one, two) = (process_slots.take().unwrap(), process_slots.take().unwrap());
        assert_ne!(one, two);
        assert_ne!(one, ProcessSlot::DRIVER);
        process_slots.give_back(one);
        assert_eq!(process_slots.take(), Some(one));
    }

    #[test]
    fn asking_in_vain_gives_no_process_slot_however_often() {
        let mut process_slots = ProcessSlots::default();
        let mut taken = 0;
        while process_slots.take().is_some() {
            taken += 1;
        }
        for _ in 0..=u32::from(u16::MAX) {
            assert_eq!(process_slots.take(), None);
        }
        let back = ProcessSlot::new(taken).unwrap();
        process_slots.give_back(back);
        assert_eq!(
            (process_slots.take(), process_slots.take()),
            (Some(back), None)
        );
    }
}
