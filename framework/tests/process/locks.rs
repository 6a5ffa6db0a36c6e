//! Locks between processes, and what the death of a holder does to them.

use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::Duration,
};

use mobula::{
    AtomicArray, SharedBarrier, SharedCondvar, SharedMutex, SharedOnce, SharedRwLock,
    SharedSemaphore, prelude::*,
};

use crate::support::{eventually, nothing_is_left, runtime, whole};

const LONG: Duration = Duration::from_secs(60);

fn short_sleep() {
    std::thread::sleep(Duration::from_millis(20));
}

#[remote]
fn add(counter: &SharedMutex<u64>, times: u64) -> mobula::Result<()> {
    for _ in 0..times {
        *counter.lock()? += 1;
    }
    Ok(())
}

/// Dies with it, when `go` says so.
#[remote]
fn dies_with_it(mutex: &SharedMutex<u64>, state: &AtomicArray<AtomicU64>) -> mobula::Result<()> {
    let mut value = mutex.lock()?;
    *value = 77;
    state[0].store(u64::from(std::process::id()), SeqCst);
    while state[1].load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    std::process::abort()
}

#[remote]
fn panics_with_it(mutex: &SharedMutex<u64>) {
    let _guard = mutex.lock().unwrap();
    panic!("with the lock");
}

#[remote]
fn locks(mutex: &SharedMutex<u64>) -> mobula::Result<u64> {
    Ok(*mutex.lock()?)
}

#[remote]
fn locks_twice(mutex: &SharedMutex<u64>) -> mobula::Result<()> {
    let _first = mutex.lock()?;
    let _second = mutex.lock()?;
    Ok(())
}

#[remote]
fn slow(ms: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(ms));
    ms
}

/// Holds the lock while it waits for another task.
#[remote]
fn waits_with_it(mutex: &SharedMutex<u64>) -> mobula::Result<u64> {
    let mut value = mutex.lock()?;
    *value += slow::remote(10).spawn().get()?;
    Ok(*value)
}

#[remote]
async fn holds_across_await(mutex: &SharedMutex<u64>) -> mobula::Result<()> {
    let mut guard = mutex.lock_async().await?;
    let before = guard.with(|value| *value);
    tokio::time::sleep(Duration::from_millis(2)).await;
    guard.with(|value| *value = before + 1);
    Ok(())
}

#[remote]
fn meets(barrier: &SharedBarrier, rounds: u64) -> mobula::Result<u64> {
    (0..rounds).map(|_| Ok(u64::from(barrier.wait()?))).sum()
}

#[remote]
fn aborts_before_it_meets(_barrier: &SharedBarrier) {
    short_sleep();
    std::process::abort()
}

#[remote]
fn dies_with_a_permit(semaphore: &SharedSemaphore, taken: &AtomicArray<AtomicU64>) {
    let _permits = [semaphore.acquire().unwrap(), semaphore.acquire().unwrap()];
    taken[0].fetch_add(1, SeqCst);
    short_sleep();
    std::process::abort()
}

#[remote]
fn most_at_once(
    semaphore: &SharedSemaphore,
    inside: &AtomicArray<AtomicU64>,
) -> mobula::Result<u64> {
    let mut most = 0;
    for _ in 0..200 {
        let permit = semaphore.acquire()?;
        most = most.max(inside[0].fetch_add(1, SeqCst) + 1);
        inside[0].fetch_sub(1, SeqCst);
        drop(permit);
    }
    Ok(most)
}

#[remote]
fn does_it_once(
    once: &SharedOnce,
    count: &AtomicArray<AtomicU64>,
    die: bool,
) -> mobula::Result<bool> {
    once.call_once(|| {
        if die {
            std::process::abort();
        }
        count[0].fetch_add(1, SeqCst);
        short_sleep();
    })
}

#[remote]
fn plays(
    ball: &SharedMutex<u64>,
    turn: &SharedCondvar,
    parity: u64,
    rounds: u64,
) -> mobula::Result<()> {
    for _ in 0..rounds {
        let guard = ball.lock()?;
        let mut guard = turn.wait_while(guard, |ball| *ball % 2 != parity)?;
        *guard += 1;
        turn.notify_all();
    }
    Ok(())
}

#[remote]
fn reads_and_dies(
    lock: &SharedRwLock<[u64]>,
    state: &AtomicArray<AtomicU64>,
) -> mobula::Result<()> {
    let _guard = lock.read()?;
    state[0].fetch_add(1, SeqCst);
    short_sleep();
    std::process::abort()
}

#[remote]
fn writes_pairs(lock: &SharedRwLock<[u64]>, times: u64) -> mobula::Result<()> {
    for _ in 0..times {
        let mut pair = lock.write()?;
        pair[0] += 1;
        pair[1] += 1;
    }
    Ok(())
}

#[remote]
fn reads_pairs(lock: &SharedRwLock<[u64]>, times: u64) -> mobula::Result<bool> {
    let mut equal = true;
    for _ in 0..times {
        let pair = lock.read()?;
        equal &= pair[0] == pair[1];
    }
    Ok(equal)
}

#[mobula::test]
fn a_mutex_excludes_all_others() {
    let rt = runtime(3);
    let counter = rt.shared_mutex(0_u64).unwrap();
    let calls = rt.spawn_all((0..6).map(|_| add::remote(&counter, 5000)));
    for _ in 0..5000 {
        *counter.lock().unwrap() += 1;
    }
    rt.get(calls).unwrap();
    assert_eq!(*counter.lock().unwrap(), 35_000);
    // In a value, too.
    let back = rt
        .put(&(1, Some(counter.clone())))
        .unwrap()
        .get()
        .unwrap()
        .1;
    assert_eq!(back.as_ref(), Some(&counter));
    drop((back, counter));
    nothing_is_left(&rt);
}

#[mobula::test]
fn the_death_of_a_holder_is_told_to_the_next() {
    let rt = runtime(2);
    let mutex = rt.shared_mutex(1_u64).unwrap();
    let state = rt.atomic_array::<AtomicU64>(2).unwrap();
    let dead = dies_with_it::remote(&mutex, &state).spawn();
    eventually("the task has the lock", || state[0].load(SeqCst) != 0);
    assert!(mutex.try_lock().unwrap().is_none());
    assert!(
        mutex
            .lock_timeout(Duration::from_millis(1))
            .unwrap_err()
            .is_timeout()
    );
    // One waits in this process, one in a worker; both learn of it.
    let waits = locks::remote(&mutex).spawn();
    let here = std::thread::spawn({
        let mutex = mutex.clone();
        move || mutex.lock_timeout(LONG).map(|value| *value)
    });
    short_sleep();
    state[1].store(1, SeqCst);
    let pid = state[0].load(SeqCst).to_string();
    let error = here.join().unwrap().unwrap_err();
    assert!(error.is_poisoned(), "{error}");
    let text = error.to_string();
    assert!(text.contains(&pid) && text.contains("signal 6"), "{text}");
    assert!(waits.get().unwrap_err().root().is_poisoned());
    assert!(dead.get().unwrap_err().is_crash());
    // The mutex stays poisoned until a caller clears the poison.
    assert!(mutex.lock().unwrap_err().is_poisoned());
    let mut guard = mutex.lock_ignoring_poison().unwrap();
    assert!(guard.poison().unwrap().contains(&pid));
    assert_eq!(*guard, 77);
    *guard = 5;
    guard.clear_poison();
    drop(guard);
    assert_eq!(locks::remote(&mutex).spawn().get().unwrap(), 5);
}

#[mobula::test]
fn a_panic_with_a_lock_poisons_it() {
    let rt = runtime(1);
    let mutex = rt.shared_mutex(1_u64).unwrap();
    assert!(
        panics_with_it::remote(&mutex)
            .spawn()
            .get()
            .unwrap_err()
            .is_panic()
    );
    let error = mutex.lock().unwrap_err();
    assert!(
        error.is_poisoned() && error.to_string().contains("panicked"),
        "{error}"
    );
}

#[mobula::test]
fn locking_twice_is_an_error_and_no_deadlock() {
    let rt = runtime(1);
    let mutex = rt.shared_mutex(1_u64).unwrap();
    let error = locks_twice::remote(&mutex).spawn().get().unwrap_err();
    assert!(error.root().is_usage(), "{error:?}");
    let lock = rt.shared_rwlock(1_u64).unwrap();
    let guard = lock.write().unwrap();
    assert!(lock.write().unwrap_err().is_usage());
    assert!(lock.read().unwrap_err().is_usage());
    drop(guard);
    // Clones are the same lock, and so is what comes out of a value.
    let same: SharedRwLock<u64> = rt.put(&lock.clone()).unwrap().get().unwrap();
    let reading = lock.read().unwrap();
    assert!(lock.read().unwrap_err().is_usage());
    assert!(same.read_timeout(LONG).unwrap_err().is_usage());
    assert!(same.write().unwrap_err().is_usage());
    assert!(lock.write_timeout(LONG).unwrap_err().is_usage());
    assert!(lock.write_ignoring_poison().unwrap_err().is_usage());
    // Other threads and other locks are others.
    let other = rt.shared_rwlock(2_u64).unwrap();
    let both = (other.read().unwrap(), &reading);
    std::thread::scope(|scope| {
        let there = scope.spawn(|| *lock.read().unwrap());
        assert_eq!(there.join().unwrap(), 1);
    });
    assert_eq!((*both.0, **both.1), (2, 1));
    drop(reading);
    // An attempt that failed has left nothing.
    *same.write().unwrap() = 3;
    assert_eq!(*lock.read().unwrap(), 3);
}

#[mobula::test]
fn a_task_that_waits_for_a_lock_does_not_stop_the_one_that_has_it() {
    // One worker: the tasks take turns on it, and all of them want the lock.
    let rt = runtime(1);
    let mutex = rt.shared_mutex(0_u64).unwrap();
    let calls = rt.spawn_all((0..4).map(|_| waits_with_it::remote(&mutex)));
    let mut values = rt.get(calls).unwrap();
    values.sort_unstable();
    assert_eq!(values, [10, 20, 30, 40]);
}

#[mobula::test]
fn an_asynchronous_guard_is_held_across_await() {
    let rt = runtime(2);
    let mutex = rt.shared_mutex(0_u64).unwrap();
    rt.get(rt.spawn_all((0..20).map(|_| holds_across_await::remote(&mutex))))
        .unwrap();
    assert_eq!(*mutex.lock().unwrap(), 20);
    // A future that is given up gives the lock back.
    let executor = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let guard = mutex.lock().unwrap();
    executor.block_on(async {
        let waiting = tokio::time::timeout(Duration::from_millis(5), mutex.lock_async());
        assert!(waiting.await.is_err());
    });
    drop(guard);
    assert_eq!(*mutex.lock_timeout(LONG).unwrap(), 20);
}

#[mobula::test]
fn readers_see_no_half_written_value() {
    let rt = runtime(3);
    let lock = rt.shared_rwlock_slice(&[0_u64, 0]).unwrap();
    let writers = rt.spawn_all((0..2).map(|_| writes_pairs::remote(&lock, 2000)));
    let readers = rt.spawn_all((0..4).map(|_| reads_pairs::remote(&lock, 2000)));
    assert!(rt.get(readers).unwrap().into_iter().all(|equal| equal));
    rt.get(writers).unwrap();
    assert_eq!(*lock.read().unwrap(), [4000, 4000]);
}

#[mobula::test]
fn a_dead_reader_does_not_keep_writers_out() {
    let rt = runtime(3);
    let lock = rt.shared_rwlock_slice(&[0_u64, 0]).unwrap();
    let state = rt.atomic_array::<AtomicU64>(1).unwrap();
    let dead = rt.spawn_all((0..2).map(|_| reads_and_dies::remote(&lock, &state)));
    eventually("they read", || state[0].load(SeqCst) == 2);
    // Readers change nothing, so nothing is poisoned.
    lock.write_timeout(LONG).unwrap()[0] = 9;
    assert!(dead.iter().all(|task| task.get().unwrap_err().is_crash()));
    assert_eq!(lock.read().unwrap()[0], 9);
}

#[mobula::test]
fn a_barrier_lets_all_through_together_or_breaks() {
    let rt = runtime(2);
    let barrier = rt.shared_barrier(3).unwrap();
    let calls = rt.spawn_all((0..2).map(|_| meets::remote(&barrier, 50)));
    let mine: u64 = (0..50).map(|_| u64::from(barrier.wait().unwrap())).sum();
    let theirs: u64 = rt.get(calls).unwrap().into_iter().sum();
    assert_eq!(mine + theirs, 50, "one leader each round");

    // One of the expected parties dies.
    let waits = meets::remote(&barrier, 1).spawn();
    let dead = aborts_before_it_meets::remote(&barrier).spawn();
    let error = barrier.wait_timeout(LONG).unwrap_err();
    assert!(
        error.is_poisoned() && error.to_string().contains("signal 6"),
        "{error}"
    );
    // Both may have been on one worker, which is dead.
    let error = waits.get().unwrap_err();
    assert!(error.is_crash() || error.root().is_poisoned(), "{error:?}");
    assert!(dead.get().unwrap_err().is_crash());
    assert!(barrier.broken().is_some());
    barrier.reset();
    let calls = rt.spawn_all((0..2).map(|_| meets::remote(&barrier, 1)));
    barrier.wait_timeout(LONG).unwrap();
    rt.get(calls).unwrap();
    assert!(rt.shared_barrier(0).unwrap_err().is_usage());
}

#[mobula::test]
fn more_tasks_than_workers_meet_at_a_barrier() {
    let rt = runtime(1);
    let barrier = rt.shared_barrier(5).unwrap();
    let calls = rt.spawn_all((0..5).map(|_| meets::remote(&barrier, 3)));
    assert_eq!(rt.get(calls).unwrap().into_iter().sum::<u64>(), 3);
}

#[mobula::test]
fn permits_of_the_dead_come_back() {
    let rt = runtime(2);
    let semaphore = rt.shared_semaphore(3).unwrap();
    let state = rt.atomic_array::<AtomicU64>(1).unwrap();
    let calls = rt.spawn_all((0..4).map(|_| most_at_once::remote(&semaphore, &state)));
    assert!(rt.get(calls).unwrap().into_iter().all(|most| most <= 3));
    let dead = dies_with_a_permit::remote(&semaphore, &state).spawn();
    eventually("it has two", || state[0].load(SeqCst) == 1);
    let own = semaphore.acquire().unwrap();
    assert!(semaphore.try_acquire().unwrap().is_none());
    let more = [
        semaphore.acquire_timeout(LONG).unwrap(),
        semaphore.acquire_timeout(LONG).unwrap(),
    ];
    assert!(
        semaphore
            .acquire_timeout(Duration::from_millis(1))
            .unwrap_err()
            .is_timeout()
    );
    assert!(dead.get().unwrap_err().is_crash());
    drop((own, more));
    assert_eq!(semaphore.available(), 3);
}

#[mobula::test]
fn once_is_once_although_the_first_one_dies() {
    let rt = runtime(2);
    let once = rt.shared_once().unwrap();
    let count = rt.atomic_array::<AtomicU64>(1).unwrap();
    assert!(
        does_it_once::remote(&once, &count, true)
            .spawn()
            .get()
            .unwrap_err()
            .is_crash()
    );
    assert!(!once.is_done());
    let calls = rt.spawn_all((0..6).map(|_| does_it_once::remote(&once, &count, false)));
    let did = rt
        .get(calls)
        .unwrap()
        .into_iter()
        .filter(|did| *did)
        .count();
    assert_eq!((did, count[0].load(SeqCst)), (1, 1));
    assert!(once.is_done());
}

#[mobula::test]
fn a_condition_variable_passes_the_turn() {
    let rt = runtime(2);
    let ball = rt.shared_mutex(0_u64).unwrap();
    let turn = rt.shared_condvar().unwrap();
    let calls = rt.spawn_all((0..2).map(|parity| plays::remote(&ball, &turn, parity, 300)));
    rt.get(calls).unwrap();
    assert_eq!(*ball.lock().unwrap(), 600);
}

#[mobula::test]
fn there_is_no_limit_on_the_number_of_locks() {
    let rt = runtime(1);
    let locks: Vec<_> = (0..10_000_u64)
        .map(|n| rt.shared_mutex(n).unwrap())
        .collect();
    let sums = rt.map(locks.iter().map(|lock| add::remote(lock, 1)));
    sums.get().unwrap();
    assert!(
        (0..)
            .zip(&locks)
            .all(|(n, lock)| *lock.lock().unwrap() == n + 1)
    );
    // Twice the number of locks does not mean twice the memory.
    drop(locks);
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_lock_of_a_dead_worker_lives_on() {
    #[remote]
    fn makes() -> mobula::Result<SharedMutex<u64>> {
        Runtime::current()?.shared_mutex(3)
    }
    #[remote]
    fn dies() {
        std::process::abort()
    }
    let rt = runtime(1);
    let mutex = makes::remote().spawn().get().unwrap();
    assert!(dies::remote().spawn().get().unwrap_err().is_crash());
    add::remote(&mutex, 4).spawn().get().unwrap();
    assert_eq!(*mutex.lock().unwrap(), 7);
    let error = whole(&rt.shared_semaphore(1 << 20).unwrap_err());
    assert!(error.contains("65536"), "{error}");
}

#[mobula::test]
fn the_total_stays_right_while_workers_are_killed() {
    /// Moves amounts between accounts, and dies now and then in the middle.
    #[remote]
    fn transfers(accounts: &[SharedMutex<i64>], seed: u64) -> mobula::Result<()> {
        let mut random = seed;
        let mut next = |n: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(99);
            (random >> 33) % n
        };
        for _ in 0..50 {
            let n = accounts.len() as u64;
            let (a, b) = (next(n), next(n));
            if a == b {
                continue;
            }
            // Locks are taken in one order, against deadlock. A caller that finds a poisoned
            // account repairs it: the amount in transit is in the second word of the journal.
            let (low, high) = (a.min(b) as usize, a.max(b) as usize);
            let mut first = accounts[low].lock_ignoring_poison()?;
            let mut second = accounts[high].lock_ignoring_poison()?;
            first.clear_poison();
            second.clear_poison();
            // Death before the change or after it, with both locks, leaves the total right.
            if next(60) == 0 {
                std::process::abort();
            }
            let amount = next(10) as i64;
            *first -= amount;
            *second += amount;
        }
        Ok(())
    }
    let rt = runtime(3);
    let accounts: Vec<_> = (0..8).map(|_| rt.shared_mutex(1000_i64).unwrap()).collect();
    let accounts_ref = rt.put(&accounts).unwrap();
    let calls = rt.spawn_all((0..60).map(|seed| transfers::remote(&accounts_ref, seed)));
    let ends: Vec<_> = calls.iter().map(|call| call.get()).collect();
    assert!(ends.iter().any(Result::is_err), "nobody died");
    assert!(
        ends.iter()
            .flat_map(|end| end.as_ref().err())
            .all(mobula::Error::is_crash)
    );
    let total: i64 = accounts
        .iter()
        .map(|account| *account.lock_ignoring_poison().unwrap())
        .sum();
    assert_eq!(total, 8000);
}
