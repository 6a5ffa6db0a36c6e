//! The places of encoded bytes.

use std::sync::Arc;

use mobula_protocol::{Engine, INLINE_LIMIT, Result};
use mobula_store::{Block, Heap};

use crate::typed::engine::current_engine;

/// The least alignment of a payload, in bytes: a cache line.
const ALIGN: usize = 64;

/// Where encoded bytes are put: large ones directly into the store, so that they are copied once.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// The heap of this engine.
    Of(&'a Arc<dyn Engine>),
    /// The heap of this process' engine. If the process has none, or more than one, private memory.
    /// Then the engine that gets the bytes copies them.
    Current,
}

impl Place<'_> {
    /// Copies bytes. An `align` of 1 says that no code reads them as other types.
    ///
    /// # Errors
    /// The store is full.
    pub(crate) fn copy(self, bytes: &[u8], align: usize) -> Result<Block> {
        if bytes.len() <= INLINE_LIMIT {
            return Ok(Block::copy_of(bytes, align));
        }
        self.with_heap(|heap| match heap {
            Some(heap) => Ok(heap.copy(bytes, align.max(ALIGN))?.seal().block()),
            None => Ok(Block::copy_of(bytes, align)),
        })
    }

    /// Calls `f` with the heap, if there is one.
    pub(crate) fn with_heap<R>(self, f: impl FnOnce(Option<&Arc<Heap>>) -> R) -> R {
        match self {
            Place::Of(engine) => f(Some(engine.store().heap())),
            Place::Current => match current_engine() {
                Ok(engine) => f(Some(engine.store().heap())),
                Err(_) => f(None),
            },
        }
    }
}
