//! A queue between tasks, wherever they run.

mod alarm;
mod asked;
mod ends;
mod handle;

use std::{
    future::Future, marker::PhantomData, num::NonZeroUsize, slice, sync::Arc, time::Duration,
};

use mobula_protocol::{CallArg, Engine, Error, ObjectHandle, Result, message::Args};

use super::{
    Value,
    codecs::{decode_value, encode_value},
    engine::current_engine,
    place::Place,
};
use crate::{ObjectRef, Runtime, scheduler::QueueState};
use asked::{Asked, Done, engine_of};

pub use ends::QueueIter;
#[cfg(feature = "stream")]
pub use ends::QueueStream;

/// A queue of values between tasks and the driver: first in, first out, with a bound.
///
/// It is a handle of a queue that the driver keeps. A queue has no process and no thread, and is
/// made in some microseconds. Cloning the handle is cheap. It can be passed to remote functions and
/// sit inside of values. With the last handle the queue ends, and the values in it are freed.
///
/// Values are encoded where they are put in, and decoded where they are taken out. Values of more
/// than 16 KiB, and large arrays inside of values, lie in the store in between. The queue does not
/// copy them. Other values are in the memory of the driver's process.
///
/// A handle inside of a value counts, too, also while that value waits in the same queue. Then the
/// queue stays until a caller takes the value out, or until the runtime ends.
///
/// A caller that waits longer is served first, also before a caller that wants fewer values.
/// Blocking methods give their turn to other tasks of the worker.
///
/// # Deaths
///
/// A value that nobody has got is not lost. A value is its consumer's when the method that takes it
/// out returns. If the consumer's process dies before, the value comes back to the front of the
/// queue. If it dies later, the value ends with it.
///
/// Values that a process waited to put in when it died go in when there is room. So a producer that
/// [runs again](crate::UnspawnedCall::retries) may put them in twice.
///
/// # Futures
///
/// Methods with `_async` return futures. The request of such a future begins when the future is
/// made. It is taken back when the future is dropped before its end, as by `select!` and `timeout`
/// of an executor. A value that was to be put in is then either in the queue or not. A value that
/// was taken out for the future comes back to the front of the queue. Others that look into the
/// queue before do not see it.
///
/// # Limits of time
///
/// A method with `timeout` says what has become of its request after the limit. With an error for
/// which [`is_timeout`](Error::is_timeout) holds, nothing was done and nothing will be. If the
/// driver does not answer for 1 s more, since its process is stopped, the error says so. Then a
/// value that was to be put in may be in the queue.
///
/// # The end
///
/// After [`close`](Queue::close) nothing more goes in, and the values in it can be taken out.
/// Methods that cannot do what they are asked for fail with [`is_closed`](Error::is_closed). So a
/// consumer iterates:
///
/// ```
/// use mobula::{Queue, prelude::*};
///
/// #[remote]
/// fn produce(queue: Queue<String>, n: u32) -> mobula::Result<()> {
///     (0..n).try_for_each(|i| queue.put(&format!("item {i}")))
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// let rt = Runtime::builder().workers(1).start()?;
/// let queue = rt.queue(10)?;
/// let producer = produce::remote(&queue, 100).spawn();
/// std::thread::scope(|scope| {
///     let consumer = scope.spawn(|| queue.iter().collect::<mobula::Result<Vec<String>>>());
///     producer.get()?;
///     queue.close()?;
///     assert_eq!(consumer.join().unwrap()?.len(), 100);
///     Ok(())
/// })
/// # }
/// ```
///
/// # Errors
/// Each method can fail for these reasons, besides its own: `is_closed` after
/// [`close`](Queue::close), `is_codec` if a value cannot be encoded, `is_store_full`,
/// `is_shutdown`.
pub struct Queue<T> {
    entry: Arc<ObjectHandle>,
    capacity: NonZeroUsize,
    item: PhantomData<fn(T) -> T>,
}

impl<T: Value> Queue<T> {
    /// Makes a queue for at most `capacity` values, on the runtime of this process.
    ///
    /// # Examples
    /// ```
    /// use mobula::{Queue, prelude::*};
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = Queue::bounded(10)?;
    /// queue.put(&"text".to_owned())?;
    /// assert_eq!(queue.get()?, "text");
    /// # drop(rt);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: the capacity is zero or beyond 2<sup>32</sup>, or there is no runtime, or more
    /// than one.
    pub fn bounded(capacity: usize) -> Result<Queue<T>> {
        Queue::on(&current_engine()?, capacity)
    }

    pub(crate) fn on(engine: &Arc<dyn Engine>, capacity: usize) -> Result<Queue<T>> {
        let allowed = u32::try_from(capacity).ok();
        let (Some(room), Some(capacity)) = (allowed, NonZeroUsize::new(capacity)) else {
            return Err(Error::usage(format!(
                "a queue has room for 1 to {} values, not for {capacity}",
                u32::MAX
            )));
        };
        Ok(Queue {
            entry: engine.need_queues()?.create(room),
            capacity,
            item: PhantomData,
        })
    }

    /// Returns the number of values that have room.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.queue::<u32>(10)?.capacity(), 10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn capacity(&self) -> usize {
        self.capacity.get()
    }

    /// Blocks until there is room, and puts the value in.
    ///
    /// # Examples
    /// ```
    /// use mobula::{Queue, prelude::*};
    ///
    /// #[remote]
    /// fn produce(queue: &Queue<u64>) -> mobula::Result<()> {
    ///     (0..100).try_for_each(|n| queue.put(&n))
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(10)?;
    /// let producer = rt.spawn(produce::remote(&queue));
    /// for n in 0..100 {
    ///     assert_eq!(queue.get()?, n);
    /// }
    /// producer.get()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Queue`](Queue#errors).
    pub fn put(&self, value: &T) -> Result<()> {
        self.put_all(slice::from_ref(value))
    }

    /// Blocks until there is room, for up to `limit`, and puts the value in.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(1)?;
    /// queue.put_timeout(&1, Duration::from_secs(1))?;
    /// let error = queue.put_timeout(&2, Duration::from_millis(5)).unwrap_err();
    /// assert!(error.is_timeout() && queue.len()? == 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_timeout()`: there was no room in time, and the value was not put in.
    pub fn put_timeout(&self, value: &T, limit: Duration) -> Result<()> {
        self.put_all_timeout(slice::from_ref(value), limit)
    }

    /// Puts the value in if there is room now. Returns `false` if there is none.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(1)?;
    /// assert!(queue.try_put(&1)?);
    /// assert!(!queue.try_put(&2)?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Queue`](Queue#errors).
    pub fn try_put(&self, value: &T) -> Result<bool> {
        self.try_put_all(slice::from_ref(value))
    }

    /// Blocks until there is room for all of the values, and puts them in side by side.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(10)?;
    /// queue.put_all(&[1, 2, 3])?;
    /// assert_eq!(queue.len()?, 3);
    /// assert!(queue.put_all(&[0; 11]).unwrap_err().is_usage());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: there are more values than the capacity.
    pub fn put_all(&self, values: &[T]) -> Result<()> {
        put_in(self.putting(values, true, None)?.wait()?, None)
    }

    /// Blocks until there is room for all of the values, for up to `limit`, and puts them in side
    /// by side.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(4)?;
    /// queue.put_all_timeout(&[1, 2, 3], Duration::from_secs(1))?;
    /// let error = queue.put_all_timeout(&[4, 5], Duration::from_millis(5)).unwrap_err();
    /// assert!(error.is_timeout() && queue.len()? == 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`put_all`](Self::put_all). `is_timeout()`: there was no room for all of them
    /// in time, and none was put in.
    pub fn put_all_timeout(&self, values: &[T], limit: Duration) -> Result<()> {
        let limit = Some(limit);
        put_in(self.putting(values, true, limit)?.wait()?, limit)
    }

    /// Puts all of the values in if there is room for them now. Returns `false` if there is not,
    /// and puts none in.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(4)?;
    /// assert!(queue.try_put_all(&[1, 2, 3])?);
    /// assert!(!queue.try_put_all(&[4, 5])?);
    /// assert_eq!(queue.len()?, 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: there are more values than the capacity.
    pub fn try_put_all(&self, values: &[T]) -> Result<bool> {
        Ok(self.putting(values, false, None)?.wait()?.is_some())
    }

    /// Blocks until there is a value, and takes it out.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(10)?;
    /// queue.put_all(&[1, 2])?;
    /// assert_eq!((queue.get()?, queue.get()?), (1, 2));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Queue`](Queue#errors).
    pub fn get(&self) -> Result<T> {
        only(self.get_many(1)?)
    }

    /// Blocks until there is a value, for up to `limit`, and takes it out.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue::<u32>(10)?;
    /// assert!(queue.get_timeout(Duration::from_millis(5)).unwrap_err().is_timeout());
    /// queue.put(&7)?;
    /// assert_eq!(queue.get_timeout(Duration::from_millis(5))?, 7);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_timeout()`: there was no value in time.
    pub fn get_timeout(&self, limit: Duration) -> Result<T> {
        only(self.get_many_timeout(1, limit)?)
    }

    /// Takes a value out if there is one now.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(10)?;
    /// assert_eq!(queue.try_get()?, None);
    /// queue.put(&7)?;
    /// assert_eq!(queue.try_get()?, Some(7));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Queue`](Queue#errors).
    pub fn try_get(&self) -> Result<Option<T>> {
        self.try_get_many(1)?.map(only).transpose()
    }

    /// Blocks until there are `count` values, and takes them out.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(10)?;
    /// queue.put_all(&[1, 2, 3])?;
    /// assert_eq!(queue.get_many(2)?, [1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: `count` is more than the capacity.
    pub fn get_many(&self, count: usize) -> Result<Vec<T>> {
        taken_out(self.getting(count, true, None)?.wait()?, None)
    }

    /// Blocks until there are `count` values, for up to `limit`, and takes them out.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(10)?;
    /// queue.put_all(&[1, 2, 3])?;
    /// let limit = Duration::from_millis(5);
    /// assert!(queue.get_many_timeout(4, limit).unwrap_err().is_timeout());
    /// assert_eq!(queue.get_many_timeout(3, limit)?, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`get_many`](Self::get_many). `is_timeout()`: there were fewer values in time,
    /// and none was taken out.
    pub fn get_many_timeout(&self, count: usize, limit: Duration) -> Result<Vec<T>> {
        let limit = Some(limit);
        taken_out(self.getting(count, true, limit)?.wait()?, limit)
    }

    /// Takes `count` values out if there are as many now. Returns `None` if there are fewer, and
    /// takes none out.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(10)?;
    /// queue.put_all(&[1, 2, 3])?;
    /// assert_eq!(queue.try_get_many(4)?, None);
    /// assert_eq!(queue.try_get_many(3)?, Some(vec![1, 2, 3]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: `count` is more than the capacity.
    pub fn try_get_many(&self, count: usize) -> Result<Option<Vec<T>>> {
        let got = self.getting(count, false, None)?.wait()?;
        got.map(decoded).transpose()
    }

    /// Returns a future that puts the value in when there is room.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(1)?;
    /// queue.put_async(&1).await?;
    /// let waiting = queue.put_async(&2); // waits for room from now on
    /// assert_eq!(queue.get_async().await?, 1);
    /// waiting.await?;
    /// assert_eq!(queue.len()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Queue`](Queue#errors).
    pub fn put_async(&self, value: &T) -> impl Future<Output = Result<()>> + Send + use<T> {
        let put = self.putting(slice::from_ref(value), true, None);
        async move { put_in(put?.answer().await?, None) }
    }

    /// Returns a future that puts the value in when there is room, within `limit`.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(1)?;
    /// let limit = Duration::from_millis(5);
    /// queue.put_timeout_async(&1, limit).await?;
    /// assert!(queue.put_timeout_async(&2, limit).await.unwrap_err().is_timeout());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`put_timeout`](Self::put_timeout).
    pub fn put_timeout_async(
        &self,
        value: &T,
        limit: Duration,
    ) -> impl Future<Output = Result<()>> + Send + use<T> {
        let limit = Some(limit);
        let put = self.putting(slice::from_ref(value), true, limit);
        async move { put_in(put?.answer().await?, limit) }
    }

    /// Returns a future that takes a value out when there is one.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(10)?;
    /// let value = queue.get_async();
    /// queue.put(&7)?;
    /// assert_eq!(value.await?, 7);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Queue`](Queue#errors).
    pub fn get_async(&self) -> impl Future<Output = Result<T>> + Send + use<T> {
        let got = self.getting(1, true, None);
        async move { only(taken_out(got?.answer().await?, None)?) }
    }

    /// Returns a future that takes a value out when there is one, within `limit`.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue::<u32>(10)?;
    /// let limit = Duration::from_millis(5);
    /// assert!(queue.get_timeout_async(limit).await.unwrap_err().is_timeout());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`get_timeout`](Self::get_timeout).
    pub fn get_timeout_async(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<T>> + Send + use<T> {
        let limit = Some(limit);
        let got = self.getting(1, true, limit);
        async move { only(taken_out(got?.answer().await?, limit)?) }
    }

    /// Closes the queue, for all handles: nothing more goes in, and the values in it can be taken
    /// out.
    ///
    /// A caller that waits to put fails, and so does a caller that waits for more values than there
    /// are. Does nothing to a closed queue.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(10)?;
    /// queue.put_all(&[1, 2])?;
    /// queue.close()?;
    /// assert!(queue.put(&3).unwrap_err().is_closed());
    /// let rest: mobula::Result<Vec<u32>> = queue.iter().collect();
    /// assert_eq!(rest?, [1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Queue`](Queue#errors).
    pub fn close(&self) -> Result<()> {
        self.state(true)?.get().map(drop)
    }

    /// Returns a future that closes the queue, as [`close`](Self::close) does.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue::<u32>(10)?;
    /// queue.close_async().await?;
    /// assert!(queue.is_closed()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn close_async(&self) -> impl Future<Output = Result<()>> + Send + use<T> {
        let closed = self.state(true);
        async move { closed?.await.map(drop) }
    }

    /// Returns whether the queue was closed. Others may do that at any time.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue::<u32>(10)?;
    /// assert!(!queue.is_closed()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Queue`](Queue#errors).
    pub fn is_closed(&self) -> Result<bool> {
        let (_, closed, _) = self.state(false)?.get()?;
        Ok(closed)
    }

    /// Returns the number of values in the queue. Others may change that at any time.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(10)?;
    /// queue.put_all(&[1, 2, 3])?;
    /// assert_eq!(queue.len()?, 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Queue`](Queue#errors).
    pub fn len(&self) -> Result<usize> {
        let (len, ..) = self.state(false)?.get()?;
        Ok(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// Returns whether no value is in the queue. Others may change that at any time.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert!(rt.queue::<u32>(10)?.is_empty()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Queue`](Queue#errors).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Returns whether there is no room. Others may change that at any time.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(2)?;
    /// queue.put_all(&[1, 2])?;
    /// assert!(queue.is_full()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Queue`](Queue#errors).
    pub fn is_full(&self) -> Result<bool> {
        Ok(self.len()? >= self.capacity())
    }

    fn putting(&self, values: &[T], waits: bool, limit: Option<Duration>) -> Result<Asked> {
        Asked::put(&self.entry, self.encode(values)?, waits, limit)
    }

    fn getting(&self, count: usize, waits: bool, limit: Option<Duration>) -> Result<Asked> {
        self.check(count)?;
        Asked::get(&self.entry, count, waits, limit)
    }

    /// Returns the queue's state, after it was closed if `close` says so.
    fn state(&self, close: bool) -> Result<ObjectRef<QueueState>> {
        let state = engine_of(&self.entry)?
            .need_queues()?
            .ask(&self.entry, close);
        Ok(ObjectRef::from_entry(state))
    }

    /// # Errors
    /// The queue never holds `count` values.
    fn check(&self, count: usize) -> Result<()> {
        if count <= self.capacity() {
            return Ok(());
        }
        Err(Error::usage(format!(
            "{count} values at once do not fit a queue with room for {}",
            self.capacity()
        )))
    }

    fn encode(&self, values: &[T]) -> Result<Args<CallArg>> {
        self.check(values.len())?;
        let engine = engine_of(&self.entry)?;
        let place = Place::Of(&engine);
        let encode = |value| encode_value(value, place).map(CallArg::Value);
        values.iter().map(encode).collect()
    }
}

fn put_in(done: Option<Done>, limit: Option<Duration>) -> Result<()> {
    match done {
        Some(_) => Ok(()),
        None => Err(late("there was no room in the queue", limit)),
    }
}

fn taken_out<T: Value>(got: Option<Done>, limit: Option<Duration>) -> Result<Vec<T>> {
    match got {
        Some(done) => decoded(done),
        None => Err(late("there were not enough values in the queue", limit)),
    }
}

fn late(what: &str, limit: Option<Duration>) -> Error {
    let limit = limit.unwrap_or_default();
    Error::timeout(format!("{what} within {limit:?}"))
}

fn decoded<T: Value>(mut done: Done) -> Result<Vec<T>> {
    done.values.drain(..).map(decode_value).collect()
}

/// Returns the value of an answer that has one.
fn only<T>(values: Vec<T>) -> Result<T> {
    let value = values.into_iter().next();
    value.ok_or_else(|| Error::internal("a queue gave no value"))
}

impl Runtime {
    /// Makes a [`Queue`] for at most `capacity` values, on this runtime.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(10)?;
    /// queue.put(&(1, "one".to_owned()))?;
    /// assert_eq!(queue.get()?, (1, "one".to_owned()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: the capacity is zero or beyond 2<sup>32</sup>.
    pub fn queue<T: Value>(&self, capacity: usize) -> Result<Queue<T>> {
        Queue::on(self.engine(), capacity)
    }
}
