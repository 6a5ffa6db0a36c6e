//! Models of waiting futures. Process 1 has them, with one thread that sleeps for them. It finds
//! each woken future late at once, unless the future is faster.

use std::task::{Poll, Wake, Waker};

use loom::sync::{Condvar, Mutex};

use super::*;

type All = std::sync::Arc<Waiters<Model>>;

/// Whether the waker was called.
struct Called {
    called: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Called {
    fn wake(self: std::sync::Arc<Self>) {
        *self.called.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

impl Called {
    fn new() -> std::sync::Arc<Called> {
        std::sync::Arc::new(Called {
            called: Mutex::new(false),
            changed: Condvar::new(),
        })
    }

    fn wait(&self) {
        let mut called = self.called.lock().unwrap();
        while !*called {
            called = self.changed.wait(called).unwrap();
        }
        *called = false;
    }
}

fn waiters() -> All {
    Waiters::with_most(8, |body| {
        thread::spawn(body);
        Ok(())
    })
}

/// Polls until `poll` returns its result.
fn get<T>(
    all: &All,
    mut poll: impl FnMut(&mut Polled<Model>, &Waker) -> Poll<Result<T, PollError>>,
) -> T {
    let called = Called::new();
    let waker = called.clone().into();
    let mut wait = Polled::new(all);
    loop {
        match poll(&mut wait, &waker) {
            Poll::Ready(taken) => return taken.unwrap(),
            Poll::Pending => called.wait(),
        }
    }
}

/// Checks an object that one party has at a time. Process 0 has it. A future wants it, and so does
/// a thread of process 2. If `gives_up`, the future goes away after one poll.
fn check_polled<L: Clone + Send + 'static>(
    preemptions: usize,
    gives_up: bool,
    new: impl Fn(Model) -> L + Send + Sync + 'static,
    poll: impl Fn(&L, &mut Polled<Model>, &Waker) -> Poll<Result<(), PollError>>
    + Copy
    + Send
    + Sync
    + 'static,
    take: impl Fn(&L, u32) + Copy + Send + Sync + 'static,
    give_back: impl Fn(&L, u32) + Copy + Send + Sync + 'static,
) {
    check(preemptions, move || {
        let lock = new(Model::new(80, 4));
        let all = waiters();
        take(&lock, 0);
        let future = {
            let (lock, all) = (lock.clone(), all.clone());
            thread::spawn(move || {
                if gives_up {
                    let mut wait = Polled::new(&all);
                    let called = Called::new().into();
                    if poll(&lock, &mut wait, &called).is_pending() {
                        return;
                    }
                } else {
                    get(&all, |wait, waker| poll(&lock, wait, waker));
                }
                give_back(&lock, 1);
            })
        };
        let other = {
            let lock = lock.clone();
            thread::spawn(move || {
                take(&lock, 2);
                give_back(&lock, 2);
            })
        };
        give_back(&lock, 0);
        future.join().unwrap();
        other.join().unwrap();
        all.stop();
        assert_eq!(all.count(), (0, 0));
    });
}

#[test]
fn loom_a_future_and_a_thread_get_the_mutex() {
    for gives_up in [false, true] {
        check_polled(
            2,
            gives_up,
            |memory| RawMutex::new(memory, 0, 0),
            |mutex, wait, waker| {
                let polled = mutex.poll_lock(holder(1), wait, waker);
                polled.map_ok(|_| ())
            },
            |mutex, process| {
                let _ = mutex.lock(holder(process), None).unwrap();
            },
            |mutex, process| mutex.unlock(holder(process)).unwrap(),
        );
    }
}

#[test]
fn loom_a_future_and_a_thread_get_the_permit() {
    for gives_up in [false, true] {
        check_polled(
            1,
            gives_up,
            |memory| RawSemaphore::init(memory, 0, 0, 1),
            |semaphore, wait, waker| {
                let polled = semaphore.poll_acquire(holder(1), wait, waker);
                polled.map_ok(|_| ())
            },
            |semaphore, process| {
                semaphore.acquire(holder(process), None).unwrap();
            },
            |semaphore, process| semaphore.release(Permit(0), holder(process)).unwrap(),
        );
    }
}

#[test]
fn loom_a_future_and_a_thread_write() {
    for gives_up in [false, true] {
        check_polled(
            1,
            gives_up,
            |memory| RawRwLock::new(memory, 0, 0),
            |lock, wait, waker| {
                let polled = lock.poll_write(holder(1), wait, waker);
                polled.map_ok(|_| ())
            },
            |lock, process| {
                let _ = lock.write(holder(process), None).unwrap();
            },
            |lock, process| lock.unlock_write(holder(process)).unwrap(),
        );
    }
}

/// Two futures of one process want the mutex, and the first may go away.
#[test]
fn loom_a_future_passes_its_wake_up_on() {
    for gives_up in [false, true] {
        check(2, move || {
            let mutex = RawMutex::new(Model::new(2, 1), 0, 0);
            let all = waiters();
            let _ = mutex.lock(holder(0), None).unwrap();
            let first = {
                let (mutex, all) = (mutex.clone(), all.clone());
                let poll = move |wait: &mut _, waker: &_| mutex.poll_lock(holder(1), wait, waker);
                let mut wait = Polled::new(&all);
                assert!(poll(&mut wait, Waker::noop()).is_pending());
                (wait, poll)
            };
            let second = {
                let (mutex, all) = (mutex.clone(), all.clone());
                thread::spawn(move || {
                    let _ = get(&all, |wait, waker| mutex.poll_lock(holder(2), wait, waker));
                    mutex.unlock(holder(2)).unwrap();
                })
            };
            mutex.unlock(holder(0)).unwrap();
            let (mut wait, poll) = first;
            if !gives_up && poll(&mut wait, Waker::noop()).is_ready() {
                mutex.unlock(holder(1)).unwrap();
            }
            drop(wait);
            second.join().unwrap();
            all.stop();
        });
    }
}

/// Process 0 reads. The writer that waits for it is a future.
#[test]
fn loom_a_future_that_waits_for_readers_lets_others_in() {
    for gives_up in [false, true] {
        check(1, move || {
            let lock = RawRwLock::new(Model::new(80, 4), 0, 0);
            let readers = Arc::new(LocalReaders::<ModelFutex>::new());
            let _ = lock.read(holder(0), &readers, None).unwrap();
            let all = waiters();
            let future = {
                let (lock, all) = (lock.clone(), all.clone());
                thread::spawn(move || {
                    let poll = |wait: &mut _, waker: &_| lock.poll_write(holder(1), wait, waker);
                    if gives_up {
                        let mut wait = Polled::new(&all);
                        let called = Called::new().into();
                        if poll(&mut wait, &called).is_pending() {
                            return;
                        }
                    } else {
                        let _ = get(&all, poll);
                    }
                    lock.unlock_write(holder(1)).unwrap();
                })
            };
            lock.unlock_read(holder(0), &readers).unwrap();
            let _ = lock.write(holder(2), None).unwrap();
            lock.unlock_write(holder(2)).unwrap();
            future.join().unwrap();
            all.stop();
        });
    }
}
