//! A queue to its end: iterators and streams.

use std::fmt;

use mobula_protocol::Result;

use super::Queue;
use crate::Value;

impl<T: Value> Queue<T> {
    /// The values as they come: the iterator takes them out one by one, blocks while there is none,
    /// and ends when the queue is [closed](Self::close) and empty.
    ///
    /// After an error of another kind, which it gives out, it ends too.
    pub fn iter(&self) -> QueueIter<T> {
        QueueIter {
            queue: Some(self.clone()),
        }
    }

    /// As [`iter`](Self::iter), for asynchronous code. A value is not lost when the stream, or the
    /// future of its next value, is dropped. Needs the feature `stream`.
    #[cfg(feature = "stream")]
    pub fn stream(&self) -> QueueStream<T> {
        QueueStream {
            queue: Some(self.clone()),
            next: None,
        }
    }
}

/// Takes values out of a [`Queue`] until it is closed and empty.
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

/// What is given out; nothing at the end.
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

    /// Takes values out of a [`Queue`] until it is closed and empty.
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
