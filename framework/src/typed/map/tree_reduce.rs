//! Combines the results of a map by tasks.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use mobula_protocol::{Engine, Error, Result};

use super::{
    tree::{Combine, Tree},
    tree_tasks::Tasks,
};
use crate::{
    bars::Bar,
    typed::{ObjectRef, UnspawnedCall, Value, turn::in_turn},
};

/// The combination of a [`Map`](super::Map)'s results to come.
/// [`Map::tree_reduce`](super::Map::tree_reduce) returns it.
///
/// Nothing runs until [`get`](Self::get) or [`get_ref`](Self::get_ref) is called, or this future is
/// awaited. Dropped before its end, it sends no further calls, and cancels those on their way.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn square(x: u64) -> u64 {
///     x * x
/// }
///
/// #[remote]
/// fn add(a: u64, b: u64) -> u64 {
///     a + b
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(2).start()?;
/// let sum = rt.map_fn(square::remote, 0..10).tree_reduce(add::remote);
/// assert_eq!(sum.get()?, Some(285));
/// # Ok(())
/// # }
/// ```
#[must_use = "a reduction does nothing until it is awaited, or `.get()` or `.get_ref()` is called"]
pub struct TreeReduce<I, R, F>(Option<Running<I, R, F>>);

struct Running<I, R, F> {
    tasks: Tasks,
    calls: std::iter::Fuse<I>,
    /// The number of calls that were taken.
    taken: usize,
    /// Whether no further call is taken.
    ended: bool,
    tree: Tree<ObjectRef<R>>,
    function: F,
    /// The combination of all results.
    all: Option<ObjectRef<R>>,
}

impl<R, I, F> Running<I, R, F>
where
    R: Value,
    I: Iterator<Item = UnspawnedCall<R>>,
    F: FnMut(ObjectRef<R>, ObjectRef<R>) -> UnspawnedCall<R>,
{
    /// Sends and combines without blocking. Returns the combination of all results when it is
    /// known.
    ///
    /// # Errors
    /// The failure of a task.
    fn step(&mut self) -> Result<Poll<Option<ObjectRef<R>>>> {
        loop {
            self.tasks.take_finished()?;
            if self.ended {
                return Ok(match self.tasks.is_empty() {
                    true => Poll::Ready(self.all.take()),
                    false => Poll::Pending,
                });
            }
            if !self.tasks.has_room() {
                return Ok(Poll::Pending);
            }
            // If the iterator or the function panics, no further item is taken.
            self.ended = true;
            let Running {
                tasks, function, ..
            } = self;
            match self.calls.next() {
                Some(call) => {
                    let leaf = tasks.call(call, self.taken);
                    self.taken += 1;
                    self.tree.push(leaf, &mut |places, left, right| {
                        tasks.combination(function(left, right), places.clone())
                    });
                    self.ended = false;
                }
                None => {
                    self.all = self.tree.finish(&mut |places, left, right| {
                        tasks.combination(function(left, right), places.clone())
                    });
                }
            }
        }
    }
}

impl<R, I, F> TreeReduce<I, R, F>
where
    R: Value,
    I: Iterator<Item = UnspawnedCall<R>>,
    F: FnMut(ObjectRef<R>, ObjectRef<R>) -> UnspawnedCall<R>,
{
    pub(super) fn new(
        engine: Arc<dyn Engine>,
        calls: I,
        function: F,
        bar: Bar,
    ) -> TreeReduce<I, R, F> {
        TreeReduce(Some(Running {
            tasks: Tasks::new(engine, bar),
            calls: calls.fuse(),
            taken: 0,
            ended: false,
            tree: Tree::new(),
            function,
            all: None,
        }))
    }

    /// Runs all calls, blocks until the combination of their values is there, and returns it;
    /// `None` if there are no calls.
    ///
    /// In a remote function the worker runs other tasks in the meantime.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn square(x: u64) -> u64 {
    ///     x * x
    /// }
    ///
    /// #[remote]
    /// fn add(a: u64, b: u64) -> u64 {
    ///     a + b
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// assert_eq!(rt.map_fn(square::remote, 0..4).tree_reduce(add::remote).get()?, Some(14));
    /// assert_eq!(rt.map_fn(square::remote, 0..0).tree_reduce(add::remote).get()?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The first failure that becomes known. It says the place of its call, or the places of the
    /// calls whose values were combined. Then the reduction sends no further calls, and
    /// [cancels](crate::Cancel) those on their way.
    pub fn get(self) -> Result<Option<R>> {
        let all = self.get_ref()?;
        all.map(|all| all.get()).transpose()
    }

    /// Does what [`get`](Self::get) does, and returns a ref of the combination, which stays in the
    /// store.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn square(x: u64) -> u64 {
    ///     x * x
    /// }
    ///
    /// #[remote]
    /// fn add(a: u64, b: u64) -> u64 {
    ///     a + b
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let sum = rt.map_fn(square::remote, 0..4).tree_reduce(add::remote).get_ref()?;
    /// let squared = square::remote(sum.expect("there are four calls")).spawn();
    /// assert_eq!(squared.get()?, 196);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`get`](Self::get).
    pub fn get_ref(mut self) -> Result<Option<ObjectRef<R>>> {
        loop {
            if let Poll::Ready(all) = self.step() {
                return all;
            }
            if let Some(Running { tasks, .. }) = &self.0 {
                tasks.wait();
            }
        }
    }

    fn step(&mut self) -> Poll<Result<Option<ObjectRef<R>>>> {
        let Some(running) = &mut self.0 else {
            return Poll::Ready(Err(Error::usage("a reduction was polled after its end")));
        };
        let all = match running.step() {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(all)) => Ok(all),
            Err(error) => Err(error),
        };
        // The drop cancels the tasks that have not ended.
        self.0 = None;
        Poll::Ready(all)
    }
}

// The reduction pins none of its fields. It calls the iterator and the function through `&mut`.
impl<I, R, F> Unpin for TreeReduce<I, R, F> {}

impl<R, I, F> Future for TreeReduce<I, R, F>
where
    R: Value,
    I: Iterator<Item = UnspawnedCall<R>>,
    F: FnMut(ObjectRef<R>, ObjectRef<R>) -> UnspawnedCall<R>,
{
    type Output = Result<Option<R>>;

    /// Does for a task what [`get`](TreeReduce::get) does for a thread.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        in_turn(context, |context| {
            loop {
                if let Poll::Ready(all) = self.step() {
                    return Poll::Ready(all.and_then(|all| all.map(|all| all.get()).transpose()));
                }
                let Some(Running { tasks, .. }) = &self.0 else {
                    continue;
                };
                if tasks.subscribe(context.waker()) {
                    return Poll::Pending;
                }
            }
        })
    }
}

impl<I, R, F> fmt::Debug for TreeReduce<I, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeReduce").finish_non_exhaustive()
    }
}

/// Combines refs by tasks of this engine; see
/// [`Runtime::tree_reduce`](crate::Runtime::tree_reduce).
pub(crate) fn tree_reduce<T>(
    engine: &Arc<dyn Engine>,
    refs: impl IntoIterator<Item = ObjectRef<T>>,
    mut function: impl FnMut(ObjectRef<T>, ObjectRef<T>) -> UnspawnedCall<T>,
) -> Option<ObjectRef<T>> {
    let mut tree = Tree::new();
    let combine: Combine<'_, ObjectRef<T>> =
        &mut |_, left, right| function(left, right).spawn_on(engine);
    for object in refs {
        tree.push(object, combine);
    }
    tree.finish(combine)
}
