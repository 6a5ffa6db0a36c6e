//! Futures that wait for locks between processes: they need no thread each, and take nothing before
//! they are polled.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    task::{Context, Poll, Waker},
    time::Duration,
};

use mobula::{AtomicArray, SharedMutex, prelude::*};

use crate::{
    exclusive::{LONG, Lock, is_free_while_a_task_waits_for_its_turn},
    support::{eventually, nothing_is_left, runtime},
};

/// How many threads of this process wait for futures.
fn waiting_threads() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |thread: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(thread.ok()?.path().join("comm")).ok()
    };
    let names = threads.filter_map(name);
    names.filter(|name| name.starts_with("mobula-lock")).count()
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

/// A thousand futures wait for a lock that another thread has until `state` is 2. Returns the
/// number of threads that waited for them.
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
        let there = lock.with(LONG, || {
            let there = call().spawn();
            eventually("they wait", || state[0].load(SeqCst) == 1);
            there
        });
        assert_eq!(there.unwrap().get_timeout(LONG).unwrap(), 1, "in a worker");

        let waiting = lock.with(LONG, || futures(&lock, 1000)).unwrap();
        assert_eq!(waiting_threads(), 1, "in the driver");
        here.block_on(async {
            for future in waiting {
                future.await.unwrap();
            }
        });
        lock.with(LONG, || ()).unwrap();
    }
    eventually("the threads have ended", || waiting_threads() == 0);
    nothing_is_left(&rt);
}

#[remote]
fn takes(lock: &Lock) -> mobula::Result<()> {
    lock.with(LONG, || ())
}

#[mobula::test]
fn futures_that_are_gone_wait_no_longer() {
    let rt = runtime(1);
    for lock in Lock::all(&rt) {
        lock.with(LONG, || {
            drop(futures(&lock, 1000));
            // It is not free yet.
            eventually("the threads have ended", || waiting_threads() == 0);
            drop(futures(&lock, 1000));
        })
        .unwrap();
        // The dropped futures do not wait for the free lock either.
        takes::remote(&lock).spawn().get_timeout(LONG).unwrap();
    }
}

#[remote]
async fn waits(lock: Lock) -> mobula::Result<()> {
    lock.take().await
}

#[mobula::test]
fn an_asynchronous_task_that_waits_for_its_turn_has_no_lock() {
    let rt = runtime(1);
    for lock in Lock::all(&rt) {
        is_free_while_a_task_waits_for_its_turn(&rt, &lock, || waits::remote(&lock).spawn());
    }
}

#[mobula::test]
fn a_future_that_is_never_polled_again_keeps_nobody_out() {
    let rt = runtime(2);
    for lock in Lock::all(&rt) {
        let (forgotten, others) = lock
            .with(LONG, || {
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
