//! Folds the values of a map in the process that asks for them.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use mobula_protocol::{Error, Result};

use super::iter::MapIter;
use crate::typed::{UnspawnedCall, Value, turn::in_turn};

/// The fold of a [`Map`](super::Map) to come. [`Map::fold`](super::Map::fold) and
/// [`Map::reduce`](super::Map::reduce) return it.
///
/// Nothing runs until [`get`](Self::get) is called or this future is awaited. Dropped before its
/// end, it sends no further calls, and cancels those on their way.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn square(x: u64) -> u64 {
///     x * x
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(2).start()?;
/// let squares = rt.map_fn(square::remote, 0..10);
/// let sum = squares.fold(0, |sum, square| sum + square);
/// assert_eq!(sum.get()?, 285);
/// # Ok(())
/// # }
/// ```
#[must_use = "a fold does nothing until it is awaited or `.get()` is called"]
pub struct MapFold<I, R, A, F> {
    /// The results to come and the fold of the values so far; `None` after the end.
    rest: Option<(MapIter<I, R>, A)>,
    function: F,
}

// The fold pins none of its fields. It calls the iterator and the function through `&mut`.
impl<I, R, A, F> Unpin for MapFold<I, R, A, F> {}

impl<R, I, A, F> MapFold<I, R, A, F>
where
    R: Value,
    I: Iterator<Item = UnspawnedCall<R>>,
    F: FnMut(A, R) -> A,
{
    pub(super) fn new(results: MapIter<I, R>, init: A, function: F) -> MapFold<I, R, A, F> {
        MapFold {
            rest: Some((results, init)),
            function,
        }
    }

    /// Runs all calls, blocks until their values are folded, and returns the result.
    ///
    /// In a remote function the worker runs other tasks in the meantime.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn checked(x: u64) -> Result<u64, String> {
    ///     if x < 100 { Ok(x) } else { Err(format!("{x} is too much")) }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let smallest = rt.map_fn(checked::remote, [5, 3, 8]).reduce(u64::min);
    /// assert_eq!(smallest.get()?, Some(3));
    /// let error = rt.map_fn(checked::remote, [5, 300]).reduce(u64::min).get().unwrap_err();
    /// assert!(error.to_string().contains("call 1 of a map"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The first failure in the order of the calls, with the place of its call. Then the fold sends
    /// no further calls, and [cancels](crate::Cancel) those on their way.
    pub fn get(mut self) -> Result<A> {
        loop {
            if let Poll::Ready(folded) = self.step() {
                return folded;
            }
            if let Some((results, _)) = &self.rest {
                results.block();
            }
        }
    }

    /// Takes all ready results without blocking. Returns the fold when all results were taken.
    fn step(&mut self) -> Poll<Result<A>> {
        // `rest` is empty after the end, and if the function panics. Then the other calls are
        // cancelled.
        let Some((mut results, mut folded)) = self.rest.take() else {
            return Poll::Ready(Err(Error::usage("a fold was polled after its end")));
        };
        loop {
            match results.step() {
                Poll::Ready(Some(Ok(value))) => folded = (self.function)(folded, value),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(folded)),
                Poll::Pending => {
                    self.rest = Some((results, folded));
                    return Poll::Pending;
                }
            }
        }
    }
}

impl<R, I, A, F> Future for MapFold<I, R, A, F>
where
    R: Value,
    I: Iterator<Item = UnspawnedCall<R>>,
    F: FnMut(A, R) -> A,
{
    type Output = Result<A>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<A>> {
        in_turn(context, |context| {
            loop {
                if let Poll::Ready(folded) = self.step() {
                    return Poll::Ready(folded);
                }
                if let Some((results, _)) = &self.rest
                    && results.subscribe(context)
                {
                    return Poll::Pending;
                }
            }
        })
    }
}

impl<I, R, A, F> fmt::Debug for MapFold<I, R, A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapFold").finish_non_exhaustive()
    }
}
