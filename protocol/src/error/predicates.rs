//! Predicates: the kind of failure that an error is.

use super::{Error, Kind};

impl Error {
    /// Returns whether a remote function returned this as its `Err`.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn open(path: &str) -> std::io::Result<usize> {
    ///     Ok(std::fs::read(path)?.len())
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let error = rt.spawn(open::remote("/no/such/file")).get().unwrap_err();
    /// assert!(error.is_application() && error.to_string().contains("No such file"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_application(&self) -> bool {
        matches!(self.0.kind, Kind::Application(_))
    }

    /// Returns whether a remote function panicked.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn third(values: Vec<u32>) -> u32 {
    ///     values[2]
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let error = rt.spawn(third::remote(vec![1])).get().unwrap_err();
    /// assert!(error.is_panic() && error.to_string().contains("index out of bounds"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_panic(&self) -> bool {
        self.0.kind == Kind::Panic
    }

    /// Returns whether a worker process died while it ran the function.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn exits() {
    ///     std::process::exit(3);
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let error = rt.spawn(exits::remote()).get().unwrap_err();
    /// assert!(error.is_crash() && error.to_string().contains("3"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_crash(&self) -> bool {
        self.0.kind == Kind::Crash
    }

    /// Returns whether the function was not run because one of its inputs had failed. The first
    /// failure is the [`source`](std::error::Error::source).
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn fails() -> Result<u32, String> {
    ///     Err("no data".to_owned())
    /// }
    ///
    /// #[remote]
    /// fn double(n: u32) -> u32 {
    ///     2 * n
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let error = rt.spawn(double::remote(rt.spawn(fails::remote()))).get().unwrap_err();
    /// assert!(error.is_dependency());
    /// assert!(error.root().to_string().contains("no data"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_dependency(&self) -> bool {
        self.0.kind == Kind::Dependency
    }

    /// Returns whether the call failed since its actor is dead. The actor may have died during the
    /// call, without a restart.
    ///
    /// All further calls of the actor fail, too. The [`source`](std::error::Error::source) has the
    /// reason of its death: the error of its constructor, a crash, or a kill.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// struct Counter(u64);
    ///
    /// #[remote]
    /// impl Counter {
    ///     fn new() -> Self {
    ///         Counter(0)
    ///     }
    ///
    ///     fn add(&mut self, n: u64) -> u64 {
    ///         self.0 += n;
    ///         self.0
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let counter = rt.spawn_actor(Counter::remote());
    /// ActorRef::kill(&counter);
    /// assert!(counter.add(1).spawn().get().unwrap_err().is_actor_dead());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_actor_dead(&self) -> bool {
        self.0.kind == Kind::Actor
    }

    /// Returns whether the caller's time limit passed. The work goes on, and a later `get` may
    /// succeed.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// #[remote]
    /// fn slow() -> u32 {
    ///     std::thread::sleep(Duration::from_millis(100));
    ///     7
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let result = rt.spawn(slow::remote());
    /// assert!(result.get_timeout(Duration::from_millis(1)).unwrap_err().is_timeout());
    /// assert_eq!(result.get()?, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_timeout(&self) -> bool {
        self.0.kind == Kind::Timeout
    }

    /// Returns whether the store, or the memory behind it, had no room.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).store_capacity(16 << 20).start()?;
    /// assert!(rt.put(&vec![0_u8; 32 << 20]).unwrap_err().is_store_full());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_store_full(&self) -> bool {
        self.0.kind == Kind::StoreFull
    }

    /// Returns whether a value could not be encoded or decoded.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// /// A type whose `Serialize` fails.
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Picky(#[serde(serialize_with = "refuse")] u32);
    ///
    /// fn refuse<S: serde::Serializer>(_: &u32, _: S) -> Result<S::Ok, S::Error> {
    ///     Err(serde::ser::Error::custom("not this one"))
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert!(rt.put(&Picky(1)).map(drop).unwrap_err().is_codec());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_codec(&self) -> bool {
        self.0.kind == Kind::Codec
    }

    /// Returns whether a value had another type than the expected one.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// struct One;
    ///
    /// #[remote]
    /// impl One {
    ///     fn new() -> Self {
    ///         One
    ///     }
    /// }
    ///
    /// struct Two;
    ///
    /// #[remote]
    /// impl Two {
    ///     fn new() -> Self {
    ///         Two
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let _one = rt.get_or_create_actor(One::remote().name("it"))?;
    /// assert!(rt.actor::<Two>("it").map(drop).unwrap_err().is_type_mismatch());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_type_mismatch(&self) -> bool {
        self.0.kind == Kind::TypeMismatch
    }

    /// Returns whether the runtime or its workers could not be started.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// // Without `mobula::init()` workers would run the program anew.
    /// assert!(Runtime::start().map(drop).unwrap_err().is_setup());
    /// ```
    pub fn is_setup(&self) -> bool {
        self.0.kind == Kind::Setup
    }

    /// Returns whether the runtime was shut down before the result was there.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// async fn wait_for_ever() {
    ///     std::future::pending().await
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let result = rt.spawn(wait_for_ever::remote());
    /// rt.shutdown();
    /// assert!(result.get().unwrap_err().is_shutdown());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_shutdown(&self) -> bool {
        self.0.kind == Kind::Shutdown
    }

    /// Returns whether a call was made in a way that cannot work. Examples: no runtime, several to
    /// choose from, an option out of range.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # mobula::init();
    /// assert!(Runtime::current().map(drop).unwrap_err().is_usage());
    /// assert!(Runtime::builder().workers(0).start().map(drop).unwrap_err().is_usage());
    /// ```
    pub fn is_usage(&self) -> bool {
        self.0.kind == Kind::Usage
    }

    /// Returns whether a process died or a thread panicked while it held a shared lock, or whether
    /// a shared barrier is broken. The message says which process it was, and how it died.
    ///
    /// # Examples
    /// ```
    /// use mobula::{SharedMutex, prelude::*};
    ///
    /// #[remote]
    /// fn dies(lock: &SharedMutex<u32>) {
    ///     let _guard = lock.lock();
    ///     std::process::abort();
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let lock = rt.shared_mutex(0_u32)?;
    /// rt.spawn(dies::remote(&lock)).wait().unwrap_err();
    /// assert!(lock.lock().map(drop).unwrap_err().is_poisoned());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_poisoned(&self) -> bool {
        self.0.kind == Kind::Poisoned
    }

    /// Returns whether the system refused a further thread, process, descriptor or address.
    ///
    /// The message names the limit that is reached, with its value. The runtime goes on, and tries
    /// again what it can. A later call may succeed.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # mobula::init();
    /// let builder = Runtime::builder().workers(1).store_capacity(1 << 62);
    /// match builder.start() {
    ///     Err(error) if error.is_resource_limit() => println!("no room for the addresses: {error}"),
    ///     Err(error) => println!("refused: {error}"),
    ///     Ok(_) => unreachable!("no process has as many addresses"),
    /// }
    /// ```
    pub fn is_resource_limit(&self) -> bool {
        self.0.kind == Kind::ResourceLimit
    }

    /// Returns whether a queue was closed. Then no value goes in, and no further value comes out.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue::<u32>(10)?;
    /// queue.put(&1)?;
    /// queue.close()?;
    /// assert!(queue.put(&2).unwrap_err().is_closed());
    /// assert_eq!(queue.get()?, 1);
    /// assert!(queue.get().unwrap_err().is_closed());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_closed(&self) -> bool {
        self.0.kind == Kind::Closed
    }

    /// Returns whether a call was not made because too many calls had not ended. The limit is that
    /// of `Builder::max_pending` or `ActorCall::max_pending_calls`. The call can be made again when
    /// some of them have ended.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn sleep(millis: u64) {
    ///     std::thread::sleep(std::time::Duration::from_millis(millis));
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).max_pending(1).start()?;
    /// let first = sleep::remote(500).spawn();
    /// assert!(sleep::remote(0).try_spawn().unwrap_err().is_backpressure());
    /// first.get()?;
    /// sleep::remote(0).try_spawn()?.get()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_backpressure(&self) -> bool {
        self.0.kind == Kind::Backpressure
    }

    /// Returns whether the task was cancelled, or was not run because an input was cancelled. In
    /// the second case [`root`](Error::root) names the cancelled task.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// async fn wait_for_ever() -> u32 {
    ///     std::future::pending().await
    /// }
    ///
    /// #[remote]
    /// fn double(n: u32) -> u32 {
    ///     2 * n
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let first = rt.spawn(wait_for_ever::remote());
    /// let second = rt.spawn(double::remote(&first));
    /// first.cancel();
    /// assert!(first.get().unwrap_err().is_cancelled());
    /// assert!(second.get().unwrap_err().is_cancelled());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_cancelled(&self) -> bool {
        self.behind_dependencies().0.kind == Kind::Cancelled
    }

    /// Returns whether a value is lost with its machine, on an engine of several machines. The
    /// result of a call with a lost input is lost, too.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn double(n: u32) -> u32 {
    ///     2 * n
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let doubled = match rt.spawn(double::remote(1)).get() {
    ///     Err(error) if error.is_lost() => rt.spawn(double::remote(1)).get()?,
    ///     doubled => doubled?,
    /// };
    /// assert_eq!(doubled, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_lost(&self) -> bool {
        self.behind_dependencies().0.kind == Kind::Lost
    }

    /// Returns whether the task's own time limit has passed (`timeout`, `deadline`). This also
    /// holds if the task was not run because the time limit of an input had passed.
    ///
    /// The task does not go on, unlike after a caller's limit ([`is_timeout`](Error::is_timeout)).
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// #[remote(timeout = Duration::from_millis(10))]
    /// async fn wait_for_ever() {
    ///     std::future::pending().await
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert!(rt.spawn(wait_for_ever::remote()).get().unwrap_err().is_task_timeout());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_task_timeout(&self) -> bool {
        self.behind_dependencies().0.kind == Kind::TaskTimeout
    }

    /// Returns the failure for which this task, and the inputs between, were not run.
    fn behind_dependencies(&self) -> &Error {
        let mut error = self;
        while let (Kind::Dependency, Some(cause)) = (&error.0.kind, &error.0.cause) {
            error = cause;
        }
        error
    }
}
