//! Calls of Python functions, which a peer in Python runs.
//!
//! A program makes them as calls of one remote function, [`PYTHON`], so they have the options and
//! the results of other calls. Such a call has a frame of its own, which names the Python function.
//! The body of [`PYTHON`] runs on engines without Python.

use std::any::TypeId;

use rmp_serde::config::BytesMode;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    options::TaskOptions,
    registry::{IndexCell, RemoteFn, Role},
};

/// The remote function that stands for all Python functions. `mobula` registers it.
pub static PYTHON: RemoteFn = RemoteFn {
    package: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    module: module_path!(),
    name: "ray::python",
    file: file!(),
    line: line!(),
    column: column!(),
    signature: "fn(arguments, PythonCall)",
    asynchronous: false,
    role: Role::Function,
    options: {
        let mut options = TaskOptions::DEFAULT;
        // A process of the program runs the calls of a batch. This option keeps a call out of
        // batches, and means nothing on a cluster.
        options.max_calls = Some(u32::MAX);
        options
    },
    owner: TypeId::of::<PythonCall>,
    run: |_| {
        Err(Error::usage(
            "Python functions run on a Ray cluster only: start the program with \
             `MOBULA_ENGINE=ray:ADDRESS`, or the runtime with `EngineKind::ray`",
        ))
    },
    index: IndexCell::NEW,
};

/// The second argument of [`PYTHON`]: the Python function, and the type that reads its result. The
/// first argument has the arguments of the Python function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PythonCall {
    /// The module.
    pub module: String,
    /// The function's name in the module, with dots for what lies in a class.
    pub function: String,
    /// The tag of the result's type.
    pub result: u64,
}

impl PythonCall {
    /// Returns the name of the Python function.
    pub fn name(&self) -> String {
        format!("{}.{}", self.module, self.function)
    }
}

/// Returns the arguments of a Python function as MessagePack, with the names of fields.
///
/// # Errors
/// `Serialize` of the arguments fails, or they are no sequence, no fields with names and not `()`
/// (`is_codec`).
pub fn python_arguments(function: &str, arguments: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut serializer = rmp_serde::Serializer::new(&mut bytes)
        .with_struct_map()
        .with_human_readable()
        .with_bytes(BytesMode::ForceIterables);
    arguments.serialize(&mut serializer).map_err(|error| {
        Error::codec(format!(
            "the arguments of the Python function `{function}` cannot be encoded: {error}; pass \
             plain values, and the value of a ref in place of the ref"
        ))
    })?;
    match bytes.first() {
        // Arrays, maps and nil of MessagePack.
        Some(0x80..=0x9f | 0xc0 | 0xdc..=0xdf) => Ok(bytes),
        _ => Err(Error::codec(format!(
            "the arguments of the Python function `{function}` are one value; pass a tuple, such \
             as `(7,)`, or a struct whose fields have the names of the parameters"
        ))),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_a_sequence_fields_or_nothing() {
        #[derive(Serialize)]
        struct Named {
            bytes: Vec<u8>,
            address: std::net::Ipv4Addr,
        }
        let named = Named {
            bytes: vec![1, 2],
            address: [10, 0, 0, 1].into(),
        };
        let bytes = python_arguments("f", &named).unwrap();
        let expected = b"\x82\xa5bytes\xc4\x02\x01\x02\xa7address\xa810.0.0.1";
        assert_eq!(bytes, expected);
        assert_eq!(python_arguments("f", &()).unwrap(), [0xc0]);
        assert_eq!(python_arguments("f", &(7,)).unwrap(), [0x91, 7]);
        assert!(python_arguments("f", &vec![0_u16; 70_000]).is_ok());
        let error = python_arguments("pkg.mod.fn", &7).unwrap_err();
        assert!(
            error.is_codec() && error.to_string().contains("`pkg.mod.fn`"),
            "{error}"
        );
    }
}
