//! Cancelled tasks that wait for locks.

use std::time::Duration;

use mobula::{
    CancelOptions, SharedBarrier, SharedCondvar, SharedMutex, SharedRwLock, SharedSemaphore,
    prelude::*,
};

use super::{LONG, MarkAtEnd, marks};
use crate::support::{Marks, mark, nothing_is_left, runtime};

#[remote]
fn locks(path: &str, mutex: &SharedMutex<u64>) -> mobula::Result<u64> {
    let _end = MarkAtEnd(path);
    mark(path);
    Ok(*mutex.lock()?)
}

#[remote]
fn reads(path: &str, lock: &SharedRwLock<u64>) -> mobula::Result<u64> {
    let _end = MarkAtEnd(path);
    mark(path);
    Ok(*lock.read()?)
}

#[remote]
fn writes(path: &str, lock: &SharedRwLock<u64>) -> mobula::Result<()> {
    let _end = MarkAtEnd(path);
    mark(path);
    *lock.write()? += 1;
    Ok(())
}

#[remote]
fn acquires(path: &str, semaphore: &SharedSemaphore) -> mobula::Result<()> {
    let _end = MarkAtEnd(path);
    mark(path);
    let _permit = semaphore.acquire()?;
    Ok(())
}

#[remote]
fn awaits_change(path: &str, n: &SharedMutex<u64>, changed: &SharedCondvar) -> mobula::Result<()> {
    let _end = MarkAtEnd(path);
    mark(path);
    let _guard = changed.wait_while(n.lock()?, |n| *n == 0)?;
    Ok(())
}

#[remote]
fn meets(path: &str, barrier: &SharedBarrier) -> mobula::Result<bool> {
    let _end = MarkAtEnd(path);
    mark(path);
    barrier.wait()
}

/// Waits for a lock while it unwinds.
struct LocksAtEnd<'a>(&'a str, &'a SharedMutex<u64>);

impl Drop for LocksAtEnd<'_> {
    fn drop(&mut self) {
        *self.1.lock().unwrap() += 1;
        mark(self.0);
    }
}

#[remote]
fn locks_at_its_end(
    path: &str,
    mutex: &SharedMutex<u64>,
    other: &SharedMutex<u64>,
) -> mobula::Result<u64> {
    let _end = LocksAtEnd(path, other);
    mark(path);
    Ok(*mutex.lock()?)
}

/// Cancels the task when it waits. It ends, though its worker is not killed.
fn cancel<T: Send + Sync + 'static>(task: &ObjectRef<T>, path: &Marks) {
    marks(path, 1);
    // It has begun to wait by then, or waits when it is cancelled already.
    std::thread::sleep(Duration::from_millis(20));
    task.cancel_with(CancelOptions::new().kill(false));
    marks(path, 2);
}

/// All of this in one runtime, for another engine.
pub(crate) fn all(rt: &Runtime) {
    for test in [
        mutex,
        read_write_lock,
        permit_and_notification,
        barrier,
        destructor,
    ] {
        test(rt);
        nothing_is_left(rt);
    }
}

#[mobula::test]
fn a_cancelled_task_waits_no_longer_for_a_mutex() {
    mutex(&runtime(1));
}

fn mutex(rt: &Runtime) {
    let mutex = rt.shared_mutex(7_u64).unwrap();
    let guard = mutex.lock().unwrap();
    let (ended, behind) = (Marks::new(), Marks::new());
    let task = rt.spawn(locks::remote(ended.path(), &mutex));
    let next = rt.spawn(locks::remote(behind.path(), &mutex));
    marks(&behind, 1);
    cancel(&task, &ended);
    assert!(task.get().unwrap_err().is_cancelled());
    drop(guard);
    // The one behind it gets the mutex, which is in order.
    assert_eq!(next.get_timeout(LONG).unwrap(), 7);
    assert_eq!(*mutex.lock().unwrap(), 7);
}

#[mobula::test]
fn a_cancelled_task_waits_no_longer_for_a_read_write_lock() {
    read_write_lock(&runtime(1));
}

fn read_write_lock(rt: &Runtime) {
    let lock = rt.shared_rwlock(7_u64).unwrap();
    let ended = [Marks::new(), Marks::new(), Marks::new()];
    let guard = lock.write().unwrap();
    let task = rt.spawn(reads::remote(ended[0].path(), &lock));
    cancel(&task, &ended[0]);
    let task = rt.spawn(writes::remote(ended[1].path(), &lock));
    cancel(&task, &ended[1]);
    drop(guard);
    let guard = lock.read().unwrap();
    let task = rt.spawn(writes::remote(ended[2].path(), &lock));
    cancel(&task, &ended[2]);
    // No writer bars this reader.
    let again = Marks::new();
    let reads = rt.spawn(reads::remote(again.path(), &lock));
    assert_eq!(reads.get_timeout(LONG).unwrap(), 7);
    drop(guard);
}

#[mobula::test]
fn a_cancelled_task_waits_no_longer_for_a_permit_or_a_notification() {
    permit_and_notification(&runtime(1));
}

fn permit_and_notification(rt: &Runtime) {
    let semaphore = rt.shared_semaphore(1).unwrap();
    let permit = semaphore.acquire().unwrap();
    let ended = [Marks::new(), Marks::new()];
    let task = rt.spawn(acquires::remote(ended[0].path(), &semaphore));
    cancel(&task, &ended[0]);
    drop(permit);
    drop(semaphore.acquire_timeout(LONG).unwrap());
    let (n, changed) = (
        rt.shared_mutex(0_u64).unwrap(),
        rt.shared_condvar().unwrap(),
    );
    let task = rt.spawn(awaits_change::remote(ended[1].path(), &n, &changed));
    cancel(&task, &ended[1]);
    assert_eq!(*n.lock_timeout(LONG).unwrap(), 0);
}

#[mobula::test]
fn a_cancelled_task_breaks_the_barrier_that_it_waits_at() {
    barrier(&runtime(1));
}

fn barrier(rt: &Runtime) {
    let barrier = rt.shared_barrier(3).unwrap();
    let (ended, other) = (Marks::new(), Marks::new());
    let task = rt.spawn(meets::remote(ended.path(), &barrier));
    let waits = rt.spawn(meets::remote(other.path(), &barrier));
    marks(&other, 1);
    cancel(&task, &ended);
    let error = waits.get_timeout(LONG).unwrap_err();
    assert!(error.to_string().contains("gave up waiting"), "{error}");
}

#[mobula::test]
fn a_destructor_of_a_cancelled_task_may_wait_for_a_lock() {
    destructor(&runtime(1));
}

fn destructor(rt: &Runtime) {
    let (mutex, other) = (
        rt.shared_mutex(0_u64).unwrap(),
        rt.shared_mutex(0_u64).unwrap(),
    );
    let (held, late) = (mutex.lock().unwrap(), other.lock().unwrap());
    let ended = Marks::new();
    let task = rt.spawn(locks_at_its_end::remote(ended.path(), &mutex, &other));
    marks(&ended, 1);
    std::thread::sleep(Duration::from_millis(20));
    task.cancel_with(CancelOptions::new().kill(false));
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(ended.count(), 1);
    drop(late);
    marks(&ended, 2);
    drop(held);
    assert_eq!(*other.lock().unwrap(), 1);
}
