//! The runtime that users hold.

use std::{ffi::OsString, fmt, path::PathBuf, sync::Arc, time::Duration};

use mobula_protocol::{Control, Engine, Error, Result, Stats};

use crate::{
    config::{BuilderOptions, Pin},
    current::{self, Current, Guard},
    engine_kind::{EngineKind, Kind},
    engines,
};

/// A pool of worker processes and the store that they share.
///
/// A clone is another handle on the same runtime. The workers end when the last handle is dropped,
/// or at [`shutdown`](Runtime::shutdown). Results that are not there by then fail. A program may
/// have several runtimes at once.
///
/// # The end
///
/// Dropping the last handle waits for [detached](crate::ObjectRef::detach) tasks, for up to 5 s
/// unless [`Builder::detached_grace`] says otherwise. A line on standard error names the tasks that
/// are cut then. The drop waits for no other task, since somebody had its result and can see it
/// fail. While a panic unwinds, the drop waits for none.
///
/// [`wait_idle`](Runtime::wait_idle) waits for all tasks, and
/// [`shutdown_timeout`](Runtime::shutdown_timeout) for a limited time. A program that ends by
/// `std::process::exit` does not drop the runtime, and waits for nothing.
///
/// # Examples
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
    /// Starts a runtime with the defaults.
    ///
    /// It has one worker for each core and a store of about 30 % of the memory, as far as this
    /// process may use them. Environment variables override the defaults, see [`Builder`].
    ///
    /// Returns when the first worker is ready, after some milliseconds. The others start in the
    /// meantime. A worker that cannot be started is tried again after pauses of up to a minute, and
    /// a line on standard error says so. An actor that has waited 5 s for a process, with no
    /// successful start, is dead and says why. Tasks fail likewise if the pool has no worker.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::start()?;
    /// assert!(!rt.worker_pids().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// * `is_setup()`: [`init`](crate::init) was not called in this process, or this is a test
    ///   without [`#[mobula::test]`](crate::test).
    /// * `is_setup()`: workers cannot be started, or die at their start.
    /// * `is_usage()`: the caller is a task, or a forked child of a process that has started a
    ///   runtime.
    /// * `is_usage()`: an environment variable does not parse.
    /// * `is_store_full()`: there is no memory for the mailboxes.
    /// * `is_resource_limit()`: the system refuses a process, thread, descriptor or address that
    ///   even one worker needs.
    pub fn start() -> Result<Runtime> {
        Runtime::builder().start()
    }

    /// Returns the settings of a new runtime, which [`Builder::start`] starts.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(2).store_capacity(64 << 20).start()?;
    /// assert_eq!(rt.worker_pids().len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> Builder {
        Builder {
            options: BuilderOptions::default(),
        }
    }

    /// Returns the runtime of this process.
    ///
    /// In a task, that is the runtime of the task. Elsewhere, it is the one that this thread has
    /// started, if there is exactly one, or else the only one of the process.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn fan_out(n: u64) -> mobula::Result<u64> {
    ///     let rt = Runtime::current()?;
    ///     Ok(rt.map_fn(square::remote, 0..n).get()?.iter().sum())
    /// }
    ///
    /// #[remote]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.spawn(fan_out::remote(4)).get()?, 14);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: there is no runtime, or more than one to choose from.
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

    /// Blocks until no task is unfinished.
    ///
    /// This counts tasks whose result somebody has, tasks whose result nobody has, and tasks that
    /// start meanwhile. So it does not end while something keeps spawning.
    ///
    /// # Examples
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
    /// * `is_usage()`: the caller is a task, which is itself unfinished.
    /// * `is_shutdown()`: the runtime ended meanwhile.
    /// * The reason for which the runtime failed, if it did.
    pub fn wait_idle(&self) -> Result<()> {
        match self.control() {
            Some(control) => control.wait_idle(),
            None => Err(Error::usage(
                "a task cannot wait until no task is unfinished, since it is one itself; keep the refs of what it spawned and wait for those",
            )),
        }
    }

    /// Waits until no task is unfinished, for up to `limit`, then ends the runtime as
    /// [`shutdown`](Self::shutdown) does. In a task it does nothing.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// #[remote]
    /// fn sleep(seconds: u64) {
    ///     std::thread::sleep(Duration::from_secs(seconds));
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// sleep::remote(0).spawn().detach();
    /// sleep::remote(600).spawn().detach();
    /// let error = rt.shutdown_timeout(Duration::from_millis(50)).unwrap_err();
    /// assert!(error.is_timeout() && error.to_string().contains("sleep"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_timeout`](Error::is_timeout): tasks were cut, and the message names their functions.
    /// The runtime has ended nevertheless.
    pub fn shutdown_timeout(self, limit: Duration) -> Result<()> {
        match self.control() {
            Some(control) => control.shutdown_after(limit),
            None => Ok(()),
        }
    }

    /// Ends the runtime now, for all its handles.
    ///
    /// Results that are not there yet fail with an error for which `is_shutdown()` holds. Arrays
    /// and values that were read stay valid. In a task it does nothing.
    ///
    /// Blocks until all workers are gone, which takes less than a millisecond for idle ones.
    /// Running tasks have 250 ms. Then their workers are killed, with all processes that they
    /// started. Detached tasks have no longer. An actor without a running call has its
    /// [grace](crate::ActorCall::grace) to drop its value. A process that the system has not ended
    /// within a further 5 s is left, with a line on standard error.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
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
    /// let result = rt.spawn(endless::remote());
    /// rt.shutdown();
    /// assert!(result.get().unwrap_err().is_shutdown());
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown(self) {
        if let Some(control) = self.control() {
            control.shutdown();
        }
    }

    /// Returns the numbers of the store: what it holds and may hold.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let numbers = rt.put(&vec![0_u8; 1 << 20])?;
    /// assert_eq!(rt.store().used_bytes(), 1 << 20);
    /// drop(numbers);
    /// assert_eq!(rt.store().used_bytes(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn store(&self) -> StoreInfo<'_> {
        StoreInfo { runtime: self }
    }

    /// Returns the process ids of the workers that are alive.
    ///
    /// Right after the start this waits until each worker has a process. In a task it returns the
    /// id of the task's own worker. It is empty on an engine without worker processes
    /// ([`EngineKind::threads`], [`EngineKind::inline`]).
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn pid() -> u32 {
    ///     std::process::id()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let pids = rt.worker_pids();
    /// assert_eq!(pids.len(), 2);
    /// assert!(pids.contains(&rt.spawn(pid::remote()).get()?));
    /// # Ok(())
    /// # }
    /// ```
    pub fn worker_pids(&self) -> Vec<u32> {
        match self.control() {
            Some(control) => control.worker_pids(),
            None => vec![std::process::id()],
        }
    }

    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// The runtime as a whole. A task has none.
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

/// The numbers of a runtime's store. [`Runtime::store`] returns it.
///
/// Each method asks anew. In a task all numbers are 0.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let store = rt.store();
/// let object = rt.put("a small value travels inside messages")?;
/// assert_eq!((store.object_count(), store.used_bytes()), (1, 0));
/// assert!(store.used_bytes() <= store.committed_bytes());
/// assert!(store.committed_bytes() <= store.capacity_bytes());
/// # drop(object);
/// # Ok(())
/// # }
/// ```
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

    /// Returns the bytes of the objects that exist, each rounded up to 64.
    ///
    /// Small values travel inside messages and do not count. When all refs and arrays of some
    /// objects are gone, their bytes are off. A worker's own refs take some microseconds to be
    /// counted off.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let _object = rt.put(&vec![0_u32; 10_001])?;
    /// assert_eq!(rt.store().used_bytes(), 40_064); // 40,004, rounded up
    /// # Ok(())
    /// # }
    /// ```
    pub fn used_bytes(&self) -> u64 {
        self.stats().used_bytes
    }

    /// Returns the number of objects that exist, pending results and small values included.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let (one, two) = (rt.put(&1)?, rt.put(&2)?);
    /// let again = one.clone(); // another ref of the same object
    /// assert_eq!(rt.store().object_count(), 2);
    /// # drop((one, two, again));
    /// # Ok(())
    /// # }
    /// ```
    pub fn object_count(&self) -> usize {
        self.stats().objects
    }

    /// Returns the bytes of memory that the store has taken from the system, over all processes.
    ///
    /// They are in use by objects, or kept warm for the next objects.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let object = rt.put(&vec![0_u8; 1 << 20])?;
    /// drop(object);
    /// assert_eq!(rt.store().used_bytes(), 0);
    /// println!("{} bytes are kept warm", rt.store().committed_bytes());
    /// # Ok(())
    /// # }
    /// ```
    pub fn committed_bytes(&self) -> u64 {
        self.stats().committed_bytes
    }

    /// Returns the most bytes of memory that the store may take.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).store_capacity(32 << 20).start()?;
    /// assert_eq!(rt.store().capacity_bytes(), 32 << 20);
    /// # Ok(())
    /// # }
    /// ```
    pub fn capacity_bytes(&self) -> u64 {
        self.stats().capacity_bytes
    }
}

/// Settings of a runtime. [`Runtime::builder`] makes it.
///
/// Environment variables override what the program says, so that its user decides:
///
/// | Variable | Meaning |
/// | --- | --- |
/// | `MOBULA_WORKERS` | number of workers |
/// | `MOBULA_ENGINE` | the engine: `processes`, `threads` or `inline` |
/// | `MOBULA_STORE_CAPACITY` | bytes of the store; `KiB`, `MiB`, `GiB` or `kB`, `MB`, `GB` may follow the number |
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// let rt = Runtime::builder()
///     .workers(2)
///     .store_capacity(256 << 20)
///     .worker_env("OMP_NUM_THREADS", "1")
///     .start()?;
/// assert_eq!(rt.worker_pids().len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a runtime starts with `.start()`"]
pub struct Builder {
    options: BuilderOptions,
}

impl Builder {
    /// Sets the engine that runs the calls. Default: [worker processes](EngineKind::processes).
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

    /// Sets the number of worker processes, 1 to 4,096. Default: one for each core that this
    /// process may use, after affinity and cgroup quota.
    ///
    /// The driver keeps about seven descriptors for each worker and actor. Where the soft limit
    /// (`ulimit -n`) does not suffice, the driver raises it to the hard limit.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(3).start()?;
    /// assert_eq!(rt.worker_pids().len(), 3);
    /// assert!(Runtime::builder().workers(0).start().unwrap_err().is_usage());
    /// # Ok(())
    /// # }
    /// ```
    pub fn workers(mut self, workers: usize) -> Builder {
        self.options.workers = Some(workers);
        self
    }

    /// Sets how many cores the calls may use at a time, at least 1. Default: the number of
    /// [workers](Self::workers).
    ///
    /// A call without resources uses 1. So with fewer cores than workers only so many plain calls run
    /// at a time, and calls that use a part of a core have the other workers. See
    /// [`UnspawnedCall::num_cpus`](crate::UnspawnedCall::num_cpus).
    ///
    /// # Examples
    /// ```
    /// use mobula::prelude::*;
    ///
    /// #[remote(num_cpus = 0.25)]
    /// fn fetch(n: u32) -> u32 {
    ///     n // waits for the network most of the time
    /// }
    ///
    /// #[mobula::main]
    /// fn main() -> mobula::Result<()> {
    ///     let rt = Runtime::builder().workers(4).num_cpus(1).start()?;
    ///     let pages = rt.spawn_all((0..100).map(fetch::remote)); // four at a time
    ///     assert_eq!(pages[99].get()?, 99);
    ///     Ok(())
    /// }
    /// ```
    pub fn num_cpus(mut self, cores: impl Into<f64>) -> Builder {
        self.options.cpus = Some(cores.into());
        self
    }

    /// Sets how many bytes of memory the calls may need at a time that ask for
    /// [`memory`](crate::UnspawnedCall::memory). Default: what this process may use, without the
    /// store's capacity. Nothing is reserved.
    ///
    /// # Examples
    /// ```
    /// use mobula::prelude::*;
    ///
    /// #[remote(memory = 1 << 30)]
    /// fn sort() {}
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).memory(256 << 20).start()?;
    /// assert!(rt.spawn(sort::remote()).get().unwrap_err().is_usage()); // it could never run
    /// # Ok(())
    /// # }
    /// ```
    pub fn memory(mut self, bytes: u64) -> Builder {
        self.options.memory = Some(bytes);
        self
    }

    /// Declares a resource with so many units, 1 to 4,096, for which calls can ask
    /// ([`UnspawnedCall::resource`](crate::UnspawnedCall::resource)). The last number of a name
    /// counts. Each unit has a number, from 0 on.
    ///
    /// # Examples
    /// ```
    /// use mobula::prelude::*;
    ///
    /// #[remote(resources(license = 1))]
    /// fn solve(n: u32) -> u32 {
    ///     n
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(4).resource("license", 2).start()?;
    /// let solved = rt.spawn_all((0..10).map(solve::remote)); // two at a time
    /// assert_eq!(solved[9].get()?, 9);
    /// # Ok(())
    /// # }
    /// ```
    pub fn resource(mut self, name: impl Into<String>, units: u32) -> Builder {
        self.options.declared.push((name.into(), units));
        self
    }

    /// Names the environment variable that tells programs which units of a declared resource they
    /// have. For the resource `gpu` it is `CUDA_VISIBLE_DEVICES` unless this says otherwise.
    /// [`TaskContext::variables`](crate::TaskContext::variables) returns it.
    ///
    /// # Errors
    /// [`start`](Self::start) fails if the resource is not declared, or the name cannot be that of a
    /// variable.
    ///
    /// # Examples
    /// ```
    /// use mobula::prelude::*;
    ///
    /// #[remote(resources(gpu = 1))]
    /// fn variables() -> Vec<(String, String)> {
    ///     mobula::context().variables()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let builder = Runtime::builder().workers(1).resource("gpu", 2);
    /// let rt = builder.resource_variable("gpu", "HIP_VISIBLE_DEVICES").start()?;
    /// let variables = rt.spawn(variables::remote()).get()?;
    /// assert_eq!(variables, [("HIP_VISIBLE_DEVICES".to_owned(), "0".to_owned())]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn resource_variable(
        mut self,
        name: impl Into<String>,
        variable: impl Into<String>,
    ) -> Builder {
        let variable = (name.into(), variable.into());
        self.options.variables.push(variable);
        self
    }

    /// Pins each worker to cores of its own, or to those of a NUMA node, so that the system does not
    /// move it. Default: workers use all cores that this process may use.
    ///
    /// A worker has its cores before its first instruction, and a replacement has those of the worker
    /// that it replaces. The processes of actors have cores too. This process keeps its own.
    ///
    /// # Errors
    /// [`start`](Self::start) fails (`is_setup()`) if the system lets no cores be chosen, or does not
    /// list its NUMA nodes.
    ///
    /// # Examples
    /// ```
    /// use mobula::{Pin, prelude::*};
    ///
    /// #[remote]
    /// fn cores() -> usize {
    ///     std::thread::available_parallelism().unwrap().get()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let all = std::thread::available_parallelism().unwrap().get();
    /// let rt = Runtime::builder().workers(all).pin(Pin::Cores).start()?;
    /// assert_eq!(rt.spawn(cores::remote()).get()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn pin(mut self, pin: Pin) -> Builder {
        self.options.pin = Some(pin);
        self
    }

    /// Sets by how much workers are nicer than this process, 0 to 19, so that other programs go
    /// before them (`nice(2)`). Default: 0.
    ///
    /// # Errors
    /// [`start`](Self::start) fails (`is_usage()`) for a number above 19.
    ///
    /// # Examples
    /// ```
    /// use mobula::prelude::*;
    ///
    /// #[remote]
    /// fn niceness() -> String {
    ///     let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    ///     let fields = stat.rsplit(") ").next().unwrap();
    ///     fields.split(' ').nth(16).unwrap().to_owned()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).nice(19).start()?;
    /// assert_eq!(rt.spawn(niceness::remote()).get()?, "19");
    /// # Ok(())
    /// # }
    /// ```
    pub fn nice(mut self, by: u32) -> Builder {
        self.options.nice = Some(by);
        self
    }

    /// Sets the most bytes that the store may hold, over all processes, at least 1 MiB. The store
    /// takes memory when objects need it.
    ///
    /// The default is 30 % of the machine's memory or of the cgroup's limit. Three bounds lower it:
    ///
    /// * what `/dev/shm` can hold, unless that is less than half of the 30 % (64 MiB in many
    ///   containers): then anonymous memory takes its place;
    /// * a sixteenth of the addresses that a process may use (`ulimit -v`);
    /// * the memory limit of the cgroup.
    ///
    /// One process can hold objects of twice the capacity in addresses, so that fragmentation does
    /// not count. With very many workers, or little address space, a worker has fewer. Then half of
    /// the process' address space (64 TiB mostly) is divided by twice the number of workers plus 8.
    ///
    /// A capacity beyond the memory limit of the cgroup, with its swap, is refused at the start.
    /// The kernel would kill processes before the store is full.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).store_capacity(16 << 20).start()?;
    /// assert!(rt.put(&vec![0_u8; 32 << 20]).unwrap_err().is_store_full());
    /// assert!(rt.put(&vec![0_u8; 8 << 20]).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn store_capacity(mut self, bytes: u64) -> Builder {
        self.options.capacity = Some(bytes);
        self
    }

    /// Sets how many workers may die with a task before the task counts as the cause, 1 to 255.
    /// Default: 3. 0 counts as 1.
    ///
    /// A worker says that it begins a task, and its death then uses up one of the task's retries. A
    /// task that destroys this word before it dies would run for ever. So the driver counts the
    /// workers that died while the task was their next one. From this number on each such death
    /// uses up a retry. Without a retry the task fails with a [crash](crate::Error::is_crash) that
    /// says so.
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

    /// Sets how many calls of this program may be pending, at least 1. Default: no limit.
    ///
    /// A call is pending from its spawn to its end. With that many, `spawn` blocks until one of them
    /// has ended. [`spawn_async`](crate::UnspawnedCall::spawn_async) waits without blocking, and
    /// [`try_spawn`](crate::UnspawnedCall::try_spawn) returns an error at once. So a program that
    /// makes calls faster than workers run them needs a bounded amount of memory.
    ///
    /// Calls of actors' methods count. Not counted, and never held up, are:
    ///
    /// * calls that tasks make: their parents would wait for them with a place of their own;
    /// * calls of a [`map`](Runtime::map), which bounds them itself;
    /// * actors and queues.
    ///
    /// A call that waits for the program itself, such as for a value in a queue, keeps its place
    /// meanwhile. On the inline engine, where a call has ended when `spawn` returns, the limit does
    /// nothing. Without a limit it costs nothing.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).max_pending(100).start()?;
    /// for n in 0..10_000 {
    ///     square::remote(n).spawn(); // waits, from the 101st call on
    /// }
    /// rt.wait_idle()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_pending(mut self, calls: usize) -> Builder {
        self.options.max_pending = Some(calls);
        self
    }

    /// Sets whether a line on standard error tells of a failed call whose error nobody has read.
    /// Default: yes.
    ///
    /// The line comes when the last ref of the result goes. A failure is read when the program has
    /// got the error, when a task has waited for the result, or when another call has failed because
    /// of it.
    /// A call that was cancelled, or cut by the end of the runtime, has not failed. Of many failures
    /// five lines a second are printed, and the number of the others.
    ///
    /// Not reported are calls that could not be made, actors that could not be created, and calls on
    /// the inline engine.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn save(n: u32) -> Result<(), String> {
    ///     Err(format!("no room for {n}"))
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).report_unread_failures(false).start()?;
    /// save::remote(7).spawn().detach(); // with `true`, its error is printed
    /// # Ok(())
    /// # }
    /// ```
    pub fn report_unread_failures(mut self, report: bool) -> Builder {
        self.options.report_unread_failures = Some(report);
        self
    }

    /// Sets with how many bytes of its own memory a worker is replaced, at least 1 MiB.
    ///
    /// It serves libraries that leak or never give memory back. A worker that has more after a task
    /// is replaced without failing anything, as with
    /// [`max_calls`](crate::UnspawnedCall::max_calls). Its own memory is what is resident and
    /// shared with no other process: its heap and its stacks, and not the objects of the store. An
    /// actor keeps its process. Default: no limit.
    ///
    /// A limit costs each task some microseconds, for a look into `/proc`. On the inline engine,
    /// which has no workers, it does nothing. A worker that has more than this before its first
    /// task ends with an error that says so, since it would be replaced for ever.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn leaks(bytes: usize) -> u32 {
    ///     vec![1_u8; bytes].leak();
    ///     std::process::id()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).max_worker_rss(64 << 20).start()?;
    /// let first = leaks::remote(64 << 20).spawn().get()?;
    /// assert_ne!(leaks::remote(1).spawn().get()?, first);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_worker_rss(mut self, bytes: u64) -> Builder {
        self.options.max_worker_rss = Some(bytes);
        self
    }

    /// Sets the bytes of stack of a task, 64 KiB to 1 TiB, on each thread of its worker.
    ///
    /// The thread-local variables of the program come on top. Default: the limit of the main
    /// thread's stack (`ulimit -s`, mostly 8 MiB), or 64 MiB where that has no limit.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn depth(n: u64) -> u64 {
    ///     let frame = std::hint::black_box([0_u8; 1024]);
    ///     if n == 0 { 0 } else { 1 + depth(n - 1) + u64::from(frame[0]) }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).stack_size(64 << 20).start()?;
    /// assert_eq!(rt.spawn(depth::remote(10_000)).get()?, 10_000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stack_size(mut self, bytes: u64) -> Builder {
        self.options.stack = Some(bytes);
        self
    }

    /// Sets the working directory of the workers, those of actors included. Default: that of this
    /// process when the runtime starts.
    ///
    /// Later changes of this process' directory, environment or umask do not reach workers,
    /// whenever they start. All workers begin without blocked signals.
    ///
    /// A path that is no directory is an error of [`start`](Builder::start).
    ///
    /// # Examples
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

    /// Sets an environment variable in the workers, besides those that this process has when the
    /// runtime starts.
    ///
    /// Workers also have variables that say how many threads libraries start: `OMP_NUM_THREADS`,
    /// `OPENBLAS_NUM_THREADS`, `MKL_NUM_THREADS`, `NUMEXPR_NUM_THREADS` and `RAYON_NUM_THREADS`. Each
    /// is the number of cores divided by that of workers, and at least 1. A variable that this process
    /// has, or that this method sets, stays as it is.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn threads() -> Option<String> {
    ///     std::env::var("OMP_NUM_THREADS").ok()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).worker_env("OMP_NUM_THREADS", "1").start()?;
    /// assert_eq!(rt.spawn(threads::remote()).get()?.as_deref(), Some("1"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn worker_env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Builder {
        self.options.env.push((key.into(), value.into()));
        self
    }

    /// Sets a name for this runtime, which its `Debug` form shows. Default: "mobula".
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).name("sweep").start()?;
    /// assert!(format!("{rt:?}").contains("sweep"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.options.name = Some(name.into());
        self
    }

    /// Sets how long a worker may take from its start to its readiness. A worker that takes longer
    /// is killed, which is an error. Default: 30 s.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).start_timeout(Duration::from_secs(120)).start()?;
    /// # drop(rt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_timeout(mut self, timeout: Duration) -> Builder {
        self.options.start_timeout = Some(timeout);
        self
    }

    /// Sets how long dropping the last handle of the runtime waits for tasks that were
    /// [detached](crate::ObjectRef::detach). Zero: not at all. Default: 5 s.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
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
    /// let grace = Duration::from_millis(10);
    /// let rt = Runtime::builder().workers(1).detached_grace(grace).start()?;
    /// endless::remote().spawn().detach();
    /// drop(rt); // returns after 10 ms and names the task on standard error
    /// # Ok(())
    /// # }
    /// ```
    pub fn detached_grace(mut self, grace: Duration) -> Builder {
        self.options.detached_grace = Some(grace);
        self
    }

    /// Answers each task at once as if it had returned `()`, in place of worker processes. This
    /// measures the driver's own cost. Only functions that return `()` have a result then, and none
    /// is called.
    #[doc(hidden)]
    pub fn null_work(mut self) -> Builder {
        self.options.kind = Some(Kind::NullThreads);
        self
    }

    /// Does the work of [`null_work`](Builder::null_work) without threads. The thread that waits
    /// for a result does all of the work, so a program executes the same instructions each time.
    /// Futures do not become ready by themselves.
    #[doc(hidden)]
    pub fn null_work_here(mut self) -> Builder {
        self.options.kind = Some(Kind::NullHere);
        self
    }

    /// Starts the runtime; see [`Runtime::start`].
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.put(&7)?.get()?, 7);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`Runtime::start`], and `is_usage()` for a number out of range.
    pub fn start(self) -> Result<Runtime> {
        let engine = engines::start(self.options.resolve()?)?;
        Ok(Runtime::of(current::add(engine)))
    }
}
