//! Paths that a function borrows. They are stored like a `PathBuf`, and decoded at each call.

use std::path::{Path, PathBuf};

use mobula_protocol::{Input, Payload, Result};

use super::{Codec, single};
use crate::typed::{
    bytes::{pack, tag, unpack},
    flat::Types,
    place::Place,
};

/// `Path`
#[derive(Debug)]
pub struct BorrowedPath;

impl Codec<Path> for BorrowedPath {
    type Guard = PathBuf;

    fn encode(&self, value: &Path, place: Place<'_>) -> Result<Payload> {
        pack(value, tag::<PathBuf>(), place)
    }

    fn lend(&self, input: Input) -> Result<PathBuf> {
        unpack(single::<Path>(input)?.0, |of| of == tag::<PathBuf>())
    }

    fn borrow<'g>(&self, guard: &'g PathBuf) -> Result<&'g Path> {
        Ok(guard)
    }

    fn learn(&self, types: &mut Types) {
        types.name::<PathBuf>();
    }
}
