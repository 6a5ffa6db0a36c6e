use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::Ordering::SeqCst,
};

use super::*;

fn once() -> RawOnce {
    RawOnce::new(memory(), 0, 0)
}

#[test]
fn it_is_done_once() {
    let once = once();
    assert!(!once.is_done());
    let runs = AtomicU32::new(0);
    let first: u32 = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|process| {
                let (once, runs) = (&once, &runs);
                scope.spawn(move || {
                    let ran = once.call(holder(process), soon(), || {
                        thread::sleep(Duration::from_millis(1));
                        runs.store(runs.load(Relaxed) + 1, Relaxed);
                    });
                    assert_eq!(runs.load(Relaxed), 1);
                    u32::from(ran.unwrap())
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(first, 1);
    assert!(once.is_done());
    assert!(!once.recover(WorkerId(0)));
    assert!(once.is_done());
    assert_eq!(once.call(holder(1), None, || panic!("again")), Ok(false));
}

#[test]
fn what_fails_or_panics_is_tried_again() {
    let once = once();
    let failed = once.try_call(holder(1), None, || Err("no"));
    assert_eq!(failed, Ok(Err("no")));
    assert!(!once.is_done());
    let panicked = || once.call(holder(1), None, || panic!("amid it"));
    assert!(catch_unwind(AssertUnwindSafe(panicked)).is_err());
    assert!(!once.is_done());
    assert_eq!(
        once.try_call(holder(2), None, || Ok::<(), ()>(())),
        Ok(Ok(true))
    );
    assert!(once.is_done());
}

#[test]
fn who_calls_it_amid_it_is_told() {
    let once = once();
    let ran = once.call(holder(1), None, || {
        let inner = once.call(holder(1), None, || {});
        assert_eq!(inner, Err(LockError::Recursive));
        let begin = Instant::now();
        let other = once.call(holder(2), after(SHORT), || {});
        assert_eq!(other, Err(LockError::TimedOut));
        assert!(begin.elapsed() >= SHORT);
    });
    assert_eq!(ran, Ok(true));
}

/// Threads of many processes want the call. Each that begins dies during it, except for the last.
#[test]
fn it_is_done_though_many_die_amid_it() {
    let memory = memory();
    let once = RawOnce::new(memory.clone(), 0, 0);
    // The test fails only if the call's present process were dead.
    let mut life = Life::new(9);
    thread::scope(|scope| {
        memory.words()[0].store(life.holder().word(), SeqCst);
        for process in 1..5 {
            let once = once.clone();
            scope.spawn(move || once.call(holder(process), soon(), || {}).unwrap());
        }
        for _ in 0..100 {
            let dead = life.die();
            // The successor runs the call before the others, if they do not check meanwhile.
            if !once.recover(dead)
                || memory.words()[0]
                    .exchange(0, life.holder().word(), SeqCst)
                    .is_err()
            {
                break;
            }
        }
        once.recover(life.die());
    });
    assert!(once.is_done());
}
