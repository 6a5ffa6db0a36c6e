use std::sync::atomic::Ordering::SeqCst;

use super::*;

fn barrier(parties: u32) -> RawBarrier {
    RawBarrier::init(memory(), 0, 0, parties)
}

#[test]
fn it_serves_round_after_round() {
    const PARTIES: usize = 4;
    const ROUNDS: u64 = 1000;
    let mappings = mappings();
    let parties = PARTIES as u32;
    RawBarrier::init(mappings[0].clone(), 0, 0, parties);
    let leads: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..PARTIES)
            .map(|party| {
                let memory = mappings[party % 2].clone();
                scope.spawn(move || {
                    let barrier = RawBarrier::new(memory.clone(), 0, 0);
                    assert_eq!(barrier.parties(), parties);
                    let at = |party: usize| &memory.words()[8 + party % PARTIES];
                    let mut leads = 0;
                    for round in 1..=ROUNDS {
                        at(party).store(round, Relaxed);
                        leads += u64::from(barrier.wait(soon()).unwrap());
                        let seen = at(party + 1).load(Relaxed);
                        assert!(seen == round || seen == round + 1);
                    }
                    leads
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(leads, ROUNDS);
}

#[test]
fn one_party_needs_nobody() {
    for parties in [0, 1] {
        let barrier = barrier(parties);
        assert_eq!(barrier.wait(None), Ok(true));
        assert_eq!(barrier.wait(None), Ok(true));
    }
}

#[test]
fn who_gives_up_breaks_it_for_all() {
    let barrier = barrier(3);
    let how = How::TimedOut;
    let pid = std::process::id();
    let cause = Cause { pid, how };
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(barrier.wait(soon()), Err(BarrierError::Broken(cause)));
        });
        assert_eq!(barrier.wait(after(4 * SHORT)), Err(BarrierError::TimedOut));
    });
    assert_eq!(barrier.wait(None), Err(BarrierError::Broken(cause)));
    // The first cause is kept.
    barrier.break_with(killed(1));
    assert_eq!(barrier.broken(), Some(cause));
    barrier.reset();
    assert_eq!(barrier.broken(), None);
    thread::scope(|scope| {
        let others = [(); 2].map(|()| scope.spawn(|| barrier.wait(soon()).unwrap()));
        let mut leaders = u32::from(barrier.wait(soon()).unwrap());
        for other in others {
            leaders += u32::from(other.join().unwrap());
        }
        assert_eq!(leaders, 1);
    });
}

#[test]
fn a_death_breaks_it_for_those_who_wait_and_who_come() {
    let memory = memory();
    let barrier = RawBarrier::init(memory.clone(), 0, 0, 4);
    let broken = Err(BarrierError::Broken(killed(4)));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(barrier.wait(soon()), broken));
        }
        until(|| memory.words()[1].load(SeqCst) == 3);
        barrier.break_with(killed(4));
    });
    assert_eq!(barrier.wait(soon()), broken);
}

/// A process broke the barrier and died before it stored the cause.
#[test]
fn a_cause_that_is_missing_is_waited_for_and_brought() {
    let memory = memory();
    let barrier = RawBarrier::init(memory.clone(), 0, 0, 2);
    memory.words()[1].store(1 << 63, SeqCst);
    assert_eq!(barrier.broken(), None);
    assert_eq!(barrier.wait(after(SHORT)), Err(BarrierError::TimedOut));
    thread::scope(|scope| {
        scope.spawn(|| {
            let broken = Err(BarrierError::Broken(killed(5)));
            assert_eq!(barrier.wait(soon()), broken);
        });
        barrier.break_with(killed(5));
    });
}

#[test]
fn a_reset_sends_away_those_who_wait() {
    let memory = memory();
    let barrier = RawBarrier::init(memory.clone(), 0, 0, 3);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert_eq!(barrier.wait(soon()), Err(BarrierError::Reset)));
        }
        until(|| memory.words()[1].load(SeqCst) == 2);
        barrier.reset();
    });
    assert_eq!(barrier.wait(after(SHORT)), Err(BarrierError::TimedOut));
}

/// Parties come round after round. Deaths break the barrier, and a living party resets it.
#[test]
fn nobody_is_left_behind_when_it_breaks_again_and_again() {
    let barrier = barrier(4);
    let rounds: u32 = thread::scope(|scope| {
        let threads: Vec<_> = (0..4_u16)
            .map(|party| {
                let barrier = barrier.clone();
                scope.spawn(move || {
                    let mut life = Life::new(party + 1);
                    let mut rounds = 0;
                    for _ in 0..2000 {
                        match life.below(50) {
                            0 => barrier.break_with(killed(party.into())),
                            1 => barrier.reset(),
                            _ => {}
                        }
                        // Others may have finished their rounds.
                        let patience = Duration::from_micros(200);
                        match barrier.wait(after(patience)) {
                            Ok(_) => rounds += 1,
                            Err(BarrierError::Reset) => {}
                            Err(_) => barrier.reset(),
                        }
                    }
                    rounds
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert!(rounds > 0);
}

#[test]
fn garbage_ends_in_an_outcome() {
    let memory = memory();
    let barrier = RawBarrier::new(memory.clone(), 0, 0);
    let mut life = Life::new(1);
    for _ in 0..300 {
        for word in 0..RawBarrier::<Region>::WORDS {
            let garbage = life.below(u64::MAX) >> (8 * life.below(8));
            memory.words()[word].store(garbage, SeqCst);
        }
        memory.futex(0).store(life.below(u64::MAX) as u32, SeqCst);
        let _ = barrier.wait(after(Duration::from_micros(200)));
        let _ = (barrier.parties(), barrier.broken());
        if life.below(2) == 0 {
            barrier.break_with(killed(1));
        } else {
            barrier.reset();
        }
    }
}
