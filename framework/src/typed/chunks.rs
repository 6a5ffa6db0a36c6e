//! Slices of arrays behind refs.

use std::ops::RangeBounds;

use mobula_protocol::Result;
use mobula_store::{Array, Plain};

use super::{ArrayChunks, ArraySlice, ObjectRef};

/// Slices of stored vectors.
impl<E: Plain> ObjectRef<Vec<E>> {
    /// Blocks until the elements are there, and returns the elements of this range, in place.
    ///
    /// # Examples
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
    ///
    /// # Errors
    /// The errors of [`view`](Self::view) and of [`ArraySlice::slice`].
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<ArraySlice<E>> {
        ArraySlice::from(self.view()?).slice(range)
    }

    /// Blocks until the elements are there, and returns slices of `len` elements each. The last
    /// slice may be shorter.
    ///
    /// This serves a map over them: `rt.map_fn(mean::remote, samples.chunks(len)?)`. No elements
    /// are copied, neither here nor for the calls; see [`ArraySlice`]. A vector of values that are
    /// no plain elements comes by `get`. The slices of `names.get()?.chunks(len)` are arguments,
    /// too, and each call gets a copy.
    ///
    /// # Examples
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
    ///
    /// # Errors
    /// The errors of [`view`](Self::view); `is_usage` if `len` is 0.
    pub fn chunks(&self, len: usize) -> Result<ArrayChunks<E>> {
        ArraySlice::from(self.view()?).chunks(len)
    }
}

/// Slices of stored arrays.
impl<E: Plain> ObjectRef<Array<E>> {
    /// Blocks until the elements are there, and returns the elements of this range, in place.
    ///
    /// # Examples
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
    ///
    /// # Errors
    /// The errors of [`view`](Self::view) and of [`ArraySlice::slice`].
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<ArraySlice<E>> {
        ArraySlice::from(self.view()?).slice(range)
    }

    /// Blocks until the elements are there, and returns slices of `len` elements each. The last
    /// slice may be shorter. No elements are copied.
    ///
    /// # Examples
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
    ///
    /// # Errors
    /// The errors of [`view`](Self::view); `is_usage` if `len` is 0.
    pub fn chunks(&self, len: usize) -> Result<ArrayChunks<E>> {
        ArraySlice::from(self.view()?).chunks(len)
    }
}
