//! Facts that a task can ask about itself.

mod progress;

use std::{
    cell::{Cell, RefCell},
    fmt,
    time::{Duration, Instant},
};

use mobula_protocol::{Demand, ObjectId, RemoteFn, Resources, Result, WorkerId};

use crate::process::Run;

pub use progress::Progress;

/// The facts that a thread has of its task. Each is a cell of its own, so that a task pays for a
/// few stores only.
struct Here {
    /// The function that the task runs; `None` on a thread that runs no task.
    function: Cell<Option<&'static RemoteFn>>,
    /// The id of the task's result.
    task: Cell<ObjectId>,
    /// The number of the task's runs, this one included, as far as this worker knows.
    attempt: Cell<u32>,
    /// The time by which the task has to have ended.
    limit: Cell<Option<Instant>>,
    /// Whether the task has resources.
    has_resources: Cell<bool>,
    /// Whether these are the task's own, and not its actor's. Then others get its cores while it
    /// waits.
    passes_cores_on: Cell<bool>,
}

thread_local! {
    static HERE: Here = const {
        Here {
            function: Cell::new(None),
            task: Cell::new(ObjectId {
                origin: WorkerId::DRIVER,
                seq: 0,
            }),
            attempt: Cell::new(0),
            limit: Cell::new(None),
            has_resources: Cell::new(false),
            passes_cores_on: Cell::new(false),
        }
    };

    /// The resources of the task that this thread runs, or of an earlier task if it has none. The
    /// value has a destructor, which makes each access dearer. So it is apart from the other facts.
    static RESOURCES: RefCell<Resources> = const { RefCell::new(Resources::None) };
}

/// Says that this thread runs a task from now on.
#[inline]
pub(crate) fn begin(task: ObjectId, function: &'static RemoteFn, attempt: u32) {
    HERE.with(|here| {
        here.function.set(Some(function));
        here.task.set(task);
        here.attempt.set(attempt);
        here.limit.set(None);
        here.has_resources.set(false);
        here.passes_cores_on.set(false);
    });
}

/// Says that this thread has ended its task.
#[inline]
pub(crate) fn end() {
    HERE.with(|here| here.function.set(None));
}

/// Sets the time by which the task of this thread has to have ended.
pub(crate) fn set_limit(limit: Option<Instant>) {
    HERE.with(|here| here.limit.set(limit));
}

/// Says which resources the task of this thread has.
pub(crate) fn set_resources(resources: &Resources) {
    set_resources_of_actor(resources);
    HERE.with(|here| here.passes_cores_on.set(true));
}

/// Says which resources the actor has whose method or constructor this thread runs.
pub(crate) fn set_resources_of_actor(resources: &Resources) {
    HERE.with(|here| here.has_resources.set(true));
    RESOURCES.set(resources.clone());
}

/// Says whether others get the cores of this thread's task while it waits.
pub(crate) fn passes_cores_on() -> bool {
    HERE.with(|here| here.passes_cores_on.get())
}

/// Sets the present function of the task of this thread, which runs several.
pub(crate) fn set_function(function: &'static RemoteFn) {
    HERE.with(|here| here.function.set(Some(function)));
}

/// Says whether the task of this thread has resources or a limit of time.
pub(crate) fn is_limited() -> bool {
    HERE.with(|here| here.has_resources.get() || here.limit.get().is_some())
}

/// Says that the task of this thread runs once more.
pub(crate) fn count_attempt() {
    HERE.with(|here| here.attempt.update(|attempt| attempt + 1));
}

/// While this lives, the thread runs a task, maybe inside of another one.
#[must_use]
#[derive(Debug)]
pub struct Nested {
    function: Option<&'static RemoteFn>,
    task: ObjectId,
    attempt: u32,
    limit: Option<Instant>,
    has_resources: bool,
}

/// Says that this thread runs a task from now on, inside of the task that it runs already.
pub fn nest(task: ObjectId, function: &'static RemoteFn, attempt: u32) -> Nested {
    let outer = HERE.with(|here| Nested {
        function: here.function.get(),
        task: here.task.get(),
        attempt: here.attempt.get(),
        limit: here.limit.get(),
        has_resources: here.has_resources.get(),
    });
    begin(task, function, attempt);
    outer
}

impl Drop for Nested {
    fn drop(&mut self) {
        HERE.with(|here| {
            here.function.set(self.function);
            here.task.set(self.task);
            here.attempt.set(self.attempt);
            here.limit.set(self.limit);
            here.has_resources.set(self.has_resources);
        });
    }
}

/// Returns the context of this thread.
pub fn context() -> TaskContext {
    let task = HERE.with(|here| {
        Some(Task {
            function: here.function.get()?,
            id: here.task.get(),
            attempt: here.attempt.get(),
            limit: here.limit.get(),
            run: Run::of_this_thread(),
            resources: match here.has_resources.get() {
                true => RESOURCES.with_borrow(Resources::clone),
                false => Resources::None,
            },
        })
    });
    TaskContext { task }
}

#[derive(Clone)]
struct Task {
    function: &'static RemoteFn,
    id: ObjectId,
    attempt: u32,
    limit: Option<Instant>,
    /// The run, in a worker. It knows whether it is cancelled.
    run: Option<Run>,
    /// The resources that the task has got.
    resources: Resources,
}

/// The facts that a task can know of itself. `mobula::context()` returns them. A copy can be moved
/// to a thread that the task has started.
///
/// `Display` shows it in one line, for logs: `score, attempt 2 (task d:17, worker 3)`.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn log() -> String {
///     mobula::context().to_string()
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// assert!(rt.spawn(log::remote()).get()?.starts_with("log, attempt 1 (task "));
/// assert_eq!(mobula::context().to_string(), "no task");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TaskContext {
    task: Option<Task>,
}

/// The identity of a task: a number that no other task of a runtime has. A further run of a task
/// keeps it.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn id() -> String {
///     let id: Option<mobula::TaskId> = mobula::context().task();
///     id.unwrap().to_string()
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// assert_ne!(rt.spawn(id::remote()).get()?, rt.spawn(id::remote()).get()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(ObjectId);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TaskContext {
    /// Returns the identity of the task; `None` outside of tasks.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn has_id() -> bool {
    ///     mobula::context().task().is_some()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert!(rt.spawn(has_id::remote()).get()?);
    /// assert_eq!(mobula::context().task(), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn task(&self) -> Option<TaskId> {
        self.task.as_ref().map(|task| TaskId(task.id))
    }

    /// Returns the name of the remote function; `None` outside of tasks. In a map, whose calls
    /// share tasks, it is the name of the call's function.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn own_name() -> String {
    ///     mobula::context().function().unwrap().to_owned()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.spawn(own_name::remote()).get()?, "own_name");
    /// # Ok(())
    /// # }
    /// ```
    pub fn function(&self) -> Option<&'static str> {
        self.task.as_ref().map(|task| task.function.name)
    }

    /// Returns the number of the run: 1 in the first run of the task, 2 in its first retry, and so
    /// on. Returns 0 outside of tasks.
    ///
    /// Runs that the death of another task's worker has cut short, and that used up no retry, do
    /// not count.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote(retries = 2, retry_errors)]
    /// fn third_time() -> Result<u32, String> {
    ///     match mobula::context().attempt() {
    ///         3 => Ok(3),
    ///         attempt => Err(format!("attempt {attempt}")),
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.spawn(third_time::remote()).get()?, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn attempt(&self) -> u32 {
        self.task.as_ref().map_or(0, |task| task.attempt)
    }

    /// Returns the number of the worker that runs the task, from 1 on. The replacement of a worker
    /// has another number. `None` outside of tasks, and where an engine has no workers.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn own_worker() -> Option<u32> {
    ///     mobula::context().worker()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.spawn(own_worker::remote()).get()?, Some(1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn worker(&self) -> Option<u32> {
        self.task.as_ref()?.run.map(|run| run.worker().0)
    }

    /// Returns the name of the machine that this process is on: in a task on a Ray cluster the
    /// address of the node, otherwise the host name. `.node(name)` places calls by it.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn node() -> String {
    ///     mobula::context().node()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.spawn(node::remote()).get()?, mobula::context().node());
    /// # Ok(())
    /// # }
    /// ```
    pub fn node(&self) -> String {
        mobula_protocol::node()
    }

    /// Returns which units of a resource the task has got, by their numbers, from 0 on. In a method
    /// or a constructor, these are the units of the actor.
    ///
    /// The list is empty for a resource that the call does not need, for cores and memory, and
    /// outside of tasks. An engine that runs one call at a time returns an empty list, too.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote(resources(gpu = 1))]
    /// fn which() -> Vec<u32> {
    ///     mobula::context().units("gpu")
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).resource("gpu", 2).start()?;
    /// assert_eq!(rt.spawn(which::remote()).get()?, [0]);
    /// assert_eq!(rt.spawn(which::remote().resource("gpu", 2)).get()?, [0, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn units(&self, resource: &str) -> Vec<u32> {
        let mut demands = self.demands().iter();
        let found = demands.find(|demand| demand.name == resource);
        found.map(|demand| demand.units.clone()).unwrap_or_default()
    }

    /// Returns the environment variables that tell a program which units of the task's resources it
    /// is to use. An example is `CUDA_VISIBLE_DEVICES` with `0,1` for the resource `gpu`.
    /// `Builder::resource_variable` declares others.
    ///
    /// They are for the processes that the task starts. The worker's own environment does not
    /// change: several tasks use it at a time, and code of other languages may read it meanwhile.
    /// Code in the worker takes the numbers from [`units`](Self::units).
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote(resources(gpu = 1))]
    /// fn train() -> String {
    ///     let mut program = std::process::Command::new("sh");
    ///     program.args(["-c", "echo uses $CUDA_VISIBLE_DEVICES"]);
    ///     let output = program.envs(mobula::context().variables()).output().unwrap();
    ///     String::from_utf8(output.stdout).unwrap()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).resource("gpu", 2).start()?;
    /// assert_eq!(rt.spawn(train::remote()).get()?, "uses 0\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn variables(&self) -> Vec<(String, String)> {
        let declared = self.demands().iter();
        let declared = declared.filter(|demand| !demand.variable.is_empty());
        let variables = declared.map(|demand| {
            let units: Vec<_> = demand.units.iter().map(u32::to_string).collect();
            (demand.variable.to_string(), units.join(","))
        });
        variables.collect()
    }

    fn demands(&self) -> &[Demand] {
        self.task
            .as_ref()
            .map_or(&[], |task| task.resources.demands())
    }

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

    /// Returns the value by which the task tells the program how far it is. See [`Progress`].
    ///
    /// The program reads it by `ObjectRef::progress`. A task that does not use it pays nothing.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn simulate(steps: u64) -> u64 {
    ///     let progress = mobula::context().progress();
    ///     for step in 0..steps {
    ///         progress.set(step, steps);
    ///         // ..
    ///     }
    ///     steps
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.spawn(simulate::remote(100)).get()?, 100);
    /// # Ok(())
    /// # }
    /// ```
    pub fn progress(&self) -> Progress {
        let run = self.task.as_ref().and_then(|task| task.run);
        Progress {
            run: run.filter(|run| !run.is_within()),
        }
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

impl fmt::Display for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(task) = &self.task else {
            return f.write_str("no task");
        };
        let (function, attempt) = (task.function.name, task.attempt);
        write!(f, "{function}, attempt {attempt} (task {}", task.id)?;
        if let Some(worker) = self.worker() {
            write!(f, ", worker {worker}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContext")
            .field("task", &self.task())
            .field("function", &self.function())
            .field("attempt", &self.attempt())
            .field("worker", &self.worker())
            .field("time_left", &self.time_left())
            .finish()
    }
}
