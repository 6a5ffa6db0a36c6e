use std::sync::atomic::Ordering::SeqCst;

use super::*;

/// The place of the items, after the mutex and the condition variable.
const THINGS: usize = 3;
const PRODUCED: usize = 4;

fn parts(memory: &Region) -> (RawMutex, RawCondvar) {
    (
        RawMutex::new(memory.clone(), 0, 0),
        RawCondvar::new(memory.clone(), RawMutex::<Region>::WORDS, 1),
    )
}

#[test]
fn a_wait_needs_the_mutex_and_gives_it_back() {
    let (mutex, condvar) = parts(&memory());
    assert_eq!(
        condvar.wait(&mutex, holder(1), None),
        Err(WaitError::NotHolder)
    );
    let _ = mutex.lock(holder(1), None).unwrap();
    assert_eq!(
        condvar.wait(&mutex, holder(2), None),
        Err(WaitError::NotHolder)
    );
    let begin = Instant::now();
    let waited = condvar.wait(&mutex, holder(1), after(SHORT)).unwrap();
    assert!(waited.timed_out);
    assert!(begin.elapsed() >= SHORT);
    assert!(mutex.is_locked_by(holder(1)));
}

/// A notification is for waiting threads, and is not kept for others.
#[test]
fn a_notification_without_waiters_is_gone() {
    let memory = memory();
    let (mutex, condvar) = parts(&memory);
    let seq = memory.futex(1).load(SeqCst);
    condvar.notify_one();
    condvar.notify_all();
    assert_eq!(memory.futex(1).load(SeqCst), seq);
    let _ = mutex.lock(holder(1), None).unwrap();
    let waited = condvar.wait(&mutex, holder(1), after(SHORT)).unwrap();
    assert!(waited.timed_out);
    // No thread is counted any longer.
    condvar.notify_one();
    assert_eq!(memory.futex(1).load(SeqCst), seq);
}

#[test]
fn a_death_wakes_all_and_counts_none() {
    let memory = memory();
    let (mutex, condvar) = parts(&memory);
    thread::scope(|scope| {
        for process in 1..5 {
            let (mutex, condvar) = (mutex.clone(), condvar.clone());
            scope.spawn(move || {
                let _ = mutex.lock(holder(process), soon()).unwrap();
                let waited = condvar.wait(&mutex, holder(process), soon()).unwrap();
                assert!(!waited.timed_out);
                mutex.unlock(holder(process)).unwrap();
            });
        }
        until(|| memory.words()[2].load(SeqCst) & 0xff == 4);
        condvar.recover();
    });
    let seq = memory.futex(1).load(SeqCst);
    condvar.notify_all();
    assert_eq!(memory.futex(1).load(SeqCst), seq);
}

#[test]
fn who_waits_learns_of_the_poison() {
    let (mutex, condvar) = parts(&memory());
    let _ = mutex.lock(holder(1), None).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = mutex.lock(holder(2), soon()).unwrap();
            assert!(mutex.recover(WorkerId(2), killed(2)));
            condvar.notify_all();
        });
        let mut acquired = Acquired::Clean;
        while acquired == Acquired::Clean {
            let waited = condvar.wait(&mutex, holder(1), soon()).unwrap();
            assert!(!waited.timed_out);
            acquired = waited.acquired;
        }
        assert_eq!(acquired.cause(), Some(killed(2)));
    });
}

/// Four threads produce items and notify one consumer each time, and four consume them. Consumers
/// die when they were notified, or give up now and then.
#[test]
fn every_thing_is_consumed_though_the_notified_die() {
    const EACH: u64 = 2000;
    let mappings = mappings();
    thread::scope(|scope| {
        for slot in 1..9_u16 {
            let memory = mappings[usize::from(slot % 2)].clone();
            scope.spawn(move || {
                if slot % 4 < 2 {
                    produce(&memory, slot, EACH);
                } else {
                    consume(&memory, slot, EACH);
                }
            });
        }
    });
    let words = mappings[0].words();
    assert_eq!(words[PRODUCED].load(SeqCst), 4 * EACH);
    assert_eq!(words[THINGS].load(SeqCst), 0);
}

fn produce(memory: &Region, slot: u16, count: u64) {
    let (mutex, condvar) = parts(memory);
    let mut life = Life::new(slot);
    for _ in 0..count {
        let _ = mutex.lock(life.holder(), soon()).unwrap();
        add_one(memory, THINGS);
        add_one(memory, PRODUCED);
        let early = life.below(2) == 0;
        if early {
            condvar.notify_one();
        }
        mutex.unlock(life.holder()).unwrap();
        if !early {
            condvar.notify_one();
        }
    }
}

fn consume(memory: &Region, slot: u16, count: u64) {
    let (mutex, condvar) = parts(memory);
    let mut life = Life::new(slot);
    let things = &memory.words()[THINGS];
    let mut consumed = 0;
    while consumed < count {
        let _ = mutex.lock(life.holder(), soon()).unwrap();
        while things.load(Relaxed) == 0 {
            let impatient = life.below(10) == 0;
            let deadline = if impatient {
                after(Duration::from_micros(life.below(100)))
            } else {
                soon()
            };
            let waited = condvar.wait(&mutex, life.holder(), deadline).unwrap();
            assert!(impatient || !waited.timed_out);
            if life.below(20) == 0 {
                let dead = life.die();
                assert!(mutex.recover(dead, killed(slot.into())));
                condvar.recover();
                let _ = mutex.lock(life.holder(), soon()).unwrap();
            }
        }
        things.store(things.load(Relaxed) - 1, Relaxed);
        consumed += 1;
        mutex.unlock(life.holder()).unwrap();
    }
}
