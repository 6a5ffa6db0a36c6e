//! What a task can learn of itself.

use std::{
    cell::Cell,
    fmt,
    time::{Duration, Instant},
};

use mobula_protocol::{ObjectId, RemoteFn, Result, WorkerId};

use crate::process::Run;

/// What a thread knows of the task that it runs. In parts, so that a task pays for some stores only.
struct Here {
    /// What it runs; `None` on a thread that runs no task.
    function: Cell<Option<&'static RemoteFn>>,
    /// The id of its result.
    task: Cell<ObjectId>,
    /// How often it runs, with this time, as far as this worker knows.
    attempt: Cell<u32>,
    /// When it has to have ended.
    limit: Cell<Option<Instant>>,
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
        }
    };
}

/// This thread runs a task from now on.
#[inline]
pub(crate) fn begin(task: ObjectId, function: &'static RemoteFn, attempt: u32) {
    HERE.with(|here| {
        here.function.set(Some(function));
        here.task.set(task);
        here.attempt.set(attempt);
        here.limit.set(None);
    });
}

/// This thread has ended its task.
#[inline]
pub(crate) fn end() {
    HERE.with(|here| here.function.set(None));
}

/// The task of this thread has to have ended then.
pub(crate) fn set_limit(limit: Option<Instant>) {
    HERE.with(|here| here.limit.set(limit));
}

/// The task of this thread runs several functions. This is the present one.
pub(crate) fn set_function(function: &'static RemoteFn) {
    HERE.with(|here| here.function.set(Some(function)));
}

/// The task of this thread runs once more.
pub(crate) fn count_attempt() {
    HERE.with(|here| here.attempt.update(|attempt| attempt + 1));
}

/// The thread runs a task, maybe inside of another one, until this is dropped.
#[must_use]
#[derive(Debug)]
pub struct Nested {
    function: Option<&'static RemoteFn>,
    task: ObjectId,
    attempt: u32,
}

/// This thread runs a task from now on, inside of that which it runs already.
pub fn nest(task: ObjectId, function: &'static RemoteFn, attempt: u32) -> Nested {
    let outer = HERE.with(|here| Nested {
        function: here.function.get(),
        task: here.task.get(),
        attempt: here.attempt.get(),
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
        });
    }
}

/// The context of this thread.
pub fn context() -> TaskContext {
    let task = HERE.with(|here| {
        Some(Task {
            function: here.function.get()?,
            id: here.task.get(),
            attempt: here.attempt.get(),
            limit: here.limit.get(),
            run: Run::of_this_thread(),
        })
    });
    TaskContext { task }
}

#[derive(Clone, Copy)]
struct Task {
    function: &'static RemoteFn,
    id: ObjectId,
    attempt: u32,
    limit: Option<Instant>,
    /// In a worker, which says whether it is cancelled.
    run: Option<Run>,
}

/// A task, as it sees itself: what `mobula::context()` returns. A copy of it can be moved to a thread
/// that the task has started.
///
/// `Display` says it in one line, for logs: `score, attempt 2 (task d:17, worker 3)`.
#[derive(Clone, Copy)]
pub struct TaskContext {
    task: Option<Task>,
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
        self.task.map(|task| TaskId(task.id))
    }

    /// The name of the remote function. In a map, whose calls share tasks, that of the calls.
    pub fn function(&self) -> Option<&'static str> {
        self.task.map(|task| task.function.name)
    }

    /// 1 in the first run of the task, 2 in the first that follows from its `retries`, and so on;
    /// 0 outside of tasks. Runs that the death of another task's worker has cut short and that used
    /// up no retry are not counted.
    pub fn attempt(&self) -> u32 {
        self.task.map_or(0, |task| task.attempt)
    }

    /// The number of the worker that runs the task, from 1 on; another one after its replacement.
    /// `None` outside of tasks, and where an engine has no workers.
    pub fn worker(&self) -> Option<u32> {
        self.task?.run.map(|run| run.worker().0)
    }

    /// How much of the run's `timeout` is left: zero after it has passed. `None` without one.
    pub fn time_left(&self) -> Option<Duration> {
        let limit = self.task?.limit?;
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
        match self.task.and_then(|task| task.run) {
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
