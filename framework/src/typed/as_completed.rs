//! Refs in the order in which they become ready.

mod arrivals;
#[cfg(feature = "stream")]
mod stream;

use std::{
    cell::Cell,
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

use mobula_protocol::{Awaited, Engine, Error, ObjectHandle, Result};

use super::ObjectRef;
use crate::{bars::Bar, promise::ENGINE};
use arrivals::{Arrival, Arrivals};

/// Refs in the order in which they become ready.
/// [`Runtime::as_completed`](crate::Runtime::as_completed) returns it.
///
/// It is an iterator that blocks for the next ref, and ends when none is left. Refs may be
/// [added](Self::push) at any time, also while iterating. So results can lead to further work
/// without a loop of one's own. Each ref costs a constant, however many others wait.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn half(n: u32) -> u32 {
///     n / 2
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// let rt = Runtime::start()?;
/// let mut running = rt.as_completed((90..100).map(|n| half::remote(n).spawn()));
/// let mut steps = 0;
/// while let Some(done) = running.next() {
///     let n = done.get()?;
///     steps += 1;
///     if n > 0 {
///         running.push(half::remote(n).spawn());
///     }
/// }
/// assert_eq!(steps, 70);
/// # Ok(())
/// # }
/// ```
#[must_use = "iterators do nothing unless they are consumed"]
pub struct AsCompleted<T> {
    /// Refs that were not ready when they were added.
    pending: HashMap<usize, Pending<T>>,
    /// Refs that were ready.
    ready: VecDeque<ObjectRef<T>>,
    next: usize,
    /// The engine knows that the refs before this number are waited for.
    announced: Cell<usize>,
    engine: Option<Arc<dyn Engine>>,
    /// Whether refs of several runtimes were added.
    mixed: bool,
    arrivals: Arc<Arrivals>,
    /// Shows how many refs were given out.
    bar: Bar,
}

struct Pending<T> {
    object: ObjectRef<T>,
    /// The waker that is registered with the object until the object is ready.
    waker: Waker,
}

impl<T> AsCompleted<T> {
    pub(crate) fn new() -> AsCompleted<T> {
        AsCompleted {
            pending: HashMap::new(),
            ready: VecDeque::new(),
            next: 0,
            announced: Cell::new(0),
            engine: None,
            mixed: false,
            arrivals: Arc::default(),
            bar: Bar::none(),
        }
    }

    /// Adds a ref.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let mut refs = rt.as_completed([rt.put(&1)?]);
    /// refs.push(rt.put(&2)?);
    /// assert_eq!(refs.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn push(&mut self, object: ObjectRef<T>) {
        self.bar.extend(1);
        let number = self.next;
        let waker = Waker::from(Arc::new(Arrival {
            number,
            to: self.arrivals.clone(),
        }));
        if !object.entry().register(waker.clone()) {
            self.ready.push_back(object);
            return;
        }
        match &self.engine {
            None => self.engine = object.entry().engine(ENGINE),
            Some(engine) => self.mixed |= !object.entry().belongs_to(&**engine),
        }
        self.next += 1;
        self.pending.insert(number, Pending { object, waker });
    }

    /// Shows a progress bar of this name on standard error until no ref is left, or this is
    /// dropped: how many refs were given out, and how many there are. See
    /// [`Map::progress`](crate::Map::progress). Needs the feature `progress`.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn half(n: u32) -> u32 {
    ///     n / 2
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let refs = rt.spawn_all((0..100).map(half::remote));
    /// let mut sum = 0;
    /// for done in rt.as_completed(refs).progress("halving") {
    ///     sum += done.get()?;
    /// }
    /// assert_eq!(sum, 2450);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "progress")]
    #[cfg_attr(docsrs, doc(cfg(feature = "progress")))]
    pub fn progress(mut self, name: impl AsRef<str>) -> AsCompleted<T> {
        self.bar = Bar::new(name.as_ref(), Some(self.len() as u64));
        self
    }

    /// Fails one ref in a forked child, in which no object is ever completed.
    fn give_up_one(&mut self) -> Option<ObjectRef<T>> {
        let number = *self.pending.keys().next()?;
        let Pending { object, .. } = self.pending.remove(&number)?;
        object.entry().complete(Err(Error::forked()), ENGINE);
        Some(object)
    }

    /// Returns the handles of all refs that are left.
    pub(super) fn handles(&self) -> impl Iterator<Item = &ObjectHandle> + Clone {
        let pending = self.pending.values().map(|pending| &pending.object);
        let all = self.ready.iter().chain(pending);
        all.map(|object| &**object.entry())
    }

    /// Returns the number of refs that are left, ready or not.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let mut refs = rt.as_completed([rt.put(&1)?, rt.put(&2)?]);
    /// let first = refs.next();
    /// assert_eq!((first.is_some(), refs.len()), (true, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        self.ready.len() + self.pending.len()
    }

    /// Returns whether no ref is left.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let mut refs = rt.as_completed([rt.put(&1)?]);
    /// assert!(!refs.is_empty());
    /// assert_eq!(refs.next().unwrap().get()?, 1);
    /// assert!(refs.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the next ref that is ready, if there is one. Does not block.
    ///
    /// It sees the results that this process has been told of. It does not look for others.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// async fn wait_for_ever() {
    ///     std::future::pending().await
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let waiting = rt.spawn(wait_for_ever::remote());
    /// let mut refs = rt.as_completed([waiting.clone()]);
    /// assert!(refs.try_next().is_none());
    /// waiting.cancel();
    /// assert!(refs.try_next().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_next(&mut self) -> Option<ObjectRef<T>> {
        if let Some(object) = self.ready.pop_front() {
            self.bar.advance(1);
            return Some(object);
        }
        let arrived = self.arrivals.0.lock().arrived.pop_front();
        let Some(number) = arrived else {
            // Announces the refs, so that a caller that only polls finds them ready, too.
            self.announce();
            return None;
        };
        let Pending { object, .. } = self.pending.remove(&number)?;
        self.bar.advance(1);
        Some(object)
    }

    /// Blocks until a ref is ready, for up to `limit`, and returns it; `Ok(None)` if none is left.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # use std::time::Duration;
    /// #[remote]
    /// fn sleep(millis: u64) {
    ///     std::thread::sleep(Duration::from_millis(millis));
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let mut running = rt.as_completed(rt.spawn_all([1, 200].map(sleep::remote)));
    /// let mut redrawn = 0;
    /// loop {
    ///     match running.next_timeout(Duration::from_millis(20)) {
    ///         Ok(Some(done)) => done.get()?,
    ///         Ok(None) => break,
    ///         Err(_) => redrawn += 1, // nothing has come
    ///     }
    /// }
    /// assert!(redrawn > 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_timeout`](Error::is_timeout): the limit has passed. Nothing is lost, and a later call
    /// can succeed.
    pub fn next_timeout(&mut self, limit: Duration) -> Result<Option<ObjectRef<T>>> {
        let next = self.next_by(Instant::now().checked_add(limit));
        if next.is_none() && !self.is_empty() {
            return Err(Error::timeout(format!(
                "none of {} results was there within {limit:?}; their tasks go on",
                self.len()
            )));
        }
        Ok(next)
    }

    /// Returns a stream of the refs, for asynchronous code. Dropping the future of the next ref, as
    /// `select!` does, loses nothing. Needs the feature `stream`.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use futures::StreamExt;
    ///
    /// #[remote]
    /// fn half(n: u32) -> u32 {
    ///     n / 2
    /// }
    ///
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let mut running = rt.as_completed(rt.spawn_all((0..100).map(half::remote))).stream();
    /// let mut sum = 0;
    /// while let Some(done) = running.next().await {
    ///     sum += done.await?;
    /// }
    /// assert_eq!(sum, 2450);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "stream")]
    #[cfg_attr(docsrs, doc(cfg(feature = "stream")))]
    pub fn stream(self) -> AsCompletedStream<T> {
        AsCompletedStream(self)
    }

    /// Blocks until a ref is ready or the deadline has passed. Returns the ref, if there is one.
    pub(super) fn next_by(&mut self, deadline: Option<Instant>) -> Option<ObjectRef<T>> {
        loop {
            if !Any(self).is_known() && self.ready.is_empty() {
                if mobula_store::is_forked_child() {
                    return self.give_up_one();
                }
                // The end of a runtime completes all its pending objects, so each wait ends.
                let in_time = match &self.engine {
                    Some(engine) if !self.mixed && !self.pending.is_empty() => {
                        engine.wait(&Any(self), deadline)
                    }
                    Some(_) if !self.pending.is_empty() => {
                        self.announce();
                        mobula_protocol::park_until(&Any(self), deadline)
                    }
                    _ => {
                        self.bar = Bar::none();
                        return None;
                    }
                };
                if !in_time {
                    return None;
                }
            }
            if let Some(object) = self.try_next() {
                return Some(object);
            }
        }
    }

    /// Asks the engines to tell this process of completions.
    fn announce(&self) {
        Any(self).for_each_entry(&mut |entry| {
            if let Some(engine) = entry.engine(ENGINE) {
                entry.watch(&*engine);
            }
        });
    }
}

/// The wait of a thread for any of the refs.
struct Any<'a, T>(&'a AsCompleted<T>);

impl<T> Awaited for Any<'_, T> {
    fn is_known(&self) -> bool {
        !self.0.arrivals.0.lock().arrived.is_empty()
    }

    fn subscribe(&self, waker: &Waker) -> bool {
        let mut queue = self.0.arrivals.0.lock();
        if !queue.arrived.is_empty() {
            return false;
        }
        let before = queue.waiting.replace(waker.clone());
        drop(queue);
        drop(before);
        true
    }

    fn for_each_entry(&self, f: &mut dyn FnMut(&ObjectHandle)) {
        let new = self.0.announced.replace(self.0.next)..self.0.next;
        new.filter_map(|number| self.0.pending.get(&number))
            .for_each(|pending| f(pending.object.entry()));
    }
}

impl<T> Iterator for AsCompleted<T> {
    type Item = ObjectRef<T>;

    fn next(&mut self) -> Option<ObjectRef<T>> {
        self.next_by(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

#[cfg(feature = "stream")]
pub use stream::AsCompletedStream;

impl<T> Extend<ObjectRef<T>> for AsCompleted<T> {
    fn extend<I: IntoIterator<Item = ObjectRef<T>>>(&mut self, refs: I) {
        refs.into_iter().for_each(|object| self.push(object));
    }
}

impl<T> Drop for AsCompleted<T> {
    /// Removes the wakers. So a ref that outlives the iterator keeps nothing of it.
    fn drop(&mut self) {
        for Pending { object, waker } in self.pending.values() {
            object.entry().unregister(waker);
        }
    }
}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted")
            .field("left", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::Pin,
        sync::Weak,
        task::{Context, Wake, Waker},
    };

    use super::*;
    use crate::{remote, typed::testing::TestRuntime};

    #[remote]
    fn triple(n: u32) -> u32 {
        3 * n
    }

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_ref_that_outlives_iterators_keeps_nothing_of_them() {
        let rt = TestRuntime::start();
        rt.hold();
        let long_lived = triple::remote(2).spawn();
        let iterate = || {
            let mut iterator = AsCompleted::new();
            iterator.push(long_lived.clone());
            iterator
        };
        let mut kept = iterate();
        let dropped: Vec<Weak<Arrivals>> = (0..100)
            .map(|_| Arc::downgrade(&iterate().arrivals))
            .collect();
        assert!(dropped.iter().all(|arrivals| arrivals.strong_count() == 0));
        // The wakers of dropped futures are woken early. These wake-ups do not reach an iterator.
        for _ in 0..1000 {
            let waker = Waker::from(Arc::new(Nobody));
            let poll = Pin::new(&mut &long_lived).poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending());
        }
        assert!(kept.try_next().is_none());
        rt.run_held();
        assert_eq!(kept.next().unwrap().get().unwrap(), 6);
        assert!(kept.next().is_none());
    }
}
