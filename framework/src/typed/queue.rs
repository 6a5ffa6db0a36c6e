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
/// It is a handle of what the driver keeps: a queue has no process and no thread, and is made in
/// some microseconds. Cloning it is cheap, and it can be passed to remote functions and sit inside
/// of values. With the last handle the queue ends, and what is in it is freed. Values are encoded
/// where they are put in and decoded where they are taken out. Those of more than 16 KiB, and large
/// arrays inside of values, lie in the store in between, and are not copied by the queue; the
/// others are in the memory of the driver's process.
///
/// A handle inside of a value counts, too, also while that value waits in the same queue: then the
/// queue stays until somebody takes the value out, or until the runtime ends.
///
/// Who waits longer is served first, also before one who wants fewer values. Blocking methods give
/// their turn to other tasks of the worker.
///
/// # Deaths
///
/// No value is lost that nobody has got. A value is its consumer's when the method that takes it
/// out returns; if the consumer's process dies before, the value comes back to the front of the
/// queue, and if it dies later, the value ends with it. What a process waited to put in when it
/// died goes in when there is room, so a producer that [runs again](crate::UnspawnedCall::retries)
/// may put it in twice.
///
/// # Futures
///
/// Methods with `_async` return futures. What such a future asks for is begun when it is made, and
/// taken back when it is dropped before its end, as by `select!` and `timeout` of an executor. A
/// value that was to be put in is then either in the queue or not. A value that was taken out for
/// the future comes back to the front of the queue; others that look into the queue before it is
/// back do not see it.
///
/// # Limits of time
///
/// A method with `timeout` tells what has become of its request when the limit has passed: with an
/// error for which [`is_timeout`](Error::is_timeout) holds, nothing was done and nothing will be.
/// If the driver does not answer for 1 s more, since its process is stopped, the error says so;
/// then a value may be in the queue that was to be put in.
///
/// # The end
///
/// After [`close`](Queue::close) nothing more goes in, and what is there can be taken out. Methods
/// that cannot do what they are asked for fail with [`is_closed`](Error::is_closed). So a consumer
/// iterates:
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
/// Besides what is said at the methods: `is_closed` after [`close`](Queue::close), `is_codec` if a
/// value cannot be encoded, `is_store_full`, `is_shutdown`.
pub struct Queue<T> {
    entry: Arc<ObjectHandle>,
    capacity: NonZeroUsize,
    item: PhantomData<fn(T) -> T>,
}

impl<T: Value> Queue<T> {
    /// A queue for at most so many values, on the runtime of this process.
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

    /// How many values have room.
    pub fn capacity(&self) -> usize {
        self.capacity.get()
    }

    /// Blocks until there is room, and puts the value in.
    ///
    /// # Errors
    /// See [`Queue`].
    pub fn put(&self, value: &T) -> Result<()> {
        self.put_all(slice::from_ref(value))
    }

    /// As [`put`](Self::put), for at most this long.
    ///
    /// # Errors
    /// `is_timeout()`: there was no room in time, and the value was not put in.
    pub fn put_timeout(&self, value: &T, limit: Duration) -> Result<()> {
        self.put_all_timeout(slice::from_ref(value), limit)
    }

    /// Puts the value in if there is room now; `false` if there is none.
    ///
    /// # Errors
    /// See [`Queue`].
    pub fn try_put(&self, value: &T) -> Result<bool> {
        self.try_put_all(slice::from_ref(value))
    }

    /// Blocks until there is room for all of the values, and puts them in side by side.
    ///
    /// # Errors
    /// `is_usage()`: there are more than the capacity.
    pub fn put_all(&self, values: &[T]) -> Result<()> {
        put_in(self.putting(values, true, None)?.wait()?, None)
    }

    /// As [`put_all`](Self::put_all), for at most this long.
    ///
    /// # Errors
    /// As there; `is_timeout()`: there was no room for all of them in time, and none was put in.
    pub fn put_all_timeout(&self, values: &[T], limit: Duration) -> Result<()> {
        let limit = Some(limit);
        put_in(self.putting(values, true, limit)?.wait()?, limit)
    }

    /// Puts all of the values in if there is room for them now; `false`, and none is put in, if
    /// there is not.
    ///
    /// # Errors
    /// `is_usage()`: there are more than the capacity.
    pub fn try_put_all(&self, values: &[T]) -> Result<bool> {
        Ok(self.putting(values, false, None)?.wait()?.is_some())
    }

    /// Blocks until there is a value, and takes it out.
    ///
    /// # Errors
    /// See [`Queue`].
    pub fn get(&self) -> Result<T> {
        only(self.get_many(1)?)
    }

    /// As [`get`](Self::get), for at most this long.
    ///
    /// # Errors
    /// `is_timeout()`: there was no value in time.
    pub fn get_timeout(&self, limit: Duration) -> Result<T> {
        only(self.get_many_timeout(1, limit)?)
    }

    /// Takes a value out if there is one now.
    ///
    /// # Errors
    /// See [`Queue`].
    pub fn try_get(&self) -> Result<Option<T>> {
        self.try_get_many(1)?.map(only).transpose()
    }

    /// Blocks until there are so many values, and takes them out.
    ///
    /// # Errors
    /// `is_usage()`: these are more than the capacity.
    pub fn get_many(&self, count: usize) -> Result<Vec<T>> {
        taken_out(self.getting(count, true, None)?.wait()?, None)
    }

    /// As [`get_many`](Self::get_many), for at most this long.
    ///
    /// # Errors
    /// As there; `is_timeout()`: there were not so many in time, and none was taken out.
    pub fn get_many_timeout(&self, count: usize, limit: Duration) -> Result<Vec<T>> {
        let limit = Some(limit);
        taken_out(self.getting(count, true, limit)?.wait()?, limit)
    }

    /// Takes so many values out if there are as many now; `None`, and none is taken out, if there
    /// are not.
    ///
    /// # Errors
    /// `is_usage()`: these are more than the capacity.
    pub fn try_get_many(&self, count: usize) -> Result<Option<Vec<T>>> {
        let got = self.getting(count, false, None)?.wait()?;
        got.map(decoded).transpose()
    }

    /// [`put`](Self::put), to be awaited.
    pub fn put_async(&self, value: &T) -> impl Future<Output = Result<()>> + Send + use<T> {
        let put = self.putting(slice::from_ref(value), true, None);
        async move { put_in(put?.answer().await?, None) }
    }

    /// [`put_timeout`](Self::put_timeout), to be awaited.
    pub fn put_timeout_async(
        &self,
        value: &T,
        limit: Duration,
    ) -> impl Future<Output = Result<()>> + Send + use<T> {
        let limit = Some(limit);
        let put = self.putting(slice::from_ref(value), true, limit);
        async move { put_in(put?.answer().await?, limit) }
    }

    /// [`get`](Self::get), to be awaited.
    pub fn get_async(&self) -> impl Future<Output = Result<T>> + Send + use<T> {
        let got = self.getting(1, true, None);
        async move { only(taken_out(got?.answer().await?, None)?) }
    }

    /// [`get_timeout`](Self::get_timeout), to be awaited.
    pub fn get_timeout_async(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<T>> + Send + use<T> {
        let limit = Some(limit);
        let got = self.getting(1, true, limit);
        async move { only(taken_out(got?.answer().await?, limit)?) }
    }

    /// Closes the queue, for all handles: nothing more goes in, and what is in it can be taken out.
    /// Who waits to put fails, and so does who waits for more values than there are. Does nothing
    /// to a closed queue.
    ///
    /// # Errors
    /// See [`Queue`].
    pub fn close(&self) -> Result<()> {
        self.state(true)?.get().map(drop)
    }

    /// [`close`](Self::close), to be awaited.
    pub fn close_async(&self) -> impl Future<Output = Result<()>> + Send + use<T> {
        let closed = self.state(true);
        async move { closed?.await.map(drop) }
    }

    /// Whether it was closed. Others may do that at any time.
    ///
    /// # Errors
    /// See [`Queue`].
    pub fn is_closed(&self) -> Result<bool> {
        let (_, closed, _) = self.state(false)?.get()?;
        Ok(closed)
    }

    /// How many values are in it. Others may change that at any time.
    ///
    /// # Errors
    /// See [`Queue`].
    pub fn len(&self) -> Result<usize> {
        let (len, ..) = self.state(false)?.get()?;
        Ok(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// Whether no value is in it. Others may change that at any time.
    ///
    /// # Errors
    /// See [`Queue`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Whether there is no room. Others may change that at any time.
    ///
    /// # Errors
    /// See [`Queue`].
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

    /// What there is to say of the queue, after it was closed if that is wanted.
    fn state(&self, close: bool) -> Result<ObjectRef<QueueState>> {
        let state = engine_of(&self.entry)?
            .need_queues()?
            .ask(&self.entry, close);
        Ok(ObjectRef::from_entry(state))
    }

    /// # Errors
    /// So many values will never be in the queue.
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

/// The value of an answer that has one.
fn only<T>(values: Vec<T>) -> Result<T> {
    let value = values.into_iter().next();
    value.ok_or_else(|| Error::internal("a queue gave no value"))
}

impl Runtime {
    /// A [`Queue`] for at most so many values, on this runtime.
    ///
    /// # Errors
    /// `is_usage()`: the capacity is zero or beyond 2<sup>32</sup>.
    pub fn queue<T: Value>(&self, capacity: usize) -> Result<Queue<T>> {
        Queue::on(self.engine(), capacity)
    }
}
