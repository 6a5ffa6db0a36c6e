//! Starts all threads of a worker, so that their stacks leave room for thread-local variables.

use std::{
    io,
    thread::{Builder, JoinHandle},
};

use mobula_store::limits;

use super::within;

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

/// Starts a thread that runs tasks. Each task has `stack` bytes for calls, also a task that runs
/// [within](super::nested) another one.
///
/// # Errors
/// The system gives no thread.
pub(super) fn start_for_tasks<T: Send + 'static>(
    stack: usize,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    start("mobula-task", stack.saturating_add(within::STACK), body)
}
