use super::*;

/// Two threads wait for two items in a box. After each item, `notify` is called once.
#[test]
fn loom_a_notification_is_not_missed() {
    condvar(|condvar| condvar.notify_one());
}

#[test]
fn loom_a_notification_of_all_is_not_missed() {
    condvar(|condvar| condvar.notify_all());
}

fn condvar(notify: impl Fn(&RawCondvar<Model>) + Copy + Send + Sync + 'static) {
    check(2, move || {
        let memory = Model::new(4, 2);
        let mutex = RawMutex::new(memory.clone(), 0, 0);
        let condvar = RawCondvar::new(memory.clone(), 2, 1);
        let taker = |process| {
            let (memory, mutex, condvar) = (memory.clone(), mutex.clone(), condvar.clone());
            move || {
                let things = &memory.words()[3];
                let _ = mutex.lock(holder(process), None).unwrap();
                while things.load(Relaxed) == 0 {
                    let _ = condvar.wait(&mutex, holder(process), None).unwrap();
                }
                things.store(things.load(Relaxed) - 1, Relaxed);
                mutex.unlock(holder(process)).unwrap();
            }
        };
        let takers = [1, 2].map(|process| thread::spawn(taker(process)));
        for _ in 0..2 {
            let _ = mutex.lock(holder(0), None).unwrap();
            add_one(&memory, 3);
            mutex.unlock(holder(0)).unwrap();
            notify(&condvar);
        }
        for taker in takers {
            taker.join().unwrap();
        }
    });
}

/// The notified thread dies. The other one checks again.
#[test]
fn loom_a_notified_one_s_death_wakes_the_others() {
    check(3, || {
        let memory = Model::new(4, 2);
        let mutex = RawMutex::new(memory.clone(), 0, 0);
        let condvar = RawCondvar::new(memory.clone(), 2, 1);
        let seq = memory.futex(1).load(Acquire);
        waiter_count::WaiterCount(&memory.words()[2]).enter();
        let dying = {
            let memory = memory.clone();
            thread::spawn(move || memory.futex(1).wait(seq, None))
        };
        let waiter = {
            let (memory, mutex, condvar) = (memory.clone(), mutex.clone(), condvar.clone());
            thread::spawn(move || {
                let _ = mutex.lock(holder(2), None).unwrap();
                while memory.words()[3].load(Relaxed) == 0 {
                    let _ = condvar.wait(&mutex, holder(2), None).unwrap();
                }
                mutex.unlock(holder(2)).unwrap();
            })
        };
        let _ = mutex.lock(holder(0), None).unwrap();
        memory.words()[3].store(1, Relaxed);
        mutex.unlock(holder(0)).unwrap();
        condvar.notify_one();
        condvar.recover();
        waiter.join().unwrap();
        dying.join().unwrap();
    });
}
