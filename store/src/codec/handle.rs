//! The arrays and refs that a value refers to and does not contain.

use std::{any::Any, fmt, sync::Arc};

use crate::Block;

/// The name of the newtype struct by which serde carries a handle.
pub(super) const HANDLE_NAME: &str = "$mobula::handle";

/// An array or a ref that a value refers to and does not contain.
#[derive(Clone)]
pub enum Handle {
    /// Plain elements in shared or private memory. They are boxed, since lists of refs are longer
    /// than lists of arrays.
    Array(Box<ArrayHandle>),
    /// A ref to an object, in the engine's representation.
    Ref(Arc<dyn Any + Send + Sync>),
}

/// Plain elements in shared or private memory.
#[derive(Clone, Debug)]
pub struct ArrayHandle {
    /// The bytes of the elements.
    pub block: Block,
    /// The [`type_tag`](crate::codec::type_tag) of the element type.
    pub elem: u64,
    /// The number of elements.
    pub len: u64,
}

/// The kind of a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleKind {
    /// The kind of [`Handle::Array`].
    Array,
    /// The kind of [`Handle::Ref`].
    Ref,
}

impl Handle {
    /// Returns a handle of plain elements.
    pub fn array(block: Block, elem: u64, len: u64) -> Handle {
        Handle::Array(Box::new(ArrayHandle { block, elem, len }))
    }

    pub(super) fn kind(&self) -> HandleKind {
        match self {
            Handle::Array(_) => HandleKind::Array,
            Handle::Ref(_) => HandleKind::Ref,
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Handle::Array(array) => array.fmt(f),
            Handle::Ref(_) => f.write_str("Ref(..)"),
        }
    }
}

impl HandleKind {
    pub(super) fn code(self) -> u8 {
        match self {
            HandleKind::Array => 0,
            HandleKind::Ref => 1,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            HandleKind::Array => "Array",
            HandleKind::Ref => "ObjectRef",
        }
    }

    pub(super) fn way_out(self) -> &'static str {
        match self {
            HandleKind::Array => "convert it with to_vec()",
            HandleKind::Ref => "get its value first",
        }
    }
}
