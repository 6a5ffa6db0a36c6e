use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::*;
use crate::sync::word::*;

const FIRST: usize = RawRwLock::<Region>::WORDS;
const SECOND: usize = FIRST + 1;

fn lock() -> RawRwLock {
    RawRwLock::new(memory(), 0, 0)
}

fn locals() -> [LocalReaders; 4] {
    Default::default()
}

#[test]
fn many_read_or_one_writes() {
    let (lock, [one, two, ..]) = (lock(), locals());
    for _ in 0..2 {
        assert_eq!(lock.try_read(holder(1), &one), Ok(Acquired::Clean));
        assert_eq!(lock.read(holder(2), &two, None), Ok(Acquired::Clean));
    }
    assert_eq!(format!("{one:?}"), "LocalReaders { count: 2 }");
    assert_eq!(lock.try_write(holder(3)), Err(LockError::Busy));
    for _ in 0..2 {
        assert_eq!(lock.unlock_read(holder(1), &one), Ok(()));
    }
    assert_eq!(lock.unlock_read(holder(1), &one), Err(NotHolder));
    assert_eq!(lock.try_write(holder(3)), Err(LockError::Busy));
    for _ in 0..2 {
        assert_eq!(lock.unlock_read(holder(2), &two), Ok(()));
    }
    assert_eq!(lock.try_write(holder(3)), Ok(Acquired::Clean));
    assert!(lock.is_written_by(holder(3)));
    assert_eq!(lock.try_read(holder(1), &one), Err(LockError::Busy));
    assert_eq!(lock.try_write(holder(1)), Err(LockError::Busy));
    assert_eq!(lock.unlock_write(holder(1)), Err(NotHolder));
    assert_eq!(lock.unlock_write(holder(3)), Ok(()));
    assert_eq!(lock.unlock_write(holder(3)), Err(NotHolder));
    assert_eq!(lock.write(holder(1), None), Ok(Acquired::Clean));
}

#[test]
fn every_process_slot_can_read() {
    let lock = lock();
    for slot in (0..PROCESS_SLOTS as u16)
        .step_by(61)
        .chain([PROCESS_SLOTS as u16 - 1])
    {
        let (reader, local) = (Holder::of(7, slot, 1), LocalReaders::new());
        let _ = lock.read(reader, &local, None).unwrap();
        assert_eq!(lock.try_write(holder(1)), Err(LockError::Busy));
        lock.unlock_read(reader, &local).unwrap();
        let _ = lock.try_write(holder(1)).unwrap();
        lock.unlock_write(holder(1)).unwrap();
    }
}

#[test]
fn a_writer_that_takes_it_again_is_told() {
    let (lock, [_, one, ..]) = (lock(), locals());
    let _ = lock.write(holder(1), None).unwrap();
    assert_eq!(lock.write(holder(1), None), Err(LockError::Recursive));
    assert_eq!(lock.try_write(holder(1)), Err(LockError::Recursive));
    assert_eq!(lock.read(holder(1), &one, None), Err(LockError::Recursive));
    assert_eq!(lock.try_read(holder(1), &one), Err(LockError::Recursive));
}

#[test]
fn waits_end_at_their_deadlines_and_leave_nothing() {
    let (lock, [one, two, ..]) = (lock(), locals());
    let _ = lock.read(holder(1), &one, None).unwrap();
    // A writer that gives up lets readers in again.
    assert_eq!(
        lock.write(holder(2), after(SHORT)),
        Err(LockError::TimedOut)
    );
    assert_eq!(lock.try_read(holder(2), &two), Ok(Acquired::Clean));
    lock.unlock_read(holder(2), &two).unwrap();
    lock.unlock_read(holder(1), &one).unwrap();
    // A reader that gives up lets writers in again.
    let _ = lock.write(holder(1), None).unwrap();
    let begin = Instant::now();
    assert_eq!(
        lock.read(holder(2), &two, after(SHORT)),
        Err(LockError::TimedOut)
    );
    assert_eq!(
        lock.write(holder(3), after(SHORT)),
        Err(LockError::TimedOut)
    );
    assert!(begin.elapsed() >= 2 * SHORT);
    lock.unlock_write(holder(1)).unwrap();
    assert_eq!(lock.try_write(holder(1)), Ok(Acquired::Clean));
}

/// A waiting writer keeps new readers out, of its own process as of others, until it gives up.
#[test]
fn a_writer_is_not_passed_by_readers() {
    let (lock, [one, two, ..]) = (lock(), locals());
    let _ = lock.read(holder(1), &one, None).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = lock.write(holder(3), soon()).unwrap();
            lock.unlock_write(holder(3)).unwrap();
        });
        until(|| lock.is_written_by(holder(3)));
        assert_eq!(lock.try_read(holder(2), &two), Err(LockError::Busy));
        let other = Holder::of(1, 1, 2);
        assert_eq!(
            lock.read(other, &one, after(SHORT)),
            Err(LockError::TimedOut)
        );
        lock.unlock_read(holder(1), &one).unwrap();
    });
    let _ = lock.try_read(holder(2), &two).unwrap();
}

#[test]
fn dead_writers_poison_and_dead_readers_do_not() {
    let (lock, [one, two, ..]) = (lock(), locals());
    let slot = |process| holder(process).slot();
    let _ = lock.read(holder(1), &one, None).unwrap();
    let _ = lock.read(holder(2), &two, None).unwrap();
    assert!(!lock.recover(WorkerId(1), slot(1), killed(1)));
    assert_eq!(lock.try_write(holder(3)), Err(LockError::Busy));
    lock.unlock_read(holder(2), &two).unwrap();
    assert_eq!(lock.try_write(holder(3)), Ok(Acquired::Clean));
    assert!(lock.recover(WorkerId(3), slot(3), killed(3)));
    let poisoned = Acquired::Poisoned(killed(3));
    assert_eq!(lock.read(holder(2), &two, None), Ok(poisoned));
    lock.unlock_read(holder(2), &two).unwrap();
    assert_eq!(lock.write(holder(2), None), Ok(poisoned));
    lock.clear_poison();
    lock.unlock_write_poisoned(holder(2)).unwrap();
    assert_eq!(lock.poison(), Some(Cause::panic()));
    assert_eq!(lock.unlock_write_poisoned(holder(2)), Err(NotHolder));
}

/// The dead writer has not written yet.
#[test]
fn a_writer_that_dies_while_it_sleeps_does_not_poison() {
    let memory = memory();
    let (lock, [_, one, two, _]) = (RawRwLock::new(memory.clone(), 0, 0), locals());
    let _ = lock.read(holder(1), &one, None).unwrap();
    memory.words()[0].store(holder(3).word() | DRAINING, SeqCst);
    thread::scope(|scope| {
        scope.spawn(|| {
            let read = lock.read(holder(2), &two, soon());
            assert_eq!(read, Ok(Acquired::Clean));
        });
        until(|| memory.words()[0].load(SeqCst) & READERS != 0);
        assert!(lock.recover(WorkerId(3), holder(3).slot(), killed(3)));
    });
    assert_eq!(lock.poison(), None);
}

#[test]
fn a_writer_gets_in_among_readers_that_do_not_rest() {
    let (lock, locals) = (lock(), locals());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in 0..3_u32 {
            let (lock, over, local) = (&lock, &over, &locals[thread as usize / 2]);
            scope.spawn(move || {
                let reader = Holder::of(thread / 2, thread as u16 / 2, thread + 1);
                while !over.load(Relaxed) {
                    let _ = lock.read(reader, local, soon()).unwrap();
                    lock.unlock_read(reader, local).unwrap();
                }
            });
        }
        for _ in 0..50 {
            let _ = lock.write(holder(3), soon()).unwrap();
            lock.unlock_write(holder(3)).unwrap();
            thread::yield_now();
        }
        over.store(true, Relaxed);
    });
}

#[test]
fn a_reader_gets_in_among_writers_that_do_not_rest() {
    let (lock, [.., local]) = (lock(), locals());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for process in [1, 2] {
            let (lock, over) = (&lock, &over);
            scope.spawn(move || {
                while !over.load(Relaxed) {
                    let _ = lock.write(holder(process), soon()).unwrap();
                    lock.unlock_write(holder(process)).unwrap();
                }
            });
        }
        for _ in 0..50 {
            let _ = lock.read(holder(3), &local, soon()).unwrap();
            lock.unlock_read(holder(3), &local).unwrap();
            thread::yield_now();
        }
        over.store(true, Relaxed);
    });
}

/// A reader that has waited long comes before all writers, also before those that have slept.
#[test]
fn a_reader_s_turn_is_not_taken_by_a_writer() {
    let memory = memory();
    let (lock, [.., local]) = (RawRwLock::new(memory.clone(), 0, 0), locals());
    let _ = lock.write(holder(1), None).unwrap();
    memory.words()[0].fetch_or(READERS | TURN, SeqCst);
    lock.unlock_write(holder(1)).unwrap();
    assert_eq!(lock.try_write(holder(1)), Err(LockError::Busy));
    let long = after(Duration::from_millis(10));
    assert_eq!(lock.write(holder(1), long), Err(LockError::TimedOut));
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = lock.write(holder(2), soon()).unwrap();
            assert_eq!(memory.words()[FIRST].load(SeqCst), 1);
            lock.unlock_write(holder(2)).unwrap();
        });
        until(|| memory.words()[0].load(SeqCst) & WAITERS != 0);
        let _ = lock.try_read(holder(3), &local).unwrap();
        memory.words()[FIRST].store(1, SeqCst);
        lock.unlock_read(holder(3), &local).unwrap();
        // It was the turn of a reader that is dead.
        lock.recover(WorkerId(4), holder(4).slot(), killed(4));
    });
}

#[test]
fn garbage_ends_in_an_outcome() {
    let memory = memory();
    let lock = RawRwLock::new(memory.clone(), 0, 0);
    let mut life = Life::new(1);
    for round in 0..300 {
        for word in [0, 1, 2 + life.below(65) as usize] {
            let garbage = life.below(u64::MAX) >> (8 * life.below(8));
            memory.words()[word].store(garbage, SeqCst);
        }
        memory
            .futex(round % 3)
            .store(life.below(u64::MAX) as u32, SeqCst);
        let deadline = after(Duration::from_micros(200));
        let local = LocalReaders::new();
        match round % 5 {
            0 => drop(lock.write(holder(1), deadline)),
            1 => drop(lock.try_write(holder(1))),
            2 => drop(lock.read(holder(1), &local, deadline)),
            3 => drop(lock.try_read(holder(1), &local)),
            _ => drop(lock.recover(WorkerId(1), holder(1).slot(), killed(1))),
        }
        let _ = lock.unlock_read(holder(1), &local);
        let _ = lock.unlock_write(holder(1));
    }
}

/// Six processes that die now and then, and one with two threads, read and write.
#[test]
fn readers_see_whole_writes_though_others_die() {
    let mappings = mappings();
    let together = LocalReaders::new();
    let written: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (1..9_u16)
            .map(|thread| {
                let memory = mappings[usize::from(thread % 2)].clone();
                let together = (thread > 6).then_some(&together);
                scope.spawn(move || read_and_write(&memory, thread, together))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(mappings[0].words()[FIRST].load(SeqCst), written);
    let lock = RawRwLock::new(mappings[0].clone(), 0, 0);
    let _ = lock.try_write(holder(1)).unwrap();
}

fn read_and_write(memory: &Region, thread: u16, together: Option<&LocalReaders>) -> u64 {
    let lock = RawRwLock::new(memory.clone(), 0, 0);
    let mut life = Life::new(thread.min(7));
    // Threads of one process differ in their ids, but not in their process slot.
    life.random ^= u64::from(thread) << 40;
    let mut own = LocalReaders::new();
    let mut written = 0;
    for _ in 0..3000 {
        let impatient = life.below(10) == 0;
        let deadline = if impatient {
            after(Duration::from_micros(life.below(100)))
        } else {
            soon()
        };
        let dies = together.is_none() && life.below(100) == 0;
        let cause = killed(thread.into());
        let end = if life.below(4) == 0 {
            lock.write(life.holder(), deadline).map(|_| {
                add_one(memory, FIRST);
                add_one(memory, SECOND);
                written += 1;
                if dies {
                    assert!(lock.recover(life.die(), life.slot(), cause));
                } else {
                    lock.unlock_write(life.holder()).unwrap();
                }
            })
        } else {
            let local = together.unwrap_or(&own);
            lock.read(life.holder(), local, deadline).map(|_| {
                let [first, second] = [FIRST, SECOND].map(|at| memory.words()[at].load(Relaxed));
                assert_eq!(first, second);
                if dies {
                    assert!(!lock.recover(life.die(), life.slot(), cause));
                } else {
                    lock.unlock_read(life.holder(), local).unwrap();
                }
            })
        };
        match end {
            Ok(()) if dies => own = LocalReaders::new(),
            Ok(()) => {}
            Err(LockError::TimedOut) if impatient => {}
            Err(error) => panic!("{error}"),
        }
    }
    written
}
