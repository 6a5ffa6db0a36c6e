//! All results of a map, in order.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use mobula_protocol::{Error, Result};

use super::{early::Early, feed::Feed};
use crate::typed::{UnspawnedCall, Value, turn::in_turn};

/// The most values for which memory is taken in advance. An iterator may promise more values than
/// memory holds.
const FORESIGHT: usize = 1 << 20;

/// Puts values in order.
pub(super) struct Gather<I, R> {
    feed: Feed<I>,
    values: Vec<R>,
    /// Values that came before their turn, by the place of the first value.
    early: Early<Vec<R>>,
}

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> Gather<I, R> {
    pub(super) fn new(feed: Feed<I>) -> Gather<I, R> {
        Gather {
            values: Vec::with_capacity(feed.left().min(FORESIGHT)),
            feed,
            early: Early::new(),
        }
    }

    /// Takes all ready results without blocking. Returns the values when all are ready.
    ///
    /// # Errors
    /// The failure of a call.
    fn step(&mut self) -> Result<Option<Vec<R>>> {
        self.feed.fill(usize::MAX);
        while let Some((first, mut results)) = self.feed.take_finished() {
            // Workers get further calls before this thread decodes the results.
            self.feed.fill(usize::MAX);
            let in_turn = first == self.values.len();
            let mut apart = Vec::new();
            let to = if in_turn {
                &mut self.values
            } else {
                &mut apart
            };
            let calls = results.len();
            to.reserve(calls);
            while let Some(result) = results.next() {
                match result {
                    Ok(value) => to.push(value),
                    Err(error) => {
                        self.feed.stop();
                        return Err(at(first + calls - results.len() - 1, error));
                    }
                }
            }
            if !in_turn {
                self.early.insert(first, apart);
            }
            while let Some(mut next) = self.early.remove(self.values.len()) {
                self.values.append(&mut next);
            }
        }
        let over = self.feed.is_over();
        Ok(over.then(|| std::mem::take(&mut self.values)))
    }

    /// Blocks until all values are ready.
    ///
    /// # Errors
    /// The failure of a call.
    pub(super) fn run(mut self) -> Result<Vec<R>> {
        loop {
            if let Some(values) = self.step()? {
                return Ok(values);
            }
            self.feed.wait(None);
        }
    }
}

/// Returns the error with the place of the failed call.
pub(super) fn at(place: usize, error: Error) -> Error {
    error.at(format!("call {place} of a map"))
}

/// The values of all calls of a [`Map`](super::Map), in the order of the calls: the future that a
/// map becomes by `.await`.
///
/// Dropped before its end, it sends no further calls, and cancels those on their way.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// # #[mobula::main]
/// # async fn main() -> mobula::Result<()> {
/// # let rt = Runtime::builder().workers(1).start()?;
/// let squares = rt.map_fn(square::remote, 0..100).await?;
/// assert_eq!(squares[99], 9801);
/// # Ok(())
/// # }
/// ```
#[must_use = "futures do nothing unless they are awaited"]
pub struct MapFuture<I, R>(Option<Gather<I, R>>);

// The future pins none of its fields. It calls the iterator through `&mut`.
impl<I, R> Unpin for MapFuture<I, R> {}

impl<I, R> MapFuture<I, R> {
    pub(super) fn new(gather: Gather<I, R>) -> MapFuture<I, R> {
        MapFuture(Some(gather))
    }
}

impl<R: Value, I: Iterator<Item = UnspawnedCall<R>>> Future for MapFuture<I, R> {
    type Output = Result<Vec<R>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        in_turn(context, |context| {
            let Some(gather) = &mut self.0 else {
                return Poll::Ready(Err(Error::usage("a map was polled after its end")));
            };
            loop {
                let done = gather.step().transpose();
                if let Some(result) = done {
                    self.0 = None;
                    return Poll::Ready(result);
                }
                if gather.feed.subscribe(context.waker()) {
                    return Poll::Pending;
                }
            }
        })
    }
}

impl<I, R> fmt::Debug for MapFuture<I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapFuture").finish_non_exhaustive()
    }
}
