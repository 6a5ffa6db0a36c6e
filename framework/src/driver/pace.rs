//! How fast workers are started: at once, unless those before them have died soon after their start.

use std::time::{Duration, Instant};

/// A worker that dies sooner than this after its readiness has died at its start.
const SOON: Duration = Duration::from_secs(1);

/// Such deaths follow each other when there is no more time than this between them. Longer than
/// [`SOON`] and the longest delay together.
const ROW: Duration = Duration::from_secs(3);

/// So many of them in a row are taken for chance.
const FREE: u32 = 3;

/// Each one more delays the next start by so much more.
const DELAY: Duration = Duration::from_millis(10);
const LONGEST_DELAY: Duration = Duration::from_millis(500);

/// What the monitor knows of the workers that are to be started.
#[derive(Debug, Default)]
pub(super) struct Pace {
    missing: usize,
    /// Failed starts and early deaths in a row, and when the last of them was.
    misfortunes: u32,
    last: Option<Instant>,
    not_before: Option<Instant>,
    /// Since when starts fail, without one that succeeded.
    failing: Option<Instant>,
    /// A start has failed since the last time that none was missing.
    short: bool,
}

impl Pace {
    /// So many more are to be started.
    pub(super) fn want(&mut self, workers: usize) {
        self.missing += workers;
    }

    /// None is to be started any more.
    pub(super) fn stop(&mut self) {
        self.missing = 0;
    }

    /// Whether one is to be started now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.missing > 0 && self.not_before.is_none_or(|time| time <= now)
    }

    /// When the next one is to be started.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        (self.missing > 0).then(|| self.not_before.unwrap_or(now))
    }

    /// One was started.
    pub(super) fn started(&mut self) {
        self.missing = self.missing.saturating_sub(1);
    }

    /// One could not be started; it is still missing. Whether this is the first of a row.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.misfortune(now, LONGEST_DELAY);
        self.misfortunes == 1
    }

    /// Since when starts fail, if one fails now.
    pub(super) fn failing_since(&mut self, now: Instant) -> Instant {
        self.short = true;
        *self.failing.get_or_insert(now)
    }

    /// So many fewer are to be started.
    pub(super) fn give_up(&mut self, workers: usize) {
        self.missing = self.missing.saturating_sub(workers);
    }

    /// One takes tasks. Whether that is the end of a shortage: starts had failed before, and no more
    /// are missing.
    pub(super) fn recovered(&mut self) -> bool {
        self.failing = None;
        self.missing == 0 && std::mem::take(&mut self.short)
    }

    /// One has died, and another has to take its place. `ready`: since when it took tasks.
    pub(super) fn died(&mut self, ready: Option<Instant>, now: Instant) {
        self.missing += 1;
        let lived = ready.map_or(Duration::ZERO, |ready| now.saturating_duration_since(ready));
        if lived < SOON {
            let times = (self.count(now) + 1).saturating_sub(FREE);
            self.misfortune(now, DELAY.saturating_mul(times).min(LONGEST_DELAY));
        }
    }

    /// How many misfortunes one at this time would follow.
    fn count(&self, now: Instant) -> u32 {
        match self.last {
            Some(last) if now.saturating_duration_since(last) <= ROW => self.misfortunes,
            _ => 0,
        }
    }

    fn misfortune(&mut self, now: Instant, delay: Duration) {
        self.misfortunes = self.count(now).saturating_add(1);
        self.last = Some(now);
        // In a pool where many die, the first one that is missing does not wait for the others.
        if self.not_before.is_none_or(|time| time <= now) {
            self.not_before = Some(now + delay);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Deaths that each follow the start at once, and how long each next start was put off.
    fn delays(pace: &mut Pace, mut now: Instant, deaths: usize) -> Vec<Duration> {
        (0..deaths)
            .map(|_| {
                now += MS;
                pace.died(Some(now), now);
                let next = pace.next(now).unwrap();
                assert!(pace.is_due(next) && (next <= now || !pace.is_due(now)));
                let delay = next.saturating_duration_since(now);
                now += delay;
                pace.started();
                delay
            })
            .collect()
    }

    #[test]
    fn early_deaths_in_a_row_are_followed_by_ever_longer_pauses() {
        let mut pace = Pace::default();
        let delays = delays(&mut pace, Instant::now(), 60);
        assert_eq!(delays[..5], [0, 0, 0, 10, 20].map(Duration::from_millis));
        assert_eq!(delays[51], LONGEST_DELAY - DELAY);
        assert_eq!(delays[52], LONGEST_DELAY);
        assert_eq!(delays[59], LONGEST_DELAY);
    }

    #[test]
    fn after_some_quiet_time_deaths_are_chance_again() {
        let now = Instant::now();
        let mut pace = Pace::default();
        delays(&mut pace, now, 10);
        let later = now + Duration::from_secs(60);
        assert_eq!(delays(&mut pace, later, 1), [Duration::ZERO]);
    }

    #[test]
    fn who_has_lived_is_replaced_at_once() {
        let now = Instant::now();
        let mut pace = Pace::default();
        for _ in 0..20 {
            pace.died(Some(now), now + SOON);
            assert!(pace.is_due(now + SOON));
            pace.started();
        }
        assert!(!pace.is_due(now + SOON) && pace.next(now).is_none());
    }

    #[test]
    fn a_shortage_lasts_until_none_is_missing() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.want(3);
        assert!(!pace.recovered());
        assert_eq!(pace.failing_since(now), now);
        assert_eq!(pace.failing_since(now + SOON), now);
        pace.started();
        assert!(!pace.recovered(), "two are missing");
        assert_eq!(pace.failing_since(now + SOON), now + SOON);
        pace.give_up(1);
        pace.started();
        assert!(pace.recovered() && !pace.recovered());
        assert!(!pace.is_due(now + SOON));
    }

    #[test]
    fn a_failed_start_is_tried_again_later_and_told_once() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.want(2);
        assert!(pace.is_due(now));
        assert!(pace.failed(now));
        assert!(!pace.is_due(now));
        let later = now + LONGEST_DELAY;
        assert!(pace.is_due(later));
        assert!(!pace.failed(later));
        pace.stop();
        assert!(pace.next(later).is_none());
    }
}
