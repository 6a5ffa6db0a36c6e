use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use super::*;

fn semaphore(permits: u32) -> RawSemaphore {
    RawSemaphore::init(memory(), 0, 0, permits)
}

#[test]
fn there_are_as_many_permits_as_said() {
    let semaphore = semaphore(3);
    assert_eq!((semaphore.permits(), semaphore.available()), (3, 3));
    let mut permits = Vec::new();
    for process in 1..4 {
        permits.push(semaphore.acquire(holder(process), None).unwrap());
    }
    permits.sort();
    permits.dedup();
    assert_eq!(permits.len(), 3);
    assert_eq!(semaphore.available(), 0);
    assert_eq!(semaphore.try_acquire(holder(1)), Err(LockError::Busy));
    let begin = Instant::now();
    let late = semaphore.acquire(holder(1), after(SHORT));
    assert_eq!(late, Err(LockError::TimedOut));
    assert!(begin.elapsed() >= SHORT);
}

#[test]
fn a_permit_is_given_back_once_and_by_its_process() {
    let semaphore = semaphore(2);
    let permit = semaphore.acquire(holder(1), None).unwrap();
    assert_eq!(semaphore.release(permit, holder(2)), Err(NotHolder));
    assert_eq!(semaphore.release(Permit(7), holder(1)), Err(NotHolder));
    // Another thread of the process releases it.
    assert_eq!(semaphore.release(permit, Holder::of(1, 1, 2)), Ok(()));
    assert_eq!(semaphore.release(permit, holder(1)), Err(NotHolder));
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn a_dead_process_s_permits_come_back() {
    let semaphore = semaphore(5);
    for process in [1, 2, 1, 2, 1] {
        semaphore.acquire(holder(process), None).unwrap();
    }
    thread::scope(|scope| {
        for process in 3..6 {
            let semaphore = semaphore.clone();
            scope.spawn(move || semaphore.acquire(holder(process), soon()).unwrap());
        }
        assert_eq!(semaphore.recover(WorkerId(1)), 3);
    });
    assert_eq!(semaphore.available(), 0);
    assert_eq!(semaphore.recover(WorkerId(1)), 0);
    assert_eq!(semaphore.recover(WorkerId(2)), 2);
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn its_size_ends_with_the_memory() {
    let memory = memory();
    let words = memory.words().len();
    for (size, permits) in [(0, 0), (5, 5), (u64::MAX, words - 8 - 3)] {
        memory.words()[8].store(size, SeqCst);
        let semaphore = RawSemaphore::new(memory.clone(), 8, 0);
        assert_eq!(semaphore.permits() as usize, permits);
        let any = semaphore.try_acquire(holder(1)).is_ok();
        assert_eq!(any, permits > 0);
    }
}

/// Two threads take one permit again and again.
#[test]
fn who_waits_gets_one_from_two_that_do_not_rest() {
    let semaphore = semaphore(1);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for process in [1, 2] {
            let (semaphore, over) = (&semaphore, &over);
            scope.spawn(move || {
                while !over.load(Relaxed) {
                    let permit = semaphore.acquire(holder(process), soon()).unwrap();
                    semaphore.release(permit, holder(process)).unwrap();
                }
            });
        }
        for _ in 0..50 {
            let permit = semaphore.acquire(holder(3), soon()).unwrap();
            semaphore.release(permit, holder(3)).unwrap();
            thread::yield_now();
        }
        over.store(true, Relaxed);
    });
}

#[test]
fn garbage_ends_in_an_outcome() {
    let memory = memory();
    let semaphore = RawSemaphore::init(memory.clone(), 0, 0, 3);
    let mut life = Life::new(1);
    for round in 0..300 {
        for word in 0..RawSemaphore::<Region>::words(3) {
            let garbage = life.below(u64::MAX) >> (8 * life.below(8));
            memory.words()[word].store(garbage, SeqCst);
        }
        memory.futex(0).store(life.below(u64::MAX) as u32, SeqCst);
        let deadline = after(Duration::from_micros(200));
        match round % 3 {
            0 => drop(semaphore.acquire(holder(1), deadline)),
            1 => drop(semaphore.try_acquire(holder(1))),
            _ => assert!(semaphore.recover(WorkerId(1)) <= 3),
        }
        let _ = semaphore.release(Permit(life.below(4) as u32), holder(1));
    }
}

/// Eight processes share three permits. Some die with one, others give up.
#[test]
fn permits_are_neither_lost_nor_doubled_when_holders_die() {
    const PERMITS: u32 = 3;
    let mappings = mappings();
    RawSemaphore::init(mappings[0].clone(), 0, 0, PERMITS);
    let inside = AtomicUsize::new(0);
    thread::scope(|scope| {
        for slot in 1..9_u16 {
            let memory = mappings[usize::from(slot % 2)].clone();
            let inside = &inside;
            scope.spawn(move || {
                let semaphore = RawSemaphore::new(memory, 0, 0);
                let mut life = Life::new(slot);
                let mut done = 0;
                while done < 3000 {
                    let impatient = life.below(10) == 0;
                    let deadline = if impatient {
                        after(Duration::from_micros(life.below(100)))
                    } else {
                        soon()
                    };
                    let permit = match semaphore.acquire(life.holder(), deadline) {
                        Ok(permit) => permit,
                        Err(LockError::TimedOut) if impatient => continue,
                        Err(error) => panic!("{error}"),
                    };
                    assert!(inside.fetch_add(1, SeqCst) < PERMITS as usize);
                    if done % 64 == 0 {
                        thread::yield_now();
                    }
                    inside.fetch_sub(1, SeqCst);
                    done += 1;
                    if life.below(50) == 0 {
                        assert_eq!(semaphore.recover(life.die()), 1);
                    } else {
                        semaphore.release(permit, life.holder()).unwrap();
                    }
                }
            });
        }
    });
    let semaphore = RawSemaphore::new(mappings[1].clone(), 0, 0);
    assert_eq!(semaphore.available(), PERMITS);
    semaphore.try_acquire(holder(1)).unwrap();
}
