//! Many calls of one function as one task, and their results as one value.
//!
//! A task costs a microsecond or two. A map over a million small items cannot afford that for each
//! item, so the map packs calls into *batches*. A batch is a task of the function [`FUNCTION`]. Its
//! first argument holds the calls. Its further arguments are the objects that the calls use, each
//! once. For the scheduler, a batch is a task like any other.
//!
//! A batch contains only calls that the scheduler need not know one by one:
//! - Their arguments are [data](mobula_protocol::Value::is_data), and ready. A batch waits for all
//!   of its objects, and an item must not wait for, or fail with, the input of another item.
//! - A part of a shared array is no data, since the scheduler reports how the call with this part
//!   has ended.
//! - A lock or a barrier is no data: one item could wait at it for a later item.
//! - An item that may run again after an error is not part of a batch.
//!
//! A batch itself never runs again. After a crash the map sends its calls one by one.

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

/// The function that the task of a batch runs.
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
