//! The kinds of engines that a runtime can have.

use std::str::FromStr;

use mobula_protocol::{Error, Result};

use crate::cluster_address::Address;

/// An engine, which runs the calls of a runtime: see [`Builder::engine`](crate::Builder::engine).
///
/// The environment variable `MOBULA_ENGINE` names one by `processes`, `threads`, `inline`,
/// `ray:ADDRESS` or, with the feature `ray-job`, `ray-job:URL`, and so does `parse`.
///
/// # Examples
/// ```
/// use mobula::EngineKind;
///
/// assert_eq!("inline".parse::<EngineKind>()?, EngineKind::inline());
/// assert!("fibers".parse::<EngineKind>().unwrap_err().is_usage());
/// # Ok::<(), mobula::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineKind(pub(crate) Kind);

impl EngineKind {
    /// Returns the default engine, which runs calls in worker processes.
    ///
    /// # Examples
    /// ```
    /// use mobula::{EngineKind, prelude::*};
    ///
    /// #[remote]
    /// fn pid() -> u32 {
    ///     std::process::id()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let engine = EngineKind::processes();
    /// let rt = Runtime::builder().workers(1).engine(engine).start()?;
    /// assert_ne!(rt.spawn(pid::remote()).get()?, std::process::id());
    /// # Ok(())
    /// # }
    /// ```
    pub const fn processes() -> EngineKind {
        EngineKind(Kind::Processes)
    }

    /// Returns the engine whose workers are threads of this process.
    ///
    /// The threads start in less than a millisecond, share the statics of the program, and pass
    /// arrays on without copies or descriptors. The engine suits functions that may run on threads
    /// beside one another, and programs that may not start processes. It also suits debuggers and
    /// profilers that follow one process.
    ///
    /// Values are encoded and decoded as for worker processes. Results and errors are the same. So
    /// are actors, queues, shared arrays and locks, priorities, and tasks that wait for others.
    /// [`init`](crate::init) is not needed. The differences are:
    ///
    /// * A function that ends its process, by `std::process::exit`, an abort, a stack overflow or a
    ///   wild write, ends the program. [`retries`](crate::UnspawnedCall::retries) after a worker's
    ///   death mean nothing; those after an error do. A panic is an error, unless the program is
    ///   built with `panic = "abort"`.
    /// * A thread cannot be killed. A task that is cancelled, or has passed its limit of time, and
    ///   does not end within its grace time, goes on. Its results have failed by then. Another
    ///   thread takes its place, and a line on standard error says so. An actor that is killed
    ///   lives on until its running calls have returned; then its value is dropped. The end of the
    ///   runtime waits 250 ms for tasks, and leaves the others running.
    /// * All workers have the environment, the working directory and the standard streams of the
    ///   program, which passes nothing on: [`Builder::worker_env`](crate::Builder::worker_env),
    ///   [`Builder::current_dir`](crate::Builder::current_dir),
    ///   [`Builder::pin`](crate::Builder::pin), [`Builder::nice`](crate::Builder::nice) and
    ///   [`Builder::max_worker_rss`](crate::Builder::max_worker_rss) mean nothing.
    ///   [`Runtime::worker_pids`](crate::Runtime::worker_pids) is empty.
    /// * Statics are the program's. Each worker has its own value of a
    ///   [`worker_local`](crate::worker_local), as in processes. Functions of
    ///   [`worker_setup!`](crate::worker_setup) and [`worker_teardown!`](crate::worker_teardown)
    ///   run once in the program, before the first and behind the last worker of all its runtimes.
    /// * A ref belongs to the worker, or the program, that has received it. A ref may go anywhere
    ///   as an argument, in a value, or as a result. If a static or a channel brings it to another
    ///   worker, it is refused as an argument, by an error for which `is_usage()` holds.
    /// * A thread that a task has started belongs to no worker. It calls functions as the program
    ///   does. All workers share the threads of one tokio runtime.
    ///
    /// # Examples
    /// ```
    /// use mobula::{EngineKind, prelude::*};
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// static CALLS: AtomicU32 = AtomicU32::new(0);
    ///
    /// #[remote]
    /// fn mean(numbers: &[f64]) -> f64 {
    ///     CALLS.fetch_add(1, Ordering::Relaxed);
    ///     numbers.iter().sum::<f64>() / numbers.len() as f64
    /// }
    ///
    /// fn main() -> mobula::Result<()> {
    ///     let rt = Runtime::builder().engine(EngineKind::threads()).workers(2).start()?;
    ///     let numbers = rt.put(&vec![1.0, 2.0, 6.0])?;
    ///     let means = rt.map((0..10).map(|_| mean::remote(&numbers))).get()?;
    ///     assert_eq!(means, [3.0; 10]);
    ///     assert_eq!(CALLS.load(Ordering::Relaxed), 10);
    ///     Ok(())
    /// }
    /// ```
    pub const fn threads() -> EngineKind {
        EngineKind(Kind::Threads)
    }

    /// Returns the engine that runs each call when it is spawned, on the thread that spawns it. It
    /// has no workers.
    ///
    /// It serves debugging: there is one order, one stack, and one process to look at. Values are
    /// encoded and decoded as for worker processes, and results and errors are the same. The
    /// differences are:
    ///
    /// * `spawn` returns when the call has ended. An endless call never ends, and nothing runs
    ///   beside another call.
    /// * A function that ends its process ends the program. It has the statics, the environment and
    ///   the working directory of the program.
    /// * Memory that processes share ([`SharedArray`](crate::SharedArray),
    ///   [`AtomicArray`](crate::AtomicArray), [`SharedMutex`](crate::SharedMutex) and the like) is
    ///   refused by an error for which `is_usage()` holds. An actor ([`Actor`](crate::Actor)) or a
    ///   [`Queue`](crate::Queue) takes its place.
    /// * An actor whose value is not `Send + Sync` is called on the thread that has created it.
    /// * [`Builder::workers`](crate::Builder::workers),
    ///   [`Builder::max_worker_rss`](crate::Builder::max_worker_rss),
    ///   [`Builder::max_pending`](crate::Builder::max_pending),
    ///   [`max_calls`](crate::UnspawnedCall::max_calls) and
    ///   [`retries`](crate::UnspawnedCall::retries) after a worker's death mean nothing. Retries
    ///   after an error do.
    /// * Resources such as [`num_cpus`](crate::UnspawnedCall::num_cpus) are checked and have no
    ///   other effect, since one call runs at a time.
    ///
    /// # Examples
    /// ```
    /// use mobula::{EngineKind, prelude::*};
    ///
    /// #[remote]
    /// fn process() -> u32 {
    ///     std::process::id()
    /// }
    ///
    /// fn main() -> mobula::Result<()> {
    ///     let rt = Runtime::builder().engine(EngineKind::inline()).start()?;
    ///     assert_eq!(process::remote().spawn().get()?, std::process::id());
    ///     Ok(())
    /// }
    /// ```
    pub const fn inline() -> EngineKind {
        EngineKind(Kind::Inline)
    }

    /// Returns the engine that runs calls on a Ray cluster. `address` is `auto`, for the cluster of
    /// this machine, or the host and port of the cluster's head. This machine has to be one of the
    /// cluster's nodes. `10.0.0.1:6379?node=10.0.0.2` says by which address the cluster knows it.
    ///
    /// The program needs Python with `ray` here, of the cluster's versions: `$MOBULA_PYTHON`, or
    /// that of `$VIRTUAL_ENV`, or `python3`. The start joins the cluster, and fails (`is_setup`) if
    /// that fails. Nodes need nothing but Ray: the program's own file is sent to them.
    ///
    /// A call costs Ray some milliseconds. `docs/cluster.md` says how to try it, what differs, and
    /// what it costs.
    ///
    /// # Errors
    /// `is_usage`: this is no address.
    ///
    /// # Examples
    /// ```
    /// use mobula::EngineKind;
    ///
    /// assert_eq!(EngineKind::ray("auto")?, "ray:auto".parse()?);
    /// assert!(EngineKind::ray("two words").unwrap_err().is_usage());
    /// # Ok::<(), mobula::Error>(())
    /// ```
    ///
    /// ```no_run
    /// use mobula::{EngineKind, prelude::*};
    ///
    /// #[remote]
    /// fn mean(numbers: &[f64]) -> f64 {
    ///     numbers.iter().sum::<f64>() / numbers.len() as f64
    /// }
    ///
    /// #[mobula::main]
    /// fn main() -> mobula::Result<()> {
    ///     let rt = Runtime::builder().engine(EngineKind::ray("auto")?).start()?;
    ///     let numbers = rt.put(&vec![1.0; 10_000_000])?;
    ///     println!("{}", rt.spawn(mean::remote(&numbers)).get()?);
    ///     Ok(())
    /// }
    /// ```
    pub fn ray(address: &str) -> Result<EngineKind> {
        Ok(EngineKind(Kind::Ray(address.parse()?)))
    }

    /// Returns the engine that hands the whole program to a Ray cluster, from a machine that is no
    /// node of it and has neither Python nor Ray. `url` is the address of the cluster's dashboard,
    /// such as `http://10.0.0.1:8265`. Needs the feature `ray-job`.
    ///
    /// [`Builder::start`](crate::Builder::start) uploads this program's file and submits it as a
    /// job of Ray, with the arguments of this process. The job runs on the cluster with
    /// `MOBULA_ENGINE=ray:auto`, which comes before what the builder says. `start` shows the job's
    /// output on standard output, and ends this process with the job's exit code. So it only
    /// returns errors, and what precedes it runs in both places. Ctrl-C and SIGTERM stop the job.
    ///
    /// With `MOBULA_ENGINE=ray-job:URL`, [`init`](crate::init) does this before anything of `main`
    /// runs.
    ///
    /// The program's file must run on the nodes: a static build (`--target
    /// x86_64-unknown-linux-musl`), or one for a C library that is no newer. It has at most 100
    /// MiB. `$RAY_AUTH_TOKEN` is sent where it is set. A job takes some seconds to start.
    ///
    /// # Errors
    /// `is_usage`: this is no such address.
    ///
    /// # Examples
    /// ```
    /// use mobula::EngineKind;
    ///
    /// let engine = EngineKind::ray_job("http://head:8265")?;
    /// assert_eq!("ray-job:http://head:8265".parse::<EngineKind>()?, engine);
    /// assert!(EngineKind::ray_job("head").unwrap_err().is_usage());
    /// # Ok::<(), mobula::Error>(())
    /// ```
    #[cfg(feature = "ray-job")]
    #[cfg_attr(docsrs, doc(cfg(feature = "ray-job")))]
    pub fn ray_job(url: &str) -> Result<EngineKind> {
        Ok(EngineKind(Kind::RayJob(url.parse()?)))
    }
}

/// Parses the names that `MOBULA_ENGINE` takes.
impl FromStr for EngineKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<EngineKind> {
        match name {
            "processes" => Ok(EngineKind::processes()),
            "threads" => Ok(EngineKind::threads()),
            "inline" => Ok(EngineKind::inline()),
            other => match other.split_once(':') {
                Some(("ray", address)) => EngineKind::ray(address),
                Some(("ray-job", url)) => job(url),
                _ => Err(Error::usage(format!(
                    "there is no engine `{other}`; there are `processes`, `threads`, `inline`, `ray:ADDRESS` and \
                     `ray-job:URL`"
                ))),
            },
        }
    }
}

#[cfg(feature = "ray-job")]
fn job(url: &str) -> Result<EngineKind> {
    EngineKind::ray_job(url)
}

#[cfg(not(feature = "ray-job"))]
fn job(url: &str) -> Result<EngineKind> {
    Err(Error::usage(format!(
        "the engine `ray-job:{url}` needs the feature `ray-job` of `mobula` (`cargo build --features mobula/ray-job`)"
    )))
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Processes,
    Threads,
    Inline,
    /// A Ray cluster.
    Ray(Address),
    /// A job of a Ray cluster, which runs the whole program.
    #[cfg(feature = "ray-job")]
    RayJob(crate::cluster_address::HeadAddress),
    /// No function runs. It serves measurements: see `engines/processes/workers/null.rs`.
    NullThreads,
    /// No function runs, and there are no threads.
    NullHere,
}
