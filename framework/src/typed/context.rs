//! Facts that a task can ask about itself.

use mobula_protocol::Result;
use mobula_worker::context::{self, TaskContext};

/// Returns the context of the task of this thread.
///
/// It has the task's identity, attempt and worker, the time left, and whether anybody still waits
/// for the task.
///
/// In the program itself, and on threads that a task has started, the context is that of no task.
/// Then its parts are `None`, and nothing is cancelled. A context can be moved to such a thread.
///
/// Costs some nanoseconds.
///
/// # Examples
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

/// Returns whether the task of this thread is cancelled, or has passed its limit of time. Then
/// nobody waits for it any more. `context().is_cancelled()` does the same.
///
/// # Examples
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

/// Returns an error if the task of this thread is cancelled: [`is_cancelled`] for use with `?`.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn search_for_ever() -> mobula::Result<()> {
///     loop {
///         mobula::check_cancelled()?; // ends the function when nobody waits any more
///         std::hint::spin_loop();
///     }
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let running = rt.spawn(search_for_ever::remote());
/// running.cancel();
/// assert!(running.get().unwrap_err().is_cancelled());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The task is cancelled ([`Error::is_cancelled`](crate::Error::is_cancelled)). Nobody sees what it
/// returns.
pub fn check_cancelled() -> Result<()> {
    context().check_cancelled()
}
