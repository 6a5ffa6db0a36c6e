//! A value in the hands of this process: bytes that can be read, and what they refer to.

use std::sync::Arc;

use mobula_store::Block;

use crate::{object_handle::ObjectHandle, value::Format};

/// What a packed payload refers to, by index.
#[derive(Clone, Debug)]
pub enum Side {
    /// An array. Boxed, since lists of refs are longer than lists of arrays.
    Array(Box<SideArray>),
    /// A ref.
    Ref(Arc<ObjectHandle>),
}

/// An array that a packed payload refers to: its format is flat, it has no side of its own.
#[derive(Clone, Debug)]
pub struct SideArray {
    /// The bytes. Their lease keeps them (an [`ObjectHandle`], or an extent of this process' heap);
    /// without a lease they are private memory.
    pub block: Block,
    /// How to read them.
    pub format: Format,
}

impl Side {
    /// An array.
    pub fn array(block: Block, format: Format) -> Side {
        Side::Array(Box::new(SideArray { block, format }))
    }
}

/// A value with readable bytes, before it is given to the engine or after it was got from there.
/// Cloning costs reference counts.
#[derive(Clone, Debug)]
pub struct Payload {
    /// How to read the bytes.
    pub format: Format,
    /// The bytes, with what keeps them.
    pub block: Block,
    /// What the bytes refer to; empty but for packed payloads.
    pub side: Vec<Side>,
}
