//! Puts values into a queue.

use std::{future::Future, slice, time::Duration};

use mobula_protocol::{CallArg, Result, message::Args};

use super::{
    Queue,
    asked::{Asked, Done, engine_of},
    late,
};
use crate::{Value, typed::codecs::encode_value, typed::place::Place};

impl<T: Value> Queue<T> {
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

    fn putting(&self, values: &[T], waits: bool, limit: Option<Duration>) -> Result<Asked> {
        Asked::put(&self.entry, self.encode(values)?, waits, limit)
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
