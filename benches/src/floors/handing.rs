//! Measures memory that changes cores. One thread copies into a shared buffer, another one copies
//! out of it.

use std::{
    hint::{self, black_box},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicU32,
            Ordering::{Acquire, Release},
        },
    },
    thread::{self, JoinHandle},
};

use crate::sampling::timed;

// The values of `turn`: the steps of the giver.
const ASLEEP: u32 = 0;
const WAKE: u32 = 1;
const AWAKE: u32 = 2;
const GIVE: u32 = 3;
const GIVEN: u32 = 4;
const END: u32 = 5;

/// Two threads and the buffer between them.
///
/// A result of another process that passes through shared memory and arrives as a private copy
/// takes at least this time. The writer takes cache lines that the reader's core had. The reader
/// fetches cache lines that the writer's core has.
#[derive(Debug)]
pub struct Handing {
    shared: Arc<Shared>,
    target: Vec<f64>,
    giver: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    turn: AtomicU32,
    buffer: Mutex<Vec<f64>>,
}

impl Shared {
    fn with_buffer(&self, work: impl FnOnce(&mut [f64])) {
        work(&mut self.buffer.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Spins while `turn` is this value. Returns the next value.
    fn after(&self, value: u32) -> u32 {
        loop {
            for _ in 0..100 {
                let turn = self.turn.load(Acquire);
                if turn != value {
                    return turn;
                }
                hint::spin_loop();
            }
            // Both threads may be on one core.
            thread::yield_now();
        }
    }

    fn give(&self, source: &[f64]) {
        loop {
            match self.turn.load(Acquire) {
                END => return,
                WAKE => {}
                _ => {
                    thread::park();
                    continue;
                }
            }
            self.turn.store(AWAKE, Release);
            if self.after(AWAKE) == GIVE {
                self.with_buffer(|buffer| buffer.copy_from_slice(black_box(source)));
                self.turn.store(GIVEN, Release);
                self.after(GIVEN);
            }
        }
    }
}

impl Handing {
    /// Makes the threads and a buffer for this many elements.
    pub fn new(elements: usize) -> Handing {
        let shared = Arc::new(Shared {
            turn: AtomicU32::new(ASLEEP),
            buffer: Mutex::new(vec![1.0; elements]),
        });
        let others = Arc::clone(&shared);
        let giver = thread::spawn(move || others.give(&vec![2.0; elements]));
        Handing {
            shared,
            target: vec![3.0; elements],
            giver: Some(giver),
        }
    }

    /// Returns the seconds from the giver's beginning until the target is filled. The giver is
    /// woken before, and sleeps again afterwards.
    pub fn hand(&mut self) -> f64 {
        self.turn(WAKE);
        self.shared.after(WAKE);
        let seconds = timed(|| {
            self.shared.turn.store(GIVE, Release);
            self.shared.after(GIVE);
            self.shared
                .with_buffer(|buffer| black_box(&mut self.target).copy_from_slice(buffer));
        });
        self.shared.turn.store(ASLEEP, Release);
        seconds
    }

    fn turn(&self, turn: u32) {
        self.shared.turn.store(turn, Release);
        if let Some(giver) = &self.giver {
            giver.thread().unpark();
        }
    }
}

impl Drop for Handing {
    fn drop(&mut self) {
        self.turn(END);
        if let Some(giver) = self.giver.take() {
            // It cannot have panicked but for a lack of memory, which was reported then.
            let _ = giver.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_arrives() {
        let mut handing = Handing::new(1000);
        for _ in 0..3 {
            handing.target.fill(0.0);
            assert!(handing.hand() > 0.0);
            assert!(handing.target.iter().all(|&element| element == 2.0));
        }
    }
}
