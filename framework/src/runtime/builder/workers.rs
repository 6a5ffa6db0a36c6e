//! Settings of the worker processes: where they run, what they begin with, when they end.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use super::Builder;
use crate::config::Pin;

impl Builder {
    /// Pins each worker to cores of its own, or to those of a NUMA node, so that the system does
    /// not move it. Default: workers use all cores that this process may use.
    ///
    /// A worker has its cores before its first instruction, and a replacement has those of the
    /// worker that it replaces. The processes of actors have cores too. This process keeps its own.
    ///
    /// # Errors
    /// [`start`](Self::start) fails (`is_setup()`) if the system lets no cores be chosen, or does
    /// not list its NUMA nodes.
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
    /// `OPENBLAS_NUM_THREADS`, `MKL_NUM_THREADS`, `NUMEXPR_NUM_THREADS` and `RAYON_NUM_THREADS`.
    /// Each is the number of cores divided by that of workers, and at least 1. A variable that this
    /// process has, or that this method sets, stays as it is.
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
}
