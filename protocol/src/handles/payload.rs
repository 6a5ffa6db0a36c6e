//! A value in this process: readable bytes, and what they refer to.

use std::sync::Arc;

use mobula_store::Block;

use crate::{object_handle::ObjectHandle, value::Format};

/// An array or a ref that a packed payload refers to by index.
#[derive(Clone, Debug)]
pub enum Attachment {
    /// An array. It is boxed, since lists of refs are longer than lists of arrays.
    Array(Box<ArrayAttachment>),
    /// A ref.
    Ref(Arc<ObjectHandle>),
}

/// An array that a packed payload refers to. Its format is flat, and it has no attachments of its
/// own.
#[derive(Clone, Debug)]
pub struct ArrayAttachment {
    /// The bytes. Their lease, an [`ObjectHandle`] or an extent of this process' heap, keeps them.
    /// Without a lease they are private memory.
    pub block: Block,
    /// The format of the bytes.
    pub format: Format,
}

impl Attachment {
    /// Returns the attachment of an array.
    pub fn array(block: Block, format: Format) -> Attachment {
        Attachment::Array(Box::new(ArrayAttachment { block, format }))
    }
}

/// A value with readable bytes, on its way to the engine or from there. A clone costs reference
/// counts.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The format of the bytes.
    pub format: Format,
    /// The bytes, with a lease that keeps them.
    pub block: Block,
    /// The attachments that the bytes refer to by index. Only packed payloads and parts have them.
    pub attachments: Vec<Attachment>,
}
