//! Locks of all kinds, for tests that are the same for each.

use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::Duration,
};

use mobula::{AtomicArray, SharedMutex, SharedRwLock, SharedSemaphore, prelude::*};

use crate::support::eventually;

/// Longer than what a test waits for takes on any machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Something that one has at a time.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) enum Lock {
    Mutex(SharedMutex<u64>),
    Write(SharedRwLock<u64>),
    /// Its writers bar the readers.
    Read(SharedRwLock<u64>),
    Permit(SharedSemaphore),
}

impl Lock {
    pub(crate) fn all(rt: &Runtime) -> [Lock; 4] {
        [
            Lock::Mutex(rt.shared_mutex(0).unwrap()),
            Lock::Write(rt.shared_rwlock(0).unwrap()),
            Lock::Read(rt.shared_rwlock(0).unwrap()),
            Lock::Permit(rt.shared_semaphore(1).unwrap()),
        ]
    }

    /// Calls `f` with the lock, which no other thread has then.
    pub(crate) fn with<R>(&self, limit: Duration, f: impl FnOnce() -> R) -> mobula::Result<R> {
        Ok(match self {
            Lock::Mutex(mutex) => (mutex.lock_timeout(limit)?, f()).1,
            Lock::Write(lock) | Lock::Read(lock) => (lock.write_timeout(limit)?, f()).1,
            Lock::Permit(semaphore) => (semaphore.acquire_timeout(limit)?, f()).1,
        })
    }

    pub(crate) async fn take(self) -> mobula::Result<()> {
        match self {
            Lock::Mutex(mutex) => mutex.lock_async().await.map(drop),
            Lock::Write(lock) => lock.write_async().await.map(drop),
            Lock::Read(lock) => lock.read_async().await.map(drop),
            Lock::Permit(semaphore) => semaphore.acquire_async().await.map(drop),
        }
    }
}

/// Runs until it is told to end.
#[remote]
fn unrelated(state: &AtomicArray<AtomicU64>) {
    state[0].store(1, SeqCst);
    while state[1].load(SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A task that `spawn` begins waits for the lock, and another one of its worker runs when it is
/// woken.
pub(crate) fn is_free_while_a_task_waits_for_its_turn(
    rt: &Runtime,
    lock: &Lock,
    spawn: impl FnOnce() -> ObjectRef<()>,
) {
    let state = rt.atomic_array::<AtomicU64>(2).unwrap();
    let (waits, runs) = lock
        .with(LONG, || {
            let waits = spawn();
            let runs = unrelated::remote(&state).spawn();
            // So the first one waits.
            eventually("the other one runs", || state[0].load(SeqCst) == 1);
            (waits, runs)
        })
        .unwrap();
    for _ in 0..5 {
        // It has every chance to take the lock.
        std::thread::sleep(Duration::from_millis(2));
        lock.with(LONG, || ()).unwrap();
    }
    state[1].store(1, SeqCst);
    runs.get_timeout(LONG).unwrap();
    waits.get_timeout(LONG).unwrap();
}
