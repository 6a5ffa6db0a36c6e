//! The threads of a worker: all of them are started here, so that their stacks leave room for
//! thread-local variables.

use std::{
    io,
    sync::OnceLock,
    thread::{Builder, JoinHandle},
};

use mobula_store::limits;

/// The stack of all threads that run tasks, in bytes.
static TASK_STACK: OnceLock<usize> = OnceLock::new();

/// What threads for tasks have where nobody has said it.
const USUAL_STACK: usize = 8 << 20;

/// Sets the stack of all threads that run tasks. Later calls change nothing.
pub(super) fn set_task_stack(bytes: u64) {
    let _ = TASK_STACK.set(usize::try_from(bytes).unwrap_or(usize::MAX));
}

/// The stack of a thread that runs tasks, without its thread-local variables.
pub(super) fn task_stack() -> usize {
    *TASK_STACK.get().unwrap_or(&USUAL_STACK)
}

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
