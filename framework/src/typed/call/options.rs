//! The options of a call.

use std::time::Duration;

use super::UnspawnedCall;

impl<R> UnspawnedCall<R> {
    /// Sets how often the function runs again after its worker process died.
    ///
    /// The default is the function's own (`#[remote(retries = n)]`), else 0. For an actor's method
    /// the default is that of the method, else the actor's
    /// [`max_call_retries`](crate::ActorCall::max_call_retries).
    ///
    /// A panic and an `Err` are results, not deaths. They are not retried, unless
    /// [`retry_errors`](Self::retry_errors) says so of the `Err`. A task that was queued when its
    /// worker died starts elsewhere, which costs no retry.
    /// [`Builder::max_worker_deaths`](crate::Builder::max_worker_deaths) limits how often.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn flaky() -> u32 {
    ///     match mobula::context().attempt() {
    ///         1 => std::process::abort(), // takes the worker with it
    ///         attempt => attempt,
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert!(flaky::remote().spawn().get().unwrap_err().is_crash());
    /// assert_eq!(flaky::remote().retries(1).spawn().get()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retries(mut self, retries: u32) -> UnspawnedCall<R> {
        self.own_options().retries = Some(retries);
        self
    }

    /// Sets whether the function also runs again after it has returned an `Err`.
    ///
    /// The default is the function's own (`#[remote(retry_errors)]`), else no. Deaths of the worker
    /// and errors use up the same [`retries`](Self::retries). So the function begins at most `1 +
    /// retries` times. The error of the last run is the call's.
    ///
    /// Where the function says which errors are worth it (`#[remote(retry_errors =
    /// is_transient)]`), that holds here, too. A panic is never retried.
    ///
    /// The next run is on the same worker, at once, with the arguments as they were. An actor's
    /// method keeps its place before calls that were made later, and finds the value as the failed
    /// run has left it. If the actor runs several calls at a time, or the method waits for
    /// something, others may come in between. A function that wants to wait before the next run
    /// does so itself.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn fetch() -> Result<u32, String> {
    ///     match mobula::context().attempt() {
    ///         3 => Ok(42),
    ///         attempt => Err(format!("attempt {attempt} failed")),
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let call = fetch::remote().retries(2).retry_errors(true);
    /// assert_eq!(call.spawn().get()?, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry_errors(mut self, retry: bool) -> UnspawnedCall<R> {
        self.own_options().retry_errors = retry;
        self
    }

    /// Sets the priority of the call: it runs before all calls of a lower priority, also those that
    /// wait in a worker already.
    ///
    /// The default is the function's own (`#[remote(priority = n)]`), else that of the task that
    /// makes the call, else 0. Among equal ones, calls that tasks have made go first, those of the
    /// latest task leading. Others run in the order of their spawns.
    ///
    /// A call that runs is not interrupted. Calls of one actor keep their order, whatever their
    /// priority. A call whose inputs are missing does not compete yet.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn twice(n: u32) -> u32 {
    ///     2 * n
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let background = rt.spawn_all((0..1000).map(|n| twice::remote(n).priority(-1)));
    /// assert_eq!(twice::remote(21).spawn().get()?, 42); // does not wait for the thousand
    /// # drop(background);
    /// # Ok(())
    /// # }
    /// ```
    pub fn priority(mut self, priority: i32) -> UnspawnedCall<R> {
        self.own_options().priority = Some(priority);
        self
    }

    /// Sets how long one run of the function may take.
    ///
    /// The default is the function's own (`#[remote(timeout = ..)]`), else no limit. After that the
    /// call fails ([`is_task_timeout`](crate::Error::is_task_timeout)), and the run ends as if it
    /// were [cancelled](crate::Cancel). This ends an endless loop in native code, too.
    ///
    /// The time counts from the begin of the run in a worker, and anew for each further run. It is
    /// kept to within some milliseconds. Zero is an error of the call. Costs a message for the
    /// call. The inline engine, which runs calls on the thread of their caller, keeps no limits.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// #[remote]
    /// fn never_ends() {
    ///     loop {
    ///         std::hint::spin_loop();
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let call = never_ends::remote()
    ///     .timeout(Duration::from_millis(20))
    ///     .grace(Duration::from_millis(10));
    /// assert!(call.spawn().get().unwrap_err().is_task_timeout());
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, limit: Duration) -> UnspawnedCall<R> {
        self.own_options().timeout = Some(limit);
        self
    }

    /// Sets how long after its spawn the call must have ended, with all time that it waits.
    ///
    /// The default is the function's own (`#[remote(deadline = ..)]`), else no limit. After that
    /// the call fails as after its [`timeout`](Self::timeout), without a further run.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// #[remote]
    /// fn sleep(millis: u64) {
    ///     std::thread::sleep(Duration::from_millis(millis));
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let busy = sleep::remote(200).spawn();
    /// let late = sleep::remote(0).deadline(Duration::from_millis(20)).spawn();
    /// assert!(late.get().unwrap_err().is_task_timeout()); // the one worker is busy
    /// busy.get()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn deadline(mut self, limit: Duration) -> UnspawnedCall<R> {
        self.own_options().deadline = Some(limit);
        self
    }

    /// Sets how long the function may go on when it is to end, before its worker is killed.
    ///
    /// The default is the function's own (`#[remote(grace = ..)]`), else 1 s.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// #[remote]
    /// fn never_asks() {
    ///     loop {
    ///         std::hint::spin_loop();
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let running = never_asks::remote().grace(Duration::ZERO).spawn();
    /// running.cancel(); // kills the worker, whose place another one takes
    /// assert!(running.get().unwrap_err().is_cancelled());
    /// # Ok(())
    /// # }
    /// ```
    pub fn grace(mut self, grace: Duration) -> UnspawnedCall<R> {
        self.own_options().grace = Some(grace);
        self
    }

    /// Sets whether the function also runs again after a run that has passed its
    /// [`timeout`](Self::timeout).
    ///
    /// The default is the function's own (`#[remote(retry_timeouts)]`), else no. The further runs
    /// use up [`retries`](Self::retries). The run that took too long and the next one may overlap
    /// for the grace time. A method of an actor has no such option.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// #[remote]
    /// fn hangs_once() -> u32 {
    ///     let attempt = mobula::context().attempt();
    ///     while attempt == 1 {
    ///         std::hint::spin_loop();
    ///     }
    ///     attempt
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let call = hangs_once::remote()
    ///     .timeout(Duration::from_millis(20))
    ///     .grace(Duration::ZERO)
    ///     .retries(1)
    ///     .retry_timeouts(true);
    /// assert_eq!(call.spawn().get()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry_timeouts(mut self, retry: bool) -> UnspawnedCall<R> {
        self.own_options().retry_timeouts = retry;
        self
    }

    /// Sets how many calls of the function a worker runs, at most. Then another process takes its
    /// place.
    ///
    /// The default is the function's own (`#[remote(max_calls = n)]`), else no limit. This is for
    /// code that keeps memory or descriptors, or that can be used only once. `multiprocessing` has
    /// `maxtasksperchild` for that. [`Builder::max_worker_rss`](crate::Builder::max_worker_rss)
    /// looks at the memory instead.
    ///
    /// Calls that fail count, and runs after an error count once. Calls of the function without a
    /// limit do not count. Nothing else fails:
    ///
    /// * calls that the worker has not begun go to others;
    /// * tasks that wait in it end first;
    /// * objects that it has made stay;
    /// * its tear-down functions and the values of its
    ///   [`#[worker_local]`](macro@crate::worker_local)s have 5 s.
    ///
    /// A process that starts in its place costs some milliseconds. A worker whose calls wait for
    /// others is replaced while they wait. With more than 64 such workers, further ones run more
    /// calls than this in place of further processes.
    ///
    /// In a map, such calls are tasks of their own, and not batched. Zero is an error of the call.
    /// A call of an actor's method cannot have this option, since an actor has its process for
    /// itself. On the inline engine, which has no workers, this does nothing.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote(max_calls = 1)]
    /// fn process() -> u32 {
    ///     std::process::id()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let (first, second) = (process::remote().spawn(), process::remote().spawn());
    /// assert_ne!(first.get()?, second.get()?);
    /// # drop(rt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_calls(mut self, calls: u32) -> UnspawnedCall<R> {
        self.own_options().max_calls = Some(calls);
        self
    }
}
