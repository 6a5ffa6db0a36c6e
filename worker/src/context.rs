//! Facts that a task can ask about itself.

mod here;
mod limits;
mod progress;
mod resources;

use std::{fmt, time::Instant};

use mobula_protocol::{ObjectId, RemoteFn, Resources};

use crate::process::Run;
use here::{HERE, RESOURCES};

pub use here::{Nested, nest};
pub(crate) use here::{
    begin, count_attempt, end, is_limited, passes_cores_on, set_function, set_limit, set_resources,
    set_resources_of_actor,
};
pub use progress::Progress;

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
