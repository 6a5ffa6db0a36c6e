//! Makes shared arrays: of one value, by a function, or of an object.

use mobula_protocol::{Error, ObjectHandle, Result};

use super::SharedArray;
use crate::{
    Array, ObjectRef, Runtime,
    promise::ENGINE,
    typed::shared::{SharedElement, element::Shape},
};

impl Runtime {
    /// Makes an array in shared memory that tasks write in place, all elements `init`. `shape` is a
    /// length, `(rows, columns)`, or an array of dimensions.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let line = rt.shared_array::<f64>(1000, 0.5)?;
    /// let cube = rt.shared_array::<u8>([10, 20, 30], 0)?;
    /// assert_eq!((line.len(), cube.len()), (1000, 6000));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_store_full`](Error::is_store_full) when there is no room, `is_shutdown` after the
    /// runtime's end.
    pub fn shared_array<T: SharedElement>(
        &self,
        shape: impl Shape,
        init: T,
    ) -> Result<SharedArray<T>> {
        let zero = bytemuck::bytes_of(&init).iter().all(|byte| *byte == 0);
        self.shared_array_with(shape, |elements| {
            // New memory is zero already.
            if !zero {
                elements.fill(init);
            }
        })
    }

    /// Makes an array in shared memory that `fill` fills. It begins as zeros.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let array = rt.shared_array_with(10, |all: &mut [u32]| all[0] = 7)?;
    /// assert_eq!(array.with(|all| (all[0], all[9]))?, (7, 0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`shared_array`](Self::shared_array).
    pub fn shared_array_with<T: SharedElement>(
        &self,
        shape: impl Shape,
        fill: impl FnOnce(&mut [T]),
    ) -> Result<SharedArray<T>> {
        SharedArray::new(self.engine(), shape.dimensions(), fill)
    }
}

impl<T: SharedElement> ObjectRef<Vec<T>> {
    /// Blocks until the elements are there, and copies them, once, into a new array that can be
    /// written.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let object = rt.put(&vec![1_u32, 2, 3])?;
    /// let array = object.to_shared()?;
    /// array.with_mut(|all| all[0] = 10)?;
    /// assert_eq!(array.with(|all| all.iter().sum::<u32>())?, 15);
    /// assert_eq!(object.get()?, [1, 2, 3]); // the object is as it was
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`view`](ObjectRef::view), and `is_store_full()`.
    pub fn to_shared(&self) -> Result<SharedArray<T>> {
        to_shared(self.entry(), &self.view()?)
    }
}

impl<T: SharedElement> ObjectRef<Array<T>> {
    /// Blocks until the elements are there, and copies them, once, into a new array that can be
    /// written.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let ones = rt.put_with(1000, |out: &mut [f64]| out.fill(1.0))?;
    /// let array = ones.to_shared()?;
    /// array.with_mut(|all| all[0] = 0.0)?;
    /// assert_eq!(array.with(|all| all.iter().sum::<f64>())?, 999.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`view`](ObjectRef::view), and `is_store_full()`.
    pub fn to_shared(&self) -> Result<SharedArray<T>> {
        to_shared(self.entry(), &self.view()?)
    }
}

fn to_shared<T: SharedElement>(entry: &ObjectHandle, elements: &[T]) -> Result<SharedArray<T>> {
    let engine = entry.engine(ENGINE).ok_or_else(Error::shutdown)?;
    let fill = |out: &mut [T]| out.copy_from_slice(elements);
    SharedArray::new(&engine, vec![elements.len()], fill)
}
