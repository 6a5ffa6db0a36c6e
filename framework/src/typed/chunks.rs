//! Slices of what a ref stands for.

use std::ops::RangeBounds;

use mobula_protocol::Result;
use mobula_store::{Array, Plain};

use super::{ArrayChunks, ArraySlice, ObjectRef};

/// Slices of stored vectors.
impl<E: Plain> ObjectRef<Vec<E>> {
    /// Blocks until the elements are there, and gives these, in place.
    ///
    /// # Errors
    /// As for [`view`](Self::view), and as for [`ArraySlice::slice`].
    ///
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let samples = rt.put(&vec![1.0, 2.0, 3.0, 4.0])?;
    /// let middle = samples.slice(1..3)?;
    /// assert_eq!(middle[..], [2.0, 3.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<ArraySlice<E>> {
        ArraySlice::from(self.view()?).slice(range)
    }

    /// Blocks until the elements are there, and gives them in slices of `len` elements each, the
    /// last one of what is left, for a map over them: `rt.map_fn(mean::remote, samples.chunks(len)?)`.
    ///
    /// No elements are copied, neither here nor for the calls; see [`ArraySlice`]. Other vectors, of
    /// values that are no plain elements, come by `get`: `names.get()?.chunks(len)` are slices too,
    /// and each call gets a copy of its own.
    ///
    /// # Errors
    /// As for [`view`](Self::view); `is_usage` if `len` is 0.
    ///
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn sum(numbers: &[f64]) -> f64 {
    ///     numbers.iter().sum()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let samples = rt.put(&vec![1.0, 2.0, 3.0, 4.0])?;
    /// let sums = rt.map_fn(sum::remote, samples.chunks(3)?).get()?;
    /// assert_eq!(sums, [6.0, 4.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn chunks(&self, len: usize) -> Result<ArrayChunks<E>> {
        ArraySlice::from(self.view()?).chunks(len)
    }
}

/// Slices of stored arrays.
impl<E: Plain> ObjectRef<Array<E>> {
    /// Blocks until the elements are there, and gives these, in place.
    ///
    /// # Errors
    /// As for [`view`](Self::view), and as for [`ArraySlice::slice`].
    ///
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let samples = rt.put(&mobula::Array::from(vec![1.0, 2.0, 3.0, 4.0]))?;
    /// let middle = samples.slice(1..3)?;
    /// assert_eq!(middle[..], [2.0, 3.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<ArraySlice<E>> {
        ArraySlice::from(self.view()?).slice(range)
    }

    /// Blocks until the elements are there, and gives them in slices of `len` elements each, the
    /// last one of what is left. No elements are copied.
    ///
    /// # Errors
    /// As for [`view`](Self::view); `is_usage` if `len` is 0.
    ///
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn sum(numbers: &[f64]) -> f64 {
    ///     numbers.iter().sum()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let samples = rt.put(&mobula::Array::from(vec![1.0, 2.0, 3.0, 4.0]))?;
    /// let sums = rt.map_fn(sum::remote, samples.chunks(3)?).get()?;
    /// assert_eq!(sums, [6.0, 4.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn chunks(&self, len: usize) -> Result<ArrayChunks<E>> {
        ArraySlice::from(self.view()?).chunks(len)
    }
}
