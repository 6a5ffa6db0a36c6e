//! The threads of a worker: all of them are started here, so that their stacks leave room for
//! thread-local variables.

use std::{
    io,
    thread::{Builder, JoinHandle},
};

use mobula_store::limits;

/// Starts a thread that has `stack` bytes for calls.
///
/// # Errors
/// The system gives no thread.
pub(super) fn start<T: Send + 'static>(
    name: &str,
    stack: usize,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new()
        .name(name.to_owned())
        .stack_size(limits::stack_for(stack))
        .spawn(body)
}
