//! Asynchronous remote functions: polled on the thread of their task, with timers and spawned
//! tasks on one tokio runtime per worker.

use std::{cell::Cell, future::Future, future::poll_fn, pin::pin, sync::OnceLock};

use mobula_store::descriptors::with_standard_in_use;
use tokio::runtime::{Builder, Runtime};

use super::{client, tasks};

thread_local! {
    static PAUSED: Cell<bool> = const { Cell::new(false) };
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder
            .worker_threads(1)
            .thread_name("mobula-async")
            .enable_all();
        with_standard_in_use(|| builder.build())
            .expect("a tokio runtime with one thread starts unless the process is out of threads")
    })
}

/// Runs an asynchronous remote function to its end, on this thread.
///
/// Between two polls, while the future waits for whatever it may be, the worker may run another
/// task; the future is polled only when it is this task's turn. What the future spawns with
/// `tokio::spawn` runs on another thread of the worker, in nobody's turn.
///
/// # Panics
/// If the future does, or if the thread is inside another tokio runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let worker = client::current().filter(|_| tasks::runs_here());
    let Some(worker) = worker else {
        return runtime().block_on(future);
    };
    runtime().block_on(poll_fn(|context| {
        if PAUSED.take() {
            worker.resume();
        }
        let poll = future.as_mut().poll(context);
        if poll.is_pending() {
            PAUSED.set(true);
            worker.pause();
        }
        poll
    }))
}
