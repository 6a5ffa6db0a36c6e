//! A thread that has slept waits for its turn. Others get its wake-up.

use loom::sync::{Condvar, Mutex};

use super::*;

/// Steps aside after each sleep, until the turn is given.
struct WithoutTurn {
    given: Mutex<bool>,
    changed: Condvar,
}

impl WithoutTurn {
    fn new() -> Arc<WithoutTurn> {
        Arc::new(WithoutTurn {
            given: Mutex::new(false),
            changed: Condvar::new(),
        })
    }

    fn give(&self) {
        *self.given.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

impl Sleeper for WithoutTurn {
    fn sleep(&self, sleep: &mut dyn Sleep) -> Result<(), Ended> {
        sleep.sleep(None);
        let mut given = self.given.lock().unwrap();
        if !*given {
            sleep.step_aside();
        }
        while !*given {
            given = self.changed.wait(given).unwrap();
        }
        Ok(())
    }
}

/// Checks an object that one party has at a time. Process 0 has it, and process 1 waits for it
/// without a turn. Process 2 waits for it like any thread, and gets it before process 1 has its
/// turn.
fn check_aside<L: Clone + Send + 'static>(
    preemptions: usize,
    new: impl Fn(Model) -> L + Send + Sync + 'static,
    take: impl Fn(&L, u32, Waiting<'_>) + Copy + Send + Sync + 'static,
    give_back: impl Fn(&L, u32) + Copy + Send + Sync + 'static,
) {
    // These are outside of the models, so this `Arc` is the standard library's.
    let (new, words) = (std::sync::Arc::new(new), 80);
    for deadlines in [(None, None), (far(), None), (None, far()), (far(), far())] {
        let new = new.clone();
        check(preemptions, move || {
            let lock = new(Model::new(words, 4));
            take(&lock, 0, None.into());
            let turn = WithoutTurn::new();
            let aside = {
                let (lock, turn) = (lock.clone(), turn.clone());
                thread::spawn(move || {
                    let waiting = Waiting {
                        deadline: deadlines.0,
                        sleeper: Some(&*turn),
                    };
                    take(&lock, 1, waiting);
                    give_back(&lock, 1);
                })
            };
            let other = {
                let lock = lock.clone();
                thread::spawn(move || {
                    take(&lock, 2, deadlines.1.into());
                    give_back(&lock, 2);
                })
            };
            give_back(&lock, 0);
            other.join().unwrap();
            turn.give();
            aside.join().unwrap();
        });
    }
}

#[test]
fn loom_a_mutex_does_not_wait_for_a_turn() {
    check_aside(
        3,
        |memory| RawMutex::new(memory, 0, 0),
        |mutex, process, waiting| {
            let _ = mutex.lock(holder(process), waiting).unwrap();
        },
        |mutex, process| mutex.unlock(holder(process)).unwrap(),
    );
}

#[test]
fn loom_a_permit_does_not_wait_for_a_turn() {
    check_aside(
        2,
        |memory| RawSemaphore::init(memory, 0, 0, 1),
        |semaphore, process, waiting| {
            let permit = semaphore.acquire(holder(process), waiting).unwrap();
            assert_eq!(permit, Permit(0));
        },
        |semaphore, process| semaphore.release(Permit(0), holder(process)).unwrap(),
    );
}

#[test]
fn loom_a_writer_does_not_wait_for_a_turn() {
    check_aside(
        3,
        |memory| RawRwLock::new(memory, 0, 0),
        |lock, process, waiting| {
            let _ = lock.write(holder(process), waiting).unwrap();
        },
        |lock, process| lock.unlock_write(holder(process)).unwrap(),
    );
}

/// Process 0 reads. The writer that waits for it has no turn when it leaves.
#[test]
fn loom_a_writer_that_waited_for_readers_does_not_wait_for_a_turn() {
    for deadline in [None, far()] {
        check(2, move || {
            let lock = RawRwLock::new(Model::new(80, 4), 0, 0);
            let readers = Arc::new(LocalReaders::<ModelFutex>::new());
            let _ = lock.read(holder(0), &readers, None).unwrap();
            let turn = WithoutTurn::new();
            let aside = {
                let (lock, turn) = (lock.clone(), turn.clone());
                thread::spawn(move || {
                    let waiting = Waiting {
                        deadline,
                        sleeper: Some(&*turn),
                    };
                    let _ = lock.write(holder(1), waiting).unwrap();
                    lock.unlock_write(holder(1)).unwrap();
                })
            };
            let other = {
                let lock = lock.clone();
                thread::spawn(move || {
                    let _ = lock.write(holder(2), None).unwrap();
                    lock.unlock_write(holder(2)).unwrap();
                })
            };
            lock.unlock_read(holder(0), &readers).unwrap();
            other.join().unwrap();
            turn.give();
            aside.join().unwrap();
        });
    }
}

/// A reader that has waited long bars writers, but not while it waits for its turn.
#[test]
fn loom_a_reader_without_a_turn_bars_no_writer() {
    for deadline in [None, far()] {
        check(2, move || {
            let lock = RawRwLock::new(Model::new(80, 4), 0, 0);
            let _ = lock.write(holder(0), None).unwrap();
            let turn = WithoutTurn::new();
            let aside = {
                let (lock, turn) = (lock.clone(), turn.clone());
                thread::spawn(move || {
                    let readers = LocalReaders::<ModelFutex>::new();
                    let waiting = Waiting {
                        deadline,
                        sleeper: Some(&*turn),
                    };
                    let _ = lock.read(holder(1), &readers, waiting).unwrap();
                    lock.unlock_read(holder(1), &readers).unwrap();
                })
            };
            let other = {
                let lock = lock.clone();
                thread::spawn(move || {
                    let _ = lock.write(holder(2), None).unwrap();
                    lock.unlock_write(holder(2)).unwrap();
                })
            };
            lock.unlock_write(holder(0)).unwrap();
            other.join().unwrap();
            turn.give();
            aside.join().unwrap();
        });
    }
}
