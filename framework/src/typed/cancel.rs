//! Cancels tasks.

use std::{
    fmt,
    future::Future,
    ops::{Deref, DerefMut},
    pin::Pin,
    task::{Context, Poll},
};

use mobula_protocol::{CancelOptions, ObjectHandle};

use super::{AsCompleted, ObjectRef, ObjectStream};
use crate::promise::ENGINE;

/// Tasks that can be cancelled: an [`ObjectRef`], a vector or slice of refs, an [`AsCompleted`],
/// and an [`ObjectStream`].
///
/// Cancelling does not wait. A task that has not begun never begins. A task that runs fails at once
/// ([`Error::is_cancelled`](crate::Error::is_cancelled)), and so do the tasks that need its result.
/// Its function is told:
///
/// * an asynchronous function is dropped at its next `.await`;
/// * a blocking function unwinds where it waits for an object or for a lock, then or later, and can
///   ask [`is_cancelled`](crate::is_cancelled) before;
/// * a function that does neither is killed with its worker after its grace time, which is 1 s
///   unless [`grace`](crate::UnspawnedCall::grace) says otherwise.
///
/// Another worker takes the place of a killed one. Tasks that waited in it and have `retries` run
/// again without using one up. Tasks without retries fail as after a crash. A call of an actor is
/// never ended by a kill.
///
/// The calls that a cancelled task has made on its own thread are cancelled with it, and the calls
/// of these calls. A task that has ended is not affected. A cancelled task never runs again.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn search(from: u64) -> Result<u64, mobula::Error> {
///     for n in from.. {
///         mobula::check_cancelled()?;
///         if n == 12_345 {
///             return Ok(n);
///         }
///         # std::thread::sleep(std::time::Duration::from_micros(10));
///     }
///     unreachable!()
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(2).start()?;
/// let all: Vec<_> = [12_000, 20_000, 30_000].map(|from| search::remote(from).spawn()).into();
/// let mut done = rt.as_completed(all.iter().cloned());
/// assert_eq!(done.next().unwrap().get()?, 12_345);
/// all.cancel();
/// assert!(all[2].get().unwrap_err().is_cancelled());
/// # Ok(())
/// # }
/// ```
pub trait Cancel {
    /// Cancels all of the tasks, with these options.
    ///
    /// # Examples
    /// ```
    /// use mobula::{CancelOptions, prelude::*};
    ///
    /// #[remote]
    /// fn endless() {
    ///     loop {
    ///         std::hint::spin_loop();
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let all = rt.spawn_all((0..3).map(|_| endless::remote()));
    /// all.cancel_with(CancelOptions::new().grace(std::time::Duration::ZERO));
    /// assert!(rt.get(&all).unwrap_err().is_cancelled());
    /// # Ok(())
    /// # }
    /// ```
    fn cancel_with(&self, options: CancelOptions);

    /// Cancels all of the tasks.
    ///
    /// Costs some hundred nanoseconds for each task. If some have begun, it also costs a look at
    /// all unfinished tasks, since their own calls are cancelled too.
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
    /// let all = rt.spawn_all((0..10).map(|_| wait_for_ever::remote()));
    /// all.cancel();
    /// assert!(all.iter().all(|one| one.get().unwrap_err().is_cancelled()));
    /// # Ok(())
    /// # }
    /// ```
    fn cancel(&self) {
        self.cancel_with(CancelOptions::new());
    }

    /// Returns a guard that cancels all of the tasks when it is dropped.
    ///
    /// That is at the end of a block, at an early `return` or `?`, or when another future wins a
    /// race.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn wait_for(seconds: u64) -> u64 {
    ///     std::thread::sleep(std::time::Duration::from_secs(seconds));
    ///     seconds
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let calls = (0..100).map(|n| wait_for::remote(n).spawn());
    /// let all = calls.collect::<Vec<_>>().cancel_on_drop();
    /// assert_eq!(all[0].get()?, 0);
    /// drop(all); // The other 99 do not go on.
    /// # Ok(())
    /// # }
    /// ```
    fn cancel_on_drop(self) -> CancelOnDrop<Self>
    where
        Self: Sized,
    {
        CancelOnDrop(Some(self))
    }
}

/// Cancels these tasks, those of each runtime in one call.
fn cancel_all<'a>(handles: impl Iterator<Item = &'a ObjectHandle> + Clone, options: CancelOptions) {
    let mut rest = handles.filter(|handle| handle.outcome().is_none());
    while let Some(first) = rest.clone().next() {
        let Some(engine) = first.engine(ENGINE) else {
            rest.next();
            continue;
        };
        let mut own = rest.clone().filter(|handle| handle.belongs_to(&*engine));
        engine.cancel(&mut own, options);
        // Nearly always, all handles are of one runtime.
        let mut others = rest.clone().filter(|handle| !handle.belongs_to(&*engine));
        if others.next().is_none() {
            return;
        }
        rest.next();
    }
}

impl<T> ObjectRef<T> {
    /// Cancels the task that makes the object: see [`Cancel`]. Has no effect if the task has ended,
    /// or on an object that was put.
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
    /// waiting.cancel();
    /// assert!(waiting.get().unwrap_err().is_cancelled());
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel(&self) {
        Cancel::cancel(self);
    }

    /// Cancels the task that makes the object, with these options.
    ///
    /// # Examples
    /// ```
    /// use mobula::{CancelOptions, prelude::*};
    ///
    /// #[remote]
    /// fn endless() {
    ///     loop {
    ///         std::hint::spin_loop();
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let running = rt.spawn(endless::remote());
    /// running.cancel_with(CancelOptions::new().grace(std::time::Duration::ZERO));
    /// assert!(running.get().unwrap_err().is_cancelled());
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel_with(&self, options: CancelOptions) {
        Cancel::cancel_with(self, options);
    }

    /// Returns a guard that cancels the task when it is dropped: see [`Cancel::cancel_on_drop`].
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
    /// let guard = waiting.clone().cancel_on_drop();
    /// drop(guard);
    /// assert!(waiting.get().unwrap_err().is_cancelled());
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel_on_drop(self) -> CancelOnDrop<ObjectRef<T>> {
        Cancel::cancel_on_drop(self)
    }
}

impl<T> Cancel for ObjectRef<T> {
    fn cancel_with(&self, options: CancelOptions) {
        cancel_all(std::iter::once(&**self.entry()), options);
    }
}

impl<T> Cancel for [ObjectRef<T>] {
    fn cancel_with(&self, options: CancelOptions) {
        cancel_all(self.iter().map(|object| &**object.entry()), options);
    }
}

impl<T> Cancel for Vec<ObjectRef<T>> {
    fn cancel_with(&self, options: CancelOptions) {
        self.as_slice().cancel_with(options);
    }
}

/// Cancels the tasks whose refs the iterator has not given out.
impl<T> Cancel for AsCompleted<T> {
    fn cancel_with(&self, options: CancelOptions) {
        cancel_all(self.handles(), options);
    }
}

/// Cancels the call that makes the items. Items that it has made can still be read.
impl<T> Cancel for ObjectStream<T> {
    fn cancel_with(&self, options: CancelOptions) {
        self.call().cancel_with(options);
    }
}

/// Tasks that are cancelled when this is dropped. [`cancel_on_drop`](Cancel::cancel_on_drop)
/// returns it.
///
/// It dereferences to the tasks that it holds. It is a future if they are one, and an iterator if
/// they are one.
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
/// let result = rt.spawn(square::remote(3)).cancel_on_drop();
/// assert_eq!(result.await?, 9);
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping this cancels the tasks"]
pub struct CancelOnDrop<C: Cancel>(Option<C>);

impl<C: Cancel> CancelOnDrop<C> {
    /// Returns the tasks, which are not cancelled any more.
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
    /// let guard = rt.spawn(square::remote(3)).cancel_on_drop();
    /// let result = guard.into_inner();
    /// assert_eq!(result.get()?, 9);
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_inner(mut self) -> C {
        self.0.take().expect("there until it is taken out")
    }
}

impl<C: Cancel> Deref for CancelOnDrop<C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.0.as_ref().expect("there until it is taken out")
    }
}

impl<C: Cancel> DerefMut for CancelOnDrop<C> {
    fn deref_mut(&mut self) -> &mut C {
        self.0.as_mut().expect("there until it is taken out")
    }
}

impl<C: Cancel + Future + Unpin> Future for CancelOnDrop<C> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<C::Output> {
        Pin::new(&mut **self).poll(context)
    }
}

impl<C: Cancel + Iterator> Iterator for CancelOnDrop<C> {
    type Item = C::Item;

    fn next(&mut self) -> Option<C::Item> {
        (**self).next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (**self).size_hint()
    }
}

impl<C: Cancel> Unpin for CancelOnDrop<C> {}

impl<C: Cancel> Drop for CancelOnDrop<C> {
    fn drop(&mut self) {
        if let Some(tasks) = &self.0 {
            tasks.cancel();
        }
    }
}

impl<C: Cancel + fmt::Debug> fmt::Debug for CancelOnDrop<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelOnDrop").field(&**self).finish()
    }
}
