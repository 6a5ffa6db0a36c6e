//! The kinds of engines that a runtime can have.

use std::str::FromStr;

use mobula_protocol::{Error, Result};

/// An engine, which runs the calls of a runtime: see [`Builder::engine`](crate::Builder::engine).
///
/// The environment variable `MOBULA_ENGINE` names one by `processes` or `inline`, and so does
/// `parse`.
///
/// # Examples
/// ```
/// use mobula::EngineKind;
///
/// assert_eq!("inline".parse::<EngineKind>()?, EngineKind::inline());
/// assert!("threads".parse::<EngineKind>().unwrap_err().is_usage());
/// # Ok::<(), mobula::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
}

/// The names that `MOBULA_ENGINE` takes.
impl FromStr for EngineKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<EngineKind> {
        match name {
            "processes" => Ok(EngineKind::processes()),
            "inline" => Ok(EngineKind::inline()),
            other => Err(Error::usage(format!(
                "there is no engine `{other}`; there are `processes` and `inline`"
            ))),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Processes,
    Inline,
    /// Nothing runs; for measurements, see `engines/processes/workers/null.rs`.
    NullThreads,
    /// Nothing runs, and there are no threads.
    NullHere,
}
