//! What a task can learn of itself.

use std::{
    cell::Cell,
    fmt,
    time::{Duration, Instant},
};

use mobula_protocol::{ObjectId, RemoteFn, Result, WorkerId};

use crate::process::Run;

thread_local! {
    static HERE: Cell<Option<Here>> = const { Cell::new(None) };
}

/// The task that a thread runs.
#[derive(Clone, Copy, Debug)]
pub struct Here {
    /// The id of its result.
    pub task: ObjectId,
    /// What it runs.
    pub function: &'static RemoteFn,
    /// How often it runs, with this time, as far as this worker knows.
    pub attempt: u32,
    /// The worker that runs it.
    pub worker: Option<WorkerId>,
    /// When it has to have ended.
    pub limit: Option<Instant>,
    /// Whether it is cancelled says its worker.
    pub(crate) run: Option<Run>,
}

impl Here {
    /// For an engine that cancels nothing.
    pub fn new(task: ObjectId, function: &'static RemoteFn, attempt: u32) -> Here {
        Here {
            task,
            function,
            attempt,
            worker: None,
            limit: None,
            run: None,
        }
    }
}

/// The thread runs a task until this is dropped.
#[must_use]
#[derive(Debug)]
pub struct Entered(Option<Here>);

/// This thread runs a task from now on.
#[inline]
pub fn enter(here: Here) -> Entered {
    Entered(HERE.replace(Some(here)))
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        HERE.set(self.0);
    }
}

/// The task of this thread has been changed in this way.
pub(crate) fn change(how: impl FnOnce(&mut Here)) {
    if let Some(mut here) = HERE.get() {
        how(&mut here);
        HERE.set(Some(here));
    }
}

/// The context of this thread.
pub fn context() -> TaskContext {
    TaskContext { here: HERE.get() }
}

/// A task, as it sees itself: what `mobula::context()` returns. A copy of it can be moved to a thread
/// that the task has started.
///
/// `Display` says it in one line, for logs: `score, attempt 2 (task d:17, worker 3)`.
#[derive(Clone, Copy)]
pub struct TaskContext {
    here: Option<Here>,
}

/// Which task: a number that no other task of a runtime has. A further run of a task keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(ObjectId);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TaskContext {
    /// The task; `None` outside of tasks.
    pub fn task(&self) -> Option<TaskId> {
        self.here.map(|here| TaskId(here.task))
    }

    /// The name of the remote function. In a map, whose calls share tasks, that of the calls.
    pub fn function(&self) -> Option<&'static str> {
        self.here.map(|here| here.function.name)
    }

    /// 1 in the first run of the task, 2 in the first that follows from its `retries`, and so on;
    /// 0 outside of tasks. Runs that the death of another task's worker has cut short and that used
    /// up no retry are not counted.
    pub fn attempt(&self) -> u32 {
        self.here.map_or(0, |here| here.attempt)
    }

    /// The number of the worker that runs the task, from 1 on; another one after its replacement.
    /// `None` outside of tasks, and where an engine has no workers.
    pub fn worker(&self) -> Option<u32> {
        self.here?.worker.map(|worker| worker.0)
    }

    /// How much of the run's `timeout` is left: zero after it has passed. `None` without one.
    pub fn time_left(&self) -> Option<Duration> {
        let limit = self.here?.limit?;
        Some(limit.saturating_duration_since(Instant::now()))
    }

    /// Whether nobody waits for the task any more: it was cancelled, or has passed its limit of
    /// time. The docs of `mobula::Cancel` say
    /// what ends such a task by itself.
    pub fn is_cancelled(&self) -> bool {
        self.check_cancelled().is_err()
    }

    /// As [`is_cancelled`](Self::is_cancelled), to be left with `?`.
    ///
    /// # Errors
    /// The task is cancelled ([`is_cancelled`](mobula_protocol::Error::is_cancelled)). Nobody sees
    /// what it returns.
    pub fn check_cancelled(&self) -> Result<()> {
        match self.here.and_then(|here| here.run) {
            Some(run) => run.check_cancelled(),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(here) = &self.here else {
            return f.write_str("no task");
        };
        let (function, attempt) = (here.function.name, here.attempt);
        write!(f, "{function}, attempt {attempt} (task {}", here.task)?;
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

/// # Errors
/// The task that this thread runs is cancelled.
#[inline]
pub(crate) fn check_cancelled() -> Result<()> {
    context().check_cancelled()
}
