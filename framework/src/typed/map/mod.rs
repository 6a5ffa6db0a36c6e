//! Maps: many calls, and all of their results.

mod early;
mod feed;
mod fold;
mod gather;
mod iter;
mod sizes;
mod tree;
mod tree_reduce;
mod tree_tasks;

use std::{fmt, future::IntoFuture, sync::Arc};

use mobula_protocol::{Engine, Result};

use super::{ObjectRef, UnspawnedCall, Value};
use crate::bars::Bar;
use gather::Gather;

pub use fold::MapFold;
pub use gather::MapFuture;
pub use iter::{MapIter, MapUnordered};
#[cfg(feature = "stream")]
pub use iter::{MapStream, MapUnorderedStream};
pub use tree_reduce::TreeReduce;
pub(crate) use tree_reduce::tree_reduce;

/// Many calls and how to run them. [`Runtime::map`](crate::Runtime::map) and
/// [`Runtime::map_fn`](crate::Runtime::map_fn) return it.
///
/// It does nothing until it is asked for its results:
///
/// * [`get`](Self::get), or awaiting it, gives all values in the order of the calls;
/// * iterating over it gives a `Result` for each call, in order, while later calls still run;
/// * [`unordered`](Self::unordered) gives each result as soon as it is there, with its place;
/// * [`fold`](Self::fold) and [`reduce`](Self::reduce) combine the values in this process, in the
///   order of the calls, while later ones still run;
/// * [`tree_reduce`](Self::tree_reduce) combines them by a remote function on the workers.
///
/// # How the calls run
///
/// The map takes calls from the iterator when workers have room, some milliseconds of work ahead.
/// It sends short calls many at a time, in *batches*. The first batch is one call. Later ones are
/// as many calls as take 5 ms, by the measured time, and fewer towards the end. On a Ray cluster,
/// where a task costs more, it is 100 ms. A batch whose worker is busy goes to another worker. So a
/// single long call delays only its own batch, by that time at most.
/// [`chunk_size`](Self::chunk_size) sets a number instead.
///
/// A map that is left before its end sends no further calls, and [cancels](crate::Cancel) those on
/// their way. A `break`, a dropped future and a failure in [`get`](Self::get) leave it.
///
/// The map asks the iterator for calls ahead of their results. An iterator that waits for results
/// of the same map waits for ever. Where results lead to further calls, use
/// [`as_completed`](crate::Runtime::as_completed).
///
/// Some calls are sent one by one:
///
/// * calls of an `async fn`;
/// * calls with parts of a shared array, or with values that contain refs, locks or other handles;
/// * calls whose inputs are pending;
/// * calls that may run again after an error, or have a limit of time or of calls in a worker.
///
/// When a worker dies, all calls of its batch fail with the crash, also those that had ended or had
/// not begun. With `retries` each of them runs again by itself, as a task of its own. So only the
/// call that ends its worker each time fails. This run counts as one of its retries.
///
/// The calls of a batch run one after the other. A call that waits for another call of the same
/// map, by means of a file or a named actor, may wait for ever. `chunk_size(1)` excludes that.
///
/// # Examples
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
    /// The name of the progress bar, if the program has asked for one.
    bar: Option<String>,
}

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> Map<I> {
    pub(crate) fn new(engine: &Arc<dyn Engine>, calls: I) -> Map<I> {
        Map {
            engine: engine.clone(),
            calls,
            chunk_size: None,
            bar: None,
        }
    }

    /// Sets the number of calls that are sent at a time, as far as they fit into 15 KiB. 0 counts
    /// as 1.
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
    /// let squares = rt.map_fn(square::remote, 0..100).chunk_size(25).get()?;
    /// assert_eq!(squares[99], 9801);
    /// # Ok(())
    /// # }
    /// ```
    pub fn chunk_size(mut self, calls: usize) -> Map<I> {
        self.chunk_size = Some(calls.max(1));
        self
    }

    /// Runs all calls, blocks until all values are there, and returns them in the order of the
    /// calls.
    ///
    /// In a remote function the worker runs other tasks in the meantime.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn root(x: f64) -> Result<f64, String> {
    ///     if x < 0.0 { Err(format!("{x} has no root")) } else { Ok(x.sqrt()) }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.map_fn(root::remote, [1.0, 4.0, 9.0]).get()?, [1.0, 2.0, 3.0]);
    /// let error = rt.map_fn(root::remote, [1.0, -4.0]).get().unwrap_err();
    /// assert!(error.to_string().contains("-4 has no root"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The first failure that becomes known, with the place of its call. Then the map sends no
    /// further calls, and [cancels](crate::Cancel) those on their way.
    pub fn get(self) -> Result<Vec<R>> {
        Gather::new(self.feed()).run()
    }

    /// Returns an iterator over the result of each call, in the order of the calls. Iterating over
    /// the map does the same.
    ///
    /// The iterator blocks for the next result. It sends calls ahead of the result that is waited
    /// for, up to 64 for each worker. Results that wait to be taken count among them.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn parse(text: &str) -> Result<i32, std::num::ParseIntError> {
    ///     text.parse()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let results = rt.map_fn(parse::remote, ["1", "two", "3"]).iter();
    /// let good: Vec<i32> = results.filter_map(Result::ok).collect();
    /// assert_eq!(good, [1, 3]); // a failure does not end the others
    /// # Ok(())
    /// # }
    /// ```
    pub fn iter(self) -> MapIter<I, R> {
        MapIter::new(self.feed())
    }

    /// Returns an iterator over the place and the result of each call, in the order in which
    /// results become ready.
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
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// for (place, result) in rt.map_fn(square::remote, 100..200).unordered() {
    ///     let n = 100 + place as u64;
    ///     assert_eq!(result?, n * n);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn unordered(self) -> MapUnordered<I, R> {
        MapUnordered::new(self.feed())
    }

    /// Combines the values with `init` in this process, from the first call to the last:
    /// `f(f(f(init, first), second), third)`, and so on.
    ///
    /// Each value is folded when it and all before it are there, while later calls still run. So
    /// `f` need be neither associative nor commutative, and only values that came before their turn
    /// are kept. A slow `f` delays the calls to come, since it runs on the thread that sends them.
    /// Nothing runs until [`get`](MapFold::get) is called or the fold is awaited.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn digit(n: u64) -> u64 {
    ///     n % 10
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let digits = rt.map_fn(digit::remote, [21, 32, 43]);
    /// let number = digits.fold(0, |number, digit| 10 * number + digit).get()?;
    /// assert_eq!(number, 123);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fold<A, F: FnMut(A, R) -> A>(self, init: A, f: F) -> MapFold<I, R, A, F> {
        MapFold::new(self.iter(), init, f)
    }

    /// Combines the values in this process as [`fold`](Self::fold) does, beginning with the first
    /// value. The result is `None` if there are no calls.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn score(n: i64) -> i64 {
    ///     100 - (n - 7).pow(2)
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let best = rt.map_fn(score::remote, 0..20).reduce(i64::max).get()?;
    /// assert_eq!(best, Some(100));
    /// assert_eq!(rt.map_fn(score::remote, 0..0).reduce(i64::max).get()?, None);
    /// # Ok(())
    /// # }
    /// ```
    #[expect(clippy::type_complexity, reason = "the type of a closure has no name")]
    pub fn reduce(
        self,
        mut f: impl FnMut(R, R) -> R,
    ) -> MapFold<I, R, Option<R>, impl FnMut(Option<R>, R) -> Option<R>> {
        self.fold(None, move |all: Option<R>, value| {
            Some(match all {
                Some(all) => f(all, value),
                None => value,
            })
        })
    }

    /// Combines the values by tasks, two neighbours at a time, in the order of the calls. `f` makes
    /// a call of a remote function of two values, and its result goes on to the next combination.
    ///
    /// The function must be associative: `f(f(a, b), c)` must mean the same as `f(a, f(b, c))`. It
    /// need not be commutative, since only neighbours are combined, the left one first. The number
    /// of calls alone decides which values are combined. So sums of floats are the same in each
    /// run, on all engines and with any number of workers.
    ///
    /// Values and partial results stay in the store: none is read in this process. A combination
    /// starts when both of its values are there. No value goes through more than log2(n) + 1
    /// combinations. Each call and each combination is a task of its own, and costs the driver
    /// about 1 µs. Where calls take less than about 10 µs, let each call do more, or use
    /// [`reduce`](Self::reduce). [`chunk_size`](Self::chunk_size) has no effect here.
    ///
    /// Nothing runs until [`get`](TreeReduce::get) or [`get_ref`](TreeReduce::get_ref) is called,
    /// or the reduction is awaited. [`Runtime::tree_reduce`](crate::Runtime::tree_reduce) combines
    /// refs likewise.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn spectrum(seed: u64) -> Vec<f64> {
    ///     (0..1000).map(|n| ((seed * n) % 7) as f64).collect()
    /// }
    ///
    /// #[remote]
    /// fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    ///     a.iter().zip(b).map(|(a, b)| a + b).collect()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let sum = rt.map_fn(spectrum::remote, 0..20).tree_reduce(add::remote);
    /// let sum: Vec<f64> = sum.get()?.expect("there are 20 calls");
    /// assert_eq!(sum[1], 57.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn tree_reduce<F>(self, f: F) -> TreeReduce<I, R, F>
    where
        F: FnMut(ObjectRef<R>, ObjectRef<R>) -> UnspawnedCall<R>,
    {
        let bar = self.bar();
        TreeReduce::new(self.engine, self.calls, f, bar)
    }

    /// Shows a progress bar of this name on standard error while the map runs: how many of its
    /// calls have ended, for how long it has run, and for how long it will run if it goes on like
    /// this. Needs the feature `progress`.
    ///
    /// There is no bar where standard error is no terminal, so in tasks neither. Several bars at a
    /// time are below each other, and lines that workers print go above them. Where the number of
    /// calls is not known beforehand (the iterator's `size_hint` is not exact), the bar only
    /// counts. It is drawn again several times a second while nothing comes. When the map ends or
    /// is left, a line with the numbers takes its place.
    ///
    /// A call that is a task of its own moves the bar by what it says of
    /// [itself](crate::TaskContext::progress), several times a second. Long calls are such tasks.
    /// The numbers count calls that have ended.
    ///
    /// A bar starts a thread. What the program itself prints may go through a bar: print above bars
    /// by a task, or when there are none.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn score(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let scores = rt.map_fn(score::remote, 0..1000).progress("scoring").get()?;
    /// assert_eq!(scores[30], 900);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "progress")]
    #[cfg_attr(docsrs, doc(cfg(feature = "progress")))]
    pub fn progress(mut self, name: impl Into<String>) -> Map<I> {
        self.bar = Some(name.into());
        self
    }

    /// Returns the progress bar, which is shown from now on.
    fn bar(&self) -> Bar {
        let (least, most) = self.calls.size_hint();
        match &self.bar {
            Some(name) => Bar::new(name, (most == Some(least)).then_some(least as u64)),
            None => Bar::none(),
        }
    }

    fn feed(self) -> feed::Feed<I> {
        let bar = self.bar();
        feed::Feed::new(self.engine, self.calls, self.chunk_size, bar)
    }
}

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> IntoFuture for Map<I> {
    type Output = Result<Vec<R>>;
    type IntoFuture = MapFuture<I, R>;

    /// Returns a future of all values, in the order of the calls; see [`get`](Map::get).
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
