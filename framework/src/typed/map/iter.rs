//! The results of a map one by one.

use std::{
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    task::Poll,
    time::{Duration, Instant},
};
#[cfg(feature = "stream")]
use std::{pin::Pin, task::Context};

use mobula_protocol::{Error, Result};

use super::{
    feed::{Feed, Finished},
    gather::at,
};
#[cfg(feature = "stream")]
use crate::typed::turn::in_turn;
use crate::typed::{UnspawnedCall, Value};

/// The results of a [`Map`](super::Map) in the order of its calls.
///
/// Each is what the call gave or how it failed; a failure does not end the others. Dropped before
/// its end, it sends no further calls and cancels those on their way.
#[must_use = "iterators do nothing unless they are consumed"]
pub struct MapIter<I, R> {
    feed: Feed<I>,
    /// What is being given out.
    now: Option<Finished>,
    /// What came before its turn, by the place of the first of them.
    early: BTreeMap<usize, Finished>,
    next: usize,
    value: PhantomData<fn() -> R>,
}

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> MapIter<I, R> {
    pub(super) fn new(feed: Feed<I>) -> MapIter<I, R> {
        MapIter {
            feed,
            now: None,
            early: BTreeMap::new(),
            next: 0,
            value: PhantomData,
        }
    }
}

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> MapIter<I, R> {
    /// Does what can be done without waiting; the next result, when it is there.
    fn step(&mut self) -> Poll<Option<Result<R>>> {
        loop {
            if let Some(result) = self.now.as_mut().and_then(Finished::next) {
                let place = self.next;
                self.next += 1;
                return Poll::Ready(Some(result.map_err(|error| at(place, error))));
            }
            self.now = self.early.remove(&self.next);
            if self.now.is_some() {
                continue;
            }
            while let Some((first, results)) = self.feed.take_finished() {
                self.early.insert(first, results);
            }
            // What is there comes before what the iterator has to make.
            if self.early.contains_key(&self.next) {
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

/// The results of a [`Map`](super::Map) as they come, each with the place of its call.
///
/// A failure does not end the others. Dropped before its end, it sends no further calls and cancels
/// those on their way.
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
    /// Does what can be done without waiting; the next result, when it is there.
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

/// What both kinds of iterators have besides: a limit of time, and a stream.
macro_rules! more {
    ($iterator:ident, $stream:ident, $item:ty) => {
        impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> $iterator<I, R> {
            /// The next result, when it is there. Blocks for at most this long, but for the time
            /// that the iterator of the calls takes; `Ok(None)` at the end.
            ///
            /// # Errors
            /// [`is_timeout`](Error::is_timeout): the limit has passed. Nothing is lost, and a later
            /// call can succeed.
            pub fn next_timeout(&mut self, limit: Duration) -> Result<Option<$item>> {
                // A limit beyond the end of time is none.
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

            /// The same for asynchronous code. Dropping the future of the next result, as `select!`
            /// does, loses nothing. Needs the feature `stream`.
            #[cfg(feature = "stream")]
            #[cfg_attr(docsrs, doc(cfg(feature = "stream")))]
            pub fn stream(self) -> $stream<I, R> {
                $stream(self)
            }
        }

        #[doc = concat!("A [`", stringify!($iterator), "`] for asynchronous code. Needs the feature `stream`.")]
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

        // Nothing in it is pinned: the iterator is called through `&mut`.
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
