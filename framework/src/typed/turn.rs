//! A future of ours among the other tasks of an executor.

use std::task::{Context, Poll, ready};

use tokio::task::coop;

/// Polls as a part of tokio's cooperative budget: a task that awaits what is ready again and again lets
/// other tasks run after some of it. Elsewhere this is `poll` alone.
#[inline]
pub(crate) fn in_turn<R>(
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<R>,
) -> Poll<R> {
    let turn = ready!(coop::poll_proceed(context));
    let result = poll(context);
    if result.is_ready() {
        turn.made_progress();
    }
    result
}
