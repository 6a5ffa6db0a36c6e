//! A task asks how long it may go on: until its limit of time, or until it is cancelled.

use std::time::{Duration, Instant};

use mobula_protocol::Result;

use super::TaskContext;

impl TaskContext {
    /// Returns the rest of the run's `timeout`: zero after it has passed, `None` without one.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// #[remote]
    /// fn left() -> Option<Duration> {
    ///     mobula::context().time_left()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let limit = Duration::from_secs(60);
    /// assert!(rt.spawn(left::remote().timeout(limit)).get()?.unwrap() <= limit);
    /// assert_eq!(rt.spawn(left::remote()).get()?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn time_left(&self) -> Option<Duration> {
        let limit = self.task.as_ref()?.limit?;
        Some(limit.saturating_duration_since(Instant::now()))
    }

    /// Returns whether nobody waits for the task any more: it was cancelled, or has passed its
    /// limit of time. The docs of `mobula::Cancel` say how such a task ends.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn on_a_thread() -> bool {
    ///     let context = mobula::context(); // goes to the thread
    ///     std::thread::spawn(move || context.is_cancelled()).join().unwrap()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert!(!rt.spawn(on_a_thread::remote()).get()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_cancelled(&self) -> bool {
        self.check_cancelled().is_err()
    }

    /// Returns an error if the task is cancelled: [`is_cancelled`](Self::is_cancelled) for use with
    /// `?`.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn search_for_ever() -> mobula::Result<()> {
    ///     let context = mobula::context();
    ///     loop {
    ///         context.check_cancelled()?;
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
    /// The task is cancelled ([`is_cancelled`](mobula_protocol::Error::is_cancelled)). Nobody sees
    /// the result of the task.
    pub fn check_cancelled(&self) -> Result<()> {
        match self.task.as_ref().and_then(|task| task.run) {
            Some(run) => run.check_cancelled(),
            None => Ok(()),
        }
    }
}
