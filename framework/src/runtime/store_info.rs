//! The store's numbers, for users.

use mobula_protocol::{Control, Stats};

use super::Runtime;

/// The numbers of a runtime's store. [`Runtime::store`] returns it.
///
/// Each method asks anew. In a task all numbers are 0.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let store = rt.store();
/// let object = rt.put("a small value travels inside messages")?;
/// assert_eq!((store.object_count(), store.used_bytes()), (1, 0));
/// assert!(store.used_bytes() <= store.committed_bytes());
/// assert!(store.committed_bytes() <= store.capacity_bytes());
/// # drop(object);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StoreInfo<'a> {
    pub(super) runtime: &'a Runtime,
}

impl StoreInfo<'_> {
    fn stats(&self) -> Stats {
        self.runtime
            .control()
            .map(Control::stats)
            .unwrap_or_default()
    }

    /// Returns the bytes of the objects that exist, each rounded up to 64.
    ///
    /// Small values travel inside messages and do not count. When all refs and arrays of some
    /// objects are gone, their bytes are off. A worker's own refs take some microseconds to be
    /// counted off.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let _object = rt.put(&vec![0_u32; 10_001])?;
    /// assert_eq!(rt.store().used_bytes(), 40_064); // 40,004, rounded up
    /// # Ok(())
    /// # }
    /// ```
    pub fn used_bytes(&self) -> u64 {
        self.stats().used_bytes
    }

    /// Returns the number of objects that exist, pending results and small values included.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let (one, two) = (rt.put(&1)?, rt.put(&2)?);
    /// let again = one.clone(); // another ref of the same object
    /// assert_eq!(rt.store().object_count(), 2);
    /// # drop((one, two, again));
    /// # Ok(())
    /// # }
    /// ```
    pub fn object_count(&self) -> usize {
        self.stats().objects
    }

    /// Returns the bytes of memory that the store has taken from the system, over all processes.
    ///
    /// They are in use by objects, or kept warm for the next objects.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let object = rt.put(&vec![0_u8; 1 << 20])?;
    /// drop(object);
    /// assert_eq!(rt.store().used_bytes(), 0);
    /// println!("{} bytes are kept warm", rt.store().committed_bytes());
    /// # Ok(())
    /// # }
    /// ```
    pub fn committed_bytes(&self) -> u64 {
        self.stats().committed_bytes
    }

    /// Returns the most bytes of memory that the store may take.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).store_capacity(32 << 20).start()?;
    /// assert_eq!(rt.store().capacity_bytes(), 32 << 20);
    /// # Ok(())
    /// # }
    /// ```
    pub fn capacity_bytes(&self) -> u64 {
        self.stats().capacity_bytes
    }
}
