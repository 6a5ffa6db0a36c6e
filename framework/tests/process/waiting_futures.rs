//! Futures that wait for locks between processes: they need no thread each, and take nothing before they are polled.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    task::{Context, Poll, Waker},
    time::Duration,
};

use mobula::{AtomicArray, SharedMutex, SharedRwLock, SharedSemaphore, prelude::*};

use crate::support::{eventually, nothing_is_left, runtime};

const LONG: Duration = Duration::from_secs(60);

/// How many threads of this process wait for futures.
fn waiting_threads() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |thread: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(thread.ok()?.path().join("comm")).ok()
    };
    let names = threads.filter_map(name);
    names.filter(|name| name.starts_with("mobula-lock")).count()
}

/// Something that one has at a time.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
enum Lock {
    Mutex(SharedMutex<u64>),
    Write(SharedRwLock<u64>),
    /// Its writers bar the readers.
    Read(SharedRwLock<u64>),
    Permit(SharedSemaphore),
}

impl Lock {
    fn all(rt: &Runtime) -> [Lock; 4] {
        [
            Lock::Mutex(rt.shared_mutex(0).unwrap()),
            Lock::Write(rt.shared_rwlock(0).unwrap()),
            Lock::Read(rt.shared_rwlock(0).unwrap()),
            Lock::Permit(rt.shared_semaphore(1).unwrap()),
        ]
    }

    /// Calls `f` with the lock, which nobody else has then.
    fn with<R>(&self, f: impl FnOnce() -> R) -> mobula::Result<R> {
        Ok(match self {
            Lock::Mutex(mutex) => (mutex.lock_timeout(LONG)?, f()).1,
            Lock::Write(lock) | Lock::Read(lock) => (lock.write_timeout(LONG)?, f()).1,
            Lock::Permit(semaphore) => (semaphore.acquire_timeout(LONG)?, f()).1,
        })
    }

    async fn take(self) -> mobula::Result<()> {
        match self {
            Lock::Mutex(mutex) => mutex.lock_async().await.map(drop),
            Lock::Write(lock) => lock.write_async().await.map(drop),
            Lock::Read(lock) => lock.read_async().await.map(drop),
            Lock::Permit(semaphore) => semaphore.acquire_async().await.map(drop),
        }
    }
}

/// `count` futures that want the lock, and have been polled once.
fn futures(
    lock: &Lock,
    count: usize,
) -> Vec<Pin<Box<dyn Future<Output = mobula::Result<()>> + Send>>> {
    let mut futures: Vec<_> = (0..count)
        .map(|_| Box::pin(lock.clone().take()) as _)
        .collect();
    for future in &mut futures {
        assert!(is_pending(future));
    }
    futures
}

fn is_pending(future: &mut Pin<Box<dyn Future<Output = mobula::Result<()>> + Send>>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    future.as_mut().poll(&mut context).is_pending()
}

/// A thousand futures wait for what somebody has until `state` is 2. Returns how many threads waited for them.
#[remote]
async fn a_thousand_wait(lock: Lock, state: AtomicArray<AtomicU64>) -> mobula::Result<usize> {
    let futures = futures(&lock, 1000);
    let threads = waiting_threads();
    state[0].store(1, SeqCst);
    let tasks: Vec<_> = futures.into_iter().map(tokio::spawn).collect();
    for task in tasks {
        task.await.unwrap()?;
    }
    Ok(threads)
}

#[mobula::test]
fn a_thousand_futures_that_wait_need_one_thread() {
    let rt = runtime(1);
    let here = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for lock in Lock::all(&rt) {
        let state = rt.atomic_array::<AtomicU64>(1).unwrap();
        let call = || a_thousand_wait::remote(&lock, &state);
        let there = lock.with(|| {
            let there = call().spawn();
            eventually("they wait", || state[0].load(SeqCst) == 1);
            there
        });
        assert_eq!(there.unwrap().get_timeout(LONG).unwrap(), 1, "in a worker");

        let waiting = lock.with(|| futures(&lock, 1000)).unwrap();
        assert_eq!(waiting_threads(), 1, "in the driver");
        here.block_on(async {
            for future in waiting {
                future.await.unwrap();
            }
        });
        lock.with(|| ()).unwrap();
    }
    eventually("the threads have ended", || waiting_threads() == 0);
    nothing_is_left(&rt);
}

#[remote]
fn takes(lock: &Lock) -> mobula::Result<()> {
    lock.with(|| ())
}

#[mobula::test]
fn futures_that_are_gone_wait_no_longer() {
    let rt = runtime(1);
    for lock in Lock::all(&rt) {
        lock.with(|| {
            drop(futures(&lock, 1000));
            // It is not free yet.
            eventually("the threads have ended", || waiting_threads() == 0);
            drop(futures(&lock, 1000));
        })
        .unwrap();
        // Nor does anybody wait for what is free again.
        takes::remote(&lock).spawn().get_timeout(LONG).unwrap();
    }
}

#[remote]
async fn waits(lock: Lock) -> mobula::Result<()> {
    lock.take().await
}

/// Runs until it is told to end.
#[remote]
fn unrelated(state: &AtomicArray<AtomicU64>) {
    state[0].store(1, SeqCst);
    while state[1].load(SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[mobula::test]
fn an_asynchronous_task_that_waits_for_its_turn_has_no_lock() {
    let rt = runtime(1);
    for lock in Lock::all(&rt) {
        let state = rt.atomic_array::<AtomicU64>(2).unwrap();
        let (waits, runs) = lock
            .with(|| {
                let waits = waits::remote(&lock).spawn();
                let runs = unrelated::remote(&state).spawn();
                // So the first one is pending.
                eventually("the other one runs", || state[0].load(SeqCst) == 1);
                (waits, runs)
            })
            .unwrap();
        for _ in 0..5 {
            // It has every chance to take the lock.
            std::thread::sleep(Duration::from_millis(2));
            lock.with(|| ()).unwrap();
        }
        state[1].store(1, SeqCst);
        runs.get_timeout(LONG).unwrap();
        waits.get_timeout(LONG).unwrap();
    }
}

#[mobula::test]
fn a_future_that_is_never_polled_again_keeps_nobody_out() {
    let rt = runtime(2);
    for lock in Lock::all(&rt) {
        let (forgotten, others) = lock
            .with(|| {
                let forgotten = futures(&lock, 3);
                let others = rt.spawn_all((0..2).map(|_| takes::remote(&lock)));
                // They sleep, or are about to.
                std::thread::sleep(Duration::from_millis(5));
                (forgotten, others)
            })
            .unwrap();
        for other in others {
            other.get_timeout(LONG).unwrap();
        }
        drop(forgotten);
    }
}

#[remote]
fn dies_with_it(mutex: &SharedMutex<u64>, state: &AtomicArray<AtomicU64>) -> mobula::Result<()> {
    let _guard = mutex.lock()?;
    state[0].store(1, SeqCst);
    while state[1].load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    std::process::abort()
}

#[mobula::test]
fn a_future_learns_of_the_death_of_the_owner() {
    let rt = runtime(1);
    let mutex = rt.shared_mutex(0).unwrap();
    let state = rt.atomic_array::<AtomicU64>(2).unwrap();
    let dies = dies_with_it::remote(&mutex, &state).spawn();
    eventually("it has the mutex", || state[0].load(SeqCst) == 1);
    let here = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let error = here.block_on(async {
        let mut future = pin!(mutex.lock_async());
        let context = &mut Context::from_waker(Waker::noop());
        assert!(matches!(future.as_mut().poll(context), Poll::Pending));
        state[1].store(1, SeqCst);
        future.await.map(drop).unwrap_err()
    });
    assert!(error.is_poisoned(), "{error}");
    assert!(dies.get_timeout(LONG).unwrap_err().is_crash());
}

#[mobula::test]
fn futures_that_wait_end_with_the_runtime() {
    let rt = runtime(1);
    let here = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mutex = rt.shared_mutex(0).unwrap();
    let lock = rt.shared_rwlock(0).unwrap();
    let semaphore = rt.shared_semaphore(1).unwrap();
    let held = (
        mutex.lock().unwrap(),
        lock.read().unwrap(),
        semaphore.acquire().unwrap(),
    );
    let waiting: Vec<_> = [
        Lock::Mutex(mutex.clone()),
        Lock::Write(lock.clone()),
        Lock::Permit(semaphore.clone()),
    ]
    .iter()
    .flat_map(|lock| futures(lock, 10))
    .collect();
    here.block_on(async {
        let tasks: Vec<_> = waiting.into_iter().map(tokio::spawn).collect();
        tokio::task::yield_now().await;
        rt.shutdown();
        for task in tasks {
            let error = task.await.unwrap().unwrap_err();
            assert!(error.is_shutdown(), "{error}");
        }
    });
    // Nor does one begin to wait.
    let error = here.block_on(mutex.lock_async()).map(drop).unwrap_err();
    assert!(error.is_shutdown(), "{error}");
    drop(held);
}
