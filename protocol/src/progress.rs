//! The progress of a task.

/// The progress of a task, in steps, which its function reports. `ObjectRef::progress` returns it.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// use mobula::TaskProgress;
///
/// #[remote]
/// fn fit(steps: u64) -> u64 {
///     let progress = mobula::context().progress();
///     for step in 0..steps {
///         progress.set(step, steps);
///     }
///     steps
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let running = rt.spawn(fit::remote(1000));
/// if let Some(TaskProgress { done, total }) = running.progress() {
///     println!("{done} of {total} steps");
/// }
/// assert_eq!(running.get()?, 1000);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskProgress {
    /// The number of steps that are done.
    pub done: u64,
    /// The number of all steps. It is 0 if the function has not said it.
    pub total: u64,
}
