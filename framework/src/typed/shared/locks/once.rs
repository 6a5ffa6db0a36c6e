//! Work that one of many processes does once.

use std::fmt;

use mobula_protocol::{Result, SharedKind, sync::RawOnce};

use super::cell::{Cell, CellMemory, Layout};
use crate::Runtime;

const LAYOUT: Layout = Layout {
    words: RawOnce::<CellMemory>::WORDS,
    futexes: RawOnce::<CellMemory>::FUTEXES,
};

const KIND: (SharedKind, u64) = (SharedKind::Once, 0);

/// Work that is done once among all processes: one process does it, the others wait for that.
///
/// If the process that does it dies or panics, the next one does it. A task that does it has its
/// worker for itself as always, unless `f` waits for something. A task that waits for another
/// process lets others run on its worker.
///
/// # Examples
/// ```
/// use mobula::{SharedOnce, prelude::*};
///
/// #[remote]
/// fn work(once: &SharedOnce) -> mobula::Result<bool> {
///     once.call_once(|| println!("the first task prepares something"))
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(2).start()?;
/// let once = rt.shared_once()?;
/// let did = rt.map((0..10).map(|_| work::remote(&once))).get()?;
/// assert_eq!(did.iter().filter(|did| **did).count(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SharedOnce {
    cell: Cell,
    raw: RawOnce<CellMemory>,
}

impl SharedOnce {
    fn new(cell: Cell) -> SharedOnce {
        SharedOnce {
            raw: RawOnce::new(cell.memory.clone(), 0, 0),
            cell,
        }
    }

    /// Calls `f` if no process has done so, and returns when the work is done: `true` if this call
    /// did it.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let once = rt.shared_once()?;
    /// assert!(once.call_once(|| ())?);
    /// assert!(!once.call_once(|| unreachable!())?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// * [`is_usage`](mobula_protocol::Error::is_usage): `f` itself calls this.
    /// * [`is_shutdown`](mobula_protocol::Error::is_shutdown): the runtime ended while another
    ///   process did the work.
    pub fn call_once(&self, f: impl FnOnce()) -> Result<bool> {
        if self.raw.is_done() {
            return Ok(false);
        }
        let holder = self.cell.this_thread();
        self.raw
            .call(holder, self.cell.waiting(None), f)
            .map_err(|error| self.cell.not_acquired("the shared once", error))
    }

    /// Returns whether the work is done. Costs one load.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let once = rt.shared_once()?;
    /// assert!(!once.is_done());
    /// once.call_once(|| ())?;
    /// assert!(once.is_done());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_done(&self) -> bool {
        self.raw.is_done()
    }
}

impl Runtime {
    /// Makes a [`SharedOnce`]: work that is done once.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let once = rt.shared_once()?;
    /// once.call_once(|| println!("once"))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_store_full`](mobula_protocol::Error::is_store_full) when there is no room,
    /// `is_shutdown` after the runtime's end.
    pub fn shared_once(&self) -> Result<SharedOnce> {
        Cell::create(self.engine(), KIND, LAYOUT, &[], 0).map(SharedOnce::new)
    }
}

impl fmt::Debug for SharedOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedOnce(done: {})", self.is_done())
    }
}

super::cell::travels! { SharedOnce, KIND, LAYOUT }
