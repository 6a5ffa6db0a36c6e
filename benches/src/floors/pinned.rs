//! Keeps players on cores of their own. The system may leave two spinning processes on one core for
//! some time. Then a game would measure the system's scheduler and not the memory.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Keeps this thread on one core. The drop restores the cores that the thread had before.
#[derive(Debug)]
pub struct Pinned {
    before: CpuSet,
}

impl Pinned {
    /// Moves this thread to the core of this number among the cores that the process may use.
    /// Returns `None` and changes nothing if the process has fewer cores, or the system refuses.
    pub fn to(number: usize) -> Option<Pinned> {
        let before = sched_getaffinity(None).ok()?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|core| before.is_set(*core));
        let core = allowed.nth(number)?;
        let mut only = CpuSet::new();
        only.set(core);
        sched_setaffinity(None, &only).ok()?;
        Some(Pinned { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // It was allowed before.
        let _ = sched_setaffinity(None, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_has_one_core_and_gets_the_others_back() {
        let cores = || sched_getaffinity(None).unwrap().count();
        let before = cores();
        let pinned = Pinned::to(0);
        assert!(pinned.is_some());
        assert_eq!(cores(), 1);
        drop(pinned);
        assert_eq!(cores(), before);
        assert!(Pinned::to(CpuSet::MAX_CPU).is_none());
        assert_eq!(cores(), before);
    }
}
