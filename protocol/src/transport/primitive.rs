//! The atomics under the ring, the doorbells and the state words. They are the standard library's
//! over shared memory, and loom's in the models.
//!
//! The choice is a type parameter and not a `cfg` switch of names. So the rest of the crate
//! compiles unchanged in a build of the models, and runs the code that they check.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use mobula_store::SharedWords;
use rustix::thread::futex;

mod any;
#[cfg(all(test, loom))]
pub(crate) mod model;

/// A 64-bit atomic in memory that another process may write to at any time.
pub trait Word: Send + Sync {
    /// See [`AtomicU64::load`].
    fn load(&self, order: Ordering) -> u64;
    /// See [`AtomicU64::store`].
    fn store(&self, value: u64, order: Ordering);
    /// See [`AtomicU64::swap`].
    fn swap(&self, value: u64, order: Ordering) -> u64;
    /// Replaces `current` by `new`, with `AcqRel`. Returns whether it did.
    fn replace(&self, current: u64, new: u64) -> bool;
    /// Replaces `current` by `new`, with `order`. Otherwise returns the present value, loaded with
    /// `Acquire`. `order` is `AcqRel` or `SeqCst`.
    fn exchange(&self, current: u64, new: u64, order: Ordering) -> Result<(), u64>;
    /// See [`AtomicU64::fetch_or`].
    fn fetch_or(&self, bits: u64, order: Ordering) -> u64;
    /// See [`AtomicU64::fetch_and`].
    fn fetch_and(&self, bits: u64, order: Ordering) -> u64;
}

/// A 32-bit atomic on which a thread can sleep until a thread of another process wakes it.
pub trait Futex: Send + Sync {
    /// See [`AtomicU32::load`].
    fn load(&self, order: Ordering) -> u32;
    /// See [`AtomicU32::store`].
    fn store(&self, value: u32, order: Ordering);
    /// See [`AtomicU32::swap`].
    fn swap(&self, value: u32, order: Ordering) -> u32;
    /// Replaces `current` by `new`, with `AcqRel`. Otherwise returns the present value.
    fn replace(&self, current: u32, new: u32) -> Result<(), u32>;
    /// Adds one, wrapping, with `AcqRel`.
    fn increment(&self) {
        self.add(1);
    }
    /// Adds `count`, wrapping, with `AcqRel`.
    fn add(&self, count: u32);
    /// Sleeps unless the value is no longer `expected`. The sleep ends by [`wake`](Futex::wake), by
    /// the timeout, or without a reason. Costs one system call.
    fn wait(&self, expected: u32, timeout: Option<Duration>);
    /// Wakes every thread that sleeps here. Costs one system call.
    fn wake(&self);
    /// Wakes one of the threads that sleep here, usually the one that has slept longest. Costs one
    /// system call.
    fn wake_one(&self);
    /// Returns the number of futexes that [`wait_any`](Futex::wait_any) takes. It is 1 if Linux is
    /// older than 5.16, or if a filter of system calls refuses `futex_waitv`.
    fn most_at_once() -> usize;
    /// Sleeps unless one of the values is no longer the expected one. The sleep ends by a wake-up
    /// of one of the futexes, by the timeout, or without a reason. Costs one system call. A thread
    /// that was woken at one futex may have been woken at others as well.
    fn wait_any(all: &[(&Self, u32)], timeout: Option<Duration>);
    /// The lock of this process for the data around [`wait_any`](Futex::wait_any).
    type Lock<T: Send + 'static>: Lock<T>;
}

/// A lock of threads of one process.
pub trait Lock<T>: Send + Sync {
    /// Returns a free lock.
    fn new(value: T) -> Self;
    /// Calls `f` with the value. `f` must not call foreign code.
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R;
}

impl<T: Send> Lock<T> for parking_lot::Mutex<T> {
    fn new(value: T) -> Self {
        parking_lot::Mutex::new(value)
    }

    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.lock())
    }
}

/// Memory that several processes map, for example a mailbox.
pub trait Memory: Clone + Send + Sync + 'static {
    /// Its 64-bit atomics.
    type Word: Word;
    /// Its 32-bit atomics. New ones are zero.
    type Futex: Futex + Default + fmt::Debug;
    /// Returns its words.
    fn words(&self) -> &[Self::Word];
    /// Returns its futex number `at`. Futexes and words do not overlap. Panics if there is no such
    /// futex.
    fn futex(&self, at: usize) -> &Self::Futex;
    /// Makes a sequentially consistent fence.
    fn fence();
}

impl Word for AtomicU64 {
    #[inline]
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    #[inline]
    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }

    #[inline]
    fn swap(&self, value: u64, order: Ordering) -> u64 {
        self.swap(value, order)
    }

    #[inline]
    fn replace(&self, current: u64, new: u64) -> bool {
        self.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    #[inline]
    fn exchange(&self, current: u64, new: u64, order: Ordering) -> Result<(), u64> {
        self.compare_exchange(current, new, order, Ordering::Acquire)
            .map(drop)
    }

    #[inline]
    fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
        self.fetch_or(bits, order)
    }

    #[inline]
    fn fetch_and(&self, bits: u64, order: Ordering) -> u64 {
        self.fetch_and(bits, order)
    }
}

impl Futex for AtomicU32 {
    #[inline]
    fn load(&self, order: Ordering) -> u32 {
        self.load(order)
    }

    #[inline]
    fn store(&self, value: u32, order: Ordering) {
        self.store(value, order);
    }

    #[inline]
    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.swap(value, order)
    }

    #[inline]
    fn replace(&self, current: u32, new: u32) -> Result<(), u32> {
        self.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
    }

    #[inline]
    fn add(&self, count: u32) {
        self.fetch_add(count, Ordering::AcqRel);
    }

    fn wait(&self, expected: u32, timeout: Option<Duration>) {
        // A timeout that the kernel's type cannot hold counts as none.
        let timeout = timeout.and_then(|timeout| futex::Timespec::try_from(timeout).ok());
        // An interruption, a timeout and a changed value mean the same to callers: check again. The
        // futex is not private, since the waking thread is in another process.
        let _ = futex::wait(self, futex::Flags::empty(), expected, timeout.as_ref());
    }

    fn wake(&self) {
        // Fails only for addresses that are not mapped.
        let _ = futex::wake(self, futex::Flags::empty(), i32::MAX as u32);
    }

    fn wake_one(&self) {
        // Fails only for addresses that are not mapped.
        let _ = futex::wake(self, futex::Flags::empty(), 1);
    }

    fn most_at_once() -> usize {
        any::most_at_once()
    }

    fn wait_any(all: &[(&AtomicU32, u32)], timeout: Option<Duration>) {
        any::wait_any(all, timeout);
    }

    type Lock<T: Send + 'static> = parking_lot::Mutex<T>;
}

/// A mapping that this process shares with another. A clone is a reference count.
#[derive(Clone, Debug)]
pub struct Region(Arc<SharedWords>);

impl Region {
    /// Returns a region of all of `memory`.
    pub fn new(memory: Arc<SharedWords>) -> Region {
        Region(memory)
    }
}

impl Memory for Region {
    type Word = AtomicU64;
    type Futex = AtomicU32;

    #[inline]
    fn words(&self) -> &[AtomicU64] {
        self.0.words()
    }

    #[inline]
    fn futex(&self, at: usize) -> &AtomicU32 {
        &self.0.narrow_words()[at]
    }

    #[inline]
    fn fence() {
        std::sync::atomic::fence(Ordering::SeqCst);
    }
}
