use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::*;
use crate::{primitive::Futex, sync::word::*};

const COUNTER: usize = RawMutex::<Region>::WORDS;

fn mutex() -> RawMutex {
    RawMutex::new(memory(), 0, 0)
}

#[test]
fn it_has_one_holder_at_a_time() {
    let mutex = mutex();
    assert_eq!(mutex.try_lock(holder(0)), Ok(Acquired::Clean));
    assert!(mutex.is_locked_by(holder(0)));
    assert!(!mutex.is_locked_by(holder(1)));
    assert_eq!(mutex.try_lock(holder(1)), Err(LockError::Busy));
    assert_eq!(mutex.unlock(holder(1)), Err(NotHolder));
    assert_eq!(mutex.unlock_poisoned(holder(1)), Err(NotHolder));
    assert_eq!(mutex.unlock(holder(0)), Ok(()));
    assert_eq!(mutex.unlock(holder(0)), Err(NotHolder));
    assert_eq!(mutex.lock(holder(1), None), Ok(Acquired::Clean));
}

#[test]
fn a_thread_that_locks_twice_is_told() {
    let mutex = mutex();
    let _ = mutex.lock(holder(1), None).unwrap();
    assert_eq!(mutex.lock(holder(1), None), Err(LockError::Recursive));
    assert_eq!(mutex.try_lock(holder(1)), Err(LockError::Recursive));
    assert!(mutex.is_locked_by(holder(1)));
    // Another thread of the process may wait for it.
    let other = Holder::of(1, 1, 2);
    assert_eq!(mutex.lock(other, after(SHORT)), Err(LockError::TimedOut));
    // The waiter has left a mark. The mutex still finds this thread in the word.
    assert_eq!(mutex.lock(holder(1), None), Err(LockError::Recursive));
    mutex.unlock(holder(1)).unwrap();

    let task = Holder::detached(WorkerId(1), ProcessSlot::DRIVER);
    let _ = mutex.lock(task, None).unwrap();
    assert_eq!(mutex.lock(task, after(SHORT)), Err(LockError::TimedOut));
    // Another thread unlocks it.
    thread::scope(|scope| scope.spawn(|| mutex.unlock(task)).join().unwrap()).unwrap();
}

#[test]
fn a_wait_ends_at_the_deadline_and_not_before() {
    let mutex = mutex();
    let _ = mutex.lock(holder(0), None).unwrap();
    let begin = Instant::now();
    assert_eq!(
        mutex.lock(holder(1), after(SHORT)),
        Err(LockError::TimedOut)
    );
    assert!(begin.elapsed() >= SHORT);
    assert_eq!(mutex.lock(holder(1), Some(begin)), Err(LockError::TimedOut));
    // A thread that gave up does not bar others.
    mutex.unlock(holder(0)).unwrap();
    assert!(!is_promised(&mutex));
    assert_eq!(mutex.try_lock(holder(2)), Ok(Acquired::Clean));
    mutex.unlock(holder(2)).unwrap();
    // A free mutex can be locked even after the deadline.
    assert_eq!(mutex.lock(holder(1), Some(begin)), Ok(Acquired::Clean));
}

#[test]
fn the_poison_stays_until_it_is_cleared() {
    let mutex = mutex();
    let _ = mutex.lock(holder(1), None).unwrap();
    mutex.unlock_poisoned(holder(1)).unwrap();
    let first = Cause::panic();
    assert_eq!(first.pid, std::process::id());
    assert_eq!(mutex.lock(holder(2), None), Ok(Acquired::Poisoned(first)));
    // The first cause is kept.
    assert!(mutex.recover(WorkerId(2), killed(2)));
    assert_eq!(mutex.try_lock(holder(3)), Ok(Acquired::Poisoned(first)));
    assert_eq!(mutex.poison(), Some(first));
    mutex.clear_poison();
    mutex.unlock(holder(3)).unwrap();
    assert_eq!(mutex.lock(holder(2), None), Ok(Acquired::Clean));
    assert!(!mutex.recover(WorkerId(1), killed(1)));
    assert!(mutex.is_locked_by(holder(2)));
    assert!(mutex.recover(WorkerId(2), killed(2)));
    let acquired = mutex.lock(holder(3), None).unwrap();
    assert_eq!(acquired.cause(), Some(killed(2)));
}

#[test]
fn who_waits_for_the_dead_goes_on() {
    let mutex = mutex();
    let _ = mutex.lock(holder(1), None).unwrap();
    thread::scope(|scope| {
        for process in 2..6 {
            let mutex = mutex.clone();
            scope.spawn(move || {
                let acquired = mutex.lock(holder(process), soon()).unwrap();
                assert_eq!(acquired.cause(), Some(killed(1)));
                mutex.unlock(holder(process)).unwrap();
            });
        }
        until(|| is_waited_for(&mutex));
        assert!(mutex.recover(WorkerId(1), killed(1)));
    });
}

/// The dead process has barred all others, and was woken in vain.
#[test]
fn what_was_promised_to_the_dead_is_had_by_others() {
    let memory = memory();
    let mutex = RawMutex::new(memory.clone(), 0, 0);
    memory.words()[0].store(STARVING, SeqCst);
    assert_eq!(mutex.try_lock(holder(1)), Err(LockError::Busy));
    thread::scope(|scope| {
        scope.spawn(|| mutex.lock(holder(1), soon()).unwrap());
        until(|| is_waited_for(&mutex));
        assert!(!mutex.recover(WorkerId(9), killed(9)));
    });
    assert!(mutex.is_locked_by(holder(1)));
}

/// A thread takes the mutex again and again, without a pause. When another one has announced that
/// it has waited long, that one is next.
#[test]
fn who_has_waited_long_is_next() {
    let mutex = mutex();
    let waited_for = AtomicBool::new(true);
    let (greedy, patient) = (holder(1), holder(2));
    let last = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20 {
                let _ = mutex.lock(patient, soon()).unwrap();
                last.store(2, Relaxed);
                mutex.unlock(patient).unwrap();
            }
            waited_for.store(false, SeqCst);
        });
        let mut promised = 0;
        while waited_for.load(SeqCst) {
            let _ = mutex.lock(greedy, soon()).unwrap();
            last.store(1, Relaxed);
            for _ in 0..200 {
                std::hint::spin_loop();
            }
            let next = is_promised(&mutex);
            mutex.unlock(greedy).unwrap();
            let _ = mutex.lock(greedy, soon()).unwrap();
            if next {
                assert_eq!(last.load(Relaxed), 2);
                promised += 1;
            }
            mutex.unlock(greedy).unwrap();
        }
        assert!(promised <= 20);
    });
}

/// Each of two threads leaves the mutex only to the other one, if it can.
#[test]
fn who_waits_gets_it_from_two_that_do_not_rest() {
    let mutex = mutex();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for process in [1, 2] {
            let (mutex, over) = (&mutex, &over);
            scope.spawn(move || {
                while !over.load(Relaxed) {
                    let _ = mutex.lock(holder(process), soon()).unwrap();
                    mutex.unlock(holder(process)).unwrap();
                }
            });
        }
        for _ in 0..50 {
            let _ = mutex.lock(holder(3), soon()).unwrap();
            mutex.unlock(holder(3)).unwrap();
            thread::yield_now();
        }
        over.store(true, Relaxed);
    });
}

#[test]
fn garbage_ends_in_an_outcome() {
    let memory = memory();
    let mutex = RawMutex::new(memory.clone(), 0, 0);
    let mut life = Life::new(1);
    for round in 0..300 {
        for word in 0..RawMutex::<Region>::WORDS {
            let garbage = life.below(u64::MAX) >> (8 * life.below(8));
            memory.words()[word].store(garbage, SeqCst);
        }
        memory.futex(0).store(life.below(u64::MAX) as u32, SeqCst);
        let deadline = after(Duration::from_micros(200));
        match round % 3 {
            0 => drop(mutex.lock(holder(1), deadline)),
            1 => drop(mutex.try_lock(holder(1))),
            _ => drop(mutex.recover(WorkerId(1), killed(1))),
        }
        let _ = (mutex.unlock(holder(1)), mutex.poison());
    }
}

/// Eight processes count. Many die with the mutex, after they freed it and before they woke
/// another, or while they waited. Some give up.
#[test]
fn nothing_is_lost_when_holders_die() {
    let mappings = mappings();
    let done: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (1..9_u16)
            .map(|slot| {
                let memory = mappings[usize::from(slot % 2)].clone();
                scope.spawn(move || count(&memory, slot))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(mappings[0].words()[COUNTER].load(SeqCst), done);
    let mutex = RawMutex::new(mappings[0].clone(), 0, 0);
    assert!(mutex.poison().is_some());
    let _ = mutex.try_lock(holder(1)).unwrap();
}

fn count(memory: &Region, slot: u16) -> u64 {
    let mutex = RawMutex::new(memory.clone(), 0, 0);
    let mut life = Life::new(slot);
    let mut done = 0;
    while done < 3000 {
        let impatient = life.below(10) == 0;
        let deadline = if impatient {
            after(Duration::from_micros(life.below(100)))
        } else {
            soon()
        };
        match mutex.lock(life.holder(), deadline) {
            Ok(_) => {}
            Err(LockError::TimedOut) if impatient => continue,
            Err(error) => panic!("{error}"),
        }
        add_one(memory, COUNTER);
        done += 1;
        match life.below(100) {
            0 => {
                let dead = life.die();
                assert!(mutex.recover(dead, killed(slot.into())));
            }
            1 => {
                // The mutex is freed, and no thread is woken.
                memory.words()[0].fetch_and(STARVING, SeqCst);
                assert!(!mutex.recover(life.die(), killed(slot.into())));
            }
            2 => {
                mutex.unlock(life.holder()).unwrap();
                sleep_and_die(memory, &mut life);
                mutex.recover(life.die(), killed(slot.into()));
            }
            _ => mutex.unlock(life.holder()).unwrap(),
        }
    }
    done
}

/// Sleeps like a waiter, and does nothing when it wakes up.
fn sleep_and_die(memory: &Region, life: &mut Life) {
    let seq = memory.futex(0).load(SeqCst);
    let word = memory.words()[0].load(SeqCst);
    let flags = [WAITERS, WAITERS | STARVING][life.below(2) as usize];
    if !is_free(word)
        && memory.words()[0]
            .exchange(word, word | flags, SeqCst)
            .is_ok()
    {
        memory.futex(0).wait(seq, Some(Duration::from_millis(1)));
    }
}
