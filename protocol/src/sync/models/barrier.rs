use super::*;

#[test]
fn loom_all_pass_the_barrier_and_one_leads() {
    check(2, || {
        let memory = Model::new(RawBarrier::<Model>::WORDS + 1, 1);
        let barrier = RawBarrier::init(memory.clone(), 0, 0, 3);
        let party = || {
            let (memory, barrier) = (memory.clone(), barrier.clone());
            move || {
                memory.words()[3].fetch_or(1 << 8, Relaxed);
                barrier.wait(None).unwrap()
            }
        };
        let others = [thread::spawn(party()), thread::spawn(party())];
        let mut leaders = u32::from(party()());
        for other in others {
            leaders += u32::from(other.join().unwrap());
        }
        assert_eq!(leaders, 1);
    });
}

/// Each party sees in each round what the other wrote before it.
#[test]
fn loom_a_barrier_serves_round_after_round() {
    check(3, || {
        let memory = Model::new(RawBarrier::<Model>::WORDS + 2, 1);
        let barrier = RawBarrier::init(memory.clone(), 0, 0, 2);
        let party = |mine: usize| {
            let (memory, barrier) = (memory.clone(), barrier.clone());
            move || {
                for round in 1..=2 {
                    memory.words()[3 + mine].store(round, Relaxed);
                    barrier.wait(None).unwrap();
                    assert!(memory.words()[4 - mine].load(Relaxed) >= round);
                }
            }
        };
        let other = thread::spawn(party(1));
        party(0)();
        other.join().unwrap();
    });
}

#[test]
fn loom_a_broken_barrier_lets_nobody_wait() {
    check(3, || {
        let barrier = RawBarrier::init(Model::new(3, 1), 0, 0, 3);
        let parties = [(); 2].map(|()| {
            let barrier = barrier.clone();
            thread::spawn(move || {
                assert_eq!(barrier.wait(None), Err(BarrierError::Broken(cause())));
            })
        });
        barrier.break_with(cause());
        for party in parties {
            party.join().unwrap();
        }
    });
}

/// The last party arrives and dies before it wakes the others. A breaker dies before it stores the
/// cause.
#[test]
fn loom_a_barrier_bears_deaths_amid_its_steps() {
    for broken in [false, true] {
        check(3, move || {
            let memory = Model::new(3, 1);
            let barrier = RawBarrier::init(memory.clone(), 0, 0, 2);
            let party = {
                let barrier = barrier.clone();
                thread::spawn(move || barrier.wait(None))
            };
            if broken {
                memory.words()[1].fetch_or(1 << 63, AcqRel);
            } else {
                let round = memory.words()[1].load(Acquire);
                if round == 1 {
                    memory.words()[1].store(1 << 20, Release);
                }
            }
            barrier.break_with(cause());
            let end = party.join().unwrap();
            assert!(matches!(end, Ok(false) | Err(BarrierError::Broken(_))));
            assert!(!broken || end == Err(BarrierError::Broken(cause())));
        });
    }
}
