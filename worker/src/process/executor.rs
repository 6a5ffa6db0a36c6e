//! Asynchronous remote functions. The thread of their task polls them. Their timers and spawned
//! tasks run on one tokio runtime per worker.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::OnceLock,
    task::{Context, Poll},
};

use mobula_store::{
    descriptors::with_standard_in_use,
    limits::{self, Wanted},
};
use parking_lot::Mutex;
use tokio::{
    runtime::{Builder, Runtime},
    time::Sleep,
};

use super::{
    cancelled::{check, woken_when_cancelled},
    here::{self, Served},
    panics,
    shortage::RETRY,
    tasks,
    within::Barred,
};
use mobula_protocol::{Error, Result};

/// The stack of threads that run what asynchronous functions spawn. This is tokio's default.
const ASYNC_STACK: usize = 2 << 20;

/// Returns the tokio runtime. The first call starts it.
///
/// # Errors
/// The system gives no thread or descriptor for the runtime. A later call can succeed.
fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    static START: Mutex<()> = Mutex::new(());
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let _one_at_a_time = START.lock();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(1)
        .thread_name("mobula-async")
        .thread_stack_size(limits::stack_for(ASYNC_STACK))
        .enable_all();
    let runtime = with_standard_in_use(|| builder.build()).map_err(|error| {
        let what = "an asynchronous function cannot run: its worker gets no tokio runtime";
        Error::refused(what, Wanted::Thread, error)
    })?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// Runs an asynchronous remote function to its end, on this thread.
///
/// While the future waits, the worker may run another task. The future is polled only when its task
/// has the turn. Tasks that the future spawns with `tokio::spawn` run on another thread of the
/// worker, without a turn.
///
/// # Panics
/// The future panics, or the thread is inside another tokio runtime.
///
/// In two cases this drops the future and unwinds with an [`Error`], with which the task ends. The
/// system gives no thread that the future needs, or nobody waits for the task any more.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut output = None;
    drive(pin!(Stored {
        future: pin!(future),
        output: &mut output,
    }));
    output.expect("a future that has ended has an output")
}

/// A future that stores its output.
struct Stored<'a, F: Future> {
    future: Pin<&'a mut F>,
    output: &'a mut Option<F::Output>,
}

impl<F: Future> Future for Stored<'_, F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.future.as_mut().poll(context).map(|output| {
            *self.output = Some(output);
        })
    }
}

/// Runs a future to its end: see [`block_on`]. The function is not generic. So the compiler makes
/// its code, and that of tokio, once and not for each function of a program.
fn drive(mut future: Pin<&mut dyn Future<Output = ()>>) {
    let runtime = runtime().unwrap_or_else(|error| panics::end_task(error));
    let worker = here::current().filter(|_| tasks::runs_here());
    let Some(worker) = worker else {
        return runtime.block_on(future);
    };
    // Wakes this thread again while nobody goes on with the lane.
    let mut look_again: Option<Pin<Box<Sleep>>> = None;
    let mut paused = None;
    let mut woken = None;
    let done = runtime.block_on(poll_fn(|context| {
        if paused.is_some() && look_again.is_some() {
            match worker.look_for_stand_in() {
                Served::Yes => look_again = None,
                Served::No => {}
                Served::GiveUp(error) => {
                    worker.ends_shortage();
                    drop(paused.take());
                    return Poll::Ready(Err(error));
                }
            }
        }
        // Waits for the turn.
        drop(paused.take());
        drop(woken.take());
        if let Err(error) = check(worker.cancellations()) {
            return Poll::Ready(Err(error));
        }
        // The future may poll other futures beside one that calls. These may have to go on.
        let barred = Barred::enter();
        let poll = future.as_mut().poll(context);
        drop(barred);
        if poll.is_pending() {
            match woken_when_cancelled(worker.cancellations(), context.waker()) {
                Ok(waits) => woken = waits,
                Err(error) => return Poll::Ready(Err(error)),
            }
            let pause = paused.insert(worker.pause());
            if pause.has_stand_in {
                look_again = None;
            } else {
                let mut sleep = Box::pin(tokio::time::sleep(RETRY));
                // A sleep that is over already wakes nobody.
                if sleep.as_mut().poll(context).is_ready() {
                    context.waker().wake_by_ref();
                }
                look_again = Some(sleep);
            }
        }
        poll.map(Ok)
    }));
    if look_again.is_some() {
        worker.ends_shortage();
    }
    done.unwrap_or_else(|error| panics::end_task(error))
}
