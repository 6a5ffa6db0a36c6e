//! The results of a map one by one.

#[cfg(feature = "stream")]
use std::pin::Pin;
use std::{
    fmt,
    marker::PhantomData,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use mobula_protocol::{Error, Result};

use super::{
    early::Early,
    feed::{Feed, Finished},
    gather::at,
};
#[cfg(feature = "stream")]
use crate::typed::turn::in_turn;
use crate::typed::{UnspawnedCall, Value};

/// The results of a [`Map`](super::Map) in the order of its calls.
///
/// Each result is the value of a call, or its failure. A failure does not end the others. An
/// iterator that is dropped before its end sends no further calls, and cancels those on their way.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let mut results = rt.map_fn(square::remote, 0..).iter(); // endless
/// let mut next = || results.next().unwrap();
/// assert_eq!((next()?, next()?, next()?), (0, 1, 4));
/// # Ok(())
/// # }
/// ```
#[must_use = "iterators do nothing unless they are consumed"]
pub struct MapIter<I, R> {
    feed: Feed<I>,
    /// The results that are being returned.
    now: Option<Finished>,
    /// Results that came before their turn, by the place of the first result.
    early: Early<Finished>,
    next: usize,
    value: PhantomData<fn() -> R>,
}

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> MapIter<I, R> {
    pub(super) fn new(feed: Feed<I>) -> MapIter<I, R> {
        MapIter {
            feed,
            now: None,
            early: Early::new(),
            next: 0,
            value: PhantomData,
        }
    }
}

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> MapIter<I, R> {
    /// Blocks until a call or a batch is finished.
    pub(super) fn block(&self) {
        self.feed.wait(None);
    }

    /// Registers a waker for the end of a call or a batch. Returns `false` if one is finished.
    pub(super) fn subscribe(&self, context: &Context<'_>) -> bool {
        self.feed.subscribe(context.waker())
    }

    /// Takes ready results and sends calls, without blocking. Returns the next result if it is
    /// ready.
    pub(super) fn step(&mut self) -> Poll<Option<Result<R>>> {
        loop {
            if let Some(result) = self.now.as_mut().and_then(Finished::next) {
                let place = self.next;
                self.next += 1;
                return Poll::Ready(Some(result.map_err(|error| at(place, error))));
            }
            self.now = self.early.remove(self.next);
            if self.now.is_some() {
                continue;
            }
            while let Some((first, results)) = self.feed.take_finished() {
                self.early.insert(first, results);
            }
            // A ready result is returned before the iterator makes further calls.
            if self.early.contains(self.next) {
                continue;
            }
            let ahead = self.feed.window().saturating_sub(self.early.len());
            self.feed.fill(ahead.max(1));
            if self.feed.is_over() {
                return Poll::Ready(None);
            }
            return Poll::Pending;
        }
    }
}

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> Iterator for MapIter<I, R> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Result<R>> {
        loop {
            match self.step() {
                Poll::Ready(next) => return next,
                Poll::Pending => self.feed.wait(None),
            };
        }
    }
}

/// The results of a [`Map`](super::Map) in the order in which they become ready, each with the
/// place of its call.
///
/// A failure does not end the others. An iterator that is dropped before its end sends no further
/// calls, and cancels those on their way.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn is_prime(n: u64) -> bool {
///     n > 1 && (2..n).all(|d| n % d != 0)
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(2).start()?;
/// let mut found = rt.map_fn(is_prime::remote, 0..).unordered();
/// let prime = found.find(|(n, prime)| *n > 1000 && matches!(prime, Ok(true)));
/// assert!(prime.is_some()); // the map sends no further calls
/// # Ok(())
/// # }
/// ```
#[must_use = "iterators do nothing unless they are consumed"]
pub struct MapUnordered<I, R> {
    feed: Feed<I>,
    now: Option<(usize, Finished)>,
    value: PhantomData<fn() -> R>,
}

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> MapUnordered<I, R> {
    pub(super) fn new(feed: Feed<I>) -> MapUnordered<I, R> {
        MapUnordered {
            feed,
            now: None,
            value: PhantomData,
        }
    }
}

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> MapUnordered<I, R> {
    /// Takes ready results and sends calls, without blocking. Returns the next result if it is
    /// ready.
    fn step(&mut self) -> Poll<Option<(usize, Result<R>)>> {
        loop {
            if let Some((place, results)) = &mut self.now
                && let Some(result) = results.next()
            {
                let own = *place;
                *place += 1;
                return Poll::Ready(Some((own, result.map_err(|error| at(own, error)))));
            }
            self.now = self.feed.take_finished();
            if self.now.is_some() {
                continue;
            }
            self.feed.fill(usize::MAX);
            if self.feed.is_over() {
                return Poll::Ready(None);
            }
            return Poll::Pending;
        }
    }
}

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> Iterator for MapUnordered<I, R> {
    type Item = (usize, Result<R>);

    fn next(&mut self) -> Option<(usize, Result<R>)> {
        loop {
            match self.step() {
                Poll::Ready(next) => return next,
                Poll::Pending => self.feed.wait(None),
            };
        }
    }
}

/// Adds a time limit and a stream to both kinds of iterators.
macro_rules! more {
    ($iterator:ident, $stream:ident, $item:ty) => {
        impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> $iterator<I, R> {
            /// Blocks until the next result is there, for up to `limit`, and returns it; `Ok(None)`
            /// at the end.
            ///
            /// The time that the iterator of the calls takes does not count.
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
            /// let mut results = rt.map_fn(slow_square::remote, 5..7).iter();
            /// assert!(results.next_timeout(Duration::from_millis(1)).unwrap_err().is_timeout());
            /// assert_eq!(results.next_timeout(Duration::from_secs(60))?.unwrap()?, 25);
            ///
            /// let mut unordered = rt.map_fn(slow_square::remote, 5..6).unordered();
            /// let (place, result) = unordered.next_timeout(Duration::from_secs(60))?.unwrap();
            /// assert_eq!((place, result?), (0, 25));
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// # Errors
            /// [`is_timeout`](Error::is_timeout): the limit has passed. Nothing is lost, and a
            /// later call can succeed.
            pub fn next_timeout(&mut self, limit: Duration) -> Result<Option<$item>> {
                // A limit that overflows `Instant` is no limit.
                let deadline = Instant::now().checked_add(limit);
                loop {
                    if let Poll::Ready(next) = self.step() {
                        return Ok(next);
                    }
                    if !self.feed.wait(deadline) {
                        return Err(Error::timeout(format!(
                            "no result of the map was there within {limit:?}; its calls go on"
                        )));
                    }
                }
            }

            /// Returns a stream of the results, for asynchronous code. Dropping the future of the
            /// next result, as `select!` does, loses nothing. Needs the feature `stream`.
            ///
            /// # Examples
            /// ```
            /// # use mobula::prelude::*;
            /// use futures::TryStreamExt;
            ///
            /// #[remote]
            /// fn square(n: u64) -> u64 {
            ///     n * n
            /// }
            ///
            /// # #[mobula::main]
            /// # async fn main() -> mobula::Result<()> {
            /// # let rt = Runtime::builder().workers(1).start()?;
            /// let squares = rt.map_fn(square::remote, 0..10).iter().stream();
            /// let total: u64 = squares.try_fold(0, async |sum, n| Ok(sum + n)).await?;
            /// assert_eq!(total, 285);
            /// # Ok(())
            /// # }
            /// ```
            #[cfg(feature = "stream")]
            #[cfg_attr(docsrs, doc(cfg(feature = "stream")))]
            pub fn stream(self) -> $stream<I, R> {
                $stream(self)
            }
        }

        #[doc = concat!("A [`", stringify!($iterator), "`] for asynchronous code. Needs the feature `stream`.")]
        ///
        /// # Examples
        /// ```
        /// # use mobula::prelude::*;
        /// use futures::StreamExt;
        ///
        /// #[remote]
        /// fn square(n: u64) -> u64 {
        ///     n * n
        /// }
        ///
        /// # #[mobula::main]
        /// # async fn main() -> mobula::Result<()> {
        /// # let rt = Runtime::builder().workers(1).start()?;
        /// let map = || rt.map_fn(square::remote, 0..10);
        /// assert_eq!(map().iter().stream().count().await, 10);
        /// assert_eq!(map().unordered().stream().count().await, 10);
        /// # Ok(())
        /// # }
        /// ```
        #[cfg(feature = "stream")]
        #[cfg_attr(docsrs, doc(cfg(feature = "stream")))]
        #[must_use = "streams do nothing unless they are polled"]
        pub struct $stream<I, R>($iterator<I, R>);

        #[cfg(feature = "stream")]
        impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> futures_core::Stream for $stream<I, R> {
            type Item = $item;

            fn poll_next(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<Option<$item>> {
                let results = &mut self.0;
                in_turn(context, |context| {
                    loop {
                        if let Poll::Ready(next) = results.step() {
                            return Poll::Ready(next);
                        }
                        if results.feed.subscribe(context.waker()) {
                            return Poll::Pending;
                        }
                    }
                })
            }
        }

        // The stream pins none of its fields. It calls the iterator through `&mut`.
        #[cfg(feature = "stream")]
        impl<I, R> Unpin for $stream<I, R> {}

        #[cfg(feature = "stream")]
        impl<I, R> fmt::Debug for $stream<I, R> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($stream)).field(&self.0).finish()
            }
        }
    };
}

more!(MapIter, MapStream, Result<R>);
more!(MapUnordered, MapUnorderedStream, (usize, Result<R>));

impl<I, R> fmt::Debug for MapIter<I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapIter")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl<I, R> fmt::Debug for MapUnordered<I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapUnordered").finish_non_exhaustive()
    }
}
