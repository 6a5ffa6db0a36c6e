//! What shared arrays hold, and how they are laid out.

use mobula_protocol::{Error, Format, Result, TypeTag};
use mobula_store::codec::type_tag;

/// Element types of shared memory that is written: every bit pattern is a value, there is no
/// padding and no pointer. Numbers, arrays of them, and structs that derive `bytemuck::Pod`.
///
/// `bool`, `char` and enums are not among them, since a process that dies, or writes wildly, could
/// leave bits that are no value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an element of shared memory that is written",
    note = "every bit pattern has to be a value, without padding and pointers: derive `bytemuck::Pod` and `bytemuck::Zeroable` (with `#[repr(C)]`); use `u8` for `bool`, an index for a reference"
)]
pub trait SharedElement: bytemuck::Pod + Send + Sync + 'static {}

impl<T: bytemuck::Pod + Send + Sync + 'static> SharedElement for T {}

/// How many elements an array has along each dimension: `n`, `(rows, columns)`, `[a, b, c]`.
pub trait Shape {
    /// The dimensions.
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

/// The number of elements, and of their bytes.
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

/// How elements of an array without dimensions lie in memory.
pub(super) fn flat<T: 'static>(len: usize) -> Format {
    Format::Flat {
        elem: TypeTag(type_tag::<T>()),
        shape: [len as u64][..].into(),
    }
}
