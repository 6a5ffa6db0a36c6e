//! The pace of worker starts: at once, unless earlier workers have died soon after their start.
//!
//! Deaths before readiness, for example by a failing set-up function, lead to pauses that double.
//! The longest pause is one minute. Any other request for a worker allows one start during the
//! pause. Tasks may need that worker, and the cause of the deaths may be gone.

use std::time::{Duration, Instant};

/// A worker that dies sooner than this after its readiness has died at its start.
const SOON: Duration = Duration::from_secs(1);

/// Deaths and failed starts at most this far apart form a row. Longer than [`SOON`] and
/// [`LONGEST_DELAY`] together.
const ROW: Duration = Duration::from_secs(3);

/// This many deaths in a row delay no start: they may be chance.
const FREE: u32 = 3;

/// Each early death after [`FREE`] in a row delays the next start by this much more.
/// Deaths before readiness double the delay instead.
const DELAY: Duration = Duration::from_millis(10);
const LONGEST_DELAY: Duration = Duration::from_millis(500);

/// The longest pause after deaths before readiness, while other workers of the pool run tasks.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The longest pause after deaths before readiness, while the pool has no worker. Tasks wait for
/// the next worker, or for its failure.
const LONGEST_PAUSE_ALONE: Duration = Duration::from_secs(5);

/// The cause of a death before readiness, which decides the longest pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engines::processes) enum Unready {
    /// The system lacks a resource.
    Short,
    /// Another cause, while the pool has workers.
    BesideOthers,
    /// Another cause, while the pool has no worker.
    Alone,
}

/// The monitor's record of missing workers, and of when to start the next one.
#[derive(Debug, Default)]
pub(in crate::engines::processes) struct RestartBackoff {
    missing: usize,
    /// Failed starts and early deaths in a row, and when the last of them was.
    misfortunes: u32,
    last: Option<Instant>,
    not_before: Option<Instant>,
    /// The next start does not wait for `not_before`.
    urgent: bool,
    /// Workers in a row that have died before they were ready.
    unready: u32,
    /// The time since which all starts have failed.
    failing: Option<Instant>,
    /// A start has failed since the last time that none was missing.
    short: bool,
}

impl RestartBackoff {
    /// Adds `workers` to the missing ones.
    pub(in crate::engines::processes) fn want(&mut self, workers: usize) {
        self.missing += workers;
        self.urgent |= workers > 0 && self.unready > 0;
    }

    /// Cancels all starts that are still to come.
    pub(in crate::engines::processes) fn stop(&mut self) {
        self.missing = 0;
    }

    /// Returns the number of missing workers, or 0 while starts fail or new workers die unready.
    pub(in crate::engines::processes) fn expected(&self) -> usize {
        match self.short || self.unready > 0 {
            true => 0,
            false => self.missing,
        }
    }

    /// Returns whether a worker is to be started now.
    pub(in crate::engines::processes) fn is_due(&self, now: Instant) -> bool {
        let late = self.not_before.is_none_or(|time| time <= now);
        self.missing > 0 && (self.urgent || late)
    }

    /// Returns when the next worker is to be started, if one is missing.
    pub(in crate::engines::processes) fn next(&self, now: Instant) -> Option<Instant> {
        let at = self.not_before.filter(|_| !self.urgent);
        (self.missing > 0).then(|| at.unwrap_or(now))
    }

    /// Records that a worker was started.
    pub(in crate::engines::processes) fn started(&mut self) {
        self.missing = self.missing.saturating_sub(1);
        self.urgent = false;
    }

    /// Returns whether the latest worker has died before it was ready.
    pub(in crate::engines::processes) fn are_unready(&self) -> bool {
        self.unready > 0
    }

    /// Records a death before readiness: the worker is missing again. Returns the number of such
    /// deaths in a row.
    pub(in crate::engines::processes) fn died_unready(
        &mut self,
        why: Unready,
        now: Instant,
    ) -> u32 {
        self.missing += 1;
        self.unready = self.unready.saturating_add(1);
        let longest = match why {
            Unready::Short => LONGEST_DELAY,
            Unready::BesideOthers => LONGEST_PAUSE,
            Unready::Alone => LONGEST_PAUSE_ALONE,
        };
        let doublings = self.unready.saturating_sub(FREE).min(16);
        let delay = match doublings {
            0 => Duration::ZERO,
            _ => DELAY.saturating_mul(1 << doublings),
        };
        self.pause(now, delay.min(longest));
        self.unready
    }

    /// Records a failed start: the worker is still missing. Returns whether this failure is the
    /// first failed start or early death of its row.
    pub(in crate::engines::processes) fn failed(&mut self, now: Instant) -> bool {
        self.urgent = false;
        self.misfortune(now, LONGEST_DELAY);
        self.misfortunes == 1
    }

    /// Records a failed start at `now`. Returns the time of the first failed start since a worker
    /// last became ready.
    pub(in crate::engines::processes) fn failing_since(&mut self, now: Instant) -> Instant {
        self.short = true;
        *self.failing.get_or_insert(now)
    }

    /// Removes `workers` from the missing ones.
    pub(in crate::engines::processes) fn give_up(&mut self, workers: usize) {
        self.missing = self.missing.saturating_sub(workers);
    }

    /// Records that a worker takes tasks. Returns whether this ends a shortage: starts had failed
    /// before, and no worker is missing any more. Also returns how many workers in a row had died
    /// before they were ready.
    pub(in crate::engines::processes) fn recovered(&mut self) -> (bool, u32) {
        self.failing = None;
        let unready = std::mem::take(&mut self.unready);
        if unready > 0 {
            self.not_before = None;
        }
        let over = self.missing == 0 && std::mem::take(&mut self.short);
        (over, unready)
    }

    /// Records the death of a worker that took tasks since `ready`. Another worker has to take its
    /// place.
    pub(in crate::engines::processes) fn died(&mut self, ready: Instant, now: Instant) {
        self.missing += 1;
        self.urgent |= self.unready > 0;
        let lived = now.saturating_duration_since(ready);
        if lived < SOON {
            let times = (self.count(now) + 1).saturating_sub(FREE);
            self.misfortune(now, DELAY.saturating_mul(times).min(LONGEST_DELAY));
        }
    }

    /// Returns the number of misfortunes in the row that one at `now` would continue.
    fn count(&self, now: Instant) -> u32 {
        match self.last {
            Some(last) if now.saturating_duration_since(last) <= ROW => self.misfortunes,
            _ => 0,
        }
    }

    fn misfortune(&mut self, now: Instant, delay: Duration) {
        self.misfortunes = self.count(now).saturating_add(1);
        self.last = Some(now);
        self.pause(now, delay);
    }

    fn pause(&mut self, now: Instant, delay: Duration) {
        // If many workers of a pool die, the first missing one does not wait for the others.
        if self.not_before.is_none_or(|time| time <= now) {
            self.not_before = Some(now + delay);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Returns how long each start is delayed after deaths that follow the starts at once.
    fn delays(backoff: &mut RestartBackoff, mut now: Instant, deaths: usize) -> Vec<Duration> {
        (0..deaths)
            .map(|_| {
                now += MS;
                backoff.died(now, now);
                let next = backoff.next(now).unwrap();
                assert!(backoff.is_due(next) && (next <= now || !backoff.is_due(now)));
                let delay = next.saturating_duration_since(now);
                now += delay;
                backoff.started();
                delay
            })
            .collect()
    }

    #[test]
    fn early_deaths_in_a_row_are_followed_by_ever_longer_pauses() {
        let mut backoff = RestartBackoff::default();
        let delays = delays(&mut backoff, Instant::now(), 60);
        assert_eq!(delays[..5], [0, 0, 0, 10, 20].map(Duration::from_millis));
        assert_eq!(delays[51], LONGEST_DELAY - DELAY);
        assert_eq!(delays[52], LONGEST_DELAY);
        assert_eq!(delays[59], LONGEST_DELAY);
    }

    #[test]
    fn after_some_quiet_time_deaths_are_chance_again() {
        let now = Instant::now();
        let mut backoff = RestartBackoff::default();
        delays(&mut backoff, now, 10);
        let later = now + Duration::from_secs(60);
        assert_eq!(delays(&mut backoff, later, 1), [Duration::ZERO]);
    }

    #[test]
    fn who_has_lived_is_replaced_at_once() {
        let now = Instant::now();
        let mut backoff = RestartBackoff::default();
        for _ in 0..20 {
            backoff.died(now, now + SOON);
            assert!(backoff.is_due(now + SOON));
            backoff.started();
        }
        assert!(!backoff.is_due(now + SOON) && backoff.next(now).is_none());
    }

    #[test]
    fn a_shortage_lasts_until_none_is_missing() {
        let now = Instant::now();
        let mut backoff = RestartBackoff::default();
        backoff.want(3);
        assert!(!backoff.recovered().0);
        assert_eq!(backoff.failing_since(now), now);
        assert_eq!(backoff.failing_since(now + SOON), now);
        backoff.started();
        assert!(!backoff.recovered().0, "two are missing");
        assert_eq!(backoff.failing_since(now + SOON), now + SOON);
        backoff.give_up(1);
        backoff.started();
        assert!(backoff.recovered().0 && !backoff.recovered().0);
        assert!(!backoff.is_due(now + SOON));
    }

    #[test]
    fn who_dies_before_it_is_ready_is_followed_by_pauses_that_double() {
        let pauses = |why, deaths: usize| -> Vec<Duration> {
            let (mut backoff, mut now) = (RestartBackoff::default(), Instant::now());
            let deaths = 1..=deaths as u32;
            let pauses = deaths.map(|death| {
                assert_eq!(backoff.died_unready(why, now), death);
                assert!(backoff.are_unready());
                let pause = backoff.next(now).unwrap().saturating_duration_since(now);
                now += pause;
                assert!(backoff.is_due(now));
                backoff.started();
                pause
            });
            pauses.collect()
        };
        let ms = |ms: [u64; 6]| ms.map(Duration::from_millis);
        let beside_others = pauses(Unready::BesideOthers, 40);
        assert_eq!(beside_others[..6], ms([0, 0, 0, 20, 40, 80]));
        assert_eq!(beside_others[14], Duration::from_millis(40_960));
        assert!(
            beside_others[15..]
                .iter()
                .all(|pause| *pause == LONGEST_PAUSE)
        );
        assert_eq!(pauses(Unready::Alone, 40)[39], LONGEST_PAUSE_ALONE);
        assert_eq!(pauses(Unready::Short, 40)[39], LONGEST_DELAY);
    }

    #[test]
    fn what_else_wants_a_worker_has_one_start_amid_a_pause() {
        let now = Instant::now();
        let mut backoff = RestartBackoff::default();
        for _ in 0..20 {
            backoff.died_unready(Unready::BesideOthers, now);
        }
        let later = now + 4 * SOON;
        backoff.died_unready(Unready::BesideOthers, later);
        assert!(!backoff.is_due(later));
        for n in 0..2 {
            match n {
                0 => backoff.want(3),
                _ => backoff.died(now, later),
            }
            assert!(backoff.is_due(later) && backoff.next(later) == Some(later));
            backoff.started();
            assert!(!backoff.is_due(later));
        }
        // A worker that is ready ends the pause, and the row.
        assert_eq!(backoff.recovered(), (false, 21));
        assert!(backoff.is_due(later) && !backoff.are_unready());
        assert_eq!(backoff.died_unready(Unready::BesideOthers, later), 1);
    }

    #[test]
    fn a_failed_start_is_tried_again_later_and_told_once() {
        let now = Instant::now();
        let mut backoff = RestartBackoff::default();
        backoff.want(2);
        assert!(backoff.is_due(now));
        assert!(backoff.failed(now));
        assert!(!backoff.is_due(now));
        let later = now + LONGEST_DELAY;
        assert!(backoff.is_due(later));
        assert!(!backoff.failed(later));
        backoff.stop();
        assert!(backoff.next(later).is_none());
    }
}
