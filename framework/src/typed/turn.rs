//! Lets other tasks of an executor run between polls of Mobula's futures.

use std::{
    cell::Cell,
    task::{Context, Poll},
};

use tokio::task::coop;

thread_local! {
    /// Whether the last poll without budget on this thread let other tasks go first.
    static YIELDED: Cell<bool> = const { Cell::new(false) };
}

/// Polls within tokio's cooperative budget. On other executors this is `poll` alone.
///
/// A task that awaits ready results again and again lets other tasks run after some of them. Of
/// polls without budget, every second one goes on. The reason is an executor that runs within one
/// poll of a tokio task, such as a `block_on` of another library. The budget is not renewed there.
/// A future that always let others go first would wait for ever.
#[inline]
pub(crate) fn in_turn<R>(
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<R>,
) -> Poll<R> {
    let turn = match coop::poll_proceed(context) {
        Poll::Ready(turn) => Some(turn),
        Poll::Pending => match YIELDED.try_with(|yielded| yielded.replace(!yielded.get())) {
            Ok(false) => {
                // tokio wakes the task after its poll has ended. An executor inside that poll would
                // wait for ever, so the future wakes itself.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            // The error comes in a destructor of another thread-local. The future goes on there,
            // too, so it cannot wait for ever.
            Ok(true) | Err(_) => None,
        },
    };
    let result = poll(context);
    if let Some(turn) = turn
        && result.is_ready()
    {
        turn.made_progress();
    }
    result
}
