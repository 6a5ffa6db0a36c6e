//! Text. It is stored as its bytes, and borrowed in place.

use mobula_protocol::{Input, Payload, Result};
use mobula_store::Block;

use super::{Codec, Own, single};
use crate::typed::{
    bytes::{as_text, read_text, text},
    flat::Types,
    place::Place,
};

/// `str`
#[derive(Debug)]
pub struct Text;

impl Codec<str> for Text {
    type Guard = Block;

    fn encode(&self, value: &str, place: Place<'_>) -> Result<Payload> {
        text(value, place)
    }

    fn lend(&self, input: Input) -> Result<Block> {
        read_text::<str>(single::<str>(input)?.0)
    }

    fn borrow<'g>(&self, guard: &'g Block) -> Result<&'g str> {
        as_text(guard)
    }

    fn learn(&self, _: &mut Types) {}
}

/// `String`
#[derive(Debug)]
pub struct OwnedText;

impl Codec<String> for OwnedText {
    type Guard = String;

    fn encode(&self, value: &String, place: Place<'_>) -> Result<Payload> {
        text(value, place)
    }

    fn lend(&self, input: Input) -> Result<String> {
        self.own(input)
    }

    fn borrow<'g>(&self, guard: &'g String) -> Result<&'g String> {
        Ok(guard)
    }

    fn learn(&self, _: &mut Types) {}
}

impl Own<String> for OwnedText {
    fn own(&self, input: Input) -> Result<String> {
        let block = read_text::<String>(single::<String>(input)?.0)?;
        Ok(as_text(&block)?.to_owned())
    }
}
