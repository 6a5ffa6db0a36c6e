//! A lock that goes from one to another and back, strictly by turns, with nothing but locks.

use std::ops::DerefMut;

use crate::sampling::timed;

/// As many locks as the game takes.
pub const LOCKS: usize = 3;

/// One of two players, 0 or 1, who both call this with the same three locks. In each turn one
/// unlocks what the other one waits for, and then waits for the next lock, which the other one has.
/// Whoever gets a lock adds 1 to what it protects. `ready` returns when both are there. Seconds of
/// one hand-over.
///
/// # Errors
/// Those of `lock` and `ready`.
pub fn hand_over<G: DerefMut<Target = u64>, E>(
    player: usize,
    turns: usize,
    lock: impl Fn(usize) -> Result<G, E>,
    ready: impl FnOnce() -> Result<(), E>,
) -> Result<f64, E> {
    // In turn `n` lock `n % 3` goes from player `n % 2` to the other. So who gives in the first
    // turn has that lock, and that of the third turn; the other one has that of the second.
    let mut held: [Option<G>; LOCKS] = [None, None, None];
    for n in (player..LOCKS).step_by(2) {
        held[n] = Some(lock(n)?);
    }
    ready()?;
    let mut done = Ok(());
    let seconds = timed(|| {
        done = (0..turns).try_for_each(|turn| {
            let place = &mut held[turn % LOCKS];
            if turn % 2 == player {
                *place = None;
            } else {
                let mut guard = lock(turn % LOCKS)?;
                *guard += 1;
                *place = Some(guard);
            }
            Ok(())
        });
    });
    done.map(|()| seconds / turns as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{Barrier, Mutex, PoisonError},
        thread,
    };

    #[test]
    fn each_turn_is_one_hand_over() {
        let locks = [0; LOCKS].map(Mutex::new);
        let barrier = Barrier::new(2);
        let play = |player| {
            let lock =
                |n: usize| Ok::<_, ()>(locks[n].lock().unwrap_or_else(PoisonError::into_inner));
            hand_over(player, 500, lock, || {
                barrier.wait();
                Ok(())
            })
        };
        thread::scope(|scope| {
            let other = scope.spawn(|| play(1));
            assert!(play(0).unwrap() > 0.0);
            other.join().unwrap().unwrap();
        });
        let taken: u64 = locks.iter().map(|lock| *lock.lock().unwrap()).sum();
        assert_eq!(taken, 500);
    }
}
