//! Options of calls, cancellations and actors.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::resources::{Demand, Resources};

/// The options of a task. They travel whole: from the attribute or the call to the scheduler and to
/// the worker. `CONTRIBUTING.md` says how one is added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOptions {
    /// How often the task may run again, whatever the reasons. `None`: as often as its actor says
    /// ([`max_call_retries`](crate::ActorOptions::max_call_retries)), and not at all without one.
    pub retries: Option<u32>,
    /// Whether it runs again after an error that its function returned, and not only after its
    /// worker's death.
    pub retry_errors: bool,
    /// Which tasks that could run it goes before: those of a lower priority. `None`: that of the
    /// task that makes the call, or else 0.
    pub priority: Option<i32>,
    /// How long one run of its function may take.
    pub timeout: Option<Duration>,
    /// How long after its submission it must have ended.
    pub deadline: Option<Duration>,
    /// Whether it runs again after a run that has taken too long.
    pub retry_timeouts: bool,
    /// How long a run that is to end may go on before its worker is killed. `None`:
    /// [`GRACE`](TaskOptions::GRACE).
    pub grace: Option<Duration>,
    /// How many calls of its function a worker runs before it is replaced.
    pub max_calls: Option<u32>,
    /// Whether each element of its result, which is a tuple, becomes an object of its own.
    pub split: bool,
    /// What it needs beside a worker, while it runs.
    pub resources: Resources,
    /// On which machine it runs. `None`: any, those that have its arguments first.
    pub node: Option<Box<str>>,
    /// Whether calls of it are spread over all machines, wherever their arguments are.
    pub spread: bool,
}

impl TaskOptions {
    /// Those of a function whose attribute sets none.
    pub const DEFAULT: TaskOptions = TaskOptions::with_resources(Resources::None);

    /// Those of a function whose attribute sets these only.
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

    /// How long a run that is to end may go on by default.
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

    /// How often the worker that has the task may run it again by itself, after errors, where
    /// `retries` are left.
    pub fn reruns(&self, retries: u32) -> u32 {
        match self.retry_errors {
            true => retries,
            false => 0,
        }
    }

    /// Whether calls with these options can share a task with others: the scheduler then knows
    /// nothing of the single call.
    pub fn fit_a_batch(&self) -> bool {
        let TaskOptions {
            // The map runs the calls of a lost batch again, one by one.
            retries,
            retry_errors,
            // The batch has it, since its calls have their options in common.
            priority: _,
            // A limit is one of a single call, and so is what follows from it.
            timeout,
            deadline,
            retry_timeouts: _,
            grace: _,
            // The scheduler counts calls.
            max_calls,
            // The batch has them: its calls run one after the other.
            resources: _,
            // It would split the result of the batch.
            split,
            // The batch has them.
            node: _,
            spread: _,
        } = *self;
        let limited = timeout.is_some() || deadline.is_some() || max_calls.is_some();
        !(split || limited || retry_errors && retries.is_some_and(|retries| retries > 0))
    }

    /// Whether a call with these options can run within the task that makes it, where the scheduler
    /// knows nothing of it.
    pub fn fit_a_caller(&self) -> bool {
        let TaskOptions {
            // A further run after the worker's death takes the driver.
            retries,
            // Without retries it means nothing.
            retry_errors: _,
            // The scheduler decides about the order of its tasks only.
            priority,
            // The driver's timers belong to tasks of its own.
            timeout,
            deadline,
            retry_timeouts: _,
            // A run within another one ends with that.
            grace,
            // The scheduler counts calls.
            max_calls,
            // The driver makes the objects of the elements.
            split,
            // The driver gives them out.
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

/// The options of one call. `None`: those of its function ([`RemoteFn::options`](crate::RemoteFn)),
/// which cost nothing to pass on.
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

    /// The grace time, where it is not that of each task.
    pub fn grace_time(&self) -> Option<Duration> {
        self.grace
    }

    /// How long a task with these options may go on; `None`: for as long as it wants.
    pub fn limit(&self, task: &TaskOptions) -> Option<Duration> {
        let own = || task.grace.unwrap_or(TaskOptions::GRACE);
        self.kills.then(|| self.grace.unwrap_or_else(own))
    }
}

/// How an actor is to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorOptions {
    /// Under which it can be found. One actor has a name at any time.
    pub name: Option<String>,
    /// How often it is made anew after its process died.
    pub max_restarts: u32,
    /// How often a call is run again after the process died that ran it, if the call does not say.
    pub max_call_retries: u32,
    /// How many calls of methods without a group run at a time, at most; at least 1.
    pub max_concurrency: u32,
    /// How many calls of each group run at a time, at most; each at least 1.
    pub groups: Vec<(String, u32)>,
    /// How many calls may wait or run, before further ones fail; at least 1.
    pub max_pending_calls: Option<u32>,
    /// How long its value's `Drop` may take before the process is killed.
    pub grace: Duration,
    /// What it needs beside a process, as long as it lives.
    pub resources: Resources,
    /// On which machine its process is. `None`: any.
    pub node: Option<Box<str>>,
}

impl ActorOptions {
    /// Returns the options of the call of the constructor, whose function has these. Its resources
    /// are the actor's.
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
