//! A semaphore between processes.

use std::{fmt, time::Duration};

use mobula_protocol::{
    Error, Result, SharedKind,
    sync::{Holder, LockError, Permit, RawSemaphore},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    cell::{Cell, CellMemory, Layout},
    errors::not_acquired,
    waiting::acquire,
};
use crate::{Runtime, typed::shared::handle::SharedHandle};

const KIND: (SharedKind, u64) = (SharedKind::Semaphore, 0);

const WHAT: &str = "a permit of the shared semaphore";

/// The most permits. Each takes 8 bytes. A search reads all of them if no permit is left.
const MOST: u32 = 1 << 16;

fn layout(permits: u32) -> Layout {
    Layout {
        words: RawSemaphore::<CellMemory>::words(permits),
        futexes: RawSemaphore::<CellMemory>::FUTEXES,
    }
}

/// A semaphore between processes: it limits how many holders of a permit there are at a time.
///
/// The permits of a process that dies come back, all of them and no more.
///
/// # Examples
/// ```
/// use mobula::{SharedSemaphore, prelude::*};
///
/// #[remote]
/// fn download(connections: &SharedSemaphore, n: u32) -> mobula::Result<u32> {
///     let _permit = connections.acquire()?; // comes back at the end
///     Ok(n)
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(2).start()?;
/// let connections = rt.shared_semaphore(1)?;
/// let all = rt.map((0..10).map(|n| download::remote(&connections, n))).get()?;
/// assert_eq!((all.len(), connections.available()), (10, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SharedSemaphore {
    cell: Cell,
    raw: RawSemaphore<CellMemory>,
}

impl SharedSemaphore {
    fn new(cell: Cell) -> SharedSemaphore {
        SharedSemaphore {
            raw: RawSemaphore::new(cell.memory.clone(), 0, 0),
            cell,
        }
    }

    /// Takes a permit. Blocks while there is none. A task lets others run on its worker meanwhile.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let semaphore = rt.shared_semaphore(2)?;
    /// let permit = semaphore.acquire()?;
    /// assert_eq!(semaphore.available(), 1);
    /// # drop(permit);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_shutdown`](Error::is_shutdown): the runtime ended while there was none.
    pub fn acquire(&self) -> Result<SharedPermit> {
        self.acquire_for(None)
    }

    /// Takes a permit. Blocks for up to `limit` while there is none.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let semaphore = rt.shared_semaphore(0)?;
    /// let error = semaphore.acquire_timeout(Duration::from_millis(5)).unwrap_err();
    /// assert!(error.is_timeout());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_timeout`](Error::is_timeout), [`is_shutdown`](Error::is_shutdown).
    pub fn acquire_timeout(&self, limit: Duration) -> Result<SharedPermit> {
        self.acquire_for(Some(limit))
    }

    /// Takes a permit if there is one.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let semaphore = rt.shared_semaphore(1)?;
    /// let permit = semaphore.try_acquire()?;
    /// assert!(permit.is_some());
    /// assert!(semaphore.try_acquire()?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// None at present.
    pub fn try_acquire(&self) -> Result<Option<SharedPermit>> {
        let holder = self.cell.detached();
        match self.raw.try_acquire(holder) {
            Ok(permit) => Ok(Some(self.permit(permit, holder))),
            Err(LockError::Busy) => Ok(None),
            Err(error) => Err(not_acquired(WHAT, error)),
        }
    }

    /// Takes a permit, for asynchronous code; see
    /// [`SharedMutex::lock_async`](crate::SharedMutex::lock_async).
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let semaphore = rt.shared_semaphore(1)?;
    /// let permit = semaphore.acquire_async().await?;
    /// tokio::task::yield_now().await; // keeps the permit
    /// drop(permit);
    /// assert_eq!(semaphore.available(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`acquire`](Self::acquire), and
    /// [`is_resource_limit`](Error::is_resource_limit).
    pub async fn acquire_async(&self) -> Result<SharedPermit> {
        let take = |holder| self.raw.try_acquire(holder);
        let poll = |holder, wait: &mut _, waker: &_| self.raw.poll_acquire(holder, wait, waker);
        let (holder, permit) = acquire(WHAT, &self.cell, take, poll).await?;
        Ok(self.permit(permit, holder))
    }

    /// Returns the number of permits that are left, at some moment during the call.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let semaphore = rt.shared_semaphore(3)?;
    /// let _permit = semaphore.acquire()?;
    /// assert_eq!(semaphore.available(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn available(&self) -> usize {
        self.raw.available() as usize
    }

    fn acquire_for(&self, limit: Option<Duration>) -> Result<SharedPermit> {
        let holder = self.cell.detached();
        match self.raw.acquire(holder, self.cell.waiting(limit)) {
            Ok(permit) => Ok(self.permit(permit, holder)),
            Err(error) => Err(self.cell.not_acquired(WHAT, error)),
        }
    }

    fn permit(&self, permit: Permit, holder: Holder) -> SharedPermit {
        SharedPermit {
            semaphore: self.clone(),
            permit,
            holder,
        }
    }
}

/// A permit of a [`SharedSemaphore`]. It comes back when it is dropped, on any thread.
///
/// # Examples
/// ```
/// use mobula::{SharedPermit, prelude::*};
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let semaphore = rt.shared_semaphore(1)?;
/// let permit: SharedPermit = semaphore.acquire()?;
/// std::thread::spawn(move || drop(permit)).join().unwrap();
/// assert_eq!(semaphore.available(), 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "the permit comes back when it is dropped"]
pub struct SharedPermit {
    semaphore: SharedSemaphore,
    permit: Permit,
    holder: Holder,
}

impl Drop for SharedPermit {
    fn drop(&mut self) {
        let _ = self.semaphore.raw.release(self.permit, self.holder);
    }
}

impl fmt::Debug for SharedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedPermit({})", self.permit.0)
    }
}

impl Runtime {
    /// Makes a semaphore between processes.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.shared_semaphore(4)?.available(), 4);
    /// assert!(rt.shared_semaphore(1_000_000).unwrap_err().is_usage());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// * [`is_usage`](Error::is_usage): more than 65,536 permits.
    /// * [`is_store_full`](Error::is_store_full): there is no room.
    /// * `is_shutdown`: the runtime has ended.
    pub fn shared_semaphore(&self, permits: usize) -> Result<SharedSemaphore> {
        let Some(count) = u32::try_from(permits).ok().filter(|n| *n <= MOST) else {
            return Err(Error::usage(format!(
                "a shared semaphore has at most {MOST} permits, not {permits}"
            )));
        };
        let cell = Cell::create(self.engine(), KIND, layout(count), &[], permits)?;
        RawSemaphore::init(cell.memory.clone(), 0, 0, count);
        Ok(SharedSemaphore::new(cell))
    }
}

impl fmt::Debug for SharedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedSemaphore({} permits)", self.raw.permits())
    }
}

impl Serialize for SharedSemaphore {
    /// Works for values that go through Mobula only; elsewhere it is an error.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.cell.handle.serialize::<SharedSemaphore, S>(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedSemaphore {
    /// Works for values that go through Mobula only; elsewhere it is an error.
    fn deserialize<D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<SharedSemaphore, D::Error> {
        let (handle, shape) = SharedHandle::deserialize::<SharedSemaphore, D>(deserializer, KIND)?;
        let permits = shape.first().and_then(|n| u32::try_from(*n).ok());
        let permits = permits.filter(|n| *n <= MOST);
        let permits = permits.ok_or_else(|| de::Error::custom("a semaphore without a size"))?;
        Cell::new(handle, layout(permits))
            .map(SharedSemaphore::new)
            .map_err(de::Error::custom)
    }
}
