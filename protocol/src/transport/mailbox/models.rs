//! Models of the state words.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use loom::{model::Builder, thread};

use super::state::{DriverState, State, WorkerState};
use crate::{
    ids::{Attempt, TaskSlot},
    primitive::{Memory, model::Model},
};

const SLOT: TaskSlot = TaskSlot(0);

// Words beside the state: the number of sent frames with tasks, the number of those that the worker
// has finished, and the effects of tasks.
const SENT: usize = 2;
const DONE: usize = 3;
const EFFECT: usize = 4;

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn state() -> (Model, DriverState<Model>, WorkerState<Model>) {
    let memory = Model::new(8, 0);
    let state = State::new(memory.clone(), 0, 1, 1);
    let (driver, worker) = (DriverState::new(state.clone()), WorkerState::new(state));
    (memory, driver, worker)
}

/// Waits until a word is at least `number`.
fn wait_for(memory: &Model, at: usize, number: u64) {
    while memory.words()[at].load(Acquire) < number {
        thread::yield_now();
    }
}

#[test]
fn loom_either_the_worker_starts_or_the_driver_revokes() {
    check(|| {
        let (_, driver, worker) = state();
        let attempt = Attempt(5);
        driver.queue(SLOT, attempt);
        let starts = thread::spawn(move || worker.start(SLOT, attempt, true));
        let revoked = driver.revoke(SLOT, attempt);
        let started = starts.join().unwrap();
        assert!(started != revoked);
        assert_eq!(driver.started(SLOT, attempt), started);
    });
}

/// A slot is used again when its task was revoked or has ended. The worker may read the frame of
/// the first task at any time, also when the word is already the second one's.
#[test]
fn loom_a_slot_that_is_used_again_starts_each_task_once_or_not_at_all() {
    check(|| {
        let (memory, driver, worker) = state();
        let words = memory.clone();
        let worker = thread::spawn(move || {
            [0, 1].map(|n| {
                wait_for(&words, SENT, n + 1);
                let started = worker.start(SLOT, Attempt(n), true);
                words.words()[DONE].store(n + 1, Release);
                started
            })
        });
        let mut revoked = [false; 2];
        for n in [0, 1] {
            driver.queue(SLOT, Attempt(n));
            memory.words()[SENT].store(n + 1, Release);
            let back = driver.revoke(SLOT, Attempt(n));
            revoked[n as usize] = back;
            if !back {
                wait_for(&memory, DONE, n + 1);
                assert!(driver.started(SLOT, Attempt(n)));
            }
        }
        let started = worker.join().unwrap();
        assert_eq!(started, revoked.map(|revoked| !revoked));
        assert_eq!(driver.started(SLOT, Attempt(1)), started[1]);
        assert!(
            !driver.started(SLOT, Attempt(0)),
            "the word is another one's"
        );
    });
}

/// The worker dies at any step. After its death the driver sees of each task whether it had begun.
/// The first task was sent to an idle worker and cannot be revoked. The second one can.
#[test]
fn loom_what_a_dead_worker_had_begun_is_known() {
    for steps in 0..=4 {
        check(move || {
            let (memory, driver, worker) = state();
            let words = memory.clone();
            driver.queue(SLOT, Attempt(0));
            assert!(
                driver.revoke(SLOT, Attempt(0)),
                "an earlier use of the slot"
            );
            memory.words()[SENT].store(1, Release);
            let worker = thread::spawn(move || {
                let mut left = steps;
                for n in [0, 1] {
                    wait_for(&words, SENT, n + 1);
                    if left == 0 || !worker.start(SLOT, Attempt(n + 1), n > 0) {
                        return;
                    }
                    left -= 1;
                    if left == 0 {
                        return;
                    }
                    left -= 1;
                    words.words()[EFFECT].store(n + 1, Relaxed);
                    words.words()[DONE].store(n + 1, Release);
                }
            });
            let mut sent = 1;
            if memory.words()[DONE].load(Acquire) == 1 {
                driver.queue(SLOT, Attempt(2));
                sent = 2;
            }
            // The worker then waits for no frame that does not come.
            memory.words()[SENT].store(2, Release);
            let revoked = sent == 2 && driver.revoke(SLOT, Attempt(2));
            worker.join().unwrap();
            let effect = memory.words()[EFFECT].load(Relaxed);
            let begun = [1, 2].map(|n| driver.started(SLOT, Attempt(n)));
            match sent {
                1 => assert_eq!(begun, [steps > 0, false]),
                _ => {
                    assert!(!begun[0], "the word is another one's");
                    assert_eq!(begun[1], !revoked && steps > 2);
                }
            }
            // A task with an effect had begun, and was not revoked.
            assert!(effect < 2 || begun[1] && !revoked);
            assert!(effect != 1 || begun[0] || sent == 2);
        });
    }
}
