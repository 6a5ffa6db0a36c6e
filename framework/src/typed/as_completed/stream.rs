//! Refs in the order in which they become ready, for asynchronous code.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use mobula_protocol::Awaited;

use super::{Any, AsCompleted, Bar, ObjectRef};
use crate::typed::turn::in_turn;

/// Refs in the order in which they become ready, for asynchronous code. [`AsCompleted::stream`]
/// returns it.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// use futures::StreamExt;
///
/// # #[mobula::main]
/// # async fn main() -> mobula::Result<()> {
/// # let rt = Runtime::builder().workers(1).start()?;
/// let refs = rt.as_completed([rt.put(&1)?, rt.put(&2)?]).stream();
/// let values: Vec<_> = refs.then(async |one| one.await.unwrap()).collect().await;
/// assert_eq!(values.len(), 2);
/// # Ok(())
/// # }
/// ```
#[must_use = "streams do nothing unless they are polled"]
pub struct AsCompletedStream<T>(pub(super) AsCompleted<T>);

impl<T> AsCompletedStream<T> {
    /// Adds a ref.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use futures::StreamExt;
    ///
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let mut refs = rt.as_completed([rt.put(&1)?]).stream();
    /// refs.push(rt.put(&2)?);
    /// assert_eq!(refs.count().await, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn push(&mut self, object: ObjectRef<T>) {
        self.0.push(object);
    }
}

impl<T> futures_core::Stream for AsCompletedStream<T> {
    type Item = ObjectRef<T>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<ObjectRef<T>>> {
        let refs = &mut self.0;
        in_turn(context, |context| {
            loop {
                if let Some(object) = refs.try_next() {
                    return Poll::Ready(Some(object));
                }
                if refs.is_empty() {
                    refs.bar = Bar::none();
                    return Poll::Ready(None);
                }
                if Any(refs).subscribe(context.waker()) {
                    return Poll::Pending;
                }
            }
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

// The stream pins none of its fields.
impl<T> Unpin for AsCompletedStream<T> {}

impl<T> fmt::Debug for AsCompletedStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsCompletedStream").field(&self.0).finish()
    }
}
