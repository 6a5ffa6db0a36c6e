//! The atomics that the ring, the bells and the state words are written against: the standard
//! library's over shared memory, and loom's in the models.
//!
//! The choice is a type parameter and not a `cfg` switch of names, so that the rest of the crate
//! compiles unchanged when the models are built, and runs the very code that they check.

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

/// A 64-bit atomic in memory that another process may write to at any time.
pub trait Word: Send + Sync {
    /// See [`AtomicU64::load`].
    fn load(&self, order: Ordering) -> u64;
    /// See [`AtomicU64::store`].
    fn store(&self, value: u64, order: Ordering);
    /// See [`AtomicU64::swap`].
    fn swap(&self, value: u64, order: Ordering) -> u64;
    /// Puts `new` where `current` is, with `AcqRel`; says whether it did.
    fn replace(&self, current: u64, new: u64) -> bool;
    /// Puts `new` where `current` is, with `order`; otherwise says what is there, loaded with
    /// `Acquire`. `order` is `AcqRel` or `SeqCst`.
    fn exchange(&self, current: u64, new: u64, order: Ordering) -> Result<(), u64>;
    /// See [`AtomicU64::fetch_or`].
    fn fetch_or(&self, bits: u64, order: Ordering) -> u64;
    /// See [`AtomicU64::fetch_and`].
    fn fetch_and(&self, bits: u64, order: Ordering) -> u64;
}

/// A 32-bit atomic on which a thread can sleep until one of another process wakes it.
pub trait Futex: Send + Sync {
    /// See [`AtomicU32::load`].
    fn load(&self, order: Ordering) -> u32;
    /// See [`AtomicU32::store`].
    fn store(&self, value: u32, order: Ordering);
    /// See [`AtomicU32::swap`].
    fn swap(&self, value: u32, order: Ordering) -> u32;
    /// Puts `new` where `current` is, with `AcqRel`; otherwise says what is there.
    fn replace(&self, current: u32, new: u32) -> Result<(), u32>;
    /// Adds one, wrapping, with `AcqRel`.
    fn increment(&self);
    /// Sleeps unless the value is no longer `expected`; until [`wake`](Futex::wake), the timeout,
    /// or for no reason at all. One system call.
    fn wait(&self, expected: u32, timeout: Option<Duration>);
    /// Wakes every thread that sleeps here. One system call.
    fn wake(&self);
    /// Wakes one of the threads that sleep here, as a rule the one that has slept longest. One
    /// system call.
    fn wake_one(&self);
}

/// Memory that several processes map: a mailbox.
pub trait Memory: Clone + Send + Sync + 'static {
    /// Its 64-bit atomics.
    type Word: Word;
    /// Its 32-bit atomics. New ones are zero.
    type Futex: Futex + Default + fmt::Debug;
    /// Its words.
    fn words(&self) -> &[Self::Word];
    /// Its futex number `at`. Futexes and words do not overlap. Panics if there is no such futex.
    fn futex(&self, at: usize) -> &Self::Futex;
    /// A sequentially consistent fence.
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
    fn increment(&self) {
        self.fetch_add(1, Ordering::AcqRel);
    }

    fn wait(&self, expected: u32, timeout: Option<Duration>) {
        // A time that the kernel's type cannot hold is as good as none.
        let timeout = timeout.and_then(|timeout| futex::Timespec::try_from(timeout).ok());
        // An interruption, a timeout and a value that has changed all mean the same to callers:
        // look again. Not private: the one who wakes is another process.
        let _ = futex::wait(self, futex::Flags::empty(), expected, timeout.as_ref());
    }

    fn wake(&self) {
        // Fails only for addresses that are not mapped.
        let _ = futex::wake(self, futex::Flags::empty(), i32::MAX as u32);
    }

    fn wake_one(&self) {
        // As above.
        let _ = futex::wake(self, futex::Flags::empty(), 1);
    }
}

/// A mapping that this process shares with another. A clone is a reference count.
#[derive(Clone, Debug)]
pub struct Region(Arc<SharedWords>);

impl Region {
    /// All of `memory`.
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

/// Loom's memory.
#[cfg(all(test, loom))]
pub(crate) mod model {
    use std::{sync::atomic::Ordering, time::Duration};

    use loom::sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, AtomicU64, fence},
    };

    use super::{Futex, Memory, Word};

    /// A value, and the kernel's queue of sleepers: the lock stands for that of the hash bucket,
    /// under which the kernel compares the value.
    #[derive(Debug, Default)]
    pub(crate) struct ModelFutex {
        value: AtomicU32,
        queue: Mutex<()>,
        woken: Condvar,
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

    /// Loom has sequentially consistent fences, but takes such accesses for weaker ones. So a fence
    /// follows each of them that writes, as in compiled code on many machines. Then a load needs
    /// none, so a model does not show whether it should be sequentially consistent.
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

    /// What loom is to do in an access that writes.
    fn weaker(order: Ordering) -> Ordering {
        match order {
            Ordering::SeqCst => Ordering::AcqRel,
            order => order,
        }
    }

    /// What such an access needs beyond that.
    fn behind(order: Ordering) {
        if order == Ordering::SeqCst {
            fence(order);
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

        fn increment(&self) {
            self.value.fetch_add(1, Ordering::AcqRel);
        }

        /// Timeouts are not modelled: a wake-up that is lost shows as a deadlock.
        fn wait(&self, expected: u32, _: Option<Duration>) {
            let guard = self.queue.lock().unwrap();
            if self.value.load(Ordering::Relaxed) == expected {
                drop(self.woken.wait(guard).unwrap());
            }
        }

        fn wake(&self) {
            let _guard = self.queue.lock().unwrap();
            self.woken.notify_all();
        }

        fn wake_one(&self) {
            let _guard = self.queue.lock().unwrap();
            self.woken.notify_one();
        }
    }
}
