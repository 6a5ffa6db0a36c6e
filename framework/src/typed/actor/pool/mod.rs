//! Work spread over actors that are all alike.

mod assignments;
mod map;

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use mobula_protocol::{Error, Result};

use super::{Actor, ActorRef};
use crate::{UnspawnedCall, Value};
use assignments::{Flights, Start};

pub use map::{PoolMap, PoolMapUnordered};

/// A number of actors that take work from one list: whichever is idle gets the next item.
///
/// Each actor has one call at a time. An item's error comes in the place of its result, and the
/// pool goes on. An actor that turns out to be [dead](crate::Error::is_actor_dead) is left out of
/// further work; if none is left, each further item is an error that says so, until one is
/// [added](Self::push).
///
/// All results are of one type `R`, which the calls say; for calls of another type move the actors
/// into another pool ([`into_actors`](Self::into_actors)).
///
/// ```
/// use mobula::prelude::*;
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
/// fn total(rt: &Runtime, items: Vec<f64>) -> mobula::Result<f64> {
///     let models = (0..4).map(|_| rt.spawn_actor(Model::remote(2.0)));
///     let mut pool = mobula::ActorPool::new(models);
///     pool.map(|model, x| model.apply(x), items).sum()
/// }
/// # let _ = total;
/// ```
pub struct ActorPool<A: Actor, R> {
    assignments: Flights<A, R>,
    /// What was submitted and not fetched, in order.
    submitted: VecDeque<u64>,
}

impl<A: Actor, R: Value> ActorPool<A, R> {
    /// A pool of these actors. They may still be under construction.
    pub fn new(actors: impl IntoIterator<Item = ActorRef<A>>) -> ActorPool<A, R> {
        ActorPool {
            assignments: Flights::new(actors.into_iter().collect()),
            submitted: VecDeque::new(),
        }
    }

    /// Runs a method for each item, and gives the results in the order of the items, as an iterator
    /// that blocks for the next one. The call is made as soon as an actor is idle, and items are
    /// taken from the iterator then, so it may be long, or endless.
    ///
    /// Calls that were [submitted](Self::submit) keep their actors until they end, and their
    /// results for later.
    pub fn map<I, F>(&mut self, call: F, items: I) -> PoolMap<'_, A, R, I::IntoIter, F>
    where
        I: IntoIterator,
        F: FnMut(&ActorRef<A>, I::Item) -> UnspawnedCall<R>,
    {
        PoolMap::new(&mut self.assignments, call, items.into_iter())
    }

    /// As [`map`](Self::map), with the results in the order in which they become ready.
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

    /// Runs a method for this item when an actor is idle. Does not block; the call of an item that
    /// has to wait is made while results are fetched.
    pub fn submit<T, F>(&mut self, call: F, item: T)
    where
        T: Send + 'static,
        F: FnOnce(&ActorRef<A>, T) -> UnspawnedCall<R> + Send + 'static,
    {
        let start: Start<A, R> = Box::new(move |actor| call(actor, item));
        let number = self.assignments.submit(start);
        self.submitted.push_back(number);
    }

    /// Whether there is a result to fetch, now or later.
    pub fn has_next(&self) -> bool {
        !self.submitted.is_empty()
    }

    /// Blocks for the result of the item that was submitted first, of those not fetched yet. `None`
    /// if all are fetched.
    pub fn get_next(&mut self) -> Option<Result<R>> {
        let number = *self.submitted.front()?;
        self.assignments.wait_for(number, None);
        self.submitted.pop_front();
        self.assignments.take(number)
    }

    /// As [`get_next`](Self::get_next), for at most this long: then the result is an error for
    /// which `is_timeout()` holds, and a later call gets the item's own.
    pub fn get_next_timeout(&mut self, limit: Duration) -> Option<Result<R>> {
        let number = *self.submitted.front()?;
        if !self.assignments.wait_for(number, deadline(limit)) {
            return Some(Err(late(limit)));
        }
        self.submitted.pop_front();
        self.assignments.take(number)
    }

    /// Blocks for the next result, in the order in which they become ready. `None` if all are
    /// fetched.
    pub fn get_next_unordered(&mut self) -> Option<Result<R>> {
        let number = self.assignments.wait_for_any(&self.submitted, None)?;
        self.fetch(number)
    }

    /// As [`get_next_unordered`](Self::get_next_unordered), for at most this long: then the result
    /// is an error for which `is_timeout()` holds.
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

    /// Adds an actor.
    pub fn push(&mut self, actor: ActorRef<A>) {
        self.assignments.push(actor);
    }

    /// Whether an actor is idle: a submission would run at once.
    pub fn has_idle(&mut self) -> bool {
        self.assignments.has_idle()
    }

    /// Takes an idle actor out of the pool, if there is one.
    pub fn pop_idle(&mut self) -> Option<ActorRef<A>> {
        self.assignments.pop_idle()
    }

    /// How many actors the pool has, idle or not; those that are known to be dead are gone.
    pub fn len(&self) -> usize {
        self.assignments.actors()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The actors. Calls that run go on, and their results are given up, as are items that wait.
    pub fn into_actors(self) -> Vec<ActorRef<A>> {
        self.assignments.into_actors()
    }
}

/// A limit beyond the end of time is none.
fn deadline(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}

fn late(limit: Duration) -> Error {
    Error::timeout(format!(
        "no result of the pool was there within {limit:?}; a later call can get it"
    ))
}

impl<A: Actor, R> fmt::Debug for ActorPool<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorPool")
            .field("actors", &self.assignments.actors())
            .field("to_fetch", &self.submitted.len())
            .finish_non_exhaustive()
    }
}
