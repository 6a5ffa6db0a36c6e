//! Waiting for some of many refs.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use mobula_protocol::{Error, Result};

use super::{AsCompleted, ObjectRef};
use crate::Runtime;

impl Runtime {
    /// Blocks until `count` of the refs are ready, or until the limit has passed. Returns the ready
    /// refs and the others, each in the given order.
    ///
    /// Exactly `count` are returned as ready, even if more are, unless the limit passes first. A
    /// task that has failed counts as ready. Without a limit this waits for as long as it takes.
    /// The tasks of the others go on.
    ///
    /// Costs a constant for each ref and call. To take many results one by one,
    /// [`as_completed`](Runtime::as_completed) costs that once.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # use std::time::Duration;
    /// #[remote]
    /// fn sleep(millis: u64) -> u64 {
    ///     std::thread::sleep(Duration::from_millis(millis));
    ///     millis
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let refs = rt.spawn_all([600, 1].map(sleep::remote));
    /// let (ready, pending) = rt.wait(&refs, 1, None)?;
    /// assert_eq!((ready, pending), (vec![refs[1].clone()], vec![refs[0].clone()]));
    /// let (ready, _) = rt.wait(&refs, 2, Some(Duration::from_millis(5)))?;
    /// assert_eq!(ready.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: `count` is 0 or more than there are refs, or a ref is there twice. An empty
    /// slice gives two empty vectors.
    pub fn wait<T>(
        &self,
        refs: &[ObjectRef<T>],
        count: usize,
        limit: Option<Duration>,
    ) -> Result<Ready<T>> {
        wait(refs, count, limit)
    }
}

/// See [`Runtime::wait`].
#[expect(
    clippy::mutable_key_type,
    reason = "which object a ref stands for never changes"
)]
pub(super) fn wait<T>(
    refs: &[ObjectRef<T>],
    count: usize,
    limit: Option<Duration>,
) -> Result<Ready<T>> {
    if refs.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    if count == 0 || count > refs.len() {
        return Err(Error::usage(format!(
            "`wait` for {count} of {} refs: the number is from 1 to that of the refs",
            refs.len()
        )));
    }
    let mut seen = HashSet::with_capacity(refs.len());
    if let Some(at) = refs.iter().position(|object| !seen.insert(object)) {
        return Err(Error::usage(format!(
            "`wait` for a ref that is there twice, the second time at index {at}: it could not \
         tell which of the two is ready"
        )));
    }
    // A limit that overflows `Instant` is no limit.
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let mut completed = AsCompleted::new();
    completed.extend(refs.iter().cloned());
    let mut ready = HashSet::with_capacity(count);
    while ready.len() < count
        && let Some(object) = completed.next_by(deadline)
    {
        ready.insert(object);
    }
    let (ready, pending) = refs
        .iter()
        .cloned()
        .partition(|object| ready.contains(object));
    Ok((ready, pending))
}

/// Refs that are ready, and others.
pub(super) type Ready<T> = (Vec<ObjectRef<T>>, Vec<ObjectRef<T>>);
