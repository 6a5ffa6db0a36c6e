//! Items that are submitted one by one, and their results.

use std::time::{Duration, Instant};

use mobula_protocol::{Error, Result};

use super::{ActorPool, assignments::Start};
use crate::{Actor, ActorRef, UnspawnedCall, Value};

impl<A: Actor, R: Value> ActorPool<A, R> {
    /// Runs a method for this item when an actor is idle. Does not block.
    ///
    /// The call of an item that has to wait is made while results are fetched.
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
    /// (0..10).for_each(|n| pool.submit(|actor, n| actor.of(n), n));
    /// let mut total = 0;
    /// while let Some(result) = pool.get_next() {
    ///     total += result?;
    /// }
    /// assert_eq!(total, 285);
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit<T, F>(&mut self, call: F, item: T)
    where
        T: Send + 'static,
        F: FnOnce(&ActorRef<A>, T) -> UnspawnedCall<R> + Send + 'static,
    {
        let start: Start<A, R> = Box::new(move |actor| call(actor, item));
        let number = self.assignments.submit(start);
        self.submitted.push_back(number);
    }

    /// Returns whether there is a result to fetch, now or later.
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
    /// assert!(pool.has_next());
    /// pool.get_next().unwrap()?;
    /// assert!(!pool.has_next());
    /// # Ok(())
    /// # }
    /// ```
    pub fn has_next(&self) -> bool {
        !self.submitted.is_empty()
    }

    /// Blocks until the result of the first submitted item that is not fetched yet is there, and
    /// returns it. `None` if all are fetched.
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
    /// pool.submit(|actor, n| actor.of(n), 4);
    /// assert_eq!(pool.get_next().unwrap()?, 9);
    /// assert_eq!(pool.get_next().unwrap()?, 16);
    /// assert!(pool.get_next().is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_next(&mut self) -> Option<Result<R>> {
        let number = *self.submitted.front()?;
        self.assignments.wait_for(number, None);
        self.submitted.pop_front();
        self.assignments.take(number)
    }

    /// Returns the same result as [`get_next`](Self::get_next), or an error for which
    /// `is_timeout()` holds after `limit`. A later call gets the item's own result.
    ///
    /// # Examples
    /// ```
    /// use mobula::{ActorPool, prelude::*};
    /// use std::time::Duration;
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
    /// assert_eq!(pool.get_next_timeout(Duration::from_secs(60)).unwrap()?, 9);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_next_timeout(&mut self, limit: Duration) -> Option<Result<R>> {
        let number = *self.submitted.front()?;
        if !self.assignments.wait_for(number, deadline(limit)) {
            return Some(Err(late(limit)));
        }
        self.submitted.pop_front();
        self.assignments.take(number)
    }

    /// Blocks until a further result is there, of whichever submitted item, and returns it. `None`
    /// if all are fetched.
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
    /// pool.submit(|actor, n| actor.of(n), 4);
    /// let two = [pool.get_next_unordered().unwrap()?, pool.get_next_unordered().unwrap()?];
    /// assert_eq!(two.iter().sum::<u64>(), 25);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_next_unordered(&mut self) -> Option<Result<R>> {
        let number = self.assignments.wait_for_any(&self.submitted, None)?;
        self.fetch(number)
    }

    /// Returns the same result as [`get_next_unordered`](Self::get_next_unordered), or an error for
    /// which `is_timeout()` holds after `limit`.
    ///
    /// # Examples
    /// ```
    /// use mobula::{ActorPool, prelude::*};
    /// use std::time::Duration;
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
    /// let limit = Duration::from_secs(60);
    /// assert!(pool.get_next_unordered_timeout(limit).is_none()); // nothing is submitted
    /// pool.submit(|actor, n| actor.of(n), 3);
    /// assert_eq!(pool.get_next_unordered_timeout(limit).unwrap()?, 9);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_next_unordered_timeout(&mut self, limit: Duration) -> Option<Result<R>> {
        if self.submitted.is_empty() {
            return None;
        }
        match self
            .assignments
            .wait_for_any(&self.submitted, deadline(limit))
        {
            Some(number) => self.fetch(number),
            None => Some(Err(late(limit))),
        }
    }

    fn fetch(&mut self, number: u64) -> Option<Result<R>> {
        self.submitted.retain(|other| *other != number);
        self.assignments.take(number)
    }
}

/// Returns the time at which the limit has passed. A limit that overflows `Instant` is none.
fn deadline(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}

fn late(limit: Duration) -> Error {
    Error::timeout(format!(
        "no result of the pool was there within {limit:?}; a later call can get it"
    ))
}
