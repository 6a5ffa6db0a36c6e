//! Calls of functions that give a stream.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use mobula_protocol::{Engine, Error, RemoteFn, Result};

use super::ObjectStream;
use crate::{
    IntoArg, Part, Runtime, SharedElement, Tile, UnspawnedCall,
    typed::{actor::ActorHandle, codecs::Codec},
};

/// The default of `buffer`: the most items that the function makes before the reader takes them.
const BUFFER: usize = 4;

/// A call, which has not been started, of a remote function that returns `impl Iterator` or `impl
/// Stream`.
///
/// Arguments and options are those of an [`UnspawnedCall`].
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn lines(path: String) -> std::io::Result<impl Iterator<Item = std::io::Result<String>>> {
///     use std::io::BufRead;
///     Ok(std::io::BufReader::new(std::fs::File::open(path)?).lines())
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// # let path = format!("{}/src/lib.rs", env!("CARGO_MANIFEST_DIR"));
/// let lines = lines::remote(path).buffer(100).spawn();
/// let lines: Vec<String> = lines.collect::<mobula::Result<_>>()?;
/// assert!(lines.len() > 100);
/// # drop(rt);
/// # Ok(())
/// # }
/// ```
#[must_use = "a remote call does nothing until it is spawned: add `.spawn()`"]
pub struct UnspawnedStream<T> {
    call: UnspawnedCall<u64>,
    buffer: usize,
    item: PhantomData<fn() -> T>,
}

macro_rules! options {
    ($($name:ident($value:ident: $type:ty)),* $(,)?) => { $(
        #[doc = concat!("Sets the option as [`UnspawnedCall::", stringify!($name), "`] does.")]
        ///
        /// # Examples
        /// ```
        /// # use mobula::prelude::*;
        /// use std::time::Duration;
        ///
        /// #[remote]
        /// fn squares(n: u64) -> impl Iterator<Item = u64> {
        ///     (0..n).map(|i| i * i)
        /// }
        ///
        /// # fn main() -> mobula::Result<()> {
        /// # mobula::init();
        /// # let rt = Runtime::builder().workers(1).start()?;
        /// let call = squares::remote(10).retries(2).retry_errors(true).priority(1);
        /// let call = call.timeout(Duration::from_secs(60)).grace(Duration::from_secs(5));
        /// let squares = rt.spawn_stream(call.deadline(Duration::from_secs(600)));
        /// assert_eq!(squares.last().unwrap()?, 81);
        /// # Ok(())
        /// # }
        /// ```
        pub fn $name(mut self, $value: $type) -> UnspawnedStream<T> {
            self.call = self.call.$name($value);
            self
        }
    )* };
}

impl<T> UnspawnedStream<T> {
    options! {
        retries(retries: u32),
        retry_errors(retry: bool),
        priority(priority: i32),
        timeout(limit: Duration),
        deadline(limit: Duration),
        grace(grace: Duration),
    }

    /// Sets how many items the function makes that nobody has taken. Then it waits. Default: 4.
    ///
    /// One more item is in the making. Small items are faster with more of them, since the function
    /// then waits less often. Zero, and more than 2<sup>32</sup> - 1, are errors of the stream.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn squares(n: u64) -> impl Iterator<Item = u64> {
    ///     (0..n).map(|i| i * i)
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let squares = rt.spawn_stream(squares::remote(10_000).buffer(1000));
    /// assert_eq!(squares.last().unwrap()?, 9999 * 9999);
    /// # Ok(())
    /// # }
    /// ```
    pub fn buffer(mut self, items: usize) -> UnspawnedStream<T> {
        self.buffer = items;
        self
    }

    /// Starts the call as [`UnspawnedCall::spawn`] does. Does not block.
    ///
    /// A wrong call is the first item of the stream: an error.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn squares(n: u64) -> impl Iterator<Item = u64> {
    ///     (0..n).map(|i| i * i)
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let squares = squares::remote(4).spawn().collect::<mobula::Result<Vec<u64>>>();
    /// assert_eq!(squares?, [0, 1, 4, 9]);
    /// # drop(rt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn(self) -> ObjectStream<T> {
        match self.call.engine() {
            Ok(engine) => self.spawn_on(&engine),
            Err(error) => ObjectStream::failed(error),
        }
    }

    pub(crate) fn spawn_on(self, engine: &Arc<dyn Engine>) -> ObjectStream<T> {
        self.start(engine).unwrap_or_else(ObjectStream::failed)
    }

    fn start(mut self, engine: &Arc<dyn Engine>) -> Result<ObjectStream<T>> {
        let wanted = u32::try_from(self.buffer).ok().filter(|items| *items > 0);
        let wanted = wanted.ok_or_else(|| {
            Error::usage(format!(
                "the `buffer` of a stream has room for 1 to {} items, not for {}",
                u32::MAX,
                self.buffer
            ))
        })?;
        let queues = engine.need_queues()?;
        // The queue has room for half of the items. The other half waits for room.
        let queue = queues.create(queues.stream_capacity(wanted.div_ceil(2)));
        if let Some(Err(error)) = queue.outcome() {
            return Err(error.clone());
        }
        self.call.push_number(u64::from(wanted / 2));
        self.call.push_object(queue.clone());
        Ok(ObjectStream::new(self.call.spawn_on(engine), queue))
    }
}

impl Runtime {
    /// Starts a call that gives a stream on this runtime: see [`UnspawnedStream::spawn`].
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn squares(n: u64) -> impl Iterator<Item = u64> {
    ///     (0..n).map(|i| i * i)
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let mut squares = rt.spawn_stream(squares::remote(1_000_000_000));
    /// assert_eq!(squares.nth(3).unwrap()?, 9);
    /// drop(squares); // the call is cancelled
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn_stream<T>(&self, call: UnspawnedStream<T>) -> ObjectStream<T> {
        call.spawn_on(self.engine())
    }
}

/// Not public API: for generated code.
#[doc(hidden)]
impl<T> UnspawnedStream<T> {
    fn of(call: UnspawnedCall<u64>) -> UnspawnedStream<T> {
        UnspawnedStream {
            call,
            buffer: BUFFER,
            item: PhantomData,
        }
    }

    /// A call without arguments.
    pub fn new(function: &'static RemoteFn) -> UnspawnedStream<T> {
        UnspawnedStream::of(UnspawnedCall::new(function))
    }

    /// A call of a method without arguments.
    pub fn of_method(function: &'static RemoteFn, actor: &ActorHandle) -> UnspawnedStream<T> {
        UnspawnedStream::of(UnspawnedCall::of_method(function, actor))
    }

    /// Adds an argument.
    pub fn push<V: ?Sized, A: IntoArg<V>, C: Codec<V>>(
        &mut self,
        name: &'static str,
        arg: A,
        codec: &C,
    ) {
        self.call.push(name, arg, codec);
    }

    /// Adds a part of a shared array.
    pub fn push_part<E: SharedElement>(&mut self, part: Part<E>) {
        self.call.push_part(part);
    }

    /// Adds a tile of a shared array.
    pub fn push_tile<E: SharedElement>(&mut self, tile: Tile<E>) {
        self.call.push_tile(tile);
    }
}

impl<T> fmt::Debug for UnspawnedStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnspawnedStream")
            .field("call", &self.call)
            .field("buffer", &self.buffer)
            .finish()
    }
}
