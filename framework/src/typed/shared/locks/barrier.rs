//! A barrier between processes.

use std::{fmt, time::Duration};

use mobula_protocol::{
    Error, Result, SharedKind,
    sync::{BarrierError, RawBarrier},
};

use super::cell::{Cell, CellMemory, Layout};
use crate::Runtime;

const LAYOUT: Layout = Layout {
    words: RawBarrier::<CellMemory>::WORDS,
    futexes: RawBarrier::<CellMemory>::FUTEXES,
};

const KIND: (SharedKind, u64) = (SharedKind::Barrier, 0);

/// A barrier between processes: a number of parties wait until all have arrived, round after round.
///
/// Each party is a task that runs, or a thread. A task that waits here lets others run on its
/// worker, so more tasks than workers can meet. When a process dies that had the barrier, it is
/// broken. Then all waits are errors that say so, until [`reset`](Self::reset). No party hangs.
///
/// # Examples
/// ```
/// use mobula::{SharedBarrier, prelude::*};
///
/// #[remote]
/// fn party(barrier: &SharedBarrier) -> mobula::Result<bool> {
///     barrier.wait()
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let barrier = rt.shared_barrier(3)?;
/// let leaders = rt.get(rt.spawn_all((0..3).map(|_| party::remote(&barrier))))?;
/// assert_eq!(leaders.iter().filter(|leader| **leader).count(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SharedBarrier {
    cell: Cell,
    raw: RawBarrier<CellMemory>,
}

impl SharedBarrier {
    fn new(cell: Cell) -> SharedBarrier {
        SharedBarrier {
            raw: RawBarrier::new(cell.memory.clone(), 0, 0),
            cell,
        }
    }

    /// Blocks until all parties have arrived. Returns `true` to one of them, the leader.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let barrier = rt.shared_barrier(1)?;
    /// assert!(barrier.wait()?);
    /// assert!(barrier.wait()?); // the next round
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// * [`is_poisoned`](Error::is_poisoned): the barrier is broken, or was reset during the wait.
    ///   A cancelled task that waits breaks it.
    /// * [`is_shutdown`](Error::is_shutdown): the runtime ended during the wait.
    pub fn wait(&self) -> Result<bool> {
        self.wait_for(None)
    }

    /// Blocks until all parties have arrived, for up to `limit`. After that the barrier is broken
    /// for all.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let barrier = rt.shared_barrier(2)?;
    /// assert!(barrier.wait_timeout(Duration::from_millis(5)).unwrap_err().is_timeout());
    /// assert!(barrier.wait().unwrap_err().is_poisoned());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`wait`](Self::wait), and [`is_timeout`](Error::is_timeout).
    pub fn wait_timeout(&self, limit: Duration) -> Result<bool> {
        self.wait_for(Some(limit))
    }

    fn wait_for(&self, limit: Option<Duration>) -> Result<bool> {
        let waited = self.raw.wait(self.cell.waiting(limit));
        waited.map_err(|error| match error {
            BarrierError::Ended => self.cell.why_ended(),
            BarrierError::TimedOut => Error::timeout(
                "not all parties came to the shared barrier within the time allowed, and it is broken now",
            ),
            BarrierError::Broken(_) | BarrierError::Reset => Error::poisoned(format!(
                "waiting at a shared barrier: {error}; `reset()` makes it usable again"
            )),
        })
    }

    /// Begins anew. Parties that wait get an error.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let barrier = rt.shared_barrier(2)?;
    /// barrier.wait_timeout(Duration::from_millis(5)).unwrap_err(); // breaks it
    /// barrier.reset();
    /// assert_eq!(barrier.broken(), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reset(&self) {
        self.raw.reset();
    }

    /// Returns how the barrier broke. `None` if it is not broken.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let barrier = rt.shared_barrier(2)?;
    /// assert_eq!(barrier.broken(), None);
    /// barrier.wait_timeout(Duration::from_millis(5)).unwrap_err();
    /// assert!(barrier.broken().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn broken(&self) -> Option<String> {
        self.raw.broken().map(|cause| cause.to_string())
    }

    /// Returns the number of parties.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.shared_barrier(2)?.parties(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn parties(&self) -> usize {
        self.raw.parties() as usize
    }
}

impl Runtime {
    /// Makes a barrier between processes for `parties` tasks or threads.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let barrier = rt.shared_barrier(2)?;
    /// std::thread::scope(|scope| {
    ///     let other = scope.spawn(|| barrier.wait());
    ///     assert_ne!(barrier.wait().unwrap(), other.join().unwrap().unwrap());
    /// });
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// * [`is_usage`](Error::is_usage): no party, or more than a million.
    /// * [`is_store_full`](Error::is_store_full): there is no room.
    /// * `is_shutdown`: the runtime has ended.
    pub fn shared_barrier(&self, parties: usize) -> Result<SharedBarrier> {
        let count = u32::try_from(parties)
            .ok()
            .filter(|n| (1..=RawBarrier::<CellMemory>::MAX_PARTIES).contains(n));
        let Some(count) = count else {
            return Err(Error::usage(format!(
                "a barrier has 1 to {} parties, not {parties}",
                RawBarrier::<CellMemory>::MAX_PARTIES
            )));
        };
        let cell = Cell::create(self.engine(), KIND, LAYOUT, &[], 0)?;
        RawBarrier::init(cell.memory.clone(), 0, 0, count);
        Ok(SharedBarrier::new(cell))
    }
}

impl fmt::Debug for SharedBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedBarrier({} parties)", self.parties())
    }
}

super::cell::travels! { SharedBarrier, KIND, LAYOUT }
