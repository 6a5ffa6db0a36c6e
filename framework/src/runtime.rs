//! The runtime that users hold.

use std::{ffi::OsString, fmt, path::PathBuf, sync::Arc, time::Duration};

use mobula_protocol::{Control, Engine, Error, Result, Stats};

use crate::{
    config::BuilderOptions,
    current::{self, Current, Guard},
    engine_kind::{EngineKind, Kind},
    engines,
};

/// A pool of worker processes and the store that they share.
///
/// A clone is another handle on the same runtime; when the last is dropped, or at
/// [`shutdown`](Runtime::shutdown), the workers end and results that are not there yet fail. A
/// program may have several runtimes at once.
///
/// # The end
///
/// Dropping the last handle waits for [detached](crate::ObjectRef::detach) tasks, for 5 s unless
/// [`Builder::detached_grace`] says otherwise. A line on standard error names those that have not
/// ended by then, and are cut. It waits for no other task, since somebody had its result and may
/// see it fail; and for none while a panic unwinds. [`wait_idle`](Runtime::wait_idle) waits for all
/// tasks, [`shutdown_timeout`](Runtime::shutdown_timeout) for a limited time. A program that ends
/// without dropping the runtime, by `std::process::exit`, waits for nothing.
///
/// ```
/// use mobula::prelude::*;
///
/// #[remote]
/// fn total(numbers: &[f64]) -> f64 {
///     numbers.iter().sum()
/// }
///
/// #[mobula::main]
/// fn main() -> mobula::Result<()> {
///     let rt = Runtime::builder().workers(1).start()?;
///     let numbers = rt.put(&vec![1.0, 2.0, 3.0])?;
///     assert_eq!(total::remote(&numbers).spawn().get()?, 6.0);
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Runtime {
    engine: Arc<dyn Engine>,
    /// In the process that started it. A task has none.
    guard: Option<Arc<Guard>>,
}

impl Runtime {
    /// Starts a runtime with the defaults: one worker for each core that this process may use, and
    /// a store of about 30 % of the memory that it may use. Environment variables override, see
    /// [`Builder`].
    ///
    /// Returns when the first worker is ready, after some milliseconds; the others come up beside
    /// it. When one of those cannot be started, a line on standard error says so, and it is tried
    /// again, after pauses of up to a minute while other workers run tasks. An actor that has
    /// waited for a process for 5 s in which no start has succeeded is dead, and says why; the same
    /// holds for tasks if the pool has no worker.
    ///
    /// # Errors
    /// `is_setup()`: [`init`](crate::init) was not called in this process, or this is a test
    /// without [`#[mobula::test]`](crate::test), or workers cannot be started or die at their
    /// start. `is_usage()`: called in a task, or in a process that was forked off one that has
    /// started a runtime, or an environment variable does not parse. `is_store_full()`: no memory
    /// for the mailboxes. `is_resource_limit()`: the system gives no process, thread, descriptor or
    /// address that even one worker needs.
    pub fn start() -> Result<Runtime> {
        Runtime::builder().start()
    }

    /// For a runtime with other settings.
    pub fn builder() -> Builder {
        Builder {
            options: BuilderOptions::default(),
        }
    }

    /// The runtime of this process: in a task the one that the task runs in; elsewhere the one that
    /// this thread started, if there is exactly one, or else the only one.
    ///
    /// # Errors
    /// `is_usage()`: there is none, or more than one to choose from.
    pub fn current() -> Result<Runtime> {
        Ok(match current::current()? {
            Current::Task(engine) => Runtime {
                engine,
                guard: None,
            },
            Current::Owner(guard) => Runtime::of(guard),
        })
    }

    fn of(guard: Arc<Guard>) -> Runtime {
        Runtime {
            engine: guard.engine().clone(),
            guard: Some(guard),
        }
    }

    /// Blocks until no task is unfinished: those of which somebody has the result, those of which
    /// nobody has, and those that they spawn meanwhile. It does not end as long as something spawns
    /// tasks.
    ///
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn save(n: u32) {
    ///     println!("{n} is saved");
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::start()?;
    /// for n in 0..100 {
    ///     save::remote(n).spawn().detach();
    /// }
    /// rt.wait_idle()?; // all are saved
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: called in a task, which is itself unfinished. `is_shutdown()`: the runtime
    /// ended meanwhile; or why it failed.
    pub fn wait_idle(&self) -> Result<()> {
        match self.control() {
            Some(control) => control.wait_idle(),
            None => Err(Error::usage(
                "a task cannot wait until no task is unfinished, since it is one itself; keep the refs of what it spawned and wait for those",
            )),
        }
    }

    /// Waits until no task is unfinished, as [`wait_idle`](Self::wait_idle), but no longer than the
    /// limit; then ends the runtime as [`shutdown`](Self::shutdown) does. In a task it does
    /// nothing.
    ///
    /// # Errors
    /// [`is_timeout`](Error::is_timeout): tasks were cut, whose functions the message names. The
    /// runtime has ended nevertheless.
    pub fn shutdown_timeout(self, limit: Duration) -> Result<()> {
        match self.control() {
            Some(control) => control.shutdown_after(limit),
            None => Ok(()),
        }
    }

    /// Ends the runtime now, for all its handles: results that are not there yet fail with an
    /// error for which `is_shutdown()` holds. Arrays and values that were read stay valid.
    ///
    /// Blocks until all workers are gone: less than a millisecond for idle ones. Tasks that run are
    /// waited for up to 250 ms, then their workers are killed, with all processes that they
    /// started. Detached tasks are not waited for longer than others. An actor without a running
    /// call may take its [grace](crate::ActorCall::grace) to drop its value. A process that the
    /// system has not ended 5 s after that is left, with a line on standard error.
    pub fn shutdown(self) {
        if let Some(control) = self.control() {
            control.shutdown();
        }
    }

    /// What the store holds.
    pub fn store(&self) -> StoreInfo<'_> {
        StoreInfo { runtime: self }
    }

    /// The process ids of the workers that are alive. Right after the start this waits until all
    /// of them have a process.
    ///
    /// In a task: of its own worker only. Empty on an engine without worker processes
    /// ([`EngineKind::inline`]).
    pub fn worker_pids(&self) -> Vec<u32> {
        match self.control() {
            Some(control) => control.worker_pids(),
            None => vec![std::process::id()],
        }
    }

    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// The runtime as a whole. A task has no part in that.
    fn control(&self) -> Option<&dyn Control> {
        self.guard.as_ref()?.control()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.control() {
            Some(control) => f
                .debug_struct("Runtime")
                .field("name", &control.name())
                .field("workers", &self.engine.workers())
                .field("store_capacity", &control.stats().capacity_bytes)
                .field("worker_setups", &mobula_worker::setup_count())
                .finish(),
            None => f.write_str("Runtime(of this task)"),
        }
    }
}

/// The store of a runtime, in numbers. Made by [`Runtime::store`].
#[derive(Clone, Copy, Debug)]
pub struct StoreInfo<'a> {
    runtime: &'a Runtime,
}

impl StoreInfo<'_> {
    fn stats(&self) -> Stats {
        self.runtime
            .control()
            .map(Control::stats)
            .unwrap_or_default()
    }

    /// Bytes of the objects that exist, each rounded up to 64. Small values, which travel inside
    /// messages, do not count. When all refs and arrays are gone, this is what it was before; a
    /// worker's own refs take some microseconds to be counted off. 0 in a task.
    pub fn used_bytes(&self) -> u64 {
        self.stats().used_bytes
    }

    /// Objects that exist, pending results and small values included. 0 in a task.
    pub fn object_count(&self) -> usize {
        self.stats().objects
    }

    /// Bytes of memory that are committed to the store at the moment, over all processes: what
    /// the objects use, and what is kept warm for the next ones. 0 in a task.
    pub fn committed_bytes(&self) -> u64 {
        self.stats().committed_bytes
    }

    /// How many bytes can be committed at most. 0 in a task.
    pub fn capacity_bytes(&self) -> u64 {
        self.stats().capacity_bytes
    }
}

/// Settings of a runtime. Made by [`Runtime::builder`].
///
/// Environment variables override what the program says, so that its user has the last word:
///
/// | Variable | Meaning |
/// | --- | --- |
/// | `MOBULA_WORKERS` | number of workers |
/// | `MOBULA_ENGINE` | the engine: `processes` or `inline` |
/// | `MOBULA_STORE_CAPACITY` | bytes of the store; `KiB`, `MiB`, `GiB` or `kB`, `MB`, `GB` may follow the number |
#[derive(Clone, Debug)]
#[must_use = "a runtime starts with `.start()`"]
pub struct Builder {
    options: BuilderOptions,
}

impl Builder {
    /// Which engine runs the calls. Default: [worker processes](EngineKind::processes).
    ///
    /// # Examples
    /// ```
    /// use mobula::{EngineKind, prelude::*};
    ///
    /// #[remote]
    /// fn half(n: u32) -> u32 {
    ///     n / 2
    /// }
    ///
    /// fn main() -> mobula::Result<()> {
    ///     // A debugger sees the function called by `spawn`.
    ///     let rt = Runtime::builder().engine(EngineKind::inline()).start()?;
    ///     assert_eq!(half::remote(8).spawn().get()?, 4);
    ///     Ok(())
    /// }
    /// ```
    pub fn engine(mut self, engine: EngineKind) -> Builder {
        self.options.kind = Some(engine.0);
        self
    }

    /// How many worker processes there are, 1 to 4,096. Default: one for each core that this
    /// process may use, after affinity and cgroup quota.
    ///
    /// The driver keeps some seven descriptors for each worker and actor. Where they do not
    /// suffice, it raises the soft limit of this process (`ulimit -n`) to the hard one.
    pub fn workers(mut self, workers: usize) -> Builder {
        self.options.workers = Some(workers);
        self
    }

    /// How many bytes the store may hold, over all processes, at least 1 MiB. Memory is taken as
    /// objects need it. Default: 30 % of the machine's memory or of the cgroup's limit, bounded by
    /// what `/dev/shm` can hold; where that is much smaller (64 MiB in many containers), anonymous
    /// memory takes its place; and by a sixteenth of the addresses that a process may use
    /// (`ulimit -v`).
    ///
    /// One process can hold objects of twice the capacity in addresses, so that fragmentation does
    /// not count. With very many workers, or little address space, a worker has fewer: half of the
    /// space that a process has (64 TiB mostly) is divided among twice the workers and 8 more.
    ///
    /// A capacity beyond the memory limit of the cgroup, with its swap, is refused at the start:
    /// the kernel would kill processes before the store is full.
    pub fn store_capacity(mut self, bytes: u64) -> Builder {
        self.options.capacity = Some(bytes);
        self
    }

    /// How many workers may die with a task before it counts as the cause, 1 to 255. Default: 3.
    /// 0 counts as 1.
    ///
    /// A worker says that it begins a task, and its death then uses up one of the task's retries.
    /// A task that destroys this word before it dies would run for ever. So the driver counts the
    /// workers that died with a task which was the next one to run there. From this number on each
    /// such death uses up a retry, and without a retry the task fails with a
    /// [crash](crate::Error::is_crash) that says so.
    ///
    /// # Examples
    /// ```
    /// use mobula::prelude::*;
    ///
    /// #[remote]
    /// fn aborts() {
    ///     std::process::abort();
    /// }
    ///
    /// #[mobula::main]
    /// fn main() -> mobula::Result<()> {
    ///     let rt = Runtime::builder().workers(1).max_worker_deaths(1).start()?;
    ///     assert!(aborts::remote().spawn().get().unwrap_err().is_crash());
    ///     Ok(())
    /// }
    /// ```
    pub fn max_worker_deaths(mut self, deaths: u8) -> Builder {
        self.options.max_worker_deaths = Some(deaths);
        self
    }

    /// How many bytes of stack a task has, 64 KiB to 1 TiB, on whichever thread of its worker it
    /// runs; with what the thread-local variables of the program take besides. Default: as much as
    /// the main thread may have (`ulimit -s`, mostly 8 MiB), or 64 MiB where that has no limit.
    pub fn stack_size(mut self, bytes: u64) -> Builder {
        self.options.stack = Some(bytes);
        self
    }

    /// The working directory of the workers, those of actors included. Default: that of this
    /// process when the runtime starts. Later changes of this process' directory, environment or
    /// umask do not reach workers, whenever they start; all of them begin without blocked signals.
    ///
    /// A path that is no directory is an error of [`start`](Builder::start).
    ///
    /// ```
    /// use mobula::prelude::*;
    ///
    /// #[remote]
    /// fn place() -> std::path::PathBuf {
    ///     std::env::current_dir().unwrap()
    /// }
    ///
    /// #[mobula::main]
    /// fn main() -> mobula::Result<()> {
    ///     let rt = Runtime::builder().workers(1).current_dir("/").start()?;
    ///     assert_eq!(rt.spawn(place::remote()).get()?.to_str(), Some("/"));
    ///     Ok(())
    /// }
    /// ```
    pub fn current_dir(mut self, path: impl Into<PathBuf>) -> Builder {
        self.options.directory = Some(path.into());
        self
    }

    /// Sets an environment variable in the workers, beside those that this process has when the
    /// runtime starts.
    pub fn worker_env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Builder {
        self.options.env.push((key.into(), value.into()));
        self
    }

    /// A name for this runtime, shown by its `Debug` form. Default: "mobula".
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.options.name = Some(name.into());
        self
    }

    /// How long a worker may take from its start to its readiness; one that takes longer is killed,
    /// which is an error. Default: 30 s.
    pub fn start_timeout(mut self, timeout: Duration) -> Builder {
        self.options.start_timeout = Some(timeout);
        self
    }

    /// How long dropping the last handle of the runtime waits for tasks that were
    /// [detached](crate::ObjectRef::detach). Zero: not at all. Default: 5 s.
    pub fn detached_grace(mut self, grace: Duration) -> Builder {
        self.options.detached_grace = Some(grace);
        self
    }

    /// In place of worker processes, something that answers each task at once as if it had returned
    /// `()`: for measurements of what the driver costs by itself. Only functions that return `()`
    /// have a result then; none of them is called.
    #[doc(hidden)]
    pub fn null_work(mut self) -> Builder {
        self.options.kind = Some(Kind::NullThreads);
        self
    }

    /// As [`null_work`](Builder::null_work), without threads: whoever waits for a result does all
    /// of the work, so that a program executes the same instructions each time. Futures do not
    /// become ready by themselves.
    #[doc(hidden)]
    pub fn null_work_here(mut self) -> Builder {
        self.options.kind = Some(Kind::NullHere);
        self
    }

    /// Starts the runtime; see [`Runtime::start`].
    ///
    /// # Errors
    /// As for [`Runtime::start`], and `is_usage()` for a number out of range.
    pub fn start(self) -> Result<Runtime> {
        let engine = engines::start(self.options.resolve()?)?;
        Ok(Runtime::of(current::add(engine)))
    }
}
