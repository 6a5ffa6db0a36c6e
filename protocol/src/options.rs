//! Options of calls, cancellations and actors.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::resources::{Demand, Resources};

/// The options of a task. They travel as one value from the attribute or the call to the scheduler
/// and to the worker. `CONTRIBUTING.md` says how to add an option.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOptions {
    /// How often the task may run again, for all reasons together. `None`: as often as its actor
    /// says ([`max_call_retries`](crate::ActorOptions::max_call_retries)), and never without an
    /// actor.
    pub retries: Option<u32>,
    /// Whether the task runs again after an error that its function returned. Otherwise it only
    /// runs again after its worker's death.
    pub retry_errors: bool,
    /// The priority. The task goes before tasks of a lower priority that could run. `None`: the
    /// priority of the task that makes the call, or else 0.
    pub priority: Option<i32>,
    /// The time limit of one run of its function.
    pub timeout: Option<Duration>,
    /// The time from the task's submission to its latest end.
    pub deadline: Option<Duration>,
    /// Whether the task runs again after a run that has passed `timeout`.
    pub retry_timeouts: bool,
    /// The time that a run may go on after it was told to end. Then its worker is killed. `None`:
    /// [`GRACE`](TaskOptions::GRACE).
    pub grace: Option<Duration>,
    /// The number of calls of its function after which a worker is replaced.
    pub max_calls: Option<u32>,
    /// Whether each element of its result becomes an object of its own. The result is a tuple.
    pub split: bool,
    /// The resources that the task needs beside a worker, while it runs.
    pub resources: Resources,
    /// The machine on which the task runs. `None`: any. Machines that have its arguments come
    /// first.
    pub node: Option<Box<str>>,
    /// Whether its calls are spread over all machines, regardless of the places of their arguments.
    pub spread: bool,
}

impl TaskOptions {
    /// The options of a function whose attribute sets none.
    pub const DEFAULT: TaskOptions = TaskOptions::with_resources(Resources::None);

    /// Returns the options of a function whose attribute sets only these resources.
    pub const fn with_demands(demands: &'static [Demand]) -> TaskOptions {
        TaskOptions::with_resources(Resources::Fixed(demands))
    }

    // A constant cannot replace a value that has a destructor, so the resources come first.
    const fn with_resources(resources: Resources) -> TaskOptions {
        TaskOptions {
            retries: None,
            retry_errors: false,
            priority: None,
            timeout: None,
            deadline: None,
            retry_timeouts: false,
            grace: None,
            max_calls: None,
            split: false,
            resources,
            node: None,
            spread: false,
        }
    }

    /// The default of [`grace`](TaskOptions::grace).
    pub const GRACE: Duration = Duration::from_secs(1);

    /// Returns the options of a call: its own, or else its function's.
    #[inline]
    pub fn of<'a>(own: &'a CallOptions, function: &'a TaskOptions) -> &'a TaskOptions {
        own.as_deref().unwrap_or(function)
    }

    /// Returns the options of a batch of calls with these options.
    pub fn of_batch(&self) -> CallOptions {
        let options = TaskOptions {
            priority: self.priority,
            grace: self.grace,
            resources: self.resources.clone(),
            node: self.node.clone(),
            spread: self.spread,
            ..TaskOptions::DEFAULT
        };
        (options != TaskOptions::DEFAULT).then(|| Arc::new(options))
    }

    /// Returns how often the task's worker may run it again by itself after errors, if `retries`
    /// are left.
    pub fn reruns(&self, retries: u32) -> u32 {
        match self.retry_errors {
            true => retries,
            false => 0,
        }
    }

    /// Returns whether calls with these options can share one task. The scheduler knows nothing of
    /// the single calls of such a batch.
    pub fn fit_a_batch(&self) -> bool {
        let TaskOptions {
            // The map runs the calls of a lost batch again, one by one.
            retries,
            retry_errors,
            // The batch has the priority, since its calls have common options.
            priority: _,
            // A time limit is a limit of a single call, and the next two options belong to it.
            timeout,
            deadline,
            retry_timeouts: _,
            grace: _,
            // The scheduler counts calls.
            max_calls,
            // The batch has the resources, since its calls run one after the other.
            resources: _,
            // The option would split the result of the batch.
            split,
            // The batch has the placement.
            node: _,
            spread: _,
        } = *self;
        let limited = timeout.is_some() || deadline.is_some() || max_calls.is_some();
        !(split || limited || retry_errors && retries.is_some_and(|retries| retries > 0))
    }

    /// Returns whether a call with these options can run within the task that makes it. The
    /// scheduler knows nothing of such a call.
    pub fn fit_a_caller(&self) -> bool {
        let TaskOptions {
            // Only the driver can run a call again after the worker's death.
            retries,
            // Without retries, the option means nothing.
            retry_errors: _,
            // The scheduler decides about the order of its tasks only.
            priority,
            // The driver has timers only for tasks that it knows.
            timeout,
            deadline,
            retry_timeouts: _,
            // A run within another run ends with that run.
            grace,
            // The scheduler counts calls.
            max_calls,
            // The driver makes the objects of the elements.
            split,
            // The driver gives out the resources.
            ref resources,
            // Another machine may be the right one.
            ref node,
            spread,
        } = *self;
        let limited = timeout.is_some() || deadline.is_some() || max_calls.is_some();
        let placed = node.is_some() || spread;
        let chosen = priority.is_some() || grace.is_some() || !resources.is_none() || placed;
        !(split || limited || chosen || retries.is_some_and(|retries| retries > 0))
    }
}

/// The options of one call. `None` stands for the options of its function
/// ([`RemoteFn::options`](crate::RemoteFn)), and costs nothing to pass on.
pub type CallOptions = Option<Arc<TaskOptions>>;

/// How a task is cancelled: see `Cancel::cancel_with`.
///
/// # Examples
/// ```
/// use mobula::{CancelOptions, prelude::*};
/// use std::time::Duration;
///
/// #[remote]
/// fn endless() {
///     loop {
///         std::hint::spin_loop();
///     }
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let running = rt.spawn(endless::remote());
/// running.cancel_with(CancelOptions::new().grace(Duration::from_millis(1)));
/// assert!(running.get().unwrap_err().is_cancelled());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelOptions {
    recursive: bool,
    grace: Option<Duration>,
    kills: bool,
}

impl Default for CancelOptions {
    fn default() -> CancelOptions {
        CancelOptions::new()
    }
}

impl CancelOptions {
    /// Returns the defaults: the calls that the task has made are cancelled with it, and its worker
    /// is killed after the task's `grace`.
    ///
    /// # Examples
    /// ```
    /// use mobula::CancelOptions;
    ///
    /// assert_eq!(CancelOptions::new(), CancelOptions::default());
    /// ```
    pub const fn new() -> CancelOptions {
        CancelOptions {
            recursive: true,
            grace: None,
            kills: true,
        }
    }

    /// Sets whether calls that the task has made, and calls of these, are cancelled with it.
    /// Default: yes.
    ///
    /// # Examples
    /// ```
    /// use mobula::{CancelOptions, prelude::*};
    ///
    /// #[remote]
    /// async fn wait_for_ever() {
    ///     std::future::pending().await
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let running = rt.spawn(wait_for_ever::remote());
    /// running.cancel_with(CancelOptions::new().recursive(false));
    /// assert!(running.get().unwrap_err().is_cancelled());
    /// # Ok(())
    /// # }
    /// ```
    pub const fn recursive(mut self, recursive: bool) -> CancelOptions {
        self.recursive = recursive;
        self
    }

    /// Sets whether the worker is killed if the function goes on after the grace time. Default:
    /// yes.
    ///
    /// Without that, a function that never asks whether it is cancelled keeps its worker.
    ///
    /// # Examples
    /// ```
    /// use mobula::{CancelOptions, prelude::*};
    /// use std::time::Duration;
    ///
    /// #[remote]
    /// fn sleep(millis: u64) -> u32 {
    ///     std::thread::sleep(Duration::from_millis(millis));
    ///     std::process::id()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let worker = rt.spawn(sleep::remote(0)).get()?;
    /// let running = rt.spawn(sleep::remote(50));
    /// running.cancel_with(CancelOptions::new().kill(false).grace(Duration::ZERO));
    /// assert_eq!(rt.spawn(sleep::remote(0)).get()?, worker); // it lives
    /// # Ok(())
    /// # }
    /// ```
    pub const fn kill(mut self, kill: bool) -> CancelOptions {
        self.kills = kill;
        self
    }

    /// Sets how long the function may go on before its worker is killed, in place of the task's own
    /// `grace`. Zero kills at once.
    ///
    /// # Examples
    /// ```
    /// use mobula::{CancelOptions, prelude::*};
    /// use std::time::Duration;
    ///
    /// #[remote]
    /// fn endless() {
    ///     loop {
    ///         std::hint::spin_loop();
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let running = rt.spawn(endless::remote());
    /// running.cancel_with(CancelOptions::new().grace(Duration::ZERO));
    /// assert!(running.get().unwrap_err().is_cancelled());
    /// # Ok(())
    /// # }
    /// ```
    pub const fn grace(mut self, grace: Duration) -> CancelOptions {
        self.grace = Some(grace);
        self
    }
}

/// Not public API: for the crates of Mobula.
#[doc(hidden)]
impl CancelOptions {
    pub fn is_recursive(&self) -> bool {
        self.recursive
    }

    pub fn kills(&self) -> bool {
        self.kills
    }

    /// Returns the grace time that replaces the grace time of each task, if one is set.
    pub fn grace_time(&self) -> Option<Duration> {
        self.grace
    }

    /// Returns the time that a cancelled task with these options may go on. `None`: no limit.
    pub fn limit(&self, task: &TaskOptions) -> Option<Duration> {
        let own = || task.grace.unwrap_or(TaskOptions::GRACE);
        self.kills.then(|| self.grace.unwrap_or_else(own))
    }
}

/// The options of an actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorOptions {
    /// The name by which callers find the actor. At most one living actor has a name.
    pub name: Option<String>,
    /// How often the actor is made anew after its process has died.
    pub max_restarts: u32,
    /// How often a call runs again after its process has died, if the call does not say.
    pub max_call_retries: u32,
    /// The most calls of methods without a group that run at a time. At least 1.
    pub max_concurrency: u32,
    /// The most calls of each group that run at a time. Each at least 1.
    pub groups: Vec<(String, u32)>,
    /// The most calls that may wait or run. Further calls fail. At least 1.
    pub max_pending_calls: Option<u32>,
    /// The time that the `Drop` of its value may take. Then the process is killed.
    pub grace: Duration,
    /// The resources that the actor needs beside a process, while it lives.
    pub resources: Resources,
    /// The machine of its process. `None`: any.
    pub node: Option<Box<str>>,
}

impl ActorOptions {
    /// Returns the options of the constructor's call. `function` has the options of the
    /// constructor's function. The call has the resources and the machine of the actor. Returns
    /// `None` if the function's own options fit.
    pub fn of_constructor(&self, function: &TaskOptions) -> CallOptions {
        let differ = self.resources != function.resources || self.node != function.node;
        differ.then(|| {
            Arc::new(TaskOptions {
                resources: self.resources.clone(),
                node: self.node.clone(),
                ..function.clone()
            })
        })
    }
}

impl Default for ActorOptions {
    fn default() -> ActorOptions {
        ActorOptions {
            name: None,
            max_restarts: 0,
            max_call_retries: 0,
            max_concurrency: 1,
            groups: Vec::new(),
            max_pending_calls: None,
            grace: Duration::from_secs(5),
            resources: Resources::None,
            node: None,
        }
    }
}
