//! Streams of results: one call, whose items can be read before it has ended.
//!
//! A stream is a bounded queue, which is the last argument of the call. The call's own result is
//! the number of items. The engine ends the queue when the call has ended.

mod item_refs;
mod sink;
mod unspawned;

use std::{
    any::type_name,
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use mobula_protocol::{Error, ObjectHandle, Result};

use super::{ObjectRef, Value};
use crate::{bars::Bar, promise::ENGINE};

pub use item_refs::ItemRefs;
pub use sink::Sink;
pub use unspawned::UnspawnedStream;

/// The items of a remote function that returns `impl Iterator` or `impl Stream`, in the order in
/// which it makes them. [`UnspawnedStream::spawn`] returns it.
///
/// It is an iterator of `Result<T>` that blocks for the next item. With the feature `stream` it is
/// a `futures::Stream` too. [`next_async`](Self::next_async) needs no feature.
///
/// * The function runs ahead by a few items ([`buffer`](UnspawnedStream::buffer)) and then waits
///   until the caller takes some. A waiting function gives its turn to other tasks of the worker.
/// * An item of more than 16 KiB lies in the store until it is dropped. So a stream can be longer
///   than the store is large.
/// * The function may fail, panic or be cancelled, or its worker may die. Then the items that it
///   made before come first, after them its error, and then the end.
/// * Dropping the stream [cancels](crate::Cancel) the call. Items that nobody has taken are freed.
/// * A call with [`retries`](UnspawnedStream::retries) begins anew and makes its items anew. Items
///   that were made before are passed over, so the function must make the same items in each run.
///
/// The stream stays in the process that made the call. [`next_ref`](Self::next_ref) gives refs of
/// items, which can be passed on without their bytes.
///
/// On the inline engine the function has ended when the call returns, and all items are in memory.
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
/// let mut sum = 0;
/// for item in squares::remote(1000).spawn() {
///     sum += item?;
///     if sum > 1000 {
///         break; // The call is cancelled.
///     }
/// }
/// assert_eq!(sum, 1015);
/// # drop(rt);
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a stream cancels its call"]
pub struct ObjectStream<T> {
    /// The ref of the call's result, which is the number of items.
    call: ObjectRef<u64>,
    queue: Arc<ObjectHandle>,
    /// The ref of the next item, if the reader has asked for it. It stays here while its value is
    /// awaited, so that a dropped future loses nothing.
    next: Option<ObjectRef<T>>,
    ended: bool,
    bar: Bar,
}

impl<T> ObjectStream<T> {
    pub(super) fn new(call: ObjectRef<u64>, queue: Arc<ObjectHandle>) -> ObjectStream<T> {
        ObjectStream {
            call,
            queue,
            next: None,
            ended: false,
            bar: Bar::none(),
        }
    }

    /// Shows a progress bar of this name on standard error until the stream has ended, or is
    /// dropped: how many items were taken, and how fast. See
    /// [`Map::progress`](crate::Map::progress). Needs the feature `progress`.
    ///
    /// Refs that [`next_ref`](Self::next_ref) gives do not count. With [`refs`](Self::refs), this
    /// comes before.
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
    /// let stream = rt.spawn_stream(squares::remote(10)).progress("squaring");
    /// let sum: u64 = stream.sum::<mobula::Result<_>>()?;
    /// assert_eq!(sum, 285);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "progress")]
    #[cfg_attr(docsrs, doc(cfg(feature = "progress")))]
    pub fn progress(mut self, name: impl AsRef<str>) -> ObjectStream<T> {
        self.bar = Bar::new(name.as_ref(), None);
        self
    }

    /// Returns the ref of the number of items.
    pub(crate) fn call(&self) -> &ObjectRef<u64> {
        &self.call
    }

    /// Returns a stream whose only item is this error.
    pub(super) fn failed(error: Error) -> ObjectStream<T> {
        let failed = ObjectHandle::failed(error);
        ObjectStream::new(ObjectRef::from_entry(failed.clone()), failed)
    }

    /// Returns the ref of the next item, which may not have been made yet. Does not block.
    ///
    /// The ref can be passed to remote functions, and can stand beside others in
    /// [`Runtime::wait`](crate::Runtime::wait) and [`AsCompleted`](crate::AsCompleted). The item is
    /// the ref's alone: dropping the ref drops the item.
    ///
    /// Behind the last item a ref fails with [`is_closed`](Error::is_closed), or with the error of
    /// the function.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn blocks(n: usize) -> impl Iterator<Item = Vec<f64>> {
    ///     (0..n).map(|i| vec![i as f64; 10_000])
    /// }
    ///
    /// #[remote]
    /// fn mean(block: &[f64]) -> f64 {
    ///     block.iter().sum::<f64>() / block.len() as f64
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let mut stream = blocks::remote(2).spawn();
    /// let means: Vec<_> = (0..3).map(|_| mean::remote(stream.next_ref()).spawn()).collect();
    /// assert_eq!(means[1].get()?, 1.0);
    /// assert!(means[2].get().is_err()); // There are only two items.
    /// # drop(rt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn next_ref(&mut self) -> ObjectRef<T> {
        self.next.take().unwrap_or_else(|| self.request())
    }

    /// Returns an iterator that blocks until the next item is there, and gives its ref.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn ramps(n: usize) -> impl Iterator<Item = Vec<usize>> {
    ///     (1..=n).map(|len| (0..len).collect())
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let lengths = rt.spawn_stream(ramps::remote(3)).refs().map(|item| Ok(item?.view()?.len()));
    /// assert_eq!(lengths.collect::<mobula::Result<Vec<_>>>()?, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn refs(self) -> ItemRefs<T> {
        ItemRefs::new(self)
    }

    /// Returns whether [`next`](Iterator::next) would not block: the next item is there, or the end
    /// is.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn one() -> impl Iterator<Item = u32> {
    ///     std::iter::once(1)
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let mut stream = rt.spawn_stream(one::remote());
    /// while !stream.is_ready() {
    ///     std::thread::yield_now(); // does something else
    /// }
    /// assert_eq!(stream.next().unwrap()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_ready(&mut self) -> bool {
        self.ended || self.ahead().is_ready()
    }

    fn request(&self) -> ObjectRef<T> {
        let requested = || -> Result<_> {
            if let Some(Err(error)) = self.queue.outcome() {
                return Err(error.clone());
            }
            let engine = self.queue.engine(ENGINE).ok_or_else(Error::shutdown)?;
            let mut answers = engine.need_queues()?.get(&self.queue, 1, true);
            answers
                .pop()
                .ok_or_else(|| Error::internal("a request for an item without an answer"))
        };
        ObjectRef::from_entry(requested().unwrap_or_else(ObjectHandle::failed))
    }

    fn ahead(&mut self) -> &ObjectRef<T> {
        if self.next.is_none() {
            self.next = Some(self.request());
        }
        self.next
            .get_or_insert_with(|| unreachable!("it was just set"))
    }

    /// Takes the next item, whose ref is ready. Returns the ref, or the error that ends the stream,
    /// or `None` at the end.
    fn take_ready(&mut self) -> Option<Result<ObjectRef<T>>> {
        let item = self.next_ref();
        let Some(Err(error)) = item.entry().outcome() else {
            self.bar.advance(1);
            return Some(Ok(item));
        };
        self.ended = true;
        self.bar = Bar::none();
        // An error of the kind `closed` is the end of the stream if the call succeeded. It may also
        // be the function's own error, about another queue.
        match (error.is_closed(), self.call.wait()) {
            (true, Ok(())) => None,
            (true, Err(error)) => Some(Err(error)),
            (false, _) => Some(Err(error.clone())),
        }
    }

    /// Blocks until the next ref is ready, and returns it.
    pub(super) fn wait_next_ref(&mut self) -> Option<Result<ObjectRef<T>>> {
        if self.ended {
            return None;
        }
        self.ahead().entry().wait(None);
        self.take_ready()
    }
}

impl<T: Value> ObjectStream<T> {
    /// Blocks for the next item, for up to `limit`. A limit of zero looks without waiting. Returns
    /// `None` at the end.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// #[remote]
    /// fn slow() -> impl Iterator<Item = u32> {
    ///     (0..2).map(|n| {
    ///         std::thread::sleep(Duration::from_millis(100));
    ///         n
    ///     })
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let mut stream = rt.spawn_stream(slow::remote());
    /// assert!(stream.next_timeout(Duration::from_millis(1)).unwrap().unwrap_err().is_timeout());
    /// assert_eq!(stream.next_timeout(Duration::from_secs(60)).unwrap()?, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_timeout`](Error::is_timeout): there was no item in time, and a later call can give it.
    /// Otherwise the error of the function, once.
    pub fn next_timeout(&mut self, limit: Duration) -> Option<Result<T>> {
        if self.ended {
            return None;
        }
        match self.ahead().wait_timeout(limit) {
            Err(error) if !self.ahead().is_ready() => Some(Err(error)),
            _ => self.take_value(),
        }
    }

    /// Returns the next item when it is there, for asynchronous code. Returns `None` at the end. No
    /// item is lost when the future is dropped.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn squares(n: u64) -> impl Iterator<Item = u64> {
    ///     (0..n).map(|i| i * i)
    /// }
    ///
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let mut stream = rt.spawn_stream(squares::remote(10));
    /// let mut sum = 0;
    /// while let Some(item) = stream.next_async().await {
    ///     sum += item?;
    /// }
    /// assert_eq!(sum, 285);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The error of the function, once.
    pub async fn next_async(&mut self) -> Option<Result<T>> {
        poll_fn(|context| self.poll_next_item(context)).await
    }

    fn poll_next_item(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // A failed item is ready, too.
        let _ = ready!(self.ahead().poll_ready(context));
        Poll::Ready(self.take_value())
    }

    fn take_value(&mut self) -> Option<Result<T>> {
        let item = self.take_ready()?;
        Some(item.and_then(|item| item.get()))
    }
}

impl<T: Value> Iterator for ObjectStream<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        let item = self.wait_next_ref()?;
        Some(item.and_then(|item| item.get()))
    }
}

#[cfg(feature = "stream")]
impl<T: Value> futures_core::Stream for ObjectStream<T> {
    type Item = Result<T>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<T>>> {
        self.poll_next_item(context)
    }
}

impl<T> Unpin for ObjectStream<T> {}

impl<T> Drop for ObjectStream<T> {
    fn drop(&mut self) {
        self.call.cancel();
    }
}

impl<T> fmt::Debug for ObjectStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectStream<{}>({:?})", type_name::<T>(), self.call)
    }
}
