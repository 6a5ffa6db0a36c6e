//! A worker's turn, where its tasks wait for locks.

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    sync::{
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use mobula::{AtomicArray, SharedMutex, SharedOnce, SharedRwLock, prelude::*};

use crate::{
    exclusive::{LONG, Lock, is_free_while_a_task_waits_for_its_turn},
    support::{eventually, runtime},
};

/// Tasks of this worker that are inside.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// How many tasks of this worker are inside at the same time, at most, as far as one of them can
/// see.
fn together(mut until: impl FnMut() -> bool) -> usize {
    let mut most = INSIDE.fetch_add(1, SeqCst) + 1;
    while !until() {
        std::thread::sleep(Duration::from_millis(1));
        most = most.max(INSIDE.load(SeqCst));
    }
    INSIDE.fetch_sub(1, SeqCst);
    most
}

#[remote]
fn once_together(once: &SharedOnce, state: &AtomicArray<AtomicU64>) -> mobula::Result<usize> {
    let mut most = 0;
    once.call_once(|| {
        state[0].store(1, SeqCst);
        // The other one is there for the last 100 looks, and could begin.
        let mut looks = 0;
        most = together(|| {
            looks += state[1].load(SeqCst);
            looks > 100
        });
    })?;
    Ok(most)
}

#[remote]
fn inside() -> usize {
    together(|| true)
}

#[mobula::test]
fn no_other_task_of_the_worker_runs_amid_what_is_done_once() {
    let rt = runtime(1);
    let once = rt.shared_once().unwrap();
    let state = rt.atomic_array::<AtomicU64>(2).unwrap();
    let does = once_together::remote(&once, &state).spawn();
    eventually("it is at it", || state[0].load(SeqCst) == 1);
    let other = inside::remote().spawn();
    state[1].store(1, SeqCst);
    assert_eq!((does.get().unwrap(), other.get().unwrap()), (1, 1));
}

#[remote]
fn five() -> u64 {
    5
}

#[remote]
fn once_with_others(once: &SharedOnce, cell: &SharedMutex<u64>) -> mobula::Result<u64> {
    let value = five::remote().spawn();
    once.call_once(|| *cell.lock().unwrap() += value.get().unwrap())?;
    Ok(*cell.lock()?)
}

#[mobula::test]
fn what_is_done_once_may_wait_for_tasks_of_its_own_worker() {
    let rt = runtime(1);
    let (once, cell) = (rt.shared_once().unwrap(), rt.shared_mutex(0_u64).unwrap());
    let calls = rt.spawn_all((0..3).map(|_| once_with_others::remote(&once, &cell)));
    for call in &calls {
        assert_eq!(call.get_timeout(LONG).unwrap(), 5);
    }
    assert_eq!(five::remote().spawn().get_timeout(LONG).unwrap(), 5);
}

#[remote]
fn once_in_vain(once: &SharedOnce) -> mobula::Result<bool> {
    once.call_once(|| panic!("amid it"))
}

#[remote]
fn some_time() -> usize {
    let mut ms = 0..3;
    let most = AtomicUsize::new(0);
    while ms.next().is_some() {
        most.fetch_max(together(|| true), SeqCst);
        INSIDE.fetch_add(1, SeqCst);
        std::thread::sleep(Duration::from_millis(1));
        most.fetch_max(INSIDE.fetch_sub(1, SeqCst), SeqCst);
    }
    most.into_inner()
}

#[mobula::test]
fn a_panic_amid_what_is_done_once_leaves_one_turn_to_the_worker() {
    let rt = runtime(1);
    let once = rt.shared_once().unwrap();
    let pids = rt.worker_pids();
    for _ in 0..3 {
        let failed = once_in_vain::remote(&once).spawn();
        assert!(failed.get_timeout(LONG).unwrap_err().is_panic());
        assert!(!once.is_done());
    }
    let others = rt.spawn_all((0..20).map(|_| some_time::remote()));
    for other in others {
        assert_eq!(other.get_timeout(LONG).unwrap(), 1);
    }
    assert!(once.call_once(|| ()).unwrap());
    assert_eq!(rt.worker_pids(), pids, "the worker was replaced");
}

#[remote]
fn locks(lock: &Lock) -> mobula::Result<()> {
    lock.with(Duration::MAX, || ())
}

#[mobula::test]
fn a_task_that_waits_for_its_turn_has_no_lock() {
    let rt = runtime(1);
    let locks = [
        Lock::Mutex(rt.shared_mutex(0).unwrap()),
        Lock::Write(rt.shared_rwlock(0).unwrap()),
        Lock::Permit(rt.shared_semaphore(1).unwrap()),
    ];
    for lock in &locks {
        for _ in 0..3 {
            is_free_while_a_task_waits_for_its_turn(&rt, lock, || locks::remote(lock).spawn());
        }
    }
}

/// Takes the lock in its destructor.
struct LocksAtTheEnd<'m>(&'m SharedMutex<u64>, &'m SharedRwLock<u64>);

impl Drop for LocksAtTheEnd<'_> {
    fn drop(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let mutex = pin!(self.0.lock_async()).poll(&mut context);
        assert!(matches!(mutex, Poll::Ready(Ok(_))));
        let lock = pin!(self.1.write_async()).poll(&mut context);
        assert!(matches!(lock, Poll::Ready(Ok(_))));
        drop((mutex, lock));
        *self.0.lock().unwrap() += 1;
        *self.1.write().unwrap() += 1;
    }
}

#[mobula::test]
fn a_lock_that_was_taken_while_a_panic_unwinds_is_in_order() {
    let rt = runtime(1);
    let (mutex, lock) = (rt.shared_mutex(0).unwrap(), rt.shared_rwlock(0).unwrap());
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _last = LocksAtTheEnd(&mutex, &lock);
        resume_unwind(Box::new("on purpose"));
    }));
    assert!(unwound.is_err());
    assert_eq!((*mutex.lock().unwrap(), *lock.read().unwrap()), (1, 1));
    // A lock that was taken before the panic is poisoned.
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let taken = pin!(mutex.lock_async()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(taken, Poll::Ready(Ok(_))));
        resume_unwind(Box::new("on purpose"));
    }));
    assert!(unwound.is_err());
    assert!(mutex.poison().is_some());
}

/// Is dropped when its thread ends, after the thread-locals of others.
struct AtTheEnd(RefCell<Option<Box<dyn FnOnce()>>>);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        self.0.take().unwrap()();
    }
}

thread_local! {
    static AT_THE_END: AtTheEnd = const { AtTheEnd(RefCell::new(None)) };
}

/// A panic there would end the process.
#[mobula::test]
fn a_thread_that_ends_may_call_and_wait() {
    let rt = runtime(1);
    let mutex = rt.shared_mutex(0_u64).unwrap();
    let uses = move || {
        let known = Runtime::current().is_ok();
        let five = five::remote();
        let result = rt.spawn(five).get().unwrap();
        let stored = rt.put(&vec![1_u64; 10]).unwrap().get().unwrap();
        *mutex.lock().unwrap() += 1;
        (
            known,
            result,
            stored.len(),
            rt.as_completed([rt.spawn(five::remote())]).count(),
        )
    };
    let (said, at_the_end) = mpsc::channel();
    std::thread::spawn(move || {
        // Those that are used last are dropped first.
        AT_THE_END.with(|_| ());
        let (_, before, ..) = uses();
        assert_eq!(before, 5);
        AT_THE_END.with(|at| {
            *at.0.borrow_mut() = Some(Box::new(move || {
                let (_, result, len, count) = uses();
                said.send((result, len, count)).unwrap();
            }));
        });
    });
    assert_eq!(at_the_end.recv_timeout(LONG).unwrap(), (5, 10, 1));
}

/// Waits, and says how that has ended.
type Wait = Box<dyn FnOnce() -> mobula::Error + Send>;

/// Starts each wait on a thread of its own. All of them end with the runtime.
fn ends_with_the_runtime(rt: Runtime, waits: Vec<(&'static str, Wait)>) {
    let (said, ends) = mpsc::channel();
    let count = waits.len();
    for (what, wait) in waits {
        let said = said.clone();
        std::thread::spawn(move || said.send((what, wait())));
    }
    // Some of them sleep by then, and others come too late: both end.
    std::thread::sleep(Duration::from_millis(20));
    rt.shutdown();
    for ended in 0..count {
        let (what, error) = ends
            .recv_timeout(LONG)
            .unwrap_or_else(|_| panic!("only {ended} of {count} waits have ended"));
        assert!(error.is_shutdown(), "{what}: {error}");
    }
}

#[mobula::test]
fn waits_for_locks_end_with_the_runtime() {
    let rt = runtime(1);
    let mutex = rt.shared_mutex(0_u64).unwrap();
    let held = rt.shared_mutex(0_u64).unwrap();
    let lock = rt.shared_rwlock(0_u64).unwrap();
    let read = rt.shared_rwlock(0_u64).unwrap();
    let condvar = rt.shared_condvar().unwrap();
    let barrier = rt.shared_barrier(2).unwrap();
    let semaphore = rt.shared_semaphore(1).unwrap();
    let once = rt.shared_once().unwrap();
    let guards = (
        held.lock().unwrap(),
        lock.write().unwrap(),
        read.read().unwrap(),
    );
    let permit = semaphore.acquire().unwrap();
    let (held, lock, read) = (held.clone(), lock.clone(), read.clone());
    let (waiting, begun) = mpsc::channel();
    let nested = once.clone();
    std::thread::spawn(move || {
        nested.call_once(|| {
            waiting.send(()).unwrap();
            std::thread::park();
        })
    });
    begun.recv_timeout(LONG).unwrap();
    ends_with_the_runtime(
        rt,
        vec![
            (
                "a condition variable",
                Box::new(move || {
                    let guard = mutex.lock().unwrap();
                    condvar.wait_while(guard, |_| true).map(drop).unwrap_err()
                }),
            ),
            ("a barrier", Box::new(move || barrier.wait().unwrap_err())),
            (
                "a semaphore",
                Box::new(move || semaphore.acquire().map(drop).unwrap_err()),
            ),
            (
                "a mutex",
                Box::new(move || held.lock().map(drop).unwrap_err()),
            ),
            (
                "a lock for reading",
                Box::new(move || lock.read().map(drop).unwrap_err()),
            ),
            (
                "a lock for writing",
                Box::new(move || read.write_timeout(LONG * 60).map(drop).unwrap_err()),
            ),
            (
                "what is done once",
                Box::new(move || once.call_once(|| ()).unwrap_err()),
            ),
        ],
    );
    drop((guards, permit));
}
