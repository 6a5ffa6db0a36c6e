use super::*;

#[test]
fn loom_a_permit_that_is_given_back_is_found() {
    check(3, || {
        let memory = Model::new(RawSemaphore::<Model>::words(1) + 1, 1);
        let semaphore = RawSemaphore::init(memory.clone(), 0, 0, 1);
        assert_eq!(semaphore.permits(), 1);
        let counter = RawSemaphore::<Model>::words(1);
        let turn = |process| {
            let (memory, semaphore) = (memory.clone(), semaphore.clone());
            move || {
                let permit = semaphore.acquire(holder(process), None).unwrap();
                add_one(&memory, counter);
                semaphore.release(permit, holder(process)).unwrap();
            }
        };
        let other = thread::spawn(turn(1));
        turn(0)();
        other.join().unwrap();
        assert_eq!(memory.words()[counter].load(Relaxed), 2);
    });
}

#[test]
fn loom_who_is_barred_from_a_permit_goes_on() {
    check(1, || {
        let memory = Model::new(RawSemaphore::<Model>::words(2), 1);
        let semaphore = RawSemaphore::init(memory, 0, 0, 2);
        let mine = [(); 2].map(|()| semaphore.acquire(holder(0), None).unwrap());
        let others = [(1, far()), (2, None)].map(|(process, deadline)| {
            let semaphore = semaphore.clone();
            thread::spawn(move || semaphore.acquire(holder(process), deadline).unwrap())
        });
        for permit in mine {
            semaphore.release(permit, holder(0)).unwrap();
        }
        let [one, other] = others.map(|other| other.join().unwrap());
        assert_ne!(one, other);
    });
}

#[test]
fn loom_two_permits_wake_two() {
    check(1, || {
        let memory = Model::new(RawSemaphore::<Model>::words(2), 1);
        let semaphore = RawSemaphore::init(memory, 0, 0, 2);
        let mine = [(); 2].map(|()| semaphore.acquire(holder(0), None).unwrap());
        // No process gives its permit back.
        let others = [1, 2].map(|process| {
            let semaphore = semaphore.clone();
            thread::spawn(move || semaphore.acquire(holder(process), None).unwrap())
        });
        for permit in mine {
            semaphore.release(permit, holder(0)).unwrap();
        }
        let [one, other] = others.map(|other| other.join().unwrap());
        assert_ne!(one, other);
    });
}

/// A dead process's permit comes back.
#[test]
fn loom_a_dead_process_s_permit_is_found() {
    check(3, || {
        let semaphore = RawSemaphore::init(Model::new(RawSemaphore::<Model>::words(1), 1), 0, 0, 1);
        semaphore.acquire(holder(3), None).unwrap();
        let waiter = {
            let semaphore = semaphore.clone();
            thread::spawn(move || semaphore.acquire(holder(1), None).unwrap())
        };
        assert_eq!(semaphore.recover(WorkerId(3)), 1);
        waiter.join().unwrap();
    });
}

/// The wake-up that a dead process took comes back, and its bar ends. Its entry in the count is
/// forgotten.
#[test]
fn loom_a_waiter_s_death_leaves_the_permit_to_others() {
    for deadline in [false, true] {
        check(2, move || {
            let memory = Model::new(RawSemaphore::<Model>::words(1), 1);
            let semaphore = RawSemaphore::init(memory.clone(), 0, 0, 1);
            let permit = semaphore.acquire(holder(0), None).unwrap();
            let seq = memory.futex(0).load(Acquire);
            let waiter_count = waiter_count::WaiterCount(&memory.words()[1]);
            waiter_count.enter();
            if deadline {
                waiter_count.starve();
            }
            let dying = {
                let memory = memory.clone();
                thread::spawn(move || memory.futex(0).wait(seq, None))
            };
            let waiter = {
                let semaphore = semaphore.clone();
                thread::spawn(move || semaphore.acquire(holder(1), None).unwrap())
            };
            semaphore.release(permit, holder(0)).unwrap();
            semaphore.recover(WorkerId(3));
            waiter.join().unwrap();
            dying.join().unwrap();
            assert!(!waiter_count.look().any());
        });
    }
}
