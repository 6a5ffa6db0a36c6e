//! The assignment of items to actors.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use mobula_protocol::{Awaited, Error, ObjectHandle, Result, park_until};

use crate::{
    ActorRef, ObjectRef, UnspawnedCall, Value,
    promise::ENGINE,
    typed::{Actor, actor::lookup::short_name},
};

/// Makes the call of an item for the actor that gets it.
pub(super) type Start<A, R> = Box<dyn FnOnce(&ActorRef<A>) -> UnspawnedCall<R> + Send>;

/// The call of an item that an actor has.
struct Assignment<A: Actor, R> {
    number: u64,
    actor: ActorRef<A>,
    result: ObjectRef<R>,
    /// Whether the caller will fetch the result.
    wanted: bool,
}

/// Actors, and items by number.
pub(super) struct Assignments<A: Actor, R> {
    idle: VecDeque<ActorRef<A>>,
    flying: Vec<Assignment<A, R>>,
    waiting: VecDeque<(u64, Start<A, R>)>,
    landed: HashMap<u64, Result<ObjectRef<R>>>,
    next: u64,
}

impl<A: Actor, R> Assignments<A, R> {
    pub(super) fn new(idle: VecDeque<ActorRef<A>>) -> Assignments<A, R> {
        Assignments {
            idle,
            flying: Vec::new(),
            waiting: VecDeque::new(),
            landed: HashMap::new(),
            next: 0,
        }
    }

    pub(super) fn actors(&self) -> usize {
        self.idle.len() + self.flying.len()
    }

    pub(super) fn into_actors(self) -> Vec<ActorRef<A>> {
        let busy = self.flying.into_iter().map(|assignment| assignment.actor);
        self.idle.into_iter().chain(busy).collect()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Starts the call of an item on an idle actor. Callers make sure that one is idle, unless the
    /// pool has no actor at all. Then the item fails.
    fn start(&mut self, number: u64, call: impl FnOnce(&ActorRef<A>) -> UnspawnedCall<R>) {
        // The actor leaves `idle` after `call`, so it is still there if the caller's code panics.
        let result = self.idle.front().map(|actor| call(actor).spawn());
        match result.zip(self.idle.pop_front()) {
            Some((result, actor)) => self.flying.push(Assignment {
                number,
                actor,
                result,
                wanted: true,
            }),
            None => {
                self.landed.insert(number, Err(nobody::<A>()));
            }
        }
    }

    /// Starts waiting items on idle actors. Without any actor, the items fail.
    fn start_waiting(&mut self) {
        while !self.waiting.is_empty() && (!self.idle.is_empty() || self.actors() == 0) {
            if let Some((number, call)) = self.waiting.pop_front() {
                self.start(number, call);
            }
        }
    }

    /// Takes the ready results, and gives their actors further work.
    fn complete(&mut self) {
        let mut at = 0;
        while at < self.flying.len() {
            let Some(outcome) = self.flying[at].result.entry().outcome() else {
                at += 1;
                continue;
            };
            let dead = matches!(outcome, Err(error) if error.is_actor_dead());
            let assignment = self.flying.remove(at);
            if assignment.wanted {
                self.landed.insert(assignment.number, Ok(assignment.result));
            }
            if !dead {
                self.idle.push_back(assignment.actor);
            }
        }
        self.start_waiting();
    }

    /// Blocks until one more result is ready or the deadline has passed. Returns `false` if the
    /// deadline has passed.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        let entries: Vec<Arc<ObjectHandle>> = self
            .flying
            .iter()
            .map(|assignment| assignment.result.entry().clone())
            .collect();
        let Some(first) = entries.first() else {
            return true;
        };
        if let Some(engine) = first.engine(ENGINE)
            && entries.iter().all(|entry| entry.belongs_to(&*engine))
        {
            return engine.wait(&entries, deadline);
        }
        // The actors belong to several runtimes, or to one that has ended.
        for entry in &entries {
            match entry.engine(ENGINE) {
                Some(engine) => entry.watch(&*engine),
                None => entry.complete(Err(Error::shutdown()), ENGINE),
            }
        }
        park_until(&entries as &dyn Awaited, deadline)
    }

    pub(super) fn push(&mut self, actor: ActorRef<A>) {
        self.idle.push_back(actor);
        self.start_waiting();
    }

    pub(super) fn has_idle(&mut self) -> bool {
        self.complete();
        !self.idle.is_empty()
    }

    pub(super) fn pop_idle(&mut self) -> Option<ActorRef<A>> {
        self.complete();
        self.idle.pop_front()
    }

    /// Adds an item whose call can wait for an actor. Returns its number.
    pub(super) fn submit(&mut self, call: Start<A, R>) -> u64 {
        let number = self.number();
        self.waiting.push_back((number, call));
        if self.actors() > 0 {
            self.complete();
        }
        number
    }

    /// Adds an item if an actor is idle, and returns its number. If the pool has no actor at all,
    /// the item fails. `make` gives the item's call, if there is another item.
    pub(super) fn submit_now<C>(&mut self, make: impl FnOnce() -> Option<C>) -> Option<u64>
    where
        C: FnOnce(&ActorRef<A>) -> UnspawnedCall<R>,
    {
        if self.idle.is_empty() && self.actors() > 0 {
            return None;
        }
        let call = make()?;
        let number = self.number();
        self.start(number, call);
        Some(number)
    }

    /// Takes the ready results, without blocking.
    pub(super) fn look(&mut self) {
        self.complete();
    }

    /// Returns whether this item's result is ready.
    pub(super) fn has_landed(&self, number: u64) -> bool {
        self.landed.contains_key(&number)
    }

    /// Blocks until one more result is ready.
    pub(super) fn wait_for_one_more(&mut self) {
        self.wait(None);
        self.complete();
    }

    /// Blocks until this item's result is ready. Returns `false` if it is not ready at the
    /// deadline.
    pub(super) fn wait_for(&mut self, number: u64, deadline: Option<Instant>) -> bool {
        self.wait_until(deadline, |assignments| {
            assignments.has_landed(number).then_some(())
        })
        .is_some()
    }

    /// Blocks until the result of one of these items is ready, if there are any items.
    pub(super) fn wait_for_any(
        &mut self,
        numbers: &VecDeque<u64>,
        deadline: Option<Instant>,
    ) -> Option<u64> {
        if numbers.is_empty() {
            return None;
        }
        self.wait_until(deadline, |assignments| {
            numbers.iter().copied().find(|n| assignments.has_landed(*n))
        })
    }

    fn wait_until<T>(
        &mut self,
        deadline: Option<Instant>,
        find: impl Fn(&Assignments<A, R>) -> Option<T>,
    ) -> Option<T> {
        loop {
            self.complete();
            if let Some(found) = find(self) {
                return Some(found);
            }
            if !self.wait(deadline) {
                self.complete();
                return find(self);
            }
        }
    }

    /// Forgets these items, whose results the caller will not fetch.
    pub(super) fn give_up(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            self.landed.remove(&number);
            let mut flying = self.flying.iter_mut();
            if let Some(assignment) = flying.find(|assignment| assignment.number == number) {
                assignment.wanted = false;
            }
        }
    }
}

impl<A: Actor, R: Value> Assignments<A, R> {
    /// Returns the result of an item if it is ready, and forgets the item.
    pub(super) fn take(&mut self, number: u64) -> Option<Result<R>> {
        let landed = self.landed.remove(&number)?;
        Some(landed.and_then(|result| result.get()))
    }
}

fn nobody<A>() -> Error {
    Error::usage(format!(
        "the pool has no actor `{}` that is alive",
        short_name::<A>()
    ))
}
