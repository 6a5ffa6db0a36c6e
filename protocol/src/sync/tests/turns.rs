//! Tasks of a worker, which wait for their turn after a sleep.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::*;

/// Steps aside after each sleep but the first, and then has no turn until it is given. The first
/// sleep is so long that the task bars others, if it can, in the second one.
#[derive(Default)]
struct WithoutTurn {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    sleeps: usize,
    aside: usize,
    has_turn: bool,
}

impl WithoutTurn {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    fn until(&self, is_so: impl Fn(&State) -> bool) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = Duration::from_secs(60);
        let waited = self
            .changed
            .wait_timeout_while(state, limit, |state| !is_so(state));
        let (_state, end) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!end.timed_out(), "nobody was woken");
    }

    fn until_asleep(&self) {
        self.until(|state| state.sleeps == 2);
    }

    fn until_aside(&self) {
        self.until(|state| state.aside > 0);
    }

    fn give(&self) {
        self.change(|state| state.has_turn = true);
    }
}

impl Sleeper for WithoutTurn {
    fn sleep(&self, sleep: &mut dyn Sleep) -> Result<(), Ended> {
        let mut sleeps = 0;
        self.change(|state| {
            state.sleeps += 1;
            sleeps = state.sleeps;
        });
        if sleeps == 1 {
            sleep.sleep(Some(SHORT));
            return Ok(());
        }
        sleep.sleep(None);
        self.change(|state| {
            if !state.has_turn {
                sleep.step_aside();
                state.aside += 1;
            }
        });
        self.until(|state| state.has_turn);
        Ok(())
    }
}

/// A sleeper whose runtime has ended.
struct AfterTheEnd;

impl Sleeper for AfterTheEnd {
    fn sleep(&self, _: &mut dyn Sleep) -> Result<(), Ended> {
        Err(Ended)
    }
}

/// Checks an object that one party has at a time, with functions to take it and to give it back.
/// The caller has it, and a task and another process wait for it. Then the task is woken, and has
/// no turn.
fn others_get_it(
    take: impl Fn(u32, Waiting<'_>) + Send + Sync + 'static,
    give_back: impl Fn(u32) + Send + Sync + 'static,
) {
    let (take, give_back) = (Arc::new(take), Arc::new(give_back));
    for _ in 0..10 {
        take(1, None.into());
        let turn = Arc::new(WithoutTurn::default());
        let task = thread::spawn({
            let (turn, take, give_back) = (turn.clone(), take.clone(), give_back.clone());
            move || {
                let waiting = Waiting {
                    deadline: None,
                    sleeper: Some(&*turn),
                };
                take(2, waiting);
                give_back(2);
            }
        });
        turn.until_asleep();
        give_back(1);
        turn.until_aside();
        // Process 3 has not waited, and would be barred.
        take(3, soon().into());
        give_back(3);
        turn.give();
        task.join().unwrap();
    }
}

#[test]
fn a_mutex_does_not_wait_for_the_turn_of_a_task() {
    let mutex = RawMutex::new(memory(), 0, 0);
    let same = mutex.clone();
    others_get_it(
        move |process, waiting| {
            let _ = mutex.lock(holder(process), waiting).unwrap();
        },
        move |process| same.unlock(holder(process)).unwrap(),
    );
}

#[test]
fn a_permit_does_not_wait_for_the_turn_of_a_task() {
    let semaphore = RawSemaphore::init(memory(), 0, 0, 1);
    let same = semaphore.clone();
    others_get_it(
        move |process, waiting| {
            let _ = semaphore.acquire(holder(process), waiting).unwrap();
        },
        move |process| same.release(Permit(0), holder(process)).unwrap(),
    );
}

#[test]
fn a_lock_for_writing_does_not_wait_for_the_turn_of_a_task() {
    let lock = RawRwLock::new(memory(), 0, 0);
    let same = lock.clone();
    others_get_it(
        move |process, waiting| {
            let _ = lock.write(holder(process), waiting).unwrap();
        },
        move |process| same.unlock_write(holder(process)).unwrap(),
    );
}

/// A writer owns the raw lock while it waits until the readers have left.
#[test]
fn a_writer_that_waited_for_readers_does_not_keep_others_out() {
    let lock = RawRwLock::new(memory(), 0, 0);
    let readers = LocalReaders::new();
    for _ in 0..10 {
        let _ = lock.read(holder(1), &readers, None).unwrap();
        let turn = Arc::new(WithoutTurn::default());
        let task = thread::spawn({
            let (turn, lock) = (turn.clone(), lock.clone());
            move || {
                let waiting = Waiting {
                    deadline: None,
                    sleeper: Some(&*turn),
                };
                let _ = lock.write(holder(2), waiting).unwrap();
                lock.unlock_write(holder(2)).unwrap();
            }
        });
        turn.until_asleep();
        assert!(lock.is_written_by(holder(2)));
        lock.unlock_read(holder(1), &readers).unwrap();
        turn.until_aside();
        let _ = lock.read(holder(1), &readers, soon()).unwrap();
        lock.unlock_read(holder(1), &readers).unwrap();
        let _ = lock.write(holder(3), soon()).unwrap();
        lock.unlock_write(holder(3)).unwrap();
        turn.give();
        task.join().unwrap();
    }
}

#[test]
fn a_reader_that_waits_for_its_turn_bars_no_writer() {
    let lock = RawRwLock::new(memory(), 0, 0);
    let readers = Arc::new(LocalReaders::new());
    for _ in 0..10 {
        let _ = lock.write(holder(1), None).unwrap();
        let turn = Arc::new(WithoutTurn::default());
        let task = thread::spawn({
            let (turn, lock, readers) = (turn.clone(), lock.clone(), readers.clone());
            move || {
                let waiting = Waiting {
                    deadline: None,
                    sleeper: Some(&*turn),
                };
                let _ = lock.read(holder(2), &readers, waiting).unwrap();
                lock.unlock_read(holder(2), &readers).unwrap();
            }
        });
        turn.until_asleep();
        lock.unlock_write(holder(1)).unwrap();
        turn.until_aside();
        let _ = lock.write(holder(3), soon()).unwrap();
        lock.unlock_write(holder(3)).unwrap();
        turn.give();
        task.join().unwrap();
    }
}

/// No thread sleeps any more. A lock or permit that is free can still be had.
#[test]
fn after_the_end_nobody_waits() {
    let waiting = Waiting {
        deadline: None,
        sleeper: Some(&AfterTheEnd),
    };
    let (one, two) = (holder(1), holder(2));

    let mutex = RawMutex::new(memory(), 0, 0);
    assert!(mutex.lock(one, waiting).is_ok());
    assert_eq!(mutex.lock(two, waiting), Err(LockError::Ended));
    let condvar = RawCondvar::new(memory(), 0, 0);
    assert_eq!(condvar.wait(&mutex, one, waiting), Err(WaitError::Ended));
    assert!(!mutex.is_locked_by(one));
    assert!(mutex.lock(two, waiting).is_ok());

    let (lock, readers) = (RawRwLock::new(memory(), 0, 0), LocalReaders::new());
    assert!(lock.read(one, &readers, waiting).is_ok());
    assert_eq!(lock.write(two, waiting), Err(LockError::Ended));
    assert!(!lock.is_written_by(two));
    lock.unlock_read(one, &readers).unwrap();
    assert!(lock.write(two, waiting).is_ok());
    assert_eq!(lock.read(one, &readers, waiting), Err(LockError::Ended));

    let semaphore = RawSemaphore::init(memory(), 0, 0, 1);
    let permit = semaphore.acquire(one, waiting).unwrap();
    assert_eq!(semaphore.acquire(two, waiting), Err(LockError::Ended));
    semaphore.release(permit, one).unwrap();
    assert!(semaphore.acquire(two, waiting).is_ok());

    let barrier = RawBarrier::init(memory(), 0, 0, 2);
    assert_eq!(barrier.wait(waiting), Err(BarrierError::Ended));

    let once = RawOnce::new(memory(), 0, 0);
    let nested = once.call(one, waiting, || {
        assert_eq!(once.call(two, waiting, || ()), Err(LockError::Ended));
    });
    assert_eq!(nested, Ok(true));
}
