//! The types that the targets read and write. Between them they take each path of the encoding.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Compared by its bytes, since NaN is no equal of itself.
#[derive(Debug, Serialize, Deserialize)]
pub enum Value {
    Unit,
    Nothing(()),
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Wide(i128, u128),
    Single(f32),
    Double(f64),
    Text(String, char),
    Bytes(Vec<u8>),
    Array([u8; 5]),
    Mixed(u8, u8, u8, u8, Option<u8>),
    Options(Vec<Option<Option<Option<u8>>>>),
    Units(Vec<Option<()>>),
    Option(Option<Option<Box<Value>>>),
    List(Vec<Value>),
    Map(BTreeMap<(i8, Option<bool>), Value>),
    Named {
        left: Box<Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        right: Option<Box<Value>>,
    },
    Tagged(Tagged),
    Untagged(Untagged),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Tagged {
    Unit,
    Flat(Flat),
    Named {
        next: Option<Box<Tagged>>,
        options: Option<Option<()>>,
        bytes: Vec<u8>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Flat {
    id: Option<Option<u8>>,
    #[serde(flatten)]
    rest: BTreeMap<String, Untagged>,
}

impl Flat {
    #[allow(dead_code, reason = "one of the targets grows values")]
    pub fn new(id: Option<Option<u8>>, rest: BTreeMap<String, Untagged>) -> Flat {
        Flat { id, rest }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Untagged {
    Nothing,
    Flag(bool),
    Number(i64),
    Double(f64),
    Text(String),
    Tagged { tagged: Box<Tagged> },
    Options { options: Vec<Option<Option<u8>>> },
    Bytes { bytes: Vec<u8>, array: [u8; 4] },
    List(Vec<Untagged>),
}
