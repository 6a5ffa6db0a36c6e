//! Values that a worker makes once.

use std::{
    any::type_name,
    fmt,
    ops::Deref,
    sync::Arc,
    task::Waker,
    thread::{self, ThreadId},
};

use mobula_protocol::{Awaited, ObjectHandle, park_until};
use parking_lot::Mutex;

use crate::{
    process::{Barred, here, worker_engine},
    teardown::{self, EndsWithWorker, Locals},
};

/// A value of which each worker has its own: `#[worker_local]` makes it of a static.
///
/// [`with`](Self::with) makes the value at its first use, and lends it to one task at a time. The
/// attribute's documentation has the rest.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[mobula::worker_local]
/// static PRIMES: Vec<u64> = vec![2, 3, 5, 7]; // `WorkerLocal<Vec<u64>>`
///
/// #[remote]
/// fn is_prime(n: u64) -> bool {
///     PRIMES.with(|primes| primes.contains(&n))
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// assert_eq!(rt.map_fn(is_prime::remote, 4..8).get()?, [false, true, false, true]);
/// # Ok(())
/// # }
/// ```
pub struct WorkerLocal<T: Send + 'static> {
    name: &'static str,
    make: fn() -> T,
    /// The value of the one worker that this process is, and of threads that belong to no worker.
    own: Slot<T>,
}

/// The value of one worker.
struct Slot<T>(Mutex<State<T>>);

impl<T> Slot<T> {
    const fn new() -> Slot<T> {
        Slot(Mutex::new(State {
            value: None,
            user: None,
            waiting: Vec::new(),
        }))
    }
}

/// The place in which this thread's worker has its value.
enum Place<T: Send + 'static> {
    Own(&'static Slot<T>),
    OfWorker(Arc<Slot<T>>),
}

impl<T: Send> Deref for Place<T> {
    type Target = Slot<T>;

    fn deref(&self) -> &Slot<T> {
        match self {
            Place::Own(slot) => slot,
            Place::OfWorker(slot) => slot,
        }
    }
}

struct State<T> {
    /// `None` before the first use, and while a thread has it.
    value: Option<Box<T>>,
    /// The thread that uses the value.
    user: Option<ThreadId>,
    /// Threads that want to use the value.
    waiting: Vec<Waker>,
}

impl<T: Send> WorkerLocal<T> {
    /// Not public API: for generated code.
    #[doc(hidden)]
    pub const fn new(name: &'static str, make: fn() -> T) -> WorkerLocal<T> {
        WorkerLocal {
            name,
            make,
            own: Slot::new(),
        }
    }

    /// Calls `f` with this worker's value, which the first call makes.
    ///
    /// One thread has the value at a time. A task that finds it in use lets others run on its
    /// worker in the meantime. A task that waits inside of `f` keeps the value. If the task waits
    /// for something that needs the value too, both wait for ever, as with any mutex.
    ///
    /// If `f` panics, the value stays as `f` has left it. If the initial expression panics, there
    /// is no value, and the next call evaluates it again.
    ///
    /// Costs about 70 ns after the first call.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[mobula::worker_local]
    /// static CALLS: u32 = 0;
    ///
    /// #[remote]
    /// fn count() -> u32 {
    ///     CALLS.with(|calls| {
    ///         *calls += 1;
    ///         *calls
    ///     })
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.spawn(count::remote()).get()?, 1);
    /// assert_eq!(rt.spawn(count::remote()).get()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// A call inside of `f` calls this again: its thread has the value already.
    pub fn with<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut used = self.take();
        let Used { place, value } = &mut used;
        let value = value.get_or_insert_with(|| {
            let value = Box::new((self.make)());
            if let Place::Own(slot) = place {
                teardown::add(*slot);
            }
            value
        });
        // If this thread ran a further call now, this call would find the value in use.
        let _barred = Barred::enter();
        f(value)
    }

    fn place(&'static self) -> Place<T> {
        let of_worker = |locals: &Locals| locals.of((&raw const *self).addr(), Slot::new);
        match here::with(|worker| worker.locals().map(of_worker)) {
            Some(Some(slot)) => Place::OfWorker(slot),
            Some(None) | None => Place::Own(&self.own),
        }
    }

    /// Blocks until no thread has the value, and takes it.
    fn take(&'static self) -> Used<T> {
        let me = thread::current().id();
        let place = self.place();
        loop {
            {
                let mut state = place.0.lock();
                match state.user {
                    None => {
                        state.user = Some(me);
                        let value = state.value.take();
                        drop(state);
                        return Used { place, value };
                    }
                    Some(user) if user == me => {
                        drop(state);
                        panic!(
                            "`{}` is used inside of its own `with`, which has its value already",
                            self.name
                        );
                    }
                    Some(_) => {}
                }
            }
            match worker_engine() {
                // A task gives its turn to others.
                Ok(Some(worker)) => worker.wait(&Unused(&place), None),
                // In other threads there is no turn to give.
                Ok(None) | Err(_) => park_until(&Unused(&place), None),
            };
        }
    }
}

/// The value while a thread has it. It goes back when this is dropped.
struct Used<T: Send + 'static> {
    place: Place<T>,
    value: Option<Box<T>>,
}

impl<T: Send> Drop for Used<T> {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.place.0.lock();
            state.value = self.value.take();
            state.user = None;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// The condition that no thread has the value.
struct Unused<'a, T>(&'a Slot<T>);

impl<T: Send> Awaited for Unused<'_, T> {
    fn is_known(&self) -> bool {
        self.0.0.lock().user.is_none()
    }

    fn subscribe(&self, waker: &Waker) -> bool {
        let mut state = self.0.0.lock();
        if state.user.is_none() {
            return false;
        }
        // A thread that was woken for another reason asks again with the waker that it left before.
        if !state.waiting.iter().any(|known| known.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        true
    }

    fn for_each_entry(&self, _: &mut dyn FnMut(&ObjectHandle)) {}
}

impl<T: Send> EndsWithWorker for Slot<T> {
    fn end(&self) -> bool {
        let value = {
            let mut state = self.0.lock();
            // For instance a task that was given up uses the value.
            if state.user.is_some() {
                return false;
            }
            state.value.take()
        };
        drop(value);
        true
    }
}

impl<T: Send> fmt::Debug for WorkerLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkerLocal<{}>({})", type_name::<T>(), self.name)
    }
}
