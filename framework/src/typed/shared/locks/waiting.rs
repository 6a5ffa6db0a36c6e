//! Waits of asynchronous callers for locks.

use std::{
    future::poll_fn,
    io,
    sync::{Arc, LazyLock},
    task::{Poll, Waker},
    thread,
};

use mobula_protocol::{
    Error, Result,
    sync::{Holder, LockError, PollError, Polled, Waiters},
};
use mobula_store::limits::{self, Wanted};

use super::cell::{Cell, CellMemory};

/// The futures of this process that wait for locks.
static WAITERS: LazyLock<Arc<Waiters<CellMemory>>> = LazyLock::new(|| Waiters::new(start));

fn start(body: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    thread::Builder::new()
        .name("mobula-locks".to_owned())
        .stack_size(limits::stack_for(256 << 10))
        .spawn(body)
        .map(drop)
}

/// Acquires the lock of `cell` for a future: with `take` if that needs no waiting, or else with
/// `poll`. Returns the holder, and the result of that function. `what` is the lock's name.
///
/// # Errors
/// * The runtime has ended.
/// * No thread could be started.
/// * The lock refuses, for example since the call is recursive.
pub(super) async fn acquire<R>(
    what: &str,
    cell: &Cell,
    take: impl FnOnce(Holder) -> Result<R, LockError>,
    mut poll: impl FnMut(Holder, &mut Polled<CellMemory>, &Waker) -> Poll<Result<R, PollError>>,
) -> Result<(Holder, R)> {
    let holder = cell.detached();
    if let Ok(taken) = take(holder) {
        return Ok((holder, taken));
    }
    let poll = |wait: &mut _, waker: &_| poll(holder, wait, waker);
    Ok((holder, acquired(what, cell, poll).await?))
}

/// Waits until `poll` has acquired the lock of `cell`, and returns the result of `poll`. `what` is
/// the lock's name. The future calls `poll` only when it is polled, and acquires nothing at other
/// times.
#[cold]
async fn acquired<R>(
    what: &str,
    cell: &Cell,
    mut poll: impl FnMut(&mut Polled<CellMemory>, &Waker) -> Poll<std::result::Result<R, PollError>>,
) -> Result<R> {
    // A forked child has no thread that would wake this future. The child may also have a copied
    // lock in the list that no thread opens.
    cell.waits(wake_all)?;
    let mut wait = Polled::new(&WAITERS);
    poll_fn(|context| match poll(&mut wait, context.waker()) {
        Poll::Ready(Ok(taken)) => Poll::Ready(Ok(taken)),
        Poll::Ready(Err(PollError::Lock(error))) => {
            Poll::Ready(Err(cell.not_acquired(what, error)))
        }
        Poll::Ready(Err(PollError::NoThread(error))) => {
            let what = "cannot start a thread that waits";
            Poll::Ready(Err(Error::refused(what, Wanted::Thread, error)))
        }
        // The wait is in the list by now. So an end of the runtime after this check wakes it.
        Poll::Pending => match cell.waits(wake_all) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        },
    })
    .await
}

fn wake_all() {
    WAITERS.wake_all();
}
