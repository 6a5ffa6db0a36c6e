//! The doorbells on real futexes. The models check the orders of events, and these tests check the
//! use of the kernel.

use std::{
    sync::Arc,
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use mobula_store::{Backing, SegmentFile, SharedWords};

use super::*;

/// Returns two mappings of one file, like those of two processes.
fn memory() -> (Region, Region) {
    let len = SharedWords::NARROW_BYTES as u64 + 4096;
    let file = SegmentFile::create(len, len, Backing::Anonymous).unwrap();
    let map = || Region::new(SharedWords::map(&file).unwrap());
    (map(), map())
}

/// A timeout that is long enough to be noticed in a test, and short enough to end by itself.
const LONG: Option<Duration> = Some(Duration::from_secs(600));

/// Asserts that no thread has slept until the timeout since `begin`.
#[track_caller]
fn all_were_woken(begin: Instant) {
    let took = begin.elapsed();
    assert!(LONG.is_some_and(|long| took < long), "{took:?}");
}

#[test]
fn a_ring_reaches_a_sleeper_in_another_mapping() {
    let begin = Instant::now();
    let (here, there) = memory();
    let ball = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mine, other) = (Bell::new(there.clone(), 0), Bell::new(there, 1));
            for round in (1..2000).step_by(2) {
                while ball.load(SeqCst) != round {
                    mine.sleep(LONG, || ball.load(SeqCst) == round);
                }
                ball.store(round + 1, SeqCst);
                other.ring();
            }
        });
        let (other, mine) = (Bell::new(here.clone(), 0), Bell::new(here, 1));
        for round in (0..2000).step_by(2) {
            while ball.load(SeqCst) != round {
                mine.sleep(LONG, || ball.load(SeqCst) == round);
            }
            ball.store(round + 1, SeqCst);
            other.ring();
        }
    });
    all_were_woken(begin);
}

#[test]
fn a_sleep_ends_with_its_timeout() {
    let (memory, _) = memory();
    let short = Some(Duration::from_millis(1));
    Bell::new(memory.clone(), 0).sleep(short, || false);
    let (memory, _) = self::memory();
    let bell = DriverBell::new(memory);
    bell.sleep_background(short, |led| {
        assert!(!led);
        false
    });
    let mut lead = bell.lead().unwrap();
    lead.sleep(short, || false);
    bell.sleep_background(short, |led| {
        assert!(led);
        false
    });
    lead.leave(|| false);
}

#[test]
fn one_caller_leads_at_a_time() {
    let (memory, other) = memory();
    let (bell, ringer) = (DriverBell::new(memory), DriverBell::new(other));
    let lead = bell.lead().unwrap();
    assert!(bell.lead().is_none());
    ringer.ring();
    assert!(bell.lead().is_none());
    lead.leave(|| false);
    drop(bell.lead().unwrap());
    bell.lead().unwrap().leave(|| true);
}

/// The background thread and three callers that come and go share the work of two notifying
/// threads.
#[test]
fn whoever_answers_the_driver_s_bell_is_woken() {
    const ROUNDS: u64 = 3000;
    let begin = Instant::now();
    let (here, there) = memory();
    let bell = DriverBell::new(here);
    let rung = AtomicU64::new(0);
    let answered = AtomicU64::new(0);
    let drain = || {
        answered.fetch_max(rung.load(SeqCst), SeqCst);
    };
    let has_work = || answered.load(SeqCst) != rung.load(SeqCst);
    let over = || answered.load(SeqCst) == ROUNDS;
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over() {
                bell.sleep_background(LONG, |led| over() || (!led && has_work()));
                drain();
            }
        });
        for _ in 0..3 {
            scope.spawn(|| {
                while !over() {
                    let Some(mut lead) = bell.lead() else {
                        thread::yield_now();
                        continue;
                    };
                    for _ in 0..10 {
                        drain();
                        if over() {
                            break;
                        }
                        lead.sleep(LONG, || over() || has_work());
                    }
                    lead.leave(has_work);
                    thread::yield_now();
                }
                // The background thread did not see the messages that the last leader drained.
                bell.ring_all();
            });
        }
        let ringer = DriverBell::new(there);
        for _ in 0..ROUNDS {
            rung.fetch_add(1, SeqCst);
            ringer.ring();
            // Waits for an answer now and then, so that the others fall asleep.
            if rung.load(SeqCst).is_multiple_of(7) {
                while has_work() {
                    thread::yield_now();
                }
            }
        }
    });
    all_were_woken(begin);
}

#[test]
fn garbage_in_the_state_wakes_everybody_and_is_repaired() {
    let begin = Instant::now();
    let (memory, _) = memory();
    let bell = DriverBell::new(memory.clone());
    let woken = Arc::new(AtomicU32::new(0));
    let sleeper = {
        let (bell, woken) = (bell.clone(), woken.clone());
        thread::spawn(move || {
            while woken.load(SeqCst) == 0 {
                bell.sleep_background(LONG, |_| woken.load(SeqCst) != 0);
            }
        })
    };
    memory.futex(0).store(77, SeqCst);
    woken.store(1, SeqCst);
    bell.ring();
    // The garbage or the announcement may come first. In both cases one of the two calls wakes.
    bell.ring_all();
    sleeper.join().unwrap();
    all_were_woken(begin);
    assert!(memory.futex(0).load(SeqCst) <= 1);
    assert!(bell.lead().is_some());
}
