//! The error type of Mobula.

use std::{fmt, sync::Arc};

use mobula_store::{
    StoreError,
    codec::CodecError,
    limits::{self, Wanted},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// `Result` with Mobula's [`Error`] unless another error is named.
///
/// # Examples
/// ```
/// use mobula::prelude::*;
///
/// fn load(rt: &Runtime) -> mobula::Result<ObjectRef<String>> {
///     rt.put("text")
/// }
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// assert_eq!(load(&rt)?.get()?, "text");
/// # Ok(())
/// # }
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the runtime, of a value, or inside a remote function.
///
/// The type is opaque. Predicates (`is_panic()`, `is_crash()`, ..) say which kind of failure it is.
/// `Display` says what failed, where, and what to do about it.
/// [`source`](std::error::Error::source) gives the cause, for as many steps as there are, and
/// `{:#}` prints them all. A clone is a reference count. Errors travel between processes with their
/// whole chain.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn parse(text: &str) -> Result<u32, std::num::ParseIntError> {
///     text.parse()
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
/// let parsed = parse::remote("seven").spawn();
/// let error = double::remote(&parsed).spawn().get().unwrap_err();
/// assert!(error.is_dependency() && error.root().is_application());
/// assert!(error.to_string().contains("`parse`") && error.to_string().contains("invalid digit"));
/// # drop(rt);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct Error(Arc<Inner>);

/// The most bytes of the text of one step. A longer text loses its middle, since a text can grow
/// with each process that it comes through, and is copied in each.
const MAX_TEXT: usize = 16 << 10;

/// The most steps of a chain of causes, so that code which prints, sends or drops errors does not
/// recurse deeply.
const MAX_STEPS: usize = 32;

/// The begin of the text of an error of Mobula that a remote function has returned.
const WRAPPED: &str = "an operation of Mobula failed inside the function";

#[derive(Clone, Serialize, Deserialize)]
struct Inner {
    kind: Kind,
    message: String,
    cause: Option<Error>,
    panic: Option<Panic>,
}

/// The parts of a panic that one line does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Panic {
    /// The message, if it has several lines.
    text: String,
    /// The frames, if they were captured.
    backtrace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    /// A remote function returned `Err`. The bytes are the error value, where its type can travel.
    Application(Option<Typed>),
    /// A step of the chain below an application error: text only.
    Cause,
    Panic,
    Crash,
    Dependency,
    Actor,
    Timeout,
    StoreFull,
    Codec,
    TypeMismatch,
    Setup,
    Shutdown,
    Usage,
    Internal,
    Poisoned,
    ResourceLimit,
    Closed,
    Cancelled,
    TaskTimeout,
    Backpressure,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Typed {
    tag: u64,
    bytes: Vec<u8>,
}

impl Error {
    fn new(kind: Kind, message: impl Into<String>, cause: Option<Error>) -> Error {
        let cause = cause.map(Error::shortened);
        Error(Arc::new(Inner {
            kind,
            message: bounded(message.into()),
            cause,
            panic: None,
        }))
    }

    /// Returns this error with another message.
    fn with_message(self, message: impl FnOnce(&Kind, String) -> String) -> Error {
        let mut inner = Arc::unwrap_or_clone(self.0);
        inner.message = bounded(message(&inner.kind, inner.message));
        Error(Arc::new(inner))
    }

    /// Returns a chain with at most [`MAX_STEPS`]. A longer one keeps its first steps and its root.
    fn shortened(self) -> Error {
        let length = std::iter::successors(Some(&self), |error| error.0.cause.as_ref()).count();
        if length < MAX_STEPS {
            return self;
        }
        let root = self.root().clone();
        let steps: Vec<&Error> = std::iter::successors(Some(&self), |error| error.0.cause.as_ref())
            .take(MAX_STEPS / 2)
            .collect();
        steps.into_iter().rev().fold(root, |cause, step| {
            Error(Arc::new(Inner {
                kind: step.0.kind.clone(),
                message: step.0.message.clone(),
                cause: Some(cause),
                panic: step.0.panic.clone(),
            }))
        })
    }

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

    /// Returns whether this was a call of an actor that is dead, or died before the call had ended
    /// and will not be restarted.
    ///
    /// All further calls of the actor fail, too. The [`source`](std::error::Error::source) says why
    /// it is dead: the error of its constructor, a crash, a kill.
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

    /// Returns whether a value was of another type than the expected one.
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

    /// Returns whether a call was made in a way that cannot work: no runtime, several to choose
    /// from, an option out of range.
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

    /// Returns whether a process died, or a thread panicked, with a shared lock, or whether a
    /// shared barrier is broken. The message says which process, and how it died.
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

    /// Returns whether the system gave no further thread, process, descriptor or address.
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

    /// Returns whether a queue was closed: nothing goes in, and nothing more comes out.
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

    /// Returns whether a call was not made because too many had not ended: as many as
    /// `Builder::max_pending` or `ActorCall::max_pending_calls` says. The call can be made again when
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

    /// Returns whether the task was cancelled, or was not run because an input was. Then
    /// [`root`](Error::root) names the task that was cancelled.
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

    /// Returns whether the task's own limit of time has passed (`timeout`, `deadline`), or that of
    /// an input without which it was not run.
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

    /// Returns the failure at the end of the chain.
    ///
    /// For a task that was not run because an input had failed, this is the failure of that input.
    /// For others, it is the innermost cause. Costs a walk of the chain, no allocation.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn fails() -> u32 {
    ///     panic!("no data")
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
    /// let once = double::remote(fails::remote().spawn()).spawn();
    /// let twice = double::remote(once).spawn();
    /// assert!(twice.get().unwrap_err().root().is_panic());
    /// # drop(rt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn root(&self) -> &Error {
        let mut error = self;
        while let Some(cause) = &error.0.cause {
            error = cause;
        }
        error
    }

    /// Returns the frames from the panic to the remote function, in one or two lines each.
    ///
    /// They are there if this error, or a cause of it, is a panic and the worker had
    /// `RUST_BACKTRACE=1` or `RUST_LIB_BACKTRACE=1` in its environment. With `RUST_BACKTRACE=full`,
    /// they include the frames of the standard library and of Mobula. Costs a walk of the chain of
    /// causes.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn fails() {
    ///     panic!("no data")
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).worker_env("RUST_BACKTRACE", "1").start()?;
    /// let error = rt.spawn(fails::remote()).get().unwrap_err();
    /// assert!(error.backtrace().unwrap().contains("fails"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn backtrace(&self) -> Option<&str> {
        self.steps()
            .filter_map(|error| error.0.panic.as_ref())
            .map(|panic| panic.backtrace.as_str())
            .find(|backtrace| !backtrace.is_empty())
    }

    /// Returns this error and its causes.
    fn steps(&self) -> impl Iterator<Item = &Error> {
        std::iter::successors(Some(self), |error| error.0.cause.as_ref())
    }

    /// Returns the error value that the remote function returned.
    ///
    /// It is there if this error, or the failed input behind it, is an application error whose type
    /// is `E`, and `E` can travel. Decodes the value.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    /// enum Refusal {
    ///     TooLarge { most: u32 },
    /// }
    ///
    /// # impl std::fmt::Display for Refusal {
    /// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    /// #         write!(f, "{self:?}")
    /// #     }
    /// # }
    /// # impl std::error::Error for Refusal {}
    /// #
    /// #[remote]
    /// fn reserve(n: u32) -> Result<u32, Refusal> {
    ///     if n > 100 { Err(Refusal::TooLarge { most: 100 }) } else { Ok(n) }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let error = rt.spawn(reserve::remote(101)).get().unwrap_err();
    /// assert_eq!(error.application(), Some(Refusal::TooLarge { most: 100 }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn application<E: Serialize + DeserializeOwned + 'static>(&self) -> Option<E> {
        let mut error = Some(self);
        while let Some(e) = error {
            if let Kind::Application(Some(typed)) = &e.0.kind
                && typed.tag == mobula_store::codec::type_tag::<E>()
            {
                return mobula_store::codec::decode(&typed.bytes, &[]).ok();
            }
            error = e.0.cause.as_ref();
        }
        None
    }
}

/// Not public API: for the crates of Mobula and for code that `#[remote]` generates.
#[doc(hidden)]
impl Error {
    /// An `Err` of a remote function: its text, the texts of its sources, and the value itself.
    pub fn from_application(
        message: String,
        chain: Vec<String>,
        typed: Option<(u64, Vec<u8>)>,
    ) -> Error {
        let cause = chain.into_iter().rev().fold(None, |cause, text| {
            Some(Error::new(Kind::Cause, text, cause))
        });
        let typed = typed.map(|(tag, bytes)| Typed { tag, bytes });
        Error::new(Kind::Application(typed), message, cause)
    }

    /// An `Err` of a remote function that is an error of ours, for example of a `get` in it. Of a
    /// row of such functions, each of which waited for the next, the text names the first failure
    /// only.
    pub fn wrap_application(cause: Error) -> Error {
        let (mut first, mut steps) = (&cause, 0);
        while let (Kind::Application(None), Some(next)) = (&first.0.kind, &first.0.cause)
            && first.0.message.contains(WRAPPED)
        {
            (first, steps) = (next, steps + 1);
        }
        let message = match steps {
            0 => format!("{WRAPPED}: {first}"),
            _ => format!("{WRAPPED}, and inside of those that it called: {first}"),
        };
        Error::new(Kind::Application(None), message, Some(cause))
    }

    /// Says in which function and process an application error arose.
    pub fn in_task(self, function: &str, pid: u32) -> Error {
        self.with_message(|kind, message| match kind {
            Kind::Application(_) => format!("`{function}` failed (pid {pid}): {message}"),
            _ => format!("`{function}` (pid {pid}): {message}"),
        })
    }

    /// Says where the failure belongs, before the message.
    pub fn at(self, place: impl std::fmt::Display) -> Error {
        self.with_message(|_, message| format!("{place}: {message}"))
    }

    /// A panic in a remote function. The message becomes one line; `Debug` has all of it.
    pub fn panic(function: &str, pid: u32, location: &str, message: &str) -> Error {
        let line = one_line(message);
        let place = format!("`{function}` panicked at {location} (pid {pid})");
        let mut inner = Inner {
            kind: Kind::Panic,
            message: bounded(format!("{place}: {line}")),
            cause: None,
            panic: None,
        };
        if line != message {
            inner.panic = Some(Panic {
                text: bounded(message.to_owned()),
                backtrace: String::new(),
            });
        }
        Error(Arc::new(inner))
    }

    /// Returns this error with the frames in which it happened, if there are any.
    pub fn with_backtrace(self, backtrace: String) -> Error {
        if backtrace.is_empty() {
            return self;
        }
        let mut inner = Arc::unwrap_or_clone(self.0);
        let text = inner.panic.take().map_or(String::new(), |panic| panic.text);
        inner.panic = Some(Panic { text, backtrace });
        Error(Arc::new(inner))
    }

    /// A task was cancelled.
    pub fn cancelled(function: &str) -> Error {
        Error::new(Kind::Cancelled, format!("`{function}` was cancelled"), None)
    }

    /// A task has passed its own limit of time.
    pub fn task_timeout(message: impl Into<String>) -> Error {
        Error::new(Kind::TaskTimeout, message, None)
    }

    /// The death of a worker process while it ran `function`.
    pub fn crash(function: &str, pid: u32, how: &str, stderr: &str) -> Error {
        let mut message = format!("the worker (pid {pid}) that ran `{function}` died: {how}");
        if !stderr.is_empty() {
            message += "; its last lines on stderr were:\n";
            message += stderr;
        }
        Error::new(Kind::Crash, message, None)
    }

    /// A task that was not run, because of `cause`. Dependents of dependents name the first
    /// failure, not the whole row.
    pub fn dependency(function: &str, cause: &Error) -> Error {
        let first = match (&cause.0.kind, &cause.0.cause) {
            (Kind::Dependency, Some(first)) => first,
            _ => cause,
        };
        Error::new(
            Kind::Dependency,
            format!("`{function}` was not run, because an input failed: {first}"),
            Some(first.clone()),
        )
    }

    /// Why an actor is dead; the message says all of it, that of the cause included.
    pub fn actor(message: impl Into<String>, cause: Option<Error>) -> Error {
        Error::new(Kind::Actor, message, cause)
    }

    /// A call that was not run, because its actor is dead, or the runtime is.
    pub fn actor_dead(function: &str, why: &Error) -> Error {
        if why.is_shutdown() {
            return why.clone();
        }
        Error::new(
            Kind::Actor,
            format!("`{function}` was not run, because its actor is dead: {why}"),
            Some(why.clone()),
        )
    }

    /// A time limit that passed.
    pub fn timeout(message: impl Into<String>) -> Error {
        Error::new(Kind::Timeout, message, None)
    }

    /// A value of another type.
    pub fn type_mismatch(message: impl Into<String>) -> Error {
        Error::new(Kind::TypeMismatch, message, None)
    }

    /// A value that cannot be encoded or decoded.
    pub fn codec(message: impl Into<String>) -> Error {
        Error::new(Kind::Codec, message, None)
    }

    /// A runtime or worker that did not start.
    pub fn setup(message: impl Into<String>) -> Error {
        Error::new(Kind::Setup, message, None)
    }

    /// A limit of the system that is reached.
    pub fn resource_limit(message: impl Into<String>) -> Error {
        Error::new(Kind::ResourceLimit, message, None)
    }

    /// The system refused something, at a start or later: `what` says what failed.
    pub fn refused(
        what: impl fmt::Display,
        wanted: Wanted,
        error: impl Into<std::io::Error>,
    ) -> Error {
        let error = error.into();
        match limits::is_limit(&error) {
            true => Error::resource_limit(format!(
                "{what}: {error}; {}",
                limits::advice(wanted, &error)
            )),
            false => Error::setup(format!("{what}: {error}")),
        }
    }

    /// A runtime that is gone.
    pub fn shutdown() -> Error {
        Error::new(
            Kind::Shutdown,
            "the runtime was shut down before this result was there; keep the `Runtime` alive until its results are read",
            None,
        )
    }

    /// A handle that is used in a process that was forked off its own.
    pub fn forked() -> Error {
        Error::usage(
            "this process was forked off the one that the runtime belongs to, and cannot use it; start programs with `std::process::Command` instead",
        )
    }

    /// A call that cannot work.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message, None)
    }

    /// A call that was not made, since too many have not ended.
    pub fn backpressure(message: impl Into<String>) -> Error {
        Error::new(Kind::Backpressure, message, None)
    }

    /// A queue that takes nothing more.
    pub fn closed(message: impl Into<String>) -> Error {
        Error::new(Kind::Closed, message, None)
    }

    /// A lock that was left by a process that died, or by a panic.
    pub fn poisoned(message: impl Into<String>) -> Error {
        Error::new(Kind::Poisoned, message, None)
    }

    /// A broken invariant, or a system call that should not fail.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(Kind::Internal, message, None)
    }

    /// The store's own error under ours.
    pub fn store(error: &StoreError) -> Error {
        let kind = if error.is_full() {
            Kind::StoreFull
        } else if error.is_type_mismatch() {
            Kind::TypeMismatch
        } else if error.is_resource_limit() {
            Kind::ResourceLimit
        } else {
            Kind::Internal
        };
        Error::new(kind, error.to_string(), None)
    }

    /// Returns an error of this kind, with this error as its cause.
    pub fn context(self, message: impl Into<String>) -> Error {
        Error::new(self.0.kind.clone(), message, Some(self))
    }
}

/// A text in one line: its lines without what surrounds them, with `; ` in between.
pub(crate) fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("; ")
}

/// The text, or its beginning and its end.
fn bounded(text: String) -> String {
    if text.len() <= MAX_TEXT {
        return text;
    }
    let half = MAX_TEXT / 2 - 50;
    let is_boundary = |at: &usize| text.is_char_boundary(*at);
    let begin = (0..=half).rev().find(is_boundary).unwrap_or(0);
    let end = text.len() - half;
    let end = (end..text.len()).find(is_boundary).unwrap_or(text.len());
    let left_out = end - begin;
    format!(
        "{} [.. {left_out} bytes left out ..] {}",
        &text[..begin],
        &text[end..]
    )
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        Error::store(&error)
    }
}

impl From<CodecError> for Error {
    fn from(error: CodecError) -> Error {
        Error::codec(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if f.alternate() && !matches!(self.0.kind, Kind::Dependency | Kind::Actor) {
            let mut cause = &self.0.cause;
            while let Some(error) = cause {
                write!(f, ": {}", error.0.message)?;
                cause = &error.0.cause;
            }
        }
        Ok(())
    }
}

/// Prints the text of `Display`, then each cause in a line, then all lines of a panic. A `main`
/// that returns the error prints this.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let mut cause = &self.0.cause;
        if cause.is_some() {
            f.write_str("\n\nCaused by:")?;
        }
        while let Some(error) = cause {
            write!(f, "\n    {}", error.0.message)?;
            cause = &error.0.cause;
        }
        if let Some(panic) = self.steps().find_map(|error| error.0.panic.as_ref()) {
            for (title, text) in [
                ("Message of the panic", &panic.text),
                ("Stack backtrace", &panic.backtrace),
            ] {
                if !text.is_empty() {
                    write!(f, "\n\n{title}:\n{text}")?;
                }
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn an_application_error_keeps_its_chain_and_its_value() {
        let typed = mobula_store::codec::encode(&7_u32).unwrap().bytes;
        let error = Error::from_application(
            "outer".into(),
            vec!["middle".into(), "inner".into()],
            Some((mobula_store::codec::type_tag::<u32>(), typed)),
        )
        .in_task("score", 17);
        assert!(error.is_application());
        assert_eq!(error.to_string(), "`score` failed (pid 17): outer");
        assert_eq!(
            format!("{error:#}"),
            "`score` failed (pid 17): outer: middle: inner"
        );
        assert_eq!(error.source().unwrap().to_string(), "middle");
        assert_eq!(error.root().to_string(), "inner");
        assert_eq!(error.application::<u32>(), Some(7));
        assert_eq!(error.application::<u64>(), None);
    }

    #[test]
    fn a_row_of_dependents_names_the_first_failure_only() {
        let root = Error::panic("first", 1, "a.rs:1:1", "boom");
        let mut error = root.clone();
        for _ in 0..10_000 {
            error = Error::dependency("next", &error);
        }
        assert!(error.is_dependency() && !error.is_panic());
        assert_eq!(error.root().to_string(), root.to_string());
        assert!(
            error
                .to_string()
                .contains("`first` panicked at a.rs:1:1 (pid 1): boom")
        );
        assert!(error.to_string().len() < 200);
    }

    #[test]
    fn a_panic_is_one_line_and_the_rest_is_kept() {
        let message = "assertion `left == right` failed\n  left: 1\n right: 2";
        let error = Error::panic("f", 7, "a.rs:1:2", message);
        let line =
            "`f` panicked at a.rs:1:2 (pid 7): assertion `left == right` failed; left: 1; right: 2";
        assert_eq!(error.to_string(), line);
        assert_eq!(error.backtrace(), None);
        let error = error.with_backtrace("   0: f".to_owned());
        let error = Error::dependency("g", &error);
        assert!(error.to_string().ends_with(line));
        assert_eq!(error.backtrace(), Some("   0: f"));
        let all = format!("{error:?}");
        assert!(
            all.contains(message) && all.ends_with("Stack backtrace:\n   0: f"),
            "{all}"
        );
        let bytes = rmp_serde::to_vec(&error).unwrap();
        let back: Error = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(format!("{back:?}"), all);
    }

    #[test]
    fn a_call_of_a_dead_actor_tells_why() {
        let typed = mobula_store::codec::encode(&7_u32).unwrap().bytes;
        let typed = Some((mobula_store::codec::type_tag::<u32>(), typed));
        let why =
            Error::from_application("no disk".into(), vec![], typed).in_task("Counter::new", 17);
        let error = Error::actor_dead("Counter::add", &why);
        assert!(error.is_actor_dead() && !error.is_application());
        assert!(error.to_string().contains("no disk"), "{error}");
        assert!(error.root().is_application());
        assert_eq!(error.application::<u32>(), Some(7));
        let killed = Error::actor("the actor `c` was killed", None);
        assert!(
            Error::actor_dead("Counter::add", &killed)
                .root()
                .is_actor_dead()
        );
        assert!(Error::dependency("sum", &error).is_dependency());
    }

    #[test]
    fn a_long_chain_keeps_its_ends() {
        let mut error = Error::panic("deepest", 1, "a.rs:1:1", "boom");
        for depth in 0..1000 {
            error = Error::wrap_application(error).in_task(&format!("f{depth}"), 1);
        }
        assert!(error.to_string().starts_with("`f999` failed"));
        assert!(error.root().is_panic());
        // One step names the first failure, not all steps before it.
        let text = error.to_string();
        assert!(text.len() < 300 && text.contains("boom"), "{text}");
        assert!(!text.contains("`f998`"), "{text}");
        let bytes = rmp_serde::to_vec(&error).unwrap();
        assert!(bytes.len() < 300 * (MAX_STEPS + 1), "{}", bytes.len());
        assert!(
            std::iter::successors(error.source(), |&cause| cause.source()).count() <= MAX_STEPS
        );
    }

    #[test]
    fn a_text_that_grows_is_bounded() {
        let mut error = Error::panic("f", 1, "a.rs:1:1", &"é".repeat(20_000));
        for n in 0..1_000 {
            error = error.at(format!("call {n} of a map"));
        }
        let text = error.to_string();
        assert!(text.len() <= MAX_TEXT && text.len() > MAX_TEXT / 2);
        assert!(text.starts_with("call 999 of a map: ") && text.ends_with('é'));
        assert!(text.contains("bytes left out"), "{text}");
        let long = "x".repeat(MAX_TEXT);
        assert_eq!(bounded(long.clone()), long);
    }

    #[test]
    fn errors_travel() {
        let error = Error::dependency(
            "b",
            &Error::crash("a", 3, "signal 9 (SIGKILL)", "last words"),
        );
        let bytes = rmp_serde::to_vec(&error).unwrap();
        let back: Error = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(format!("{back:?}"), format!("{error:?}"));
        assert!(back.root().is_crash());
    }
}
