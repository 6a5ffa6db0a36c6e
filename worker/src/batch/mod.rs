//! Many calls of one function as one task, and their results as one value.
//!
//! A task costs a microsecond or two. A map over a million small items cannot afford that for each,
//! so it packs calls into *batches*: a task of the function [`FUNCTION`], whose first argument
//! holds the calls, and whose further arguments are the objects that the calls use, each once. For
//! the scheduling core it is a task like any other.
//!
//! Only calls fit of which the core need not know apart. Their arguments are
//! [data](mobula_protocol::Value::is_data), which is ready: a batch waits for all of its objects,
//! and an item must not wait for, or fail with, the input of another. A part of a shared array is
//! no data, since the core says how the call ended that had it. Nor is a lock or a barrier, at
//! which one item could wait for another behind it. An item that may run again after an error does
//! not fit, and a batch itself never runs again: after a crash the map sends its calls one by one.

mod calls;
mod cells;
mod results;
mod run;

#[cfg(all(test, not(loom)))]
mod tests;

use std::any::TypeId;

use mobula_protocol::{IndexCell, Registered, RemoteFn, Role, TaskOptions, TypeTag};

pub use calls::BatchWriter;
pub use results::BatchResults;

/// The type of calls and results, as a packed value.
pub const TAG: TypeTag = TypeTag(u64::from_be_bytes(*b"mobBatch"));

/// What the task of a batch runs.
pub static FUNCTION: RemoteFn = RemoteFn {
    package: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    module: module_path!(),
    name: "a batch of calls",
    file: file!(),
    line: line!(),
    column: column!(),
    signature: "fn(calls, objects..) -> results",
    asynchronous: false,
    role: Role::Function,
    options: TaskOptions::DEFAULT,
    owner: TypeId::of::<BatchWriter>,
    run: run::run,
    index: IndexCell::NEW,
};

inventory::submit! { Registered(&FUNCTION) }
