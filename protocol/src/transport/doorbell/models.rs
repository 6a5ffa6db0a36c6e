//! Models of the doorbells. A lost wake-up is a deadlock, which loom reports.

use std::sync::atomic::Ordering::{Acquire, Release};

use loom::{model::Builder, sync::Arc, sync::Mutex, thread};

use super::*;
use crate::{
    primitive::model::Model,
    ring::{MIN_CAPACITY, OverflowProducer, Ring, ring_words},
};

fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[test]
fn loom_a_lane_is_never_left_asleep() {
    check(3, || {
        let memory = Model::new(1, 1);
        let doorbell = Doorbell::new(memory.clone(), 0);
        let writer = {
            let (memory, doorbell) = (memory.clone(), doorbell.clone());
            thread::spawn(move || {
                for number in 1..=2 {
                    memory.words()[0].store(number, Release);
                    doorbell.notify();
                }
            })
        };
        let mut seen = 0;
        while seen < 2 {
            doorbell.sleep(None, || memory.words()[0].load(Acquire) != seen);
            seen = memory.words()[0].load(Acquire);
        }
        writer.join().unwrap();
    });
}

/// The driver fills the lane and sleeps on its doorbell until there is room. The worker reads, and
/// sleeps on its own doorbell. Neither is left asleep while the other has data or room for it.
#[test]
fn loom_a_full_lane_goes_on() {
    check(2, || {
        const MESSAGES: u64 = 6;
        let memory = Model::new(ring_words(MIN_CAPACITY), 1);
        let ring = Ring::new(memory.clone(), 0, MIN_CAPACITY);
        let lane = Doorbell::new(memory, 0);
        let driver = DriverDoorbell::new(Model::new(0, FUTEXES));
        let worker = {
            let (mut consumer, lane, driver) = (ring.consumer(), lane.clone(), driver.clone());
            thread::spawn(move || {
                let (mut next, mut out) = (0, Vec::new());
                while next < MESSAGES {
                    let some = consumer.pop(&mut out).unwrap();
                    if consumer.take_wake_producer() {
                        driver.notify();
                    }
                    if some {
                        assert_eq!(out, next.to_ne_bytes());
                        next += 1;
                    } else {
                        lane.sleep(None, || consumer.ready());
                    }
                }
            })
        };
        let mut producer = OverflowProducer::new(ring.producer());
        for number in 0..MESSAGES {
            producer.send(&number.to_ne_bytes()).unwrap();
        }
        loop {
            let flushed = producer.flush().unwrap();
            if flushed.news {
                lane.notify();
            }
            if flushed.all {
                break;
            }
            driver.sleep_background(None, |_| producer.ready());
        }
        worker.join().unwrap();
    });
}

/// A driver with a counter in place of each worker's ring, and a lock in place of its own lock.
struct Driver {
    doorbell: DriverDoorbell<Model>,
    rings: Model,
    /// The messages that were drained from each ring.
    drained: Mutex<[u64; 2]>,
}

impl Driver {
    fn new() -> Driver {
        Driver {
            doorbell: DriverDoorbell::new(Model::new(0, FUTEXES)),
            rings: Model::new(2, 0),
            drained: Mutex::new([0; 2]),
        }
    }

    /// Publishes one message, like a worker.
    fn publish(&self, ring: usize) {
        self.rings.words()[ring].store(1, Release);
        self.doorbell.notify();
    }

    fn drain(&self) -> [u64; 2] {
        let mut drained = self.drained.lock().unwrap();
        for (drained, ring) in drained.iter_mut().zip(self.rings.words()) {
            *drained = ring.load(Acquire);
        }
        *drained
    }

    fn has_work(&self) -> bool {
        let drained = self.drained.lock().unwrap();
        let mut rings = drained.iter().zip(self.rings.words());
        rings.any(|(drained, ring)| *drained != ring.load(Acquire))
    }

    /// Runs the background thread until both messages are in. With `timed_parks`, a timed park
    /// comes before each sleep. The model has no limit that ends it, so it would be a deadlock.
    /// Therefore it yields and checks again.
    fn background(&self, timed_parks: bool) {
        while self.drain() != [1, 1] {
            if timed_parks {
                self.doorbell.park_timed(Duration::ZERO, || {
                    thread::yield_now();
                    true
                });
                if !self.doorbell.is_led() && self.drain() == [1, 1] {
                    break;
                }
            }
            let done = || *self.drained.lock().unwrap() == [1, 1];
            self.doorbell
                .sleep_background(None, |led| done() || (!led && self.has_work()));
        }
    }

    /// Runs a caller that leads for one check.
    fn foreground_at_once(&self) {
        let Some(leader) = self.doorbell.lead() else {
            return;
        };
        self.drain();
        leader.leave(|| self.has_work());
        if *self.drained.lock().unwrap() == [1, 1] {
            self.doorbell.notify_background();
        }
    }

    /// Runs a caller that leads until the message of `ring` is in.
    fn foreground(&self, ring: usize) {
        let Some(mut leader) = self.doorbell.lead() else {
            return;
        };
        while self.drain()[ring] == 0 {
            leader.sleep(None, || {
                self.has_work() || self.drained.lock().unwrap()[ring] != 0
            });
        }
        leader.leave(|| self.has_work());
        // The background thread did not see the messages that the leader drained.
        if *self.drained.lock().unwrap() == [1, 1] {
            self.doorbell.notify_background();
        }
    }
}

/// Work is announced before `unpark_early` ends a timed park.
#[test]
fn loom_an_early_unpark_ends_a_timed_park() {
    check(3, || {
        let driver = Arc::new(Driver::new());
        let caller = {
            let driver = driver.clone();
            thread::spawn(move || {
                driver.rings.words()[0].store(1, Release);
                driver.doorbell.unpark_early();
            })
        };
        while driver.rings.words()[0].load(Acquire) == 0 {
            // There is no limit, since the model has none.
            driver
                .doorbell
                .park_timed(Duration::MAX, || driver.rings.words()[0].load(Acquire) != 0);
        }
        caller.join().unwrap();
    });
}

#[test]
fn loom_the_background_thread_is_woken() {
    check(3, || {
        let driver = Arc::new(Driver::new());
        let workers = [0, 1].map(|ring| {
            let driver = driver.clone();
            thread::spawn(move || driver.publish(ring))
        });
        driver.background(false);
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// A caller becomes the leader, gets its message and leaves. Both messages arrive in any order of
/// the threads. The background thread gets the second one without having been woken to take over.
#[test]
fn loom_a_leader_hands_over_to_the_background_thread() {
    hand_over(false);
}

/// A hand-over to a background thread with timed parks.
#[test]
fn loom_a_timed_park_is_a_promise_to_look() {
    hand_over(true);
}

fn hand_over(timed_parks: bool) {
    check(2, move || {
        let driver = Arc::new(Driver::new());
        let worker = {
            let driver = driver.clone();
            thread::spawn(move || {
                driver.publish(0);
                driver.publish(1);
            })
        };
        let background = {
            let driver = driver.clone();
            thread::spawn(move || driver.background(timed_parks))
        };
        driver.foreground(0);
        worker.join().unwrap();
        background.join().unwrap();
    });
}

/// A caller leads and leaves twice, maybe in one timed park. Then it does not change the state, and
/// the background thread finds that there is no leader.
#[test]
fn loom_callers_come_and_go_in_a_timed_park() {
    check(2, || {
        let driver = Arc::new(Driver::new());
        let background = {
            let driver = driver.clone();
            thread::spawn(move || driver.background(true))
        };
        driver.foreground_at_once();
        driver.publish(0);
        driver.foreground_at_once();
        driver.publish(1);
        background.join().unwrap();
    });
}

/// Two callers want to lead. The later one finds the messages for which the first did not wait.
#[test]
fn loom_two_callers_lead_in_turn() {
    check(3, || {
        let driver = Arc::new(Driver::new());
        let other = {
            let driver = driver.clone();
            thread::spawn(move || driver.foreground(0))
        };
        let worker = {
            let driver = driver.clone();
            thread::spawn(move || {
                driver.publish(0);
                driver.publish(1);
            })
        };
        driver.foreground(1);
        other.join().unwrap();
        worker.join().unwrap();
        // A caller that was not the last leader relies on the background thread.
        driver.background(false);
    });
}

/// A leader is dropped, like by a panic. The rings have messages that woke no thread.
#[test]
fn loom_a_dropped_leader_wakes_the_background_thread() {
    check(2, || {
        let driver = Arc::new(Driver::new());
        let background = {
            let driver = driver.clone();
            thread::spawn(move || driver.background(false))
        };
        let leader = driver.doorbell.lead();
        driver.publish(0);
        driver.publish(1);
        drop(leader);
        background.join().unwrap();
    });
}

/// Several callers want to lead at the same time. A follower is woken when there is no leader.
#[test]
fn loom_no_follower_is_left_asleep() {
    check(3, || {
        type Parking = <Model as Memory>::Futex;
        let doorbell = DriverDoorbell::new(Model::new(0, FUTEXES));
        let followers = Arc::new(Followers::<Arc<Parking>, Model>::default());
        let caller = {
            let (doorbell, followers) = (doorbell.clone(), followers.clone());
            move || {
                let parked = Arc::new(Parking::default());
                loop {
                    if let Some(leader) = doorbell.lead() {
                        leader.leave(|| false);
                        break;
                    }
                    followers.enter(parked.clone());
                    if let Some(leader) = doorbell.lead() {
                        leader.leave(|| false);
                    } else {
                        while parked.load(Acquire) == 0 {
                            parked.wait(0, None);
                        }
                    }
                    followers.strike(|other| Arc::ptr_eq(other, &parked));
                }
                if let Some(next) = followers.next() {
                    next.store(1, Release);
                    next.wake();
                }
            }
        };
        let other = thread::spawn(caller.clone());
        caller();
        other.join().unwrap();
    });
}
