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
            let (mine, other) = (Doorbell::new(there.clone(), 0), Doorbell::new(there, 1));
            for round in (1..2000).step_by(2) {
                while ball.load(SeqCst) != round {
                    mine.sleep(LONG, || ball.load(SeqCst) == round);
                }
                ball.store(round + 1, SeqCst);
                other.notify();
            }
        });
        let (other, mine) = (Doorbell::new(here.clone(), 0), Doorbell::new(here, 1));
        for round in (0..2000).step_by(2) {
            while ball.load(SeqCst) != round {
                mine.sleep(LONG, || ball.load(SeqCst) == round);
            }
            ball.store(round + 1, SeqCst);
            other.notify();
        }
    });
    all_were_woken(begin);
}

#[test]
fn a_sleep_ends_with_its_timeout() {
    let (memory, _) = memory();
    let short = Some(Duration::from_millis(1));
    Doorbell::new(memory.clone(), 0).sleep(short, || false);
    let (memory, _) = self::memory();
    let doorbell = DriverDoorbell::new(memory);
    doorbell.sleep_background(short, |led| {
        assert!(!led);
        false
    });
    let mut leader = doorbell.lead().unwrap();
    leader.sleep(short, || false);
    doorbell.sleep_background(short, |led| {
        assert!(led);
        false
    });
    leader.leave(|| false);
}

#[test]
fn one_caller_leads_at_a_time() {
    let (memory, other) = memory();
    let (doorbell, notifier) = (DriverDoorbell::new(memory), DriverDoorbell::new(other));
    let leader = doorbell.lead().unwrap();
    assert!(doorbell.lead().is_none());
    notifier.notify();
    assert!(doorbell.lead().is_none());
    leader.leave(|| false);
    drop(doorbell.lead().unwrap());
    doorbell.lead().unwrap().leave(|| true);
}

/// The background thread and three callers that come and go share the work of two notifying
/// threads.
#[test]
fn whoever_answers_the_driver_s_doorbell_is_woken() {
    const ROUNDS: u64 = 3000;
    let begin = Instant::now();
    let (here, there) = memory();
    let doorbell = DriverDoorbell::new(here);
    let sent = AtomicU64::new(0);
    let answered = AtomicU64::new(0);
    let drain = || {
        answered.fetch_max(sent.load(SeqCst), SeqCst);
    };
    let has_work = || answered.load(SeqCst) != sent.load(SeqCst);
    let over = || answered.load(SeqCst) == ROUNDS;
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over() {
                doorbell.sleep_background(LONG, |led| over() || (!led && has_work()));
                drain();
            }
        });
        for _ in 0..3 {
            scope.spawn(|| {
                while !over() {
                    let Some(mut leader) = doorbell.lead() else {
                        thread::yield_now();
                        continue;
                    };
                    for _ in 0..10 {
                        drain();
                        if over() {
                            break;
                        }
                        leader.sleep(LONG, || over() || has_work());
                    }
                    leader.leave(has_work);
                    thread::yield_now();
                }
                // The background thread did not see the messages that the last leader drained.
                doorbell.notify_all();
            });
        }
        let notifier = DriverDoorbell::new(there);
        for _ in 0..ROUNDS {
            sent.fetch_add(1, SeqCst);
            notifier.notify();
            // Waits for an answer now and then, so that the others fall asleep.
            if sent.load(SeqCst).is_multiple_of(7) {
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
    let doorbell = DriverDoorbell::new(memory.clone());
    let woken = Arc::new(AtomicU32::new(0));
    let sleeper = {
        let (doorbell, woken) = (doorbell.clone(), woken.clone());
        thread::spawn(move || {
            while woken.load(SeqCst) == 0 {
                doorbell.sleep_background(LONG, |_| woken.load(SeqCst) != 0);
            }
        })
    };
    memory.futex(0).store(77, SeqCst);
    woken.store(1, SeqCst);
    doorbell.notify();
    // The garbage or the announcement may come first. In both cases one of the two calls wakes.
    doorbell.notify_all();
    sleeper.join().unwrap();
    all_were_woken(begin);
    assert!(memory.futex(0).load(SeqCst) <= 1);
    assert!(doorbell.lead().is_some());
}
