//! Work spread over actors that are all alike.

mod assignments;
mod map;
mod submitted;

use std::{collections::VecDeque, fmt};

use super::{Actor, ActorRef};
use crate::{UnspawnedCall, Value};
use assignments::Assignments;

pub use map::{PoolMap, PoolMapUnordered};

/// Actors that take work from one list: an idle actor gets the next item.
///
/// Each actor has one call at a time. An item's error comes in the place of its result, and the
/// pool goes on. A [dead](crate::Error::is_actor_dead) actor gets no further work. If no actor is
/// left, each further item is an error that says so, until an actor is [added](Self::push).
///
/// All results are of one type `R`, which the calls say. For calls of another type move the actors
/// into another pool ([`into_actors`](Self::into_actors)).
///
/// # Examples
/// ```
/// use mobula::{ActorPool, prelude::*};
///
/// struct Model {
///     factor: f64,
/// }
///
/// #[remote]
/// impl Model {
///     fn new(factor: f64) -> Self {
///         Model { factor }
///     }
///
///     fn apply(&mut self, x: f64) -> f64 {
///         self.factor * x
///     }
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let models = (0..4).map(|_| rt.spawn_actor(Model::remote(2.0)));
/// let mut pool = ActorPool::new(models);
/// let results = pool.map(|model, x| model.apply(x), [1.0, 2.0, 3.0]);
/// assert_eq!(results.sum::<mobula::Result<f64>>()?, 12.0);
/// # Ok(())
/// # }
/// ```
pub struct ActorPool<A: Actor, R> {
    assignments: Assignments<A, R>,
    /// Items that were submitted and not fetched, in order.
    submitted: VecDeque<u64>,
}

impl<A: Actor, R: Value> ActorPool<A, R> {
    /// Returns a pool of these actors. They may still be under construction.
    ///
    /// # Examples
    /// ```
    /// use mobula::{ActorPool, prelude::*};
    /// # struct Squares;
    /// #
    /// # #[remote]
    /// # impl Squares {
    /// #     fn new() -> Self {
    /// #         Squares
    /// #     }
    /// #
    /// #     fn of(&self, n: u64) -> u64 {
    /// #         n * n
    /// #     }
    /// # }
    /// #
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let mut pool = ActorPool::new([rt.spawn_actor(Squares::remote())]);
    /// pool.submit(|actor, n| actor.of(n), 3);
    /// assert_eq!(pool.get_next().unwrap()?, 9);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(actors: impl IntoIterator<Item = ActorRef<A>>) -> ActorPool<A, R> {
        ActorPool {
            assignments: Assignments::new(actors.into_iter().collect()),
            submitted: VecDeque::new(),
        }
    }

    /// Runs a method for each item. Returns an iterator over the results in the order of the items,
    /// which blocks for the next one.
    ///
    /// The iterator makes a call when an actor is idle, and takes the item then. So the items may
    /// be many, or endless. Calls that were [submitted](Self::submit) keep their actors until they
    /// end, and their results for later.
    ///
    /// # Examples
    /// ```
    /// use mobula::{ActorPool, prelude::*};
    /// # struct Squares;
    /// #
    /// # #[remote]
    /// # impl Squares {
    /// #     fn new() -> Self {
    /// #         Squares
    /// #     }
    /// #
    /// #     fn of(&self, n: u64) -> u64 {
    /// #         n * n
    /// #     }
    /// # }
    /// #
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let actors = (0..2).map(|_| rt.spawn_actor(Squares::remote()));
    /// let mut pool = ActorPool::new(actors);
    /// let first: mobula::Result<Vec<u64>> = pool.map(|actor, n| actor.of(n), 0..).take(4).collect();
    /// assert_eq!(first?, [0, 1, 4, 9]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn map<I, F>(&mut self, call: F, items: I) -> PoolMap<'_, A, R, I::IntoIter, F>
    where
        I: IntoIterator,
        F: FnMut(&ActorRef<A>, I::Item) -> UnspawnedCall<R>,
    {
        PoolMap::new(&mut self.assignments, call, items.into_iter())
    }

    /// Runs a method for each item. Returns an iterator over the results in the order in which they
    /// become ready.
    ///
    /// # Examples
    /// ```
    /// use mobula::{ActorPool, prelude::*};
    /// # struct Squares;
    /// #
    /// # #[remote]
    /// # impl Squares {
    /// #     fn new() -> Self {
    /// #         Squares
    /// #     }
    /// #
    /// #     fn of(&self, n: u64) -> u64 {
    /// #         n * n
    /// #     }
    /// # }
    /// #
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let actors = (0..2).map(|_| rt.spawn_actor(Squares::remote()));
    /// let mut pool = ActorPool::new(actors);
    /// let squares: mobula::Result<Vec<u64>> =
    ///     pool.map_unordered(|actor, n| actor.of(n), 0..5).collect();
    /// let mut squares = squares?;
    /// squares.sort();
    /// assert_eq!(squares, [0, 1, 4, 9, 16]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn map_unordered<I, F>(
        &mut self,
        call: F,
        items: I,
    ) -> PoolMapUnordered<'_, A, R, I::IntoIter, F>
    where
        I: IntoIterator,
        F: FnMut(&ActorRef<A>, I::Item) -> UnspawnedCall<R>,
    {
        PoolMapUnordered::new(&mut self.assignments, call, items.into_iter())
    }

    /// Adds an actor.
    ///
    /// # Examples
    /// ```
    /// use mobula::{ActorPool, prelude::*};
    /// # struct Squares;
    /// #
    /// # #[remote]
    /// # impl Squares {
    /// #     fn new() -> Self {
    /// #         Squares
    /// #     }
    /// #
    /// #     fn of(&self, n: u64) -> u64 {
    /// #         n * n
    /// #     }
    /// # }
    /// #
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let mut pool = ActorPool::new([]);
    /// pool.push(rt.spawn_actor(Squares::remote()));
    /// pool.submit(|actor, n| actor.of(n), 3);
    /// assert_eq!(pool.get_next().unwrap()?, 9);
    /// # Ok(())
    /// # }
    /// ```
    pub fn push(&mut self, actor: ActorRef<A>) {
        self.assignments.push(actor);
    }

    /// Returns whether an actor is idle, so that a submission would run at once.
    ///
    /// # Examples
    /// ```
    /// use mobula::{ActorPool, prelude::*};
    /// # struct Squares;
    /// #
    /// # #[remote]
    /// # impl Squares {
    /// #     fn new() -> Self {
    /// #         Squares
    /// #     }
    /// #
    /// #     fn of(&self, n: u64) -> u64 {
    /// #         n * n
    /// #     }
    /// # }
    /// #
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let actors = (0..2).map(|_| rt.spawn_actor(Squares::remote()));
    /// let mut pool = ActorPool::new(actors);
    /// assert!(pool.has_idle());
    /// # pool.submit(|actor, n| actor.of(n), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn has_idle(&mut self) -> bool {
        self.assignments.has_idle()
    }

    /// Takes an idle actor out of the pool, if there is one.
    ///
    /// # Examples
    /// ```
    /// use mobula::{ActorPool, prelude::*};
    /// # struct Squares;
    /// #
    /// # #[remote]
    /// # impl Squares {
    /// #     fn new() -> Self {
    /// #         Squares
    /// #     }
    /// #
    /// #     fn of(&self, n: u64) -> u64 {
    /// #         n * n
    /// #     }
    /// # }
    /// #
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let actors = (0..2).map(|_| rt.spawn_actor(Squares::remote()));
    /// let mut pool = ActorPool::new(actors);
    /// let actor = pool.pop_idle().unwrap();
    /// assert_eq!(actor.of(3).spawn().get()?, 9);
    /// assert_eq!(pool.len(), 1);
    /// # pool.submit(|actor, n| actor.of(n), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn pop_idle(&mut self) -> Option<ActorRef<A>> {
        self.assignments.pop_idle()
    }

    /// Returns the number of actors of the pool, idle or not. Actors that are known to be dead do
    /// not count.
    ///
    /// # Examples
    /// ```
    /// use mobula::{ActorPool, prelude::*};
    /// # struct Squares;
    /// #
    /// # #[remote]
    /// # impl Squares {
    /// #     fn new() -> Self {
    /// #         Squares
    /// #     }
    /// #
    /// #     fn of(&self, n: u64) -> u64 {
    /// #         n * n
    /// #     }
    /// # }
    /// #
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let actors = (0..2).map(|_| rt.spawn_actor(Squares::remote()));
    /// let mut pool = ActorPool::new(actors);
    /// assert_eq!(pool.len(), 2);
    /// # pool.submit(|actor, n| actor.of(n), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        self.assignments.actors()
    }

    /// Returns whether the pool has no actor.
    ///
    /// # Examples
    /// ```
    /// use mobula::{ActorPool, prelude::*};
    /// # struct Squares;
    /// #
    /// # #[remote]
    /// # impl Squares {
    /// #     fn new() -> Self {
    /// #         Squares
    /// #     }
    /// #
    /// #     fn of(&self, n: u64) -> u64 {
    /// #         n * n
    /// #     }
    /// # }
    /// #
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let mut pool = ActorPool::<Squares, u64>::new([]);
    /// assert!(pool.is_empty());
    /// pool.submit(|actor, n| actor.of(n), 3);
    /// assert!(pool.get_next().unwrap().unwrap_err().is_usage());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the actors. Calls that run go on. Their results are given up, and so are items that
    /// wait.
    ///
    /// # Examples
    /// ```
    /// use mobula::{ActorPool, prelude::*};
    /// # struct Squares;
    /// #
    /// # #[remote]
    /// # impl Squares {
    /// #     fn new() -> Self {
    /// #         Squares
    /// #     }
    /// #
    /// #     fn of(&self, n: u64) -> u64 {
    /// #         n * n
    /// #     }
    /// # }
    /// #
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let actors = (0..2).map(|_| rt.spawn_actor(Squares::remote()));
    /// let mut pool = ActorPool::new(actors);
    /// pool.submit(|actor, n| actor.of(n), 3);
    /// assert_eq!(pool.get_next().unwrap()?, 9);
    /// let actors = pool.into_actors();
    /// assert_eq!(actors.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_actors(self) -> Vec<ActorRef<A>> {
        self.assignments.into_actors()
    }
}

impl<A: Actor, R> fmt::Debug for ActorPool<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorPool")
            .field("actors", &self.assignments.actors())
            .field("to_fetch", &self.submitted.len())
            .finish_non_exhaustive()
    }
}
