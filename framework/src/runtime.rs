//! The runtime that users hold.

use std::{fmt, sync::Arc, time::Duration};

use mobula_protocol::{Control, Engine, Error, Result};

use crate::{
    current::{self, Current, Guard},
    node::Node,
};

mod builder;
mod store_info;

pub use builder::Builder;
pub use store_info::StoreInfo;

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
/// are cut then. The drop waits for no other task: a caller has its result and can see it
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
    /// Ends the runtime with the last handle. A task has none.
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
    /// assert!(rt.workers() >= 1);
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
    /// assert_eq!(rt.workers(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
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
    /// start meanwhile. So it does not end while something keeps spawning. It also counts runs that
    /// go on after their tasks were cancelled or passed a limit of time. Such a run ends within its
    /// grace time, unless [`CancelOptions::kill`](crate::CancelOptions::kill) says otherwise or it
    /// is an actor's.
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

    /// Returns the number of workers that the runtime keeps, on each engine.
    ///
    /// The builder or the environment has set it, so a dead worker counts until its replacement
    /// takes its place. Processes of actors do not count. The inline engine has one worker, which
    /// is the program. In a task it is the number of the task's own runtime. Costs no look at the
    /// workers.
    ///
    /// # Examples
    /// ```
    /// use mobula::{EngineKind, prelude::*};
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// for engine in [EngineKind::processes(), EngineKind::threads()] {
    ///     let rt = Runtime::builder().engine(engine).workers(2).start()?;
    ///     assert_eq!(rt.workers(), 2);
    /// }
    /// assert_eq!(Runtime::builder().engine(EngineKind::inline()).start()?.workers(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn workers(&self) -> usize {
        self.engine.workers()
    }

    /// Returns the process ids of the workers that are alive.
    ///
    /// Right after the start this waits until each worker has a process. In a task it returns the
    /// id of the task's own worker. It is empty on an engine without worker processes
    /// ([`EngineKind::threads`](crate::EngineKind::threads),
    /// [`inline`](crate::EngineKind::inline)), unlike [`workers`](Self::workers).
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

    /// Returns the machines that run calls: on a cluster all nodes that are alive, otherwise this
    /// machine.
    ///
    /// On a cluster this asks the cluster, and blocks for some milliseconds.
    ///
    /// # Errors
    /// The runtime has ended ([`is_shutdown`](crate::Error::is_shutdown)), or this is a task: the
    /// program that started the runtime knows its machines
    /// ([`is_usage`](crate::Error::is_usage)).
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).start()?;
    /// for node in rt.nodes()? {
    ///     println!("{}: {} cores", node.name(), node.num_cpus());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn nodes(&self) -> Result<Vec<Node>> {
        let Some(control) = self.control() else {
            return Err(Error::usage(
                "`Runtime::nodes` was called in a task; the program that started the runtime has \
                 the list, and can pass it to the task",
            ));
        };
        if control.is_closed() {
            return Err(Error::shutdown());
        }
        Ok(control.nodes()?.into_iter().map(Node::new).collect())
    }

    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// Returns the engine's `Control`. A task has none.
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
                .field("workers", &self.workers())
                .field("store_capacity", &control.stats().capacity_bytes)
                .field("worker_setups", &mobula_worker::setup_count())
                .finish(),
            None => f.write_str("Runtime(of this task)"),
        }
    }
}
