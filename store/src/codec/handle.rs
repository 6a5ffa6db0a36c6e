//! What a value refers to instead of containing it: arrays and refs.

use std::{any::Any, fmt, sync::Arc};

use crate::Block;

/// The name under which serde carries a handle, as a newtype struct.
pub(super) const HANDLE_NAME: &str = "$mobula::handle";

/// Something that a value refers to instead of containing it.
#[derive(Clone)]
pub enum Handle {
    /// Plain elements in shared or private memory. Boxed, since lists of refs are longer than lists
    /// of arrays.
    Array(Box<ArrayHandle>),
    /// A ref to an object, as the engine represents it.
    Ref(Arc<dyn Any + Send + Sync>),
}

/// Plain elements in shared or private memory.
#[derive(Clone, Debug)]
pub struct ArrayHandle {
    /// Where the elements are.
    pub block: Block,
    /// The [`type_tag`](crate::codec::type_tag) of the element type.
    pub elem: u64,
    /// How many elements.
    pub len: u64,
}

/// Which kind of handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleKind {
    /// [`Handle::Array`].
    Array,
    /// [`Handle::Ref`].
    Ref,
}

impl Handle {
    /// Plain elements.
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
