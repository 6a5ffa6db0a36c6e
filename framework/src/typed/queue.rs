//! A queue between tasks of one or several processes.

mod alarm;
mod asked;
mod ends;
mod getting;
mod handle;
mod putting;

use std::{future::Future, marker::PhantomData, num::NonZeroUsize, sync::Arc, time::Duration};

use mobula_protocol::{Engine, Error, ObjectHandle, Result};

use super::{Value, engine::current_engine};
use crate::{ObjectRef, Runtime, scheduler::QueueState};
use asked::engine_of;

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

    /// Returns the queue's state, after it was closed if `close` says so.
    fn state(&self, close: bool) -> Result<ObjectRef<QueueState>> {
        let state = engine_of(&self.entry)?
            .need_queues()?
            .ask(&self.entry, close);
        Ok(ObjectRef::from_entry(state))
    }

    /// Checks that the queue can hold `count` values.
    ///
    /// # Errors
    /// The capacity is smaller than `count`.
    fn check(&self, count: usize) -> Result<()> {
        if count <= self.capacity() {
            return Ok(());
        }
        Err(Error::usage(format!(
            "{count} values at once do not fit a queue with room for {}",
            self.capacity()
        )))
    }
}

fn late(what: &str, limit: Option<Duration>) -> Error {
    let limit = limit.unwrap_or_default();
    Error::timeout(format!("{what} within {limit:?}"))
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
