//! Takes values out of a queue.

use std::{future::Future, time::Duration};

use mobula_protocol::{Error, Result};

use super::{
    Queue,
    asked::{Asked, Done},
    late,
};
use crate::{Value, typed::codecs::decode_value};

impl<T: Value> Queue<T> {
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

    fn getting(&self, count: usize, waits: bool, limit: Option<Duration>) -> Result<Asked> {
        self.check(count)?;
        Asked::get(&self.entry, count, waits, limit)
    }
}

fn taken_out<T: Value>(got: Option<Done>, limit: Option<Duration>) -> Result<Vec<T>> {
    match got {
        Some(done) => decoded(done),
        None => Err(late("there were not enough values in the queue", limit)),
    }
}

fn decoded<T: Value>(mut done: Done) -> Result<Vec<T>> {
    done.values.drain(..).map(decode_value).collect()
}

/// Returns the value of an answer that has one.
fn only<T>(values: Vec<T>) -> Result<T> {
    let value = values.into_iter().next();
    value.ok_or_else(|| Error::internal("a queue gave no value"))
}
