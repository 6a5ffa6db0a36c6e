//! Maps: many calls, and all of their results.

mod feed;
mod gather;
mod iter;
mod sizes;

use std::{fmt, future::IntoFuture, sync::Arc};

use mobula_protocol::{Engine, Result};

use super::{UnspawnedCall, Value};
use gather::Gather;

pub use gather::MapFuture;
pub use iter::{MapIter, MapUnordered};
#[cfg(feature = "stream")]
pub use iter::{MapStream, MapUnorderedStream};

/// Many calls and how to run them: what [`Runtime::map`](crate::Runtime::map) and
/// [`Runtime::map_fn`](crate::Runtime::map_fn) return.
///
/// It does nothing until it is asked for its results:
///
/// * [`get`](Self::get), or awaiting it, gives all values in the order of the calls;
/// * iterating over it gives a `Result` for each call, in order, while later ones still run;
/// * [`unordered`](Self::unordered) gives each as soon as it is there, with its place.
///
/// # How the calls run
///
/// Calls are taken from the iterator as workers have room for them, some milliseconds of work
/// ahead. Short calls are sent many at a time: from one at the beginning to as many as take five
/// milliseconds, by the time that the calls so far have taken, and fewer towards the end. A batch
/// whose worker turns out to be busy goes to another one. So a single long call delays only what
/// was sent together with it, by five milliseconds at most. [`chunk_size`](Self::chunk_size) sets a
/// number instead.
///
/// A map that is left before its end (a `break`, a dropped future, a failure in
/// [`get`](Self::get)) sends no further calls and [cancels](crate::Cancel) those on their way.
///
/// The iterator is asked for calls ahead of their results. One that waits for results of the same
/// map waits for ever; use [`as_completed`](crate::Runtime::as_completed) where results lead to
/// further calls.
///
/// Calls of an `async fn`, with parts of a shared array, with values that contain refs, locks or
/// other handles, with inputs that are pending, or that may run again after an error are sent one
/// by one.
///
/// When a worker dies, the calls that were sent together fail with the crash, those too that had
/// ended or had not begun. With `retries` each of them runs again by itself, as a task of its own,
/// so only the one fails that ends its worker each time. That counts as one of its retries.
///
/// Calls that were sent together run one after the other. One that waits for another call of the
/// same map, by means of a file or a named actor, may wait for ever: `chunk_size(1)` excludes that.
///
/// # Example
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn weigh(samples: &[f64], scale: f64) -> f64 {
///     scale * samples.iter().sum::<f64>()
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// let rt = Runtime::start()?;
/// let samples = rt.put(&[1.0, 2.0, 3.5][..])?;
/// let calls = (0..1000).map(|scale| weigh::remote(&samples, f64::from(scale)));
/// let weights: Vec<f64> = rt.map(calls).get()?;
/// assert_eq!(weights[2], 13.0);
/// # Ok(())
/// # }
/// ```
#[must_use = "a map does nothing until it is awaited, iterated over, or `.get()` is called"]
pub struct Map<I> {
    engine: Arc<dyn Engine>,
    calls: I,
    chunk_size: Option<usize>,
}

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> Map<I> {
    pub(crate) fn new(engine: &Arc<dyn Engine>, calls: I) -> Map<I> {
        Map {
            engine: engine.clone(),
            calls,
            chunk_size: None,
        }
    }

    /// Sends so many calls at a time, as far as they fit into 15 KiB; 0 is taken as 1.
    pub fn chunk_size(mut self, calls: usize) -> Map<I> {
        self.chunk_size = Some(calls.max(1));
        self
    }

    /// Runs all calls, and blocks until all values are there. They are in the order of the calls.
    ///
    /// Inside of a remote function the worker runs other tasks in the meantime.
    ///
    /// # Errors
    /// The first failure that becomes known, which says the place of its call. No further calls are
    /// sent then, and those on their way are [cancelled](crate::Cancel).
    pub fn get(self) -> Result<Vec<R>> {
        Gather::new(self.feed()).run()
    }

    /// The result of each call, in the order of the calls; the same as iterating over the map.
    ///
    /// Blocks for the next one. Calls are sent ahead of the one that is waited for, up to 64 for
    /// each worker with those whose results wait to be taken.
    pub fn iter(self) -> MapIter<I, R> {
        MapIter::new(self.feed())
    }

    /// The place and the result of each call, as soon as it is there.
    pub fn unordered(self) -> MapUnordered<I, R> {
        MapUnordered::new(self.feed())
    }

    fn feed(self) -> feed::Feed<I> {
        feed::Feed::new(self.engine, self.calls, self.chunk_size)
    }
}

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> IntoFuture for Map<I> {
    type Output = Result<Vec<R>>;
    type IntoFuture = MapFuture<I, R>;

    /// The values of all calls, in the order of the calls; see [`get`](Map::get).
    fn into_future(self) -> MapFuture<I, R> {
        MapFuture::new(Gather::new(self.feed()))
    }
}

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> IntoIterator for Map<I> {
    type Item = Result<R>;
    type IntoIter = MapIter<I, R>;

    fn into_iter(self) -> MapIter<I, R> {
        self.iter()
    }
}

impl<I> fmt::Debug for Map<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("chunk_size", &self.chunk_size)
            .finish_non_exhaustive()
    }
}
