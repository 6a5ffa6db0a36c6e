//! The settings of a new runtime.

use std::time::Duration;

use mobula_protocol::Result;

use super::Runtime;
use crate::{
    config::BuilderOptions,
    current,
    engine_kind::{EngineKind, Kind},
    engines,
};

mod workers;

/// Settings of a runtime. [`Runtime::builder`] makes it.
///
/// Environment variables override what the program says, so that its user decides. The first two do
/// not reach a runtime of [`EngineKind::threads`] that a task starts for itself:
///
/// | Variable | Meaning |
/// | --- | --- |
/// | `MOBULA_WORKERS` | number of workers |
/// | `MOBULA_ENGINE` | the engine, as [`EngineKind`] is parsed |
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
/// assert_eq!(rt.workers(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a runtime starts with `.start()`"]
pub struct Builder {
    options: BuilderOptions,
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder {
            options: BuilderOptions::default(),
        }
    }

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
    /// assert_eq!(rt.workers(), 3);
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
    /// A call without resources uses 1. So with fewer cores than workers only so many plain calls
    /// run at a time, and calls that use a part of a core have the other workers. See
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
    /// [`start`](Self::start) fails if the resource is not declared, or the name cannot be that of
    /// a variable.
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
    /// A call is pending from its spawn to its end. With that many, `spawn` blocks until one of
    /// them has ended. [`spawn_async`](crate::UnspawnedCall::spawn_async) waits without blocking,
    /// and [`try_spawn`](crate::UnspawnedCall::try_spawn) returns an error at once. So a program
    /// that makes calls faster than workers run them needs a bounded amount of memory.
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
    /// got the error, when a task has waited for the result, or when another call has failed
    /// because of it. A call that was cancelled, or cut by the end of the runtime, has not failed.
    /// Of many failures five lines a second are printed, and the number of the others.
    ///
    /// Not reported are calls that could not be made, actors that could not be created, and calls
    /// on the inline engine.
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
