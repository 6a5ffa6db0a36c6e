//! One writer or many readers, between processes.

use std::{
    any::type_name,
    collections::HashMap,
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    sync::{Arc, LazyLock, Weak},
    thread,
    time::Duration,
};

use mobula_store::LentRef;
use mobula_store::{Loc, SharedRef};
use mobula_worker::{
    Client, Error, Result, SharedKind,
    sync::{Acquired, Cause, Holder, LocalReaders, LockError, RawRwLock},
};
use parking_lot::Mutex;
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
    words: RawRwLock::<CellMemory>::WORDS,
    futexes: RawRwLock::<CellMemory>::FUTEXES,
};

const WHAT: &str = "the shared lock";

/// The readers of this process in each lock, by engine and place: all handles of one lock in a process
/// share them.
static READERS: LazyLock<Mutex<Readers>> = LazyLock::new(Mutex::default);

type Readers = HashMap<(usize, Loc), Weak<LocalReaders>>;

fn readers_of(cell: &Cell) -> Result<Arc<LocalReaders>> {
    let engine = Arc::as_ptr(&cell.handle.client()?).addr();
    let key = (engine, cell.region().loc());
    let mut all = READERS.lock();
    if let Some(readers) = all.get(&key).and_then(Weak::upgrade) {
        return Ok(readers);
    }
    // Locks that are gone are forgotten now and then.
    if all.len() >= 64 && all.len().is_power_of_two() {
        all.retain(|_, readers| readers.strong_count() > 0);
    }
    let readers = Arc::new(LocalReaders::new());
    all.insert(key, Arc::downgrade(&readers));
    Ok(readers)
}

/// A value in shared memory that one thread of all processes writes, or any number read.
///
/// As a [`SharedMutex`](crate::SharedMutex) in all else: handles, errors, poison (which a writer leaves that died or panicked;
/// readers leave none), fairness (new readers wait when a writer does), guards. A thread that reads must not read again, or
/// write, before it has dropped its guard: it could wait for itself.
///
/// ```
/// use mobula::{SharedRwLock, prelude::*};
///
/// #[remote]
/// fn total(table: &SharedRwLock<[u64]>) -> mobula::Result<u64> {
///     Ok(table.read()?.iter().sum())
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// let rt = Runtime::start()?;
/// let table = rt.shared_rwlock_slice(&[1_u64, 2, 3])?;
/// table.write()?[0] = 10;
/// assert_eq!(total::remote(&table).spawn().get()?, 15);
/// # Ok(())
/// # }
/// ```
pub struct SharedRwLock<T: ?Sized> {
    cell: Cell,
    raw: RawRwLock<CellMemory>,
    readers: Arc<LocalReaders>,
    elements: usize,
    data: PhantomData<fn() -> Box<T>>,
}

impl<T: SharedData + ?Sized> SharedRwLock<T> {
    fn create(client: &Arc<dyn Client>, elements: &[T::Element]) -> Result<SharedRwLock<T>> {
        let data = bytemuck::cast_slice(elements);
        let cell = Cell::create(client, kind::<T>(), LAYOUT, data, elements.len())?;
        SharedRwLock::new(cell, elements.len())
    }

    fn new(cell: Cell, elements: usize) -> Result<SharedRwLock<T>> {
        let data = cell
            .region()
            .share::<T::Element>(LAYOUT.data_at(), elements);
        if data.is_none() {
            return Err(Error::usage(format!(
                "a lock between processes cannot protect `{}`: its alignment is more than 64",
                type_name::<T::Element>()
            )));
        }
        Ok(SharedRwLock {
            raw: RawRwLock::new(cell.memory.clone(), 0, 0),
            readers: readers_of(&cell)?,
            cell,
            elements,
            data: PhantomData,
        })
    }

    /// Locks it for reading. Blocks while somebody writes, or waits for that.
    ///
    /// # Errors
    /// [`is_poisoned`](Error::is_poisoned): a writer died or panicked; it is not locked then.
    /// [`is_usage`](Error::is_usage): this thread writes.
    #[inline]
    pub fn read(&self) -> Result<SharedReadGuard<'_, T>> {
        let holder = self.cell.this_thread();
        match self.raw.try_read(holder, &self.readers) {
            Ok(Acquired::Clean) => Ok(self.reading(holder, None)),
            other => self.read_after(holder, other),
        }
    }

    /// What is to be done where the lock was not just free for readers.
    #[cold]
    fn read_after(
        &self,
        holder: Holder,
        first: Result<Acquired, LockError>,
    ) -> Result<SharedReadGuard<'_, T>> {
        match first {
            Ok(acquired) => self.checked_read(Ok(self.reading(holder, acquired.cause()))),
            Err(_) => self.checked_read(self.acquire_read(None)),
        }
    }

    #[inline]
    fn reading(&self, holder: Holder, cause: Option<Cause>) -> SharedReadGuard<'_, T> {
        SharedReadGuard {
            lock: self,
            data: self.shared(),
            holder,
            cause,
            on_its_thread: PhantomData,
        }
    }

    /// As [`read`](Self::read), for at most this long.
    ///
    /// # Errors
    /// As for `read`, and [`is_timeout`](Error::is_timeout).
    pub fn read_timeout(&self, limit: Duration) -> Result<SharedReadGuard<'_, T>> {
        self.checked_read(self.acquire_read(Some(limit)))
    }

    /// As [`read`](Self::read), whether it is poisoned or not.
    ///
    /// # Errors
    /// `is_usage()`.
    pub fn read_anyway(&self) -> Result<SharedReadGuard<'_, T>> {
        self.acquire_read(None)
    }

    /// Locks it for writing. Blocks while others read or write.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn write(&self) -> Result<SharedWriteGuard<'_, T>> {
        self.checked_write(self.acquire_write(None))
    }

    /// As [`write`](Self::write), for at most this long.
    ///
    /// # Errors
    /// As for `read`, and [`is_timeout`](Error::is_timeout).
    pub fn write_timeout(&self, limit: Duration) -> Result<SharedWriteGuard<'_, T>> {
        self.checked_write(self.acquire_write(Some(limit)))
    }

    /// As [`write`](Self::write), whether it is poisoned or not: the guard says which.
    ///
    /// # Errors
    /// `is_usage()`.
    pub fn write_anyway(&self) -> Result<SharedWriteGuard<'_, T>> {
        self.acquire_write(None)
    }

    /// As [`read`](Self::read), for asynchronous code; see [`SharedMutex::lock_async`](crate::SharedMutex::lock_async).
    ///
    /// # Errors
    /// `is_poisoned()`.
    pub async fn read_async(&self) -> Result<OwnedReadGuard<T>> {
        let holder = self.cell.detached();
        let acquired = match self.raw.try_read(holder, &self.readers) {
            Ok(acquired) => acquired,
            Err(_) => {
                let (raw, readers) = (self.raw.clone(), self.readers.clone());
                let (undo, theirs) = (self.raw.clone(), self.readers.clone());
                let give_back = move |acquired: Result<Acquired, LockError>| {
                    if acquired.is_ok() {
                        let _ = undo.unlock_read(holder, &theirs);
                    }
                };
                elsewhere(move || raw.read(holder, &readers, None), give_back)?
                    .await
                    .map_err(|error| not_acquired(WHAT, error))?
            }
        };
        let guard = OwnedReadGuard {
            lock: self.clone(),
            holder,
        };
        unless_poisoned(guard, acquired.cause())
    }

    /// As [`write`](Self::write), for asynchronous code; see [`SharedMutex::lock_async`](crate::SharedMutex::lock_async).
    ///
    /// # Errors
    /// `is_poisoned()`.
    pub async fn write_async(&self) -> Result<OwnedWriteGuard<T>> {
        let holder = self.cell.detached();
        let acquired = match self.raw.try_write(holder) {
            Ok(acquired) => acquired,
            Err(_) => {
                let (raw, undo) = (self.raw.clone(), self.raw.clone());
                let give_back = move |acquired: Result<Acquired, LockError>| {
                    if acquired.is_ok() {
                        let _ = undo.unlock_write(holder);
                    }
                };
                elsewhere(move || raw.write(holder, None), give_back)?
                    .await
                    .map_err(|error| not_acquired(WHAT, error))?
            }
        };
        let guard = OwnedWriteGuard {
            lock: self.clone(),
            holder,
        };
        unless_poisoned(guard, acquired.cause())
    }

    /// Whether a writer has died or panicked since the last `clear_poison`, and how.
    pub fn poison(&self) -> Option<String> {
        self.raw.poison().map(|cause| cause.to_string())
    }

    fn acquire_read(&self, limit: Option<Duration>) -> Result<SharedReadGuard<'_, T>> {
        let holder = self.cell.this_thread();
        let acquired = self.cell.take(
            || self.raw.try_read(holder, &self.readers),
            || {
                let deadline = limit.and_then(deadline);
                self.raw.read(holder, &self.readers, deadline)
            },
        );
        match acquired {
            Ok(acquired) => Ok(self.reading(holder, acquired.cause())),
            Err(error) => Err(not_acquired(WHAT, error)),
        }
    }

    fn acquire_write(&self, limit: Option<Duration>) -> Result<SharedWriteGuard<'_, T>> {
        let holder = self.cell.this_thread();
        let acquired = self.cell.take(
            || self.raw.try_write(holder),
            || self.raw.write(holder, limit.and_then(deadline)),
        );
        match acquired {
            Ok(acquired) => Ok(SharedWriteGuard {
                lock: self,
                data: self.lent(),
                holder,
                cause: acquired.cause(),
                panicking: thread::panicking(),
                on_its_thread: PhantomData,
            }),
            Err(error) => Err(not_acquired(WHAT, error)),
        }
    }

    fn checked_read<'l>(
        &'l self,
        guard: Result<SharedReadGuard<'l, T>>,
    ) -> Result<SharedReadGuard<'l, T>> {
        let guard = guard?;
        let cause = guard.cause;
        unless_poisoned(guard, cause)
    }

    fn checked_write<'l>(
        &'l self,
        guard: Result<SharedWriteGuard<'l, T>>,
    ) -> Result<SharedWriteGuard<'l, T>> {
        let guard = guard?;
        let cause = guard.cause;
        unless_poisoned(guard, cause)
    }

    /// What it protects. For those who read.
    #[inline]
    fn shared(&self) -> Option<SharedRef<'_, T::Element>> {
        self.cell.region().share(LAYOUT.data_at(), self.elements)
    }

    /// What it protects. For the one who writes.
    fn lent(&self) -> Option<LentRef<'_, T::Element>> {
        self.cell.region().lend_ref(LAYOUT.data_at(), self.elements)
    }
}

fn unless_poisoned<G>(guard: G, cause: Option<Cause>) -> Result<G> {
    match cause {
        None => Ok(guard),
        Some(cause) => Err(poisoned(WHAT, cause)),
    }
}

fn kind<T: SharedData + ?Sized>() -> (SharedKind, u64) {
    (SharedKind::RwLock, T::tag())
}

/// A [`SharedRwLock`] locked for reading; dereferences to what it protects.
#[must_use = "the lock is unlocked when the guard is dropped"]
pub struct SharedReadGuard<'l, T: SharedData + ?Sized> {
    lock: &'l SharedRwLock<T>,
    /// There: `SharedRwLock::new` has checked it.
    data: Option<SharedRef<'l, T::Element>>,
    holder: Holder,
    cause: Option<Cause>,
    on_its_thread: PhantomData<*const ()>,
}

impl<T: SharedData + ?Sized> SharedReadGuard<'_, T> {
    /// What had happened to the writer who left it poisoned.
    pub fn poison(&self) -> Option<String> {
        self.cause.map(|cause| cause.to_string())
    }
}

impl<T: SharedData + ?Sized> Deref for SharedReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        T::of(self.data.as_deref().unwrap_or(&[]))
    }
}

impl<T: SharedData + ?Sized> Drop for SharedReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let _ = self.lock.raw.unlock_read(self.holder, &self.lock.readers);
    }
}

/// A [`SharedRwLock`] locked for writing; dereferences to what it protects.
#[must_use = "the lock is unlocked when the guard is dropped"]
pub struct SharedWriteGuard<'l, T: SharedData + ?Sized> {
    lock: &'l SharedRwLock<T>,
    /// As for reading.
    data: Option<LentRef<'l, T::Element>>,
    holder: Holder,
    cause: Option<Cause>,
    panicking: bool,
    on_its_thread: PhantomData<*const ()>,
}

impl<T: SharedData + ?Sized> SharedWriteGuard<'_, T> {
    /// What had happened to the writer who left it poisoned.
    pub fn poison(&self) -> Option<String> {
        self.cause.map(|cause| cause.to_string())
    }

    /// Declares that the value is in order again.
    pub fn clear_poison(&mut self) {
        self.lock.raw.clear_poison();
        self.cause = None;
    }
}

impl<T: SharedData + ?Sized> Deref for SharedWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        T::of(self.data.as_deref().unwrap_or(&[]))
    }
}

impl<T: SharedData + ?Sized> DerefMut for SharedWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        T::of_mut(self.data.as_deref_mut().unwrap_or(&mut []))
    }
}

impl<T: SharedData + ?Sized> Drop for SharedWriteGuard<'_, T> {
    fn drop(&mut self) {
        let raw = &self.lock.raw;
        let _ = match !self.panicking && thread::panicking() {
            true => raw.unlock_write_poisoned(self.holder),
            false => raw.unlock_write(self.holder),
        };
    }
}

/// A [`SharedRwLock`] locked for reading that may be held across `.await`.
#[must_use = "the lock is unlocked when the guard is dropped"]
pub struct OwnedReadGuard<T: SharedData + ?Sized> {
    lock: SharedRwLock<T>,
    holder: Holder,
}

impl<T: SharedData + ?Sized> OwnedReadGuard<T> {
    /// Calls `f` with what the lock protects.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(T::of(self.lock.shared().as_deref().unwrap_or(&[])))
    }
}

impl<T: SharedData + ?Sized> Drop for OwnedReadGuard<T> {
    fn drop(&mut self) {
        let _ = self.lock.raw.unlock_read(self.holder, &self.lock.readers);
    }
}

/// A [`SharedRwLock`] locked for writing that may be held across `.await`.
#[must_use = "the lock is unlocked when the guard is dropped"]
pub struct OwnedWriteGuard<T: SharedData + ?Sized> {
    lock: SharedRwLock<T>,
    holder: Holder,
}

impl<T: SharedData + ?Sized> OwnedWriteGuard<T> {
    /// Calls `f` with what the lock protects.
    pub fn with<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut data = self.lock.lent();
        f(T::of_mut(data.as_deref_mut().unwrap_or(&mut [])))
    }
}

impl<T: SharedData + ?Sized> Drop for OwnedWriteGuard<T> {
    fn drop(&mut self) {
        let raw = &self.lock.raw;
        let _ = match thread::panicking() {
            true => raw.unlock_write_poisoned(self.holder),
            false => raw.unlock_write(self.holder),
        };
    }
}

macro_rules! debug {
    ($($guard:ident)*) => { $(
        impl<T: SharedData + ?Sized> fmt::Debug for $guard<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($guard)).finish_non_exhaustive()
            }
        }
    )* };
}

debug! { OwnedReadGuard OwnedWriteGuard }

impl<T: SharedData + fmt::Debug + ?Sized> fmt::Debug for SharedReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: SharedData + fmt::Debug + ?Sized> fmt::Debug for SharedWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl Runtime {
    /// Makes a lock between processes over one value, for one writer or many readers.
    ///
    /// # Errors
    /// [`is_store_full`](Error::is_store_full) when there is no room, `is_shutdown` after the runtime's
    /// end.
    pub fn shared_rwlock<T: SharedElement>(&self, value: T) -> Result<SharedRwLock<T>> {
        SharedRwLock::create(self.client(), &[value])
    }

    /// Makes such a lock over a slice, which begins as a copy of `values`.
    ///
    /// # Errors
    /// As for [`shared_rwlock`](Self::shared_rwlock).
    pub fn shared_rwlock_slice<T: SharedElement>(&self, values: &[T]) -> Result<SharedRwLock<[T]>> {
        SharedRwLock::create(self.client(), values)
    }
}

impl<T: ?Sized> Clone for SharedRwLock<T> {
    fn clone(&self) -> SharedRwLock<T> {
        SharedRwLock {
            cell: self.cell.clone(),
            raw: self.raw.clone(),
            readers: self.readers.clone(),
            elements: self.elements,
            data: PhantomData,
        }
    }
}

impl<T: ?Sized> PartialEq for SharedRwLock<T> {
    /// Whether both are the same lock.
    fn eq(&self, other: &SharedRwLock<T>) -> bool {
        self.cell.handle.is_same(&other.cell.handle)
    }
}

impl<T: ?Sized> Eq for SharedRwLock<T> {}

impl<T: ?Sized> fmt::Debug for SharedRwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedRwLock<{}>", type_name::<T>())
    }
}

impl<T: SharedData + ?Sized> Serialize for SharedRwLock<T> {
    /// Works for values that go through Mobula only; elsewhere it is an error.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.cell.handle.serialize::<SharedRwLock<T>, S>(serializer)
    }
}

impl<'de, T: SharedData + ?Sized> Deserialize<'de> for SharedRwLock<T> {
    /// Works for values that go through Mobula only; elsewhere it is an error.
    fn deserialize<D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<SharedRwLock<T>, D::Error> {
        let (handle, shape) =
            SharedHandle::deserialize::<SharedRwLock<T>, D>(deserializer, kind::<T>())?;
        let elements = shape.iter().product();
        Cell::new(handle, LAYOUT)
            .and_then(|cell| SharedRwLock::new(cell, elements))
            .map_err(de::Error::custom)
    }
}
