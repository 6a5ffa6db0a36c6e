//! The policy for reading the rings: whether the background thread parks for a time or sleeps.
//!
//! A foreground caller that spawns or waits again and again reads the answers itself on the way.
//! This costs less than to wake a thread for each answer. Then the background thread does a [timed
//! park](mobula_protocol::doorbell::DriverDoorbell::park_timed): it looks now and then, and nobody
//! notifies it. The timed parks end when a future waits for an answer, since it has no thread of
//! its own: the background thread sleeps at the doorbell again.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, fence},
    time::Duration,
};

use mobula_protocol::waiting::{
    LINGER, LINGER_LONG, LINGER_ONCE_IN, LOOK_EVERY, Mechanism, SPIN_ONCE_IN, UNLUCKY,
};

/// See the [module](self).
#[derive(Debug, Default)]
pub(in crate::engines::processes) struct PollPolicy {
    spawned: AtomicU32,
    /// Set when a foreground caller has read answers, or has left some unread for the next look of
    /// the background thread. Cleared when the background thread asks.
    served: AtomicBool,
    /// The number of handles that are awaited without a thread.
    watched: AtomicUsize,
    /// Whether it pays to wait for a future on the spot.
    linger: SuccessRate,
    /// Whether it pays to spin before a sleep.
    spin: SuccessRate,
}

/// Decides whether an attempt that often fails is worth another try.
#[derive(Debug, Default)]
struct SuccessRate {
    /// Failures less successes. A success after many failures is worth one more try, and not as
    /// many as if there had been no failure.
    misses: AtomicU32,
}

impl SuccessRate {
    /// Returns whether to try. If most tries fail, returns `true` only once in `at_least_each`
    /// calls.
    fn may_try(&self, at_least_each: u32) -> bool {
        if self.is_good() {
            return true;
        }
        let misses = self.misses.load(Ordering::Relaxed);
        self.misses
            .store(misses.wrapping_add(1).max(UNLUCKY), Ordering::Relaxed);
        misses.is_multiple_of(at_least_each)
    }

    /// Whether tries have succeeded lately.
    fn is_good(&self) -> bool {
        self.misses.load(Ordering::Relaxed) < UNLUCKY
    }

    fn tried(&self, in_vain: bool) {
        let misses = self.misses.load(Ordering::Relaxed);
        let misses = match in_vain {
            true => misses.saturating_add(1),
            false => misses.min(UNLUCKY).saturating_sub(1),
        };
        self.misses.store(misses, Ordering::Relaxed);
    }
}

impl PollPolicy {
    /// Counts a call. Returns whether it is time to look at the rings.
    pub(in crate::engines::processes) fn count_spawn(&self) -> bool {
        let count = self.spawned.load(Ordering::Relaxed).wrapping_add(1);
        self.spawned.store(count, Ordering::Relaxed);
        count.is_multiple_of(LOOK_EVERY) && Mechanism::Look.is_on() && !self.is_watched()
    }

    /// Notes that a foreground caller has spared the wake-up of the background thread.
    pub(in crate::engines::processes) fn serve(&self) {
        self.served.store(true, Ordering::Relaxed);
    }

    /// Returns whether that has happened since the last question.
    pub(in crate::engines::processes) fn take_served(&self) -> bool {
        self.served.load(Ordering::Relaxed) && self.served.swap(false, Ordering::Relaxed)
    }

    /// Counts a further watched handle. The doorbell's `unpark_early` must follow.
    pub(in crate::engines::processes) fn watch(&self) {
        self.watched.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one watched handle less.
    pub(in crate::engines::processes) fn unwatch(&self) {
        self.watched.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether any handle is watched.
    pub(in crate::engines::processes) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed) > 0
    }

    /// Does what [`is_watched`](Self::is_watched) does, for a thread that has announced its timed
    /// park. Sees each `watch` whose `unpark_early` did not see the announcement.
    pub(in crate::engines::processes) fn is_watched_after_announcing(&self) -> bool {
        fence(Ordering::SeqCst);
        self.is_watched()
    }

    /// Returns for how long a future's caller should wait on the spot. If such waits have succeeded
    /// lately, this is the time of a short task.
    ///
    /// If not, it is now and then the time that a wake-up takes. Workers fall asleep while the
    /// caller sleeps. Without these longer waits they would never be fast enough.
    pub(in crate::engines::processes) fn may_linger(&self) -> Option<Duration> {
        if !Mechanism::Linger.is_on() {
            return None;
        }
        if !Mechanism::LingerRate.is_on() {
            return Some(LINGER);
        }
        let good = self.linger.is_good();
        self.linger.may_try(LINGER_ONCE_IN).then_some(match good {
            true => LINGER,
            false => LINGER_LONG,
        })
    }

    /// Records whether that wait was in vain.
    pub(in crate::engines::processes) fn lingered(&self, in_vain: bool) {
        self.linger.tried(in_vain);
    }

    /// Whether a caller that waits should spin before it sleeps. It should not if answers have
    /// taken much longer lately, or came while other threads had this core.
    ///
    /// In these cases the spin would only take a core from the workers. A thread that waits for its
    /// turn after a yield counts as one that wants a core, and the system shares the cores
    /// accordingly.
    pub(in crate::engines::processes) fn may_spin(&self) -> bool {
        !Mechanism::SpinRate.is_on() || self.spin.may_try(SPIN_ONCE_IN)
    }

    /// Records whether the spin was in vain.
    pub(in crate::engines::processes) fn spun(&self, in_vain: bool) {
        self.spin.tried(in_vain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_now_and_then_and_again_after_a_success() {
        let success_rate = SuccessRate::default();
        let tries = |in_vain| {
            let tries = (0..160).map(|_| {
                let tried = success_rate.may_try(16);
                if tried {
                    success_rate.tried(in_vain);
                }
                u32::from(tried)
            });
            tries.sum::<u32>()
        };
        let all_in_vain = tries(true);
        assert!((8..=16).contains(&all_in_vain), "{all_in_vain}");
        // After one success, each attempt is made again.
        let all_good = tries(false);
        assert!(all_good >= 144, "{all_good}");
    }

    #[test]
    fn a_rare_success_is_worth_one_more_try() {
        let success_rate = SuccessRate::default();
        for _ in 0..100 {
            success_rate.tried(true);
        }
        success_rate.tried(false);
        assert!(success_rate.is_good());
        success_rate.tried(true);
        assert!(!success_rate.is_good());
    }
}
