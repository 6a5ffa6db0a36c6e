//! Waiting that would block, for asynchronous callers: on a thread of its own.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
};

use mobula_store::limits::{self, Wanted};
use mobula_worker::{Error, Result, sync::LockError};
use parking_lot::Mutex;

use super::errors::not_acquired;

/// What was taken at once, or else what `wait` takes, on a thread of its own. If the future is dropped
/// before, `undo` gets that.
///
/// # Errors
/// That of `wait`; no thread could be started.
pub(super) async fn at_once_or_elsewhere<R: Send + 'static>(
    what: &str,
    at_once: std::result::Result<R, LockError>,
    wait: impl FnOnce() -> std::result::Result<R, LockError> + Send + 'static,
    undo: impl Fn(R) + Send + Sync + 'static,
) -> Result<R> {
    if let Ok(taken) = at_once {
        return Ok(taken);
    }
    let give_back = move |taken: std::result::Result<R, LockError>| {
        if let Ok(taken) = taken {
            undo(taken);
        }
    };
    let taken = elsewhere(wait, give_back)?.await;
    taken.map_err(|error| not_acquired(what, error))
}

enum State<R> {
    Waiting(Option<Waker>),
    Done(R),
    /// Nobody wants the result any more.
    Abandoned,
}

/// The result of `wait`, which runs on a thread of its own. If the future is dropped before, `undo` gets
/// what comes.
fn elsewhere<R: Send + 'static>(
    wait: impl FnOnce() -> R + Send + 'static,
    undo: impl Fn(R) + Send + Sync + 'static,
) -> Result<Elsewhere<R>> {
    let state = Arc::new(Mutex::new(State::Waiting(None)));
    let undo: Arc<dyn Fn(R) + Send + Sync> = Arc::new(undo);
    let (shared, give_back) = (state.clone(), undo.clone());
    let work = move || {
        let result = wait();
        let mut state = shared.lock();
        match mem::replace(&mut *state, State::Abandoned) {
            State::Waiting(waker) => {
                *state = State::Done(result);
                drop(state);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            State::Done(_) | State::Abandoned => {
                drop(state);
                give_back(result);
            }
        }
    };
    thread::Builder::new()
        .name("mobula-lock".to_owned())
        .stack_size(limits::stack_for(256 << 10))
        .spawn(work)
        .map_err(|error| {
            Error::refused("cannot start a thread that waits", Wanted::Thread, error)
        })?;
    Ok(Elsewhere { state, undo })
}

/// See [`elsewhere`].
struct Elsewhere<R> {
    state: Arc<Mutex<State<R>>>,
    undo: Arc<dyn Fn(R) + Send + Sync>,
}

impl<R> Future for Elsewhere<R> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        // Wakers are other people's code, cloned before the lock and dropped after it.
        let waker = context.waker().clone();
        let mut state = self.state.lock();
        let before = match mem::replace(&mut *state, State::Abandoned) {
            State::Done(result) => return Poll::Ready(result),
            before => before,
        };
        *state = State::Waiting(Some(waker));
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl<R> Drop for Elsewhere<R> {
    fn drop(&mut self) {
        // A statement of its own, so that the lock is gone when the waker is dropped.
        let state = mem::replace(&mut *self.state.lock(), State::Abandoned);
        if let State::Done(result) = state {
            (self.undo)(result);
        }
    }
}
