//! Hands a lock from one player to another and back, strictly by turns, with nothing but locks.

use std::ops::DerefMut;

use crate::sampling::timed;

/// The number of locks of the game.
pub const LOCKS: usize = 3;

/// Plays one of two players, 0 or 1. Returns the seconds of one hand-over.
///
/// Both players call this with the same three locks. In each turn one player unlocks the lock for
/// which the other waits. Then it waits for the next lock, which the other has. A player that gets
/// a lock adds 1 to its value. `ready` returns when both players are ready.
///
/// # Errors
/// The errors of `lock` and `ready`.
pub fn hand_over<G: DerefMut<Target = u64>, E>(
    player: usize,
    turns: usize,
    lock: impl Fn(usize) -> Result<G, E>,
    ready: impl FnOnce() -> Result<(), E>,
) -> Result<f64, E> {
    // In turn `n` lock `n % 3` goes from player `n % 2` to the other. So the giver of the first
    // turn has the locks of the first and the third turn. The other player has the lock of the
    // second.
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
