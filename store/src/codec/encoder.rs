//! The writer of an encoding: its buffer, the open levels, and heads.

use serde::{Serialize, Serializer as _};

use super::{
    error::Fault,
    format::{MAX_DEPTH, MAX_LEN, ext_head},
};

/// Writes one value.
pub(super) struct Encoder {
    /// Writes scalars and the heads of collections. Other code writes into its buffer directly.
    pub(super) out: rmp_serde::Serializer<Vec<u8>>,
    /// The number of open levels.
    depth: u16,
    /// Whether an element failed. Its bytes are incomplete, even if its owner goes on.
    failed: bool,
}

impl Encoder {
    /// Returns an encoder that writes into this empty buffer.
    pub(super) fn into(buffer: Vec<u8>) -> Encoder {
        let out = rmp_serde::Serializer::new(buffer);
        Encoder {
            out,
            depth: 0,
            failed: false,
        }
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, Fault> {
        if self.failed {
            return Err(Fault::new(
                "an element failed, and its owner passed over the error",
            ));
        }
        Ok(self.out.into_inner())
    }

    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        self.out.get_mut()
    }

    pub(super) fn position(&self) -> usize {
        self.out.get_ref().len()
    }

    #[inline]
    pub(super) fn enter(&mut self, levels: u16) -> Result<(), Fault> {
        if MAX_DEPTH - self.depth < levels {
            return Err(too_deep());
        }
        self.depth += levels;
        Ok(())
    }

    #[inline]
    pub(super) fn leave(&mut self, levels: u16) {
        self.depth -= levels;
    }

    /// Writes the head of an array. `rmp-serde` writes the head of a collection of known length
    /// before it returns the writer of its elements. The encoder writes the elements itself, so
    /// that writer is dropped.
    #[inline]
    pub(super) fn array_head(&mut self, len: usize) -> Result<(), Fault> {
        check_len(len)?;
        self.out.serialize_seq(Some(len)).map(drop)?;
        Ok(())
    }

    #[inline]
    pub(super) fn map_head(&mut self, len: usize) -> Result<(), Fault> {
        check_len(len)?;
        self.out.serialize_map(Some(len)).map(drop)?;
        Ok(())
    }

    pub(super) fn bytes_head(&mut self, code: u8, len: usize) -> Result<(), Fault> {
        check_len(len)?;
        let (head, n) = ext_head(code, len as u32);
        self.buffer().extend_from_slice(&head[..n]);
        Ok(())
    }

    /// Turns the bytes since `start` into the payload of an extension.
    pub(super) fn wrap(&mut self, start: usize, code: u8) -> Result<(), Fault> {
        let len = self.position() - start;
        check_len(len)?;
        let (head, n) = ext_head(code, len as u32);
        self.buffer()
            .splice(start..start, head[..n].iter().copied());
        Ok(())
    }

    pub(super) fn nested<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.enter(1)?;
        value.serialize(&mut *self)?;
        self.leave(1);
        Ok(())
    }

    pub(super) fn number128(&mut self, code: u8, bytes: [u8; 16]) -> Result<(), Fault> {
        self.bytes_head(code, bytes.len())?;
        self.buffer().extend_from_slice(&bytes);
        Ok(())
    }
}

#[cold]
fn too_deep() -> Fault {
    Fault::new(format_args!(
        "it nests more than {MAX_DEPTH} levels deep; keep the elements of a list or a tree in a `Vec`, and refer to them by index"
    ))
}

#[inline]
pub(super) fn check_len(len: usize) -> Result<(), Fault> {
    if len > MAX_LEN {
        Err(too_long(len))
    } else {
        Ok(())
    }
}

#[cold]
fn too_long(len: usize) -> Fault {
    Fault::new(format_args!(
        "a length of {len} is above the limit of {MAX_LEN}; put large data into an Array"
    ))
}
