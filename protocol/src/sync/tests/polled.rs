//! Waiting futures. Each test runs with one thread for all, with a thread for each queue, and with
//! few queues for a thread.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Poll, Wake, Waker},
};

use super::*;

const EACH: [usize; 3] = [128, 3, 1];

type All = Arc<Waiters<Region>>;

fn waiters(most: usize) -> All {
    Waiters::with_most(most, |body| thread::Builder::new().spawn(body).map(drop))
}

/// Counts the calls of a waker.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Calls {
    fn until(&self, count: usize) {
        until(|| self.0.load(SeqCst) >= count);
    }
}

/// A future of process 1 that wants a lock.
struct Future<F> {
    wait: Polled<Region>,
    calls: Arc<Calls>,
    /// The number of calls at its last poll.
    seen: Option<usize>,
    poll: F,
}

impl<T, F> Future<F>
where
    F: FnMut(&mut Polled<Region>, &Waker) -> Poll<Result<T, PollError>>,
{
    fn new(all: &All, poll: F) -> Future<F> {
        Future {
            wait: Polled::new(all),
            calls: Arc::default(),
            seen: None,
            poll,
        }
    }

    fn poll(&mut self) -> Option<T> {
        self.seen = Some(self.calls.0.load(SeqCst));
        match (self.poll)(&mut self.wait, &self.calls.clone().into()) {
            Poll::Ready(taken) => Some(taken.unwrap()),
            Poll::Pending => None,
        }
    }

    /// Polls the first time, and then whenever it is woken.
    fn get(&mut self) -> T {
        loop {
            if let Some(seen) = self.seen {
                self.calls.until(seen + 1);
            }
            if let Some(taken) = self.poll() {
                return taken;
            }
        }
    }
}

fn detached(process: u32) -> Holder {
    Holder::detached(WorkerId(process), ProcessSlot::new(process as u16).unwrap())
}

/// A step of a future that locks.
type Step<'m> =
    Box<dyn FnMut(&mut Polled<Region>, &Waker) -> Poll<Result<Acquired, PollError>> + 'm>;

/// A future that locks, and its holder.
fn locks<'m>(all: &All, mutex: &'m RawMutex) -> (Holder, Future<Step<'m>>) {
    let holder = detached(1);
    let step = move |wait: &mut _, waker: &_| mutex.poll_lock(holder, wait, waker);
    (holder, Future::new(all, Box::new(step)))
}

#[test]
fn a_future_takes_the_mutex_only_when_it_is_polled() {
    for most in EACH {
        let [here, there] = mappings();
        let (mutex, other) = (RawMutex::new(here, 0, 0), RawMutex::new(there, 0, 0));
        let all = waiters(most);
        let _ = other.lock(holder(2), None).unwrap();
        let (mine, mut future) = locks(&all, &mutex);
        assert!(future.poll().is_none());
        // A poll without a wake-up changes nothing.
        assert!(future.poll().is_none());
        other.unlock(holder(2)).unwrap();
        future.calls.until(1);
        assert!(!mutex.is_locked_by(mine));
        // Meanwhile others may have it.
        let _ = other.lock(holder(2), soon()).unwrap();
        assert!(future.poll().is_none());
        other.unlock(holder(2)).unwrap();
        assert_eq!(future.get(), Acquired::Clean);
        assert!(mutex.is_locked_by(mine));
        mutex.unlock(mine).unwrap();
        drop(future);
        assert_eq!(all.count().0, 0);
    }
}

#[test]
fn a_thousand_futures_need_one_thread_and_all_get_it() {
    for most in EACH {
        let mutex = RawMutex::new(memory(), 0, 0);
        let all = waiters(most);
        let _ = mutex.lock(holder(2), None).unwrap();
        let mut futures: Vec<_> = (0..1000).map(|_| locks(&all, &mutex)).collect();
        assert!(
            futures
                .iter_mut()
                .all(|(_, future)| future.poll().is_none())
        );
        assert_eq!(all.count(), (1000, 1));
        mutex.unlock(holder(2)).unwrap();
        // The first future gets it first.
        for (mine, future) in &mut futures {
            let _ = future.get();
            mutex.unlock(*mine).unwrap();
        }
        drop(futures);
        assert_eq!(all.count().0, 0);
        // No thread sleeps, and none is barred.
        until(|| all.count().1 == 0);
        let _ = mutex.lock(holder(2), None).unwrap();
        mutex.unlock(holder(2)).unwrap();
    }
}

#[test]
fn futures_that_are_gone_leave_the_mutex_to_others() {
    for most in EACH {
        for lose in [true, false] {
            let [here, there] = mappings();
            let (mutex, other) = (RawMutex::new(here, 0, 0), RawMutex::new(there, 0, 0));
            let all = waiters(most);
            let _ = mutex.lock(holder(3), None).unwrap();
            let mut gone: Vec<_> = (0..100).map(|_| locks(&all, &mutex)).collect();
            assert!(gone.iter_mut().all(|(_, future)| future.poll().is_none()));
            if lose {
                // This makes the first one bar others.
                thread::sleep(SHORT);
                mutex.unlock(holder(3)).unwrap();
                gone[0].1.calls.until(1);
                let _ = mutex.lock(holder(3), soon()).unwrap();
                assert!(gone[0].1.poll().is_none());
            }
            let blocked = thread::spawn(move || {
                let _ = other.lock(holder(2), soon()).unwrap();
                other.unlock(holder(2)).unwrap();
            });
            thread::sleep(SHORT);
            mutex.unlock(holder(3)).unwrap();
            // Some of them were woken.
            drop(gone);
            blocked.join().unwrap();
            assert_eq!(all.count().0, 0);
            assert!(!is_promised(&mutex));
            until(|| all.count().1 == 0);
        }
    }
}

#[test]
fn nobody_sleeps_for_futures_that_are_gone() {
    for most in EACH {
        let mutex = RawMutex::new(memory(), 0, 0);
        let all = waiters(most);
        let _ = mutex.lock(holder(2), None).unwrap();
        let mut gone: Vec<_> = (0..100).map(|_| locks(&all, &mutex)).collect();
        assert!(gone.iter_mut().all(|(_, future)| future.poll().is_none()));
        // The thread sleeps by then, or comes too late: both end.
        thread::sleep(SHORT);
        drop(gone);
        until(|| all.count() == (0, 0));
    }
}

#[test]
fn a_future_that_is_gone_passes_its_wake_up_on_to_another() {
    for most in EACH {
        let mutex = RawMutex::new(memory(), 0, 0);
        let all = waiters(most);
        let _ = mutex.lock(holder(2), None).unwrap();
        let (_, mut first) = locks(&all, &mutex);
        let (mine, mut second) = locks(&all, &mutex);
        assert!(first.poll().is_none() && second.poll().is_none());
        mutex.unlock(holder(2)).unwrap();
        first.calls.until(1);
        drop(first);
        let _ = second.get();
        mutex.unlock(mine).unwrap();
    }
}

#[test]
fn a_future_that_is_not_polled_keeps_nobody_out() {
    for most in EACH {
        let [here, there] = mappings();
        let (mutex, other) = (RawMutex::new(here, 0, 0), RawMutex::new(there, 0, 0));
        let all = waiters(most);
        for _ in 0..3 {
            let _ = mutex.lock(holder(3), None).unwrap();
            let (mine, mut future) = locks(&all, &mutex);
            assert!(future.poll().is_none());
            let other = other.clone();
            let blocked = thread::spawn(move || {
                let _ = other.lock(holder(2), soon()).unwrap();
                other.unlock(holder(2)).unwrap();
            });
            until(|| is_waited_for(&mutex));
            thread::sleep(SHORT);
            mutex.unlock(holder(3)).unwrap();
            future.calls.until(1);
            blocked.join().unwrap();
            let _ = future.get();
            mutex.unlock(mine).unwrap();
        }
    }
}

#[test]
fn futures_at_many_queues_share_few_threads() {
    for (most, threads) in [(128, 2), (101, 2), (3, 75), (1, 150)] {
        let memory = memory();
        let mutexes: Vec<_> = (0..150)
            .map(|n| RawMutex::new(memory.clone(), 2 * n, n))
            .collect();
        let all = waiters(most);
        let mut futures = Vec::new();
        for mutex in &mutexes {
            let _ = mutex.lock(holder(2), None).unwrap();
            let (mine, mut future) = locks(&all, mutex);
            assert!(future.poll().is_none());
            futures.push((mutex, mine, future));
        }
        assert_eq!(all.count(), (150, threads));
        for (mutex, mine, mut future) in futures.into_iter().rev() {
            mutex.unlock(holder(2)).unwrap();
            let _ = future.get();
            mutex.unlock(mine).unwrap();
        }
        until(|| all.count() == (0, 0));
    }
}

#[test]
fn a_dead_owner_s_mutex_goes_on_to_a_future() {
    for most in EACH {
        let mutex = RawMutex::new(memory(), 0, 0);
        let all = waiters(most);
        let _ = mutex.lock(holder(2), None).unwrap();
        let (_, mut future) = locks(&all, &mutex);
        assert!(future.poll().is_none());
        assert!(mutex.recover(WorkerId(2), killed(7)));
        assert_eq!(future.get(), Acquired::Poisoned(killed(7)));
    }
}

#[test]
fn each_permit_wakes_a_future() {
    for (most, dies) in EACH
        .into_iter()
        .flat_map(|most| [(most, true), (most, false)])
    {
        let semaphore = RawSemaphore::init(memory(), 0, 0, 3);
        let all = waiters(most);
        let taken = [(); 3].map(|()| semaphore.acquire(holder(2), None).unwrap());
        let want = || {
            let semaphore = &semaphore;
            Future::new(&all, move |wait: &mut _, waker: &_| {
                semaphore.poll_acquire(detached(1), wait, waker)
            })
        };
        let mut gone: Vec<_> = (0..4).map(|_| want()).collect();
        let mut futures: Vec<_> = (0..3).map(|_| want()).collect();
        for future in gone.iter_mut().chain(&mut futures) {
            assert!(future.poll().is_none());
        }
        if dies {
            assert_eq!(semaphore.recover(WorkerId(2)), 3);
        } else {
            for permit in taken {
                semaphore.release(permit, holder(2)).unwrap();
            }
        }
        // Three were woken for three permits.
        drop(gone);
        let mut numbers: Vec<_> = futures.iter_mut().map(Future::get).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, taken);
        drop(futures);
        assert_eq!(all.count().0, 0);
    }
}

#[test]
fn futures_that_wait_on_after_a_death_are_woken_later() {
    for most in EACH {
        let semaphore = RawSemaphore::init(memory(), 0, 0, 1);
        let all = waiters(most);
        semaphore.acquire(holder(2), None).unwrap();
        let mut futures: Vec<_> = (0..5)
            .map(|_| {
                Future::new(&all, |wait: &mut _, waker: &_| {
                    semaphore.poll_acquire(detached(1), wait, waker)
                })
            })
            .collect();
        assert!(futures.iter_mut().all(|future| future.poll().is_none()));
        assert_eq!(semaphore.recover(WorkerId(2)), 1);
        for future in &mut futures {
            let permit = future.get();
            semaphore.release(permit, detached(1)).unwrap();
        }
    }
}

#[test]
fn futures_read_and_write() {
    for most in EACH {
        let [here, there] = mappings();
        let (lock, other) = (RawRwLock::new(here, 0, 0), RawRwLock::new(there, 0, 0));
        let all = waiters(most);
        let (here, there) = (LocalReaders::new(), LocalReaders::new());
        let write = |holder| {
            let lock = &lock;
            let poll = move |wait: &mut _, waker: &_| lock.poll_write(holder, wait, waker);
            Future::new(&all, poll)
        };
        let _ = other.write(holder(2), None).unwrap();
        let mine = detached(1);
        let mut readers: Vec<_> = (0..20)
            .map(|_| {
                Future::new(&all, |wait: &mut _, waker: &_| {
                    lock.poll_read(mine, &here, wait, waker)
                })
            })
            .collect();
        assert!(readers.iter_mut().all(|reader| reader.poll().is_none()));
        other.unlock_write(holder(2)).unwrap();
        // All of them, without any leaving.
        for reader in &mut readers {
            let _ = reader.get();
        }
        let mut writer = write(mine);
        assert!(writer.poll().is_none());
        assert_eq!(
            other.try_read(holder(2), &there),
            Err(LockError::Busy),
            "a writer that waits bars those who come"
        );
        for _ in &readers {
            lock.unlock_read(mine, &here).unwrap();
        }
        let _ = writer.get();
        assert!(lock.is_written_by(mine));
        lock.unlock_write(mine).unwrap();

        // A writer that waits for readers bars no other after its drop, or after a late poll.
        for gone in [true, false] {
            let _ = other.read(holder(2), &there, None).unwrap();
            let mut writer = write(mine);
            assert!(writer.poll().is_none());
            if gone {
                drop(writer);
                assert!(other.try_write(holder(2)).is_err());
                let _ = lock.try_read(mine, &here).unwrap();
                lock.unlock_read(mine, &here).unwrap();
                other.unlock_read(holder(2), &there).unwrap();
            } else {
                other.unlock_read(holder(2), &there).unwrap();
                writer.calls.until(1);
                let _ = other.write(holder(2), soon()).unwrap();
                assert!(writer.poll().is_none());
                other.unlock_write(holder(2)).unwrap();
                let _ = writer.get();
                lock.unlock_write(mine).unwrap();
            }
        }
        assert_eq!(all.count().0, 0);
    }
}

#[test]
fn without_a_thread_a_future_fails_and_bars_nobody() {
    let memory = memory();
    let all = Waiters::<Region>::new(|_| Err(io::Error::from(io::ErrorKind::WouldBlock)));
    let refused = |poll: &dyn Fn(&mut Polled<Region>) -> bool| {
        assert!(poll(&mut Polled::new(&all)));
        assert_eq!(all.count(), (0, 0));
    };
    let lock = RawRwLock::new(memory.clone(), 0, 0);
    let readers = LocalReaders::new();
    let _ = lock.read(holder(2), &readers, None).unwrap();
    refused(&|wait| {
        let polled = lock.poll_write(detached(1), wait, Waker::noop());
        matches!(polled, Poll::Ready(Err(PollError::NoThread(_))))
    });
    // The raw lock is open again.
    let _ = lock.try_read(holder(3), &LocalReaders::new()).unwrap();
    let semaphore = RawSemaphore::init(memory.clone(), 100, 10, 1);
    let permit = semaphore.acquire(holder(2), None).unwrap();
    refused(&|wait| {
        let polled = semaphore.poll_acquire(detached(1), wait, Waker::noop());
        matches!(polled, Poll::Ready(Err(PollError::NoThread(_))))
    });
    let before = memory.futex(10).load(SeqCst);
    semaphore.release(permit, holder(2)).unwrap();
    assert_eq!(memory.futex(10).load(SeqCst), before, "nobody waits");
}

/// Threads and futures of two processes, and futures that give up.
#[test]
fn all_count_while_others_come_and_go() {
    const ROUNDS: u64 = 300;
    for most in EACH {
        let [here, there] = mappings();
        let counted = (here.clone(), 400);
        let (mutex, other) = (RawMutex::new(here, 0, 0), RawMutex::new(there, 0, 0));
        let all = waiters(most);
        let elsewhere = waiters(most);
        thread::scope(|scope| {
            for (number, mutex) in [(3, &mutex), (4, &other)] {
                let counted = &counted;
                scope.spawn(move || {
                    for _ in 0..ROUNDS {
                        let _ = mutex.lock(holder(number), soon()).unwrap();
                        add_one(&counted.0, counted.1);
                        mutex.unlock(holder(number)).unwrap();
                    }
                });
            }
            for (all, mutex) in [(&all, &mutex), (&all, &mutex), (&elsewhere, &other)] {
                let counted = &counted;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let (mine, mut future) = locks(all, mutex);
                        let (theirs, mut gone) = locks(all, mutex);
                        if gone.poll().is_some() {
                            mutex.unlock(theirs).unwrap();
                        }
                        if round % 3 == 0 {
                            thread::yield_now();
                        }
                        drop(gone);
                        let _ = future.get();
                        add_one(&counted.0, counted.1);
                        mutex.unlock(mine).unwrap();
                    }
                });
            }
        });
        assert_eq!(counted.0.words()[counted.1].load(Relaxed), 5 * ROUNDS);
        assert_eq!((all.count().0, elsewhere.count().0), (0, 0));
        assert!(!is_promised(&mutex));
    }
}
