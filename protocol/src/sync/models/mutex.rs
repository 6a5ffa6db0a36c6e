use super::*;

/// Does the steps of a sleeper of the raw lock up to its sleep, and then nothing more: it dies.
fn sleep_and_die(memory: &Model, flags: u64) {
    let seq = memory.futex(0).load(Acquire);
    let word = memory.words()[0].load(Acquire);
    if !is_free(word)
        && memory.words()[0]
            .exchange(word, word | flags, AcqRel)
            .is_ok()
    {
        memory.futex(0).wait(seq, None);
    }
}

#[test]
fn loom_one_at_a_time_has_the_mutex() {
    check(3, || {
        let memory = Model::new(RawMutex::<Model>::WORDS + 1, RawMutex::<Model>::FUTEXES);
        let mutex = RawMutex::new(memory.clone(), 0, 0);
        let turn = |process| {
            let (mutex, memory) = (mutex.clone(), memory.clone());
            move || {
                let _ = mutex.lock(holder(process), None).unwrap();
                add_one(&memory, 2);
                mutex.unlock(holder(process)).unwrap();
            }
        };
        let others = [1, 2].map(|process| thread::spawn(turn(process)));
        turn(0)();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(memory.words()[2].load(Relaxed), 3);
    });
}

/// One thread bars later ones. All get the mutex, also when two of them bar others.
#[test]
fn loom_who_has_waited_long_is_next() {
    for hasty in [1, 0] {
        check(3, move || {
            let memory = Model::new(RawMutex::<Model>::WORDS + 1, RawMutex::<Model>::FUTEXES);
            let mutex = RawMutex::new(memory.clone(), 0, 0);
            let turn = |process, deadline| {
                let (mutex, memory) = (mutex.clone(), memory.clone());
                move || {
                    let _ = mutex.lock(holder(process), deadline).unwrap();
                    add_one(&memory, 2);
                    mutex.unlock(holder(process)).unwrap();
                }
            };
            let patient = thread::spawn(turn(2, far()));
            let other = thread::spawn(turn(1, if hasty == 1 { None } else { far() }));
            turn(0, None)();
            patient.join().unwrap();
            other.join().unwrap();
            assert_eq!(memory.words()[0].load(Relaxed) & STARVING, 0);
            assert_eq!(memory.words()[2].load(Relaxed), 3);
        });
    }
}

#[test]
fn loom_a_dead_owner_s_mutex_goes_on_to_a_waiter() {
    check(3, || {
        let mutex = RawMutex::new(Model::new(2, 1), 0, 0);
        let _ = mutex.lock(holder(1), None).unwrap();
        let waiter = |process| {
            let mutex = mutex.clone();
            move || {
                let acquired = mutex.lock(holder(process), None).unwrap();
                assert_eq!(acquired.cause(), Some(cause()));
                mutex.unlock(holder(process)).unwrap();
            }
        };
        let waiters = [2, 3].map(|process| thread::spawn(waiter(process)));
        assert!(mutex.recover(WorkerId(1), cause()));
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

/// A thread frees the mutex and dies before it wakes another.
#[test]
fn loom_an_unlocker_s_death_loses_no_wake_up() {
    check(3, || {
        let memory = Model::new(2, 1);
        let mutex = RawMutex::new(memory.clone(), 0, 0);
        let _ = mutex.lock(holder(1), None).unwrap();
        let waiter = |process| {
            let mutex = mutex.clone();
            move || {
                let acquired = mutex.lock(holder(process), None).unwrap();
                assert_eq!(acquired, Acquired::Clean);
                mutex.unlock(holder(process)).unwrap();
            }
        };
        let waiters = [2, 3].map(|process| thread::spawn(waiter(process)));
        memory.words()[0].fetch_and(STARVING, AcqRel);
        assert!(!mutex.recover(WorkerId(1), cause()));
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

/// A waiter takes the only wake-up, or has barred all others, and dies.
#[test]
fn loom_a_waiter_s_death_loses_no_wake_up() {
    for flags in [WAITERS, WAITERS | STARVING] {
        check(3, move || {
            let memory = Model::new(2, 1);
            let mutex = RawMutex::new(memory.clone(), 0, 0);
            let _ = mutex.lock(holder(0), None).unwrap();
            let dying = {
                let memory = memory.clone();
                thread::spawn(move || sleep_and_die(&memory, flags))
            };
            let waiter = {
                let mutex = mutex.clone();
                thread::spawn(move || {
                    let _ = mutex.lock(holder(2), None).unwrap();
                    mutex.unlock(holder(2)).unwrap();
                })
            };
            mutex.unlock(holder(0)).unwrap();
            dying.join().unwrap();
            mutex.recover(WorkerId(1), cause());
            waiter.join().unwrap();
        });
    }
}
