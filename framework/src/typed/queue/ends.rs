//! Iterators and streams over all values of a queue, up to its end.

use std::fmt;

use mobula_protocol::Result;

use super::Queue;
use crate::Value;

impl<T: Value> Queue<T> {
    /// Returns an iterator that takes values out one by one.
    ///
    /// It blocks while there is none, and ends when the queue is [closed](Self::close) and empty.
    /// It also ends after it has returned an error.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(10)?;
    /// queue.put_all(&[1, 2, 3])?;
    /// queue.close()?;
    /// let mut total = 0;
    /// for value in queue.iter() { // or `in &queue`
    ///     total += value?;
    /// }
    /// assert_eq!(total, 6);
    /// # Ok(())
    /// # }
    /// ```
    pub fn iter(&self) -> QueueIter<T> {
        QueueIter {
            queue: Some(self.clone()),
        }
    }

    /// Returns a stream of the values, for asynchronous code. Needs the feature `stream`.
    ///
    /// A value is not lost when the stream, or the future of its next value, is dropped.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use futures::TryStreamExt;
    ///
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(10)?;
    /// queue.put_all(&[1, 2, 3])?;
    /// queue.close()?;
    /// let values: Vec<u32> = queue.stream().try_collect().await?;
    /// assert_eq!(values, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "stream")]
    pub fn stream(&self) -> QueueStream<T> {
        QueueStream {
            queue: Some(self.clone()),
            next: None,
        }
    }
}

/// Takes values out of a [`Queue`] until it is closed and empty. [`Queue::iter`] returns it.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let queue = rt.queue(10)?;
/// queue.put_all(&[1, 2, 3])?;
/// let mut values = queue.iter();
/// assert_eq!(values.next().unwrap()?, 1);
/// assert_eq!(queue.len()?, 2);
/// # Ok(())
/// # }
/// ```
#[must_use = "iterators do nothing unless they are consumed"]
pub struct QueueIter<T> {
    queue: Option<Queue<T>>,
}

impl<T: Value> Iterator for QueueIter<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        let got = self.queue.as_ref()?.get();
        if got.is_err() {
            self.queue = None;
        }
        unless_closed(got)
    }
}

/// Returns the item of an iterator, or `None` at the end of the queue.
fn unless_closed<T>(got: Result<T>) -> Option<Result<T>> {
    match got {
        Err(error) if error.is_closed() => None,
        got => Some(got),
    }
}

impl<T: Value> IntoIterator for Queue<T> {
    type Item = Result<T>;
    type IntoIter = QueueIter<T>;

    /// See [`iter`](Queue::iter).
    fn into_iter(self) -> QueueIter<T> {
        QueueIter { queue: Some(self) }
    }
}

impl<T: Value> IntoIterator for &Queue<T> {
    type Item = Result<T>;
    type IntoIter = QueueIter<T>;

    /// See [`iter`](Queue::iter).
    fn into_iter(self) -> QueueIter<T> {
        self.iter()
    }
}

impl<T> fmt::Debug for QueueIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QueueIter").field(&self.queue).finish()
    }
}

#[cfg(feature = "stream")]
mod stream {
    use std::{
        fmt,
        future::Future,
        pin::Pin,
        task::{Context, Poll, ready},
    };

    use super::{Queue, Result, Value, unless_closed};

    /// Takes values out of a [`Queue`] until it is closed and empty, for asynchronous code.
    /// [`Queue::stream`] returns it.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use futures::StreamExt;
    ///
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let queue = rt.queue(10)?;
    /// queue.put_all(&[1, 2, 3])?;
    /// let mut values = queue.stream();
    /// assert_eq!(values.next().await.unwrap()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "streams do nothing unless they are polled"]
    pub struct QueueStream<T> {
        pub(super) queue: Option<Queue<T>>,
        pub(super) next: Option<Pin<Box<dyn Future<Output = Result<T>> + Send>>>,
    }

    impl<T: Value> futures_core::Stream for QueueStream<T> {
        type Item = Result<T>;

        fn poll_next(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<T>>> {
            let this = &mut *self;
            let Some(queue) = &this.queue else {
                return Poll::Ready(None);
            };
            let next = (this.next).get_or_insert_with(|| Box::pin(queue.get_async()));
            let got = ready!(next.as_mut().poll(context));
            this.next = None;
            if got.is_err() {
                this.queue = None;
            }
            Poll::Ready(unless_closed(got))
        }
    }

    impl<T> fmt::Debug for QueueStream<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_tuple("QueueStream").field(&self.queue).finish()
        }
    }
}

#[cfg(feature = "stream")]
pub use stream::QueueStream;
