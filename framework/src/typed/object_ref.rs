//! Refs to objects.

use std::{
    any::type_name,
    fmt,
    future::Future,
    hash::{Hash, Hasher},
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use mobula_protocol::{Error, Format, ObjectHandle, Payload, Result, TaskProgress};
use mobula_store::{
    Array, Plain,
    codec::{Handle, HandleKind, deserialize_handle, serialize_handle, type_tag},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Value, bytes::read_flat_1, codecs::decode_value, turn::in_turn};
use crate::promise::ENGINE;

/// A value of type `T` in the store, or on its way there. [`Runtime::put`](crate::Runtime::put) and
/// [`UnspawnedCall::spawn`](crate::UnspawnedCall::spawn) return it.
///
/// * It is a [`Future`] of the value, and so is `&ObjectRef<T>`. Awaiting a ref uses it up,
///   awaiting a borrow keeps it. Blocking code has [`get`](Self::get) and
///   [`get_timeout`](Self::get_timeout).
/// * It is an argument wherever a remote function takes or borrows a `T`, and may be pending then.
/// * It can sit inside of any serde value that goes through Mobula, so results can hold refs.
///
/// Cloning a ref copies no value. When the last ref of a finished object is dropped, in whichever
/// process, the object is freed. A task that runs when its last ref is dropped runs to its end, and
/// then its result is freed.
///
/// Two refs are equal if they stand for the same object. Equal values do not make them equal.
///
/// # Futures
///
/// Dropping the future loses nothing. A ref that very many short-lived tasks poll (a `select!` for
/// each request) keeps a bounded number of their wakers. So a pending future may be woken before
/// its result is there. On tokio, awaiting takes part in the cooperative budget: a task that awaits
/// ready refs lets others run from time to time.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn mean(samples: &[f64]) -> f64 {
///     samples.iter().sum::<f64>() / samples.len() as f64
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// let rt = Runtime::start()?;
/// let samples: ObjectRef<Vec<f64>> = rt.put(&[1.0, 2.0, 6.0][..])?;
/// let result: ObjectRef<f64> = mean::remote(&samples).spawn();
/// assert_eq!(result.get()?, 3.0);
/// # Ok(())
/// # }
/// ```
///
/// Asynchronous code awaits a ref, or a borrow of it:
///
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// #[mobula::main]
/// async fn main() -> mobula::Result<()> {
///     let rt = Runtime::builder().workers(1).start()?;
///     let result = rt.spawn(square::remote(3));
///     assert_eq!((&result).await?, 9);
///     assert_eq!(result.await?, 9);
///     Ok(())
/// }
/// ```
#[must_use = "dropping the last ref gives the result up: keep it, or say `.detach()`"]
pub struct ObjectRef<T> {
    entry: Arc<ObjectHandle>,
    value: PhantomData<fn() -> T>,
}

impl<T> ObjectRef<T> {
    pub(crate) fn from_entry(entry: Arc<ObjectHandle>) -> ObjectRef<T> {
        ObjectRef {
            entry,
            value: PhantomData,
        }
    }

    pub(crate) fn entry(&self) -> &Arc<ObjectHandle> {
        &self.entry
    }

    pub(crate) fn into_entry(self) -> Arc<ObjectHandle> {
        self.entry
    }

    /// Returns whether the value is there or the task has failed. Does not block.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn nothing() {}
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert!(rt.put(&1)?.is_ready());
    /// let result = rt.spawn(nothing::remote());
    /// result.wait()?;
    /// assert!(result.is_ready());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_ready(&self) -> bool {
        self.entry.wait(Some(Instant::now()))
    }

    /// Blocks until the value is there, without fetching it.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn zeros(n: usize) -> Vec<f64> {
    ///     vec![0.0; n]
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let many = rt.spawn(zeros::remote(1_000_000));
    /// many.wait()?; // copies no elements
    /// assert_eq!(many.view()?.len(), 1_000_000);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The task has failed, or the runtime was shut down.
    pub fn wait(&self) -> Result<()> {
        self.ready(None)
    }

    /// Blocks until the value is there, for up to `limit`. A limit of zero looks without waiting.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// #[remote]
    /// fn sleep(millis: u64) {
    ///     std::thread::sleep(Duration::from_millis(millis));
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let slow = rt.spawn(sleep::remote(100));
    /// let error = slow.wait_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert!(error.is_timeout());
    /// slow.wait_timeout(Duration::from_secs(60))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`wait`](Self::wait), and [`is_timeout`](Error::is_timeout) after the limit.
    /// The task goes on then.
    pub fn wait_timeout(&self, limit: Duration) -> Result<()> {
        self.ready(Some(limit))
    }

    /// Gives up the result and keeps the work: the task runs to its end.
    ///
    /// A task whose refs are merely dropped runs to its end too, as long as the runtime lives. For
    /// a detached task, the [end of the runtime](crate::Runtime#the-end) waits, for 5 s by default.
    /// A line on standard error names the tasks that it cuts. Nobody sees a failure of the task.
    /// Costs about 20 ns; in a task, a message to the driver.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn log(line: &str) {
    ///     println!("{line}");
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// log::remote("started").spawn().detach();
    /// drop(rt); // waits until the line is written
    /// # Ok(())
    /// # }
    /// ```
    pub fn detach(self) {
        if self.entry.outcome().is_none()
            && let Some(engine) = self.entry.engine(ENGINE)
        {
            engine.detach(&self.entry);
        }
    }

    /// Returns how far the task is that makes the object, as its function says by
    /// [`TaskContext::progress`](crate::TaskContext::progress). Does not block.
    ///
    /// Returns `None` before the function has said anything and after the task's end, on objects
    /// that were put, in tasks, and on the inline engine. It first reads what workers have sent, so
    /// the answer is as new as the task's last message.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # use std::time::Duration;
    /// #[remote]
    /// fn simulate(steps: u64) -> u64 {
    ///     let progress = mobula::context().progress();
    ///     for step in 0..steps {
    ///         progress.set(step, steps);
    ///         # std::thread::sleep(Duration::from_millis(1));
    ///     }
    ///     steps
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let running = rt.spawn(simulate::remote(100));
    /// while running.wait_timeout(Duration::from_millis(20)).is_err() {
    ///     if let Some(progress) = running.progress() {
    ///         println!("{} of {}", progress.done, progress.total);
    ///     }
    /// }
    /// assert_eq!(running.get()?, 100);
    /// # Ok(())
    /// # }
    /// ```
    pub fn progress(&self) -> Option<TaskProgress> {
        self.entry.engine(ENGINE)?.control()?.progress(&self.entry)
    }

    /// Blocks until the object is ready, for up to `limit`. Returns the task's error if it failed.
    fn ready(&self, limit: Option<Duration>) -> Result<()> {
        // A limit that overflows `Instant` is no limit.
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        if !self.entry.wait(deadline) {
            return Err(Error::timeout(format!(
                "the result was not there within {:?}; the task goes on, and a later `get` can succeed",
                limit.unwrap_or_default()
            )));
        }
        match self.entry.outcome() {
            Some(Err(error)) => {
                self.entry.hear();
                Err(error.clone())
            }
            _ => Ok(()),
        }
    }

    /// Does for a future what [`wait`](Self::wait) does for a thread.
    pub(crate) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<()>> {
        in_turn(context, |context| self.poll_outcome(context))
    }

    fn poll_outcome(&self, context: &mut Context<'_>) -> Poll<Result<()>> {
        if self.entry.outcome().is_none() {
            let Some(engine) = self.entry.engine(ENGINE) else {
                return Poll::Ready(Err(Error::shutdown()));
            };
            engine.linger(&self.entry);
            if self.entry.subscribe(context.waker()) {
                self.entry.watch(&*engine);
                return Poll::Pending;
            }
        }
        Poll::Ready(match self.entry.outcome() {
            Some(Err(error)) => {
                self.entry.hear();
                Err(error.clone())
            }
            _ => Ok(()),
        })
    }

    /// Blocks until the object is ready, and returns its readable bytes.
    pub(crate) fn payload(&self) -> Result<Payload> {
        // Without a deadline, the outcome is there afterwards.
        self.entry.wait(None);
        self.entry.payload()
    }
}

impl<T: Value> ObjectRef<T> {
    /// Blocks until the value is there, and returns it.
    ///
    /// Each call decodes the value, and so copies it. [`view`](ObjectRef::view) reads large arrays
    /// in place. Arrays inside of the value are not copied. In a remote function, the worker runs
    /// other tasks in the meantime.
    ///
    /// Each ref inside of the value costs 50 to 100 ns and about 130 bytes. With 64 refs or more,
    /// only the first call pays that, since this ref keeps theirs until it is dropped. Further
    /// calls take a third of the time.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn divide(a: u32, b: u32) -> Result<u32, String> {
    ///     a.checked_div(b).ok_or("division by zero".to_owned())
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.spawn(divide::remote(6, 3)).get()?, 2);
    /// let error = rt.spawn(divide::remote(6, 0)).get().unwrap_err();
    /// assert!(error.is_application() && error.to_string().contains("division by zero"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The task has failed (see the predicates of [`Error`]), or the runtime was shut down.
    pub fn get(&self) -> Result<T> {
        decode_value(self.payload()?)
    }

    /// Blocks until the value is there, for up to `limit`, and returns it. A limit of zero looks
    /// without waiting.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// #[remote]
    /// fn slow_square(n: u64) -> u64 {
    ///     std::thread::sleep(Duration::from_millis(100));
    ///     n * n
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let result = rt.spawn(slow_square::remote(3));
    /// assert!(result.get_timeout(Duration::ZERO).unwrap_err().is_timeout());
    /// assert_eq!(result.get_timeout(Duration::from_secs(60))?, 9);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`get`](Self::get), and [`is_timeout`](Error::is_timeout) after the limit. The
    /// task goes on then, and a later `get` can succeed.
    pub fn get_timeout(&self, limit: Duration) -> Result<T> {
        self.ready(Some(limit))?;
        decode_value(self.entry.payload()?)
    }

    fn poll_value(&self, context: &mut Context<'_>) -> Poll<Result<T>> {
        ready!(self.poll_ready(context))?;
        Poll::Ready(self.entry.payload().and_then(decode_value))
    }
}

/// Vectors of plain elements are stored as shared arrays.
impl<E: Plain> ObjectRef<Vec<E>> {
    /// Blocks until the elements are there, and returns them in place, without a copy.
    ///
    /// The array keeps the object in the store for as long as it lives.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn ramp(n: u32) -> Vec<u32> {
    ///     (0..n).collect()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let numbers = rt.spawn(ramp::remote(100_000)).view()?;
    /// assert_eq!(numbers[99_999], 99_999);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// * The errors of [`get`](Self::get).
    /// * A type mismatch, if the vector was not stored as plain elements. This happens where a
    ///   vector of a struct was put as a `Vec` and no remote function has that type in its
    ///   signature. Put a slice of it then.
    pub fn view(&self) -> Result<Array<E>> {
        let payload = self.payload()?;
        if let Format::Packed { .. } = payload.format {
            return Err(Error::type_mismatch(format!(
                "this `Vec<{}>` was not stored as plain elements, because no remote function has that type in its signature; put it as a slice: `put(&vec[..])`",
                type_name::<E>()
            )));
        }
        read_flat_1::<Array<E>, E>(payload)
    }

    /// Returns a ref of the same object as a shared array. Then `get`, `.await` and values that
    /// contain it copy no elements.
    ///
    /// # Examples
    /// ```
    /// use mobula::{Array, prelude::*};
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let vector: ObjectRef<Vec<f64>> = rt.put(&vec![1.5; 1000])?;
    /// let array: Array<f64> = vector.as_array().get()?;
    /// assert_eq!(array[999], 1.5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn as_array(&self) -> ObjectRef<Array<E>> {
        ObjectRef::from_entry(self.entry.clone())
    }
}

impl<E: Plain> ObjectRef<Array<E>> {
    /// Blocks until the elements are there, and returns them in place, without a copy.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let ones = rt.put_with(1000, |out: &mut [f64]| out.fill(1.0))?;
    /// assert_eq!(ones.view()?.iter().sum::<f64>(), 1000.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`get`](Self::get).
    pub fn view(&self) -> Result<Array<E>> {
        read_flat_1::<Array<E>, E>(self.payload()?)
    }
}

impl<E: Plain> From<ObjectRef<Vec<E>>> for ObjectRef<Array<E>> {
    fn from(vec: ObjectRef<Vec<E>>) -> ObjectRef<Array<E>> {
        ObjectRef::from_entry(vec.entry)
    }
}

impl<E: Plain> From<ObjectRef<Array<E>>> for ObjectRef<Vec<E>> {
    fn from(array: ObjectRef<Array<E>>) -> ObjectRef<Vec<E>> {
        ObjectRef::from_entry(array.entry)
    }
}

impl<T: Value> Future for ObjectRef<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.poll_value(context)
    }
}

/// A borrow is a future, too, so that a ref can be awaited and passed on.
impl<T: Value> Future for &ObjectRef<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.poll_value(context)
    }
}

impl<T> Clone for ObjectRef<T> {
    fn clone(&self) -> ObjectRef<T> {
        ObjectRef::from_entry(self.entry.clone())
    }
}

impl<T> PartialEq for ObjectRef<T> {
    /// Returns whether both refs are of the same object.
    fn eq(&self, other: &ObjectRef<T>) -> bool {
        self.entry.is_same_object(&other.entry)
    }
}

impl<T> Eq for ObjectRef<T> {}

impl<T> Hash for ObjectRef<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entry.id().hash(state);
    }
}

impl<T> fmt::Debug for ObjectRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectRef<{}>({:?})", type_name::<T>(), self.entry)
    }
}

impl<T: 'static> Serialize for ObjectRef<T> {
    /// Works for values that go through Mobula only; elsewhere it is an error.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let handle = Handle::Ref(Arc::clone(&self.entry) as _);
        serialize_handle(serializer, HandleKind::Ref, type_tag::<T>(), handle)
    }
}

impl<'de, T: 'static> Deserialize<'de> for ObjectRef<T> {
    /// Works for values that come through Mobula only; elsewhere it is an error.
    fn deserialize<D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<ObjectRef<T>, D::Error> {
        match deserialize_handle(deserializer, HandleKind::Ref, type_tag::<T>())? {
            Handle::Ref(entry) => match entry.downcast::<ObjectHandle>() {
                Ok(entry) => Ok(ObjectRef::from_entry(entry)),
                Err(_) => Err(de::Error::custom("a ref that is not one of this engine's")),
            },
            Handle::Array(_) => Err(de::Error::custom("an array where a ref should be")),
        }
    }
}
