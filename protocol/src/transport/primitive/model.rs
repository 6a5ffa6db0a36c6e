//! Loom's memory.

use std::{sync::atomic::Ordering, time::Duration};

use loom::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicU32, AtomicU64, fence},
};

use super::{Futex, Lock, Memory, Word};

/// A value, and the kernel's queue of sleepers. The lock stands for the lock of the hash bucket,
/// under which the kernel compares the value.
#[derive(Debug, Default)]
pub(crate) struct ModelFutex {
    value: AtomicU32,
    queue: Mutex<Vec<Arc<Sleeping>>>,
}

/// A thread that sleeps, maybe in several queues.
#[derive(Debug, Default)]
struct Sleeping {
    woken: Mutex<bool>,
    changed: Condvar,
}

#[derive(Debug)]
struct Cells {
    words: Vec<AtomicU64>,
    futexes: Vec<ModelFutex>,
}

/// Memory of the models.
#[derive(Clone, Debug)]
pub(crate) struct Model(Arc<Cells>);

impl Model {
    pub(crate) fn new(words: usize, futexes: usize) -> Model {
        Model(Arc::new(Cells {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            futexes: (0..futexes).map(|_| ModelFutex::default()).collect(),
        }))
    }
}

impl Memory for Model {
    type Word = AtomicU64;
    type Futex = ModelFutex;

    fn words(&self) -> &[AtomicU64] {
        &self.0.words
    }

    fn futex(&self, at: usize) -> &ModelFutex {
        &self.0.futexes[at]
    }

    fn fence() {
        fence(Ordering::SeqCst);
    }
}

/// Loom has sequentially consistent fences, but treats accesses with that ordering as weaker ones.
/// So a fence follows each of them that writes, like in compiled code on many machines. A load then
/// needs no fence, so a model does not show whether a load must be sequentially consistent.
impl Word for AtomicU64 {
    fn load(&self, order: Ordering) -> u64 {
        self.load(match order {
            Ordering::SeqCst => Ordering::Acquire,
            order => order,
        })
    }

    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }

    fn swap(&self, value: u64, order: Ordering) -> u64 {
        self.swap(value, order)
    }

    fn replace(&self, current: u64, new: u64) -> bool {
        self.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn exchange(&self, current: u64, new: u64, order: Ordering) -> Result<(), u64> {
        self.compare_exchange(current, new, weaker(order), Ordering::Acquire)?;
        behind(order);
        Ok(())
    }

    fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
        let before = self.fetch_or(bits, weaker(order));
        behind(order);
        before
    }

    fn fetch_and(&self, bits: u64, order: Ordering) -> u64 {
        let before = self.fetch_and(bits, weaker(order));
        behind(order);
        before
    }
}

/// Returns the ordering of a writing access in loom.
fn weaker(order: Ordering) -> Ordering {
    match order {
        Ordering::SeqCst => Ordering::AcqRel,
        order => order,
    }
}

/// Makes the fence that such an access needs in addition.
fn behind(order: Ordering) {
    if order == Ordering::SeqCst {
        fence(order);
    }
}

impl ModelFutex {
    /// Does the kernel's part of a wake-up.
    fn wake_up_to(&self, count: usize) {
        let mut queue = self.queue.lock().unwrap();
        let count = count.min(queue.len());
        for sleeper in queue.drain(..count) {
            *sleeper.woken.lock().unwrap() = true;
            sleeper.changed.notify_one();
        }
    }

    fn take_out(&self, sleeper: &Arc<Sleeping>) {
        let mut queue = self.queue.lock().unwrap();
        queue.retain(|other| !Arc::ptr_eq(other, sleeper));
    }
}

impl Futex for ModelFutex {
    fn load(&self, order: Ordering) -> u32 {
        self.value.load(order)
    }

    fn store(&self, value: u32, order: Ordering) {
        self.value.store(value, order);
    }

    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.value.swap(value, order)
    }

    fn replace(&self, current: u32, new: u32) -> Result<(), u32> {
        self.value
            .compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
    }

    fn add(&self, count: u32) {
        self.value.fetch_add(count, Ordering::AcqRel);
    }

    /// Has no timeout, so a lost wake-up shows as a deadlock.
    fn wait(&self, expected: u32, _: Option<Duration>) {
        Self::wait_any(&[(self, expected)], None);
    }

    fn wake(&self) {
        self.wake_up_to(usize::MAX);
    }

    fn wake_one(&self) {
        self.wake_up_to(1);
    }

    fn most_at_once() -> usize {
        8
    }

    /// Returns at once if there is a timeout.
    fn wait_any(all: &[(&ModelFutex, u32)], timeout: Option<Duration>) {
        if timeout.is_some() {
            return;
        }
        let sleeper = Arc::new(Sleeping::default());
        let queued = all.iter().take_while(|(futex, expected)| {
            let mut queue = futex.queue.lock().unwrap();
            let unchanged = futex.value.load(Ordering::Relaxed) == *expected;
            if unchanged {
                queue.push(sleeper.clone());
            }
            unchanged
        });
        let queued = queued.count();
        if queued == all.len() {
            let mut woken = sleeper.woken.lock().unwrap();
            while !*woken {
                woken = sleeper.changed.wait(woken).unwrap();
            }
        }
        if all.len() > 1 {
            for (futex, _) in &all[..queued] {
                futex.take_out(&sleeper);
            }
        }
    }

    type Lock<T: Send + 'static> = Mutex<T>;
}

impl<T: Send> Lock<T> for Mutex<T> {
    fn new(value: T) -> Self {
        Mutex::new(value)
    }

    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.lock().unwrap())
    }
}
