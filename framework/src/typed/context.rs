//! What a task can learn of itself.

use mobula_protocol::Result;
use mobula_worker::context::{self, TaskContext};

/// What the task of this thread can learn of itself: which task it is, in which attempt, in which
/// worker, how much time is left, and whether anybody still waits for it.
///
/// In the program itself, and on threads that a task has started, the context is that of no task:
/// then its parts are `None`, and nothing is cancelled. A context can be moved to such a thread.
///
/// Costs some nanoseconds.
///
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn who() -> String {
///     let context = mobula::context();
///     format!("{} {}", context.function().unwrap_or("nobody"), context.attempt())
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// assert_eq!(rt.spawn(who::remote()).get()?, "who 1");
/// assert_eq!(mobula::context().function(), None);
/// # Ok(())
/// # }
/// ```
pub fn context() -> TaskContext {
    context::context()
}

/// Whether the task that this thread runs is cancelled, or has passed its limit of time: then nobody
/// waits for it any more. The same as `context().is_cancelled()`.
///
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn sum_while_wanted(numbers: Vec<u64>) -> u64 {
///     let wanted = numbers.iter().take_while(|_| !mobula::is_cancelled());
///     wanted.sum()
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// assert_eq!(rt.spawn(sum_while_wanted::remote(vec![1, 2, 3])).get()?, 6);
/// # Ok(())
/// # }
/// ```
pub fn is_cancelled() -> bool {
    context().is_cancelled()
}

/// As [`is_cancelled`], to be left with `?`: see the example of [`Cancel`](crate::Cancel).
///
/// # Errors
/// The task is cancelled ([`Error::is_cancelled`](crate::Error::is_cancelled)). Nobody sees what it
/// returns.
pub fn check_cancelled() -> Result<()> {
    context().check_cancelled()
}
