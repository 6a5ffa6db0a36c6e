//! Mutual exclusion between processes.

use std::{
    any::type_name,
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    sync::Arc,
    thread,
    time::Duration,
};

use mobula_store::LentRef;
use mobula_worker::{
    Client, Error, Result, SharedKind,
    sync::{Acquired, Cause, Holder, LockError, RawMutex},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    cell::{Cell, CellMemory, Layout},
    data::SharedData,
    errors::{deadline, not_acquired, poisoned},
    waiting::elsewhere,
};
use crate::{
    Runtime,
    typed::shared::{SharedElement, handle::SharedHandle},
};

const LAYOUT: Layout = Layout {
    words: RawMutex::<CellMemory>::WORDS,
    futexes: RawMutex::<CellMemory>::FUTEXES,
};

const WHAT: &str = "the shared mutex";

/// A value in shared memory that one thread of all processes has at a time.
///
/// A clone is the same mutex, and so is what arrives in a task or comes out of a value.
///
/// * Locking one that nobody else wants costs two atomic operations, without a system call. Who has
///   waited for a millisecond gets it before those who come later.
/// * When a process dies with it, or a thread panics, the next one gets an error for which
///   [`is_poisoned`](Error::is_poisoned) holds and that says which process died and how;
///   [`lock_anyway`](Self::lock_anyway) gives the value nevertheless. Nobody hangs.
/// * A task that waits for it lets other tasks run on its worker meanwhile.
/// * Guards stay on their thread. For asynchronous code there is [`lock_async`](Self::lock_async),
///   whose guard may be held across `.await`.
///
/// ```
/// use mobula::{SharedMutex, prelude::*};
///
/// #[remote]
/// fn deposit(account: &SharedMutex<u64>, amount: u64) -> mobula::Result<()> {
///     *account.lock()? += amount;
///     Ok(())
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// let rt = Runtime::start()?;
/// let account = rt.shared_mutex(100_u64)?;
/// rt.get(rt.spawn_all((0..10).map(|_| deposit::remote(&account, 5))))?;
/// assert_eq!(*account.lock()?, 150);
/// # Ok(())
/// # }
/// ```
pub struct SharedMutex<T: ?Sized> {
    cell: Cell,
    raw: RawMutex<CellMemory>,
    elements: usize,
    data: PhantomData<fn() -> Box<T>>,
}

impl<T: SharedData + ?Sized> SharedMutex<T> {
    fn create(client: &Arc<dyn Client>, elements: &[T::Element]) -> Result<SharedMutex<T>> {
        let data = bytemuck::cast_slice(elements);
        let cell = Cell::create(client, kind::<T>(), LAYOUT, data, elements.len())?;
        SharedMutex::new(cell, elements.len())
    }

    fn new(cell: Cell, elements: usize) -> Result<SharedMutex<T>> {
        if cell
            .region()
            .lend_ref::<T::Element>(LAYOUT.data_at(), elements)
            .is_none()
        {
            return Err(Error::usage(format!(
                "a lock between processes cannot protect `{}`: its alignment is more than 64",
                type_name::<T::Element>()
            )));
        }
        Ok(SharedMutex {
            raw: RawMutex::new(cell.memory.clone(), 0, 0),
            cell,
            elements,
            data: PhantomData,
        })
    }

    /// Locks it. Blocks while another has it.
    ///
    /// # Errors
    /// [`is_poisoned`](Error::is_poisoned): somebody died or panicked with it; it is not locked then.
    /// [`is_usage`](Error::is_usage): this thread has it already.
    #[inline]
    pub fn lock(&self) -> Result<SharedMutexGuard<'_, T>> {
        let holder = self.cell.this_thread();
        match self.raw.try_lock(holder) {
            Ok(Acquired::Clean) => Ok(self.guard(holder, None)),
            other => self.lock_after(holder, other),
        }
    }

    /// What is to be done where the mutex was not just free.
    #[cold]
    fn lock_after(
        &self,
        holder: Holder,
        first: Result<Acquired, LockError>,
    ) -> Result<SharedMutexGuard<'_, T>> {
        match first {
            Ok(acquired) => self.checked(Ok(self.guard(holder, acquired.cause()))),
            Err(_) => self.checked(self.acquire(None)),
        }
    }

    /// As [`lock`](Self::lock), for at most this long.
    ///
    /// # Errors
    /// As for `lock`, and [`is_timeout`](Error::is_timeout).
    pub fn lock_timeout(&self, limit: Duration) -> Result<SharedMutexGuard<'_, T>> {
        self.checked(self.acquire(Some(limit)))
    }

    /// Locks it if that needs no waiting; `None` if another has it.
    ///
    /// # Errors
    /// As for [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<Option<SharedMutexGuard<'_, T>>> {
        let holder = self.cell.this_thread();
        match self.raw.try_lock(holder) {
            Ok(acquired) => self
                .checked(Ok(self.guard(holder, acquired.cause())))
                .map(Some),
            Err(LockError::Busy) => Ok(None),
            Err(error) => Err(not_acquired(WHAT, error)),
        }
    }

    /// As [`lock`](Self::lock), whether it is poisoned or not: the guard says which.
    ///
    /// # Errors
    /// `is_usage()`: this thread has it already.
    pub fn lock_anyway(&self) -> Result<SharedMutexGuard<'_, T>> {
        self.acquire(None)
    }

    /// As [`lock`](Self::lock), for asynchronous code: while another has it, a thread waits in the place of
    /// the caller's. The guard may be held across `.await` and go to other threads. A task that locks
    /// twice waits for itself.
    ///
    /// # Errors
    /// `is_poisoned()`.
    pub async fn lock_async(&self) -> Result<OwnedMutexGuard<T>> {
        let holder = self.cell.detached();
        let acquired = match self.raw.try_lock(holder) {
            Ok(acquired) => acquired,
            Err(_) => {
                let (raw, undo) = (self.raw.clone(), self.raw.clone());
                let give_back = move |acquired: Result<Acquired, _>| {
                    if acquired.is_ok() {
                        let _ = undo.unlock(holder);
                    }
                };
                elsewhere(move || raw.lock(holder, None), give_back)?
                    .await
                    .map_err(|error| not_acquired(WHAT, error))?
            }
        };
        let guard = OwnedMutexGuard {
            mutex: self.clone(),
            holder,
        };
        match acquired.cause() {
            None => Ok(guard),
            Some(cause) => Err(poisoned(WHAT, cause)),
        }
    }

    /// Whether somebody has died or panicked with it since the last `clear_poison`, and how.
    pub fn poison(&self) -> Option<String> {
        self.raw.poison().map(|cause| cause.to_string())
    }

    fn acquire(&self, limit: Option<Duration>) -> Result<SharedMutexGuard<'_, T>> {
        let holder = self.cell.this_thread();
        let acquired = self.cell.take(
            || self.raw.try_lock(holder),
            || self.raw.lock(holder, limit.and_then(deadline)),
        );
        match acquired {
            Ok(acquired) => Ok(self.guard(holder, acquired.cause())),
            Err(error) => Err(not_acquired(WHAT, error)),
        }
    }

    fn checked<'m>(
        &'m self,
        guard: Result<SharedMutexGuard<'m, T>>,
    ) -> Result<SharedMutexGuard<'m, T>> {
        let guard = guard?;
        match guard.cause {
            None => Ok(guard),
            Some(cause) => Err(poisoned(WHAT, cause)),
        }
    }

    #[inline]
    fn guard(&self, holder: Holder, cause: Option<Cause>) -> SharedMutexGuard<'_, T> {
        SharedMutexGuard {
            mutex: self,
            data: self.data(),
            holder,
            cause,
            panicking: thread::panicking(),
            on_its_thread: PhantomData,
        }
    }

    /// What it protects. For those who have locked it.
    #[inline]
    fn data(&self) -> Option<LentRef<'_, T::Element>> {
        self.cell.region().lend_ref(LAYOUT.data_at(), self.elements)
    }
}

fn kind<T: SharedData + ?Sized>() -> (SharedKind, u64) {
    (SharedKind::Mutex, T::tag())
}

/// A locked [`SharedMutex`]; dereferences to what it protects. It unlocks when it is dropped, on the thread that locked.
#[must_use = "the mutex is unlocked when the guard is dropped"]
pub struct SharedMutexGuard<'m, T: SharedData + ?Sized> {
    mutex: &'m SharedMutex<T>,
    /// There: `SharedMutex::new` has checked it.
    data: Option<LentRef<'m, T::Element>>,
    holder: Holder,
    cause: Option<Cause>,
    /// Whether the thread was panicking when it locked.
    panicking: bool,
    on_its_thread: PhantomData<*const ()>,
}

impl<'m, T: SharedData + ?Sized> SharedMutexGuard<'m, T> {
    /// What had happened to the one who left it poisoned.
    pub fn poison(&self) -> Option<String> {
        self.cause.map(|cause| cause.to_string())
    }

    /// Declares that the value is in order again.
    pub fn clear_poison(&mut self) {
        self.mutex.raw.clear_poison();
        self.cause = None;
    }

    pub(super) fn raw(&self) -> &RawMutex<CellMemory> {
        &self.mutex.raw
    }

    pub(super) fn holder(&self) -> Holder {
        self.holder
    }

    pub(super) fn cell(&self) -> &Cell {
        &self.mutex.cell
    }

    /// After a wait in which others had it.
    pub(super) fn acquired_again(&mut self, acquired: Acquired) {
        self.cause = acquired.cause();
    }
}

impl<T: SharedData + ?Sized> Deref for SharedMutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        T::of(self.data.as_deref().unwrap_or(&[]))
    }
}

impl<T: SharedData + ?Sized> DerefMut for SharedMutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        T::of_mut(self.data.as_deref_mut().unwrap_or(&mut []))
    }
}

impl<T: SharedData + ?Sized> Drop for SharedMutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let raw = &self.mutex.raw;
        let _ = match !self.panicking && thread::panicking() {
            true => raw.unlock_poisoned(self.holder),
            false => raw.unlock(self.holder),
        };
    }
}

impl<T: SharedData + fmt::Debug + ?Sized> fmt::Debug for SharedMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A locked [`SharedMutex`] that may be held across `.await` and go to other threads.
#[must_use = "the mutex is unlocked when the guard is dropped"]
pub struct OwnedMutexGuard<T: SharedData + ?Sized> {
    mutex: SharedMutex<T>,
    holder: Holder,
}

impl<T: SharedData + ?Sized> OwnedMutexGuard<T> {
    /// Calls `f` with what the mutex protects.
    pub fn with<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut data = self.mutex.data();
        f(T::of_mut(data.as_deref_mut().unwrap_or(&mut [])))
    }
}

impl<T: SharedData + ?Sized> Drop for OwnedMutexGuard<T> {
    fn drop(&mut self) {
        let raw = &self.mutex.raw;
        let _ = match thread::panicking() {
            true => raw.unlock_poisoned(self.holder),
            false => raw.unlock(self.holder),
        };
    }
}

impl<T: SharedData + ?Sized> fmt::Debug for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedMutexGuard").finish_non_exhaustive()
    }
}

impl Runtime {
    /// Makes a mutex between processes over one value.
    ///
    /// # Errors
    /// [`is_store_full`](Error::is_store_full) when there is no room, `is_shutdown` after the runtime's
    /// end.
    pub fn shared_mutex<T: SharedElement>(&self, value: T) -> Result<SharedMutex<T>> {
        SharedMutex::create(self.client(), &[value])
    }

    /// Makes a mutex between processes over a slice, which begins as a copy of `values`.
    ///
    /// # Errors
    /// As for [`shared_mutex`](Self::shared_mutex).
    pub fn shared_mutex_slice<T: SharedElement>(&self, values: &[T]) -> Result<SharedMutex<[T]>> {
        SharedMutex::create(self.client(), values)
    }
}

impl<T: ?Sized> Clone for SharedMutex<T> {
    fn clone(&self) -> SharedMutex<T> {
        SharedMutex {
            cell: self.cell.clone(),
            raw: self.raw.clone(),
            elements: self.elements,
            data: PhantomData,
        }
    }
}

impl<T: ?Sized> PartialEq for SharedMutex<T> {
    /// Whether both are the same mutex.
    fn eq(&self, other: &SharedMutex<T>) -> bool {
        self.cell.handle.is_same(&other.cell.handle)
    }
}

impl<T: ?Sized> Eq for SharedMutex<T> {}

impl<T: ?Sized> fmt::Debug for SharedMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedMutex<{}>", type_name::<T>())
    }
}

impl<T: SharedData + ?Sized> Serialize for SharedMutex<T> {
    /// Works for values that go through Mobula only; elsewhere it is an error.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.cell.handle.serialize::<SharedMutex<T>, S>(serializer)
    }
}

impl<'de, T: SharedData + ?Sized> Deserialize<'de> for SharedMutex<T> {
    /// Works for values that go through Mobula only; elsewhere it is an error.
    fn deserialize<D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<SharedMutex<T>, D::Error> {
        let (handle, shape) =
            SharedHandle::deserialize::<SharedMutex<T>, D>(deserializer, kind::<T>())?;
        let elements = shape.iter().product();
        Cell::new(handle, LAYOUT)
            .and_then(|cell| SharedMutex::new(cell, elements))
            .map_err(de::Error::custom)
    }
}
