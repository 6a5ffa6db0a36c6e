//! Elements of shared arrays, and their layout.

use mobula_protocol::{Error, Format, Result, TypeTag};
use mobula_store::codec::type_tag;

/// Element types of shared memory that is written: numbers, arrays of them, and structs that derive
/// `bytemuck::Pod`.
///
/// Every bit pattern of such a type is a value. It has no padding and no pointer. `bool`, `char`
/// and enums are not among them, since a process that dies, or writes wildly, could leave bits that
/// are no value.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
/// #[repr(C)]
/// struct Point {
///     x: f64,
///     y: f64,
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let points = rt.shared_array(100, Point { x: 1.0, y: 2.0 })?;
/// points.with_mut(|all| all[7].y = 0.0)?;
/// assert_eq!(points.with(|all| all.iter().map(|p| p.x + p.y).sum::<f64>())?, 298.0);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an element of shared memory that is written",
    note = "every bit pattern has to be a value, without padding and pointers: derive `bytemuck::Pod` and `bytemuck::Zeroable` (with `#[repr(C)]`); use `u8` for `bool`, an index for a reference"
)]
pub trait SharedElement: bytemuck::Pod + Send + Sync + 'static {}

impl<T: bytemuck::Pod + Send + Sync + 'static> SharedElement for T {}

/// The number of elements of an array along each dimension: `n`, `(rows, columns)`, `[a, b, c]`.
///
/// # Examples
/// ```
/// use mobula::Shape;
///
/// assert_eq!(7.dimensions(), [7]);
/// assert_eq!((3, 4).dimensions(), [3, 4]);
/// assert_eq!([3, 4, 5].dimensions(), [3, 4, 5]);
/// ```
pub trait Shape {
    /// Returns the dimensions.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use mobula::Shape;
    ///
    /// /// A shape by name.
    /// struct FullHd;
    ///
    /// impl Shape for FullHd {
    ///     fn dimensions(self) -> Vec<usize> {
    ///         vec![1080, 1920]
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.shared_array::<u8>(FullHd, 0)?.len(), 2_073_600);
    /// # Ok(())
    /// # }
    /// ```
    fn dimensions(self) -> Vec<usize>;
}

impl Shape for usize {
    fn dimensions(self) -> Vec<usize> {
        vec![self]
    }
}

impl Shape for (usize, usize) {
    fn dimensions(self) -> Vec<usize> {
        vec![self.0, self.1]
    }
}

impl<const N: usize> Shape for [usize; N] {
    fn dimensions(self) -> Vec<usize> {
        self.to_vec()
    }
}

/// Returns the number of elements, and of their bytes.
pub(super) fn size_of_shape<T>(shape: &[usize]) -> Result<(usize, usize)> {
    const {
        assert!(
            size_of::<T>() != 0,
            "shared arrays cannot hold elements of size zero"
        )
    };
    let len = shape.iter().try_fold(1_usize, |len, n| len.checked_mul(*n));
    let bytes = len.and_then(|len| len.checked_mul(size_of::<T>()));
    match (len, bytes) {
        (Some(len), Some(bytes)) if isize::try_from(bytes).is_ok() => Ok((len, bytes)),
        _ => Err(Error::usage(format!(
            "an array of shape {shape:?} with elements of {} bytes has more bytes than memory",
            size_of::<T>()
        ))),
    }
}

/// Returns the format of an array without dimensions.
pub(super) fn flat<T: 'static>(len: usize) -> Format {
    Format::Flat {
        elem: TypeTag(type_tag::<T>()),
        shape: [len as u64][..].into(),
    }
}
