//! The results of a map one by one.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use mobula_protocol::Result;

use super::{
    feed::{Feed, Finished},
    gather::at,
};
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

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> Iterator for MapIter<I, R> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Result<R>> {
        loop {
            if let Some(result) = self.now.as_mut().and_then(Finished::next) {
                let place = self.next;
                self.next += 1;
                return Some(result.map_err(|error| at(place, error)));
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
                return None;
            }
            self.feed.wait();
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

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> Iterator for MapUnordered<I, R> {
    type Item = (usize, Result<R>);

    fn next(&mut self) -> Option<(usize, Result<R>)> {
        loop {
            if let Some((place, results)) = &mut self.now
                && let Some(result) = results.next()
            {
                let own = *place;
                *place += 1;
                return Some((own, result.map_err(|error| at(own, error))));
            }
            self.now = self.feed.take_finished();
            if self.now.is_some() {
                continue;
            }
            self.feed.fill(usize::MAX);
            if self.feed.is_over() {
                return None;
            }
            self.feed.wait();
        }
    }
}

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
