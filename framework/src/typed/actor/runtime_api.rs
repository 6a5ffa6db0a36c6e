//! Operations of a runtime on actors.

use mobula_protocol::Result;

use super::{Actor, ActorCall, ActorRef, lookup};
use crate::Runtime;

impl Runtime {
    /// Creates an actor on this runtime. Does not block. Where there is one runtime only,
    /// [`ActorCall::spawn`] does the same.
    ///
    /// If one of the arguments is a ref of another runtime, the actor's calls fail with an error
    /// that says so.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # struct Counter(u64);
    /// #
    /// # #[remote]
    /// # impl Counter {
    /// #     fn new(start: u64) -> Self {
    /// #         Counter(start)
    /// #     }
    /// #
    /// #     fn add(&mut self, n: u64) -> u64 {
    /// #         self.0 += n;
    /// #         self.0
    /// #     }
    /// # }
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let counter: ActorRef<Counter> = rt.spawn_actor(Counter::remote(5));
    /// assert_eq!(counter.add(2).spawn().get()?, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn_actor<A: Actor>(&self, call: ActorCall<A>) -> ActorRef<A> {
        call.spawn_on(self.engine())
    }

    /// Returns the living actor of the call's name on this runtime, or else creates it. Where there
    /// is one runtime only, [`ActorCall::get_or_create`] does the same.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # struct Counter(u64);
    /// #
    /// # #[remote]
    /// # impl Counter {
    /// #     fn new(start: u64) -> Self {
    /// #         Counter(start)
    /// #     }
    /// #
    /// #     fn add(&mut self, n: u64) -> u64 {
    /// #         self.0 += n;
    /// #         self.0
    /// #     }
    /// # }
    /// #[remote]
    /// fn count() -> mobula::Result<u64> {
    ///     let hits = Runtime::current()?.get_or_create_actor(Counter::remote(0).name("hits"))?;
    ///     hits.add(1).spawn().get()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let hits = rt.get_or_create_actor(Counter::remote(0).name("hits"))?;
    /// rt.get(rt.spawn_all((0..4).map(|_| count::remote())))?;
    /// assert_eq!(hits.add(0).spawn().get()?, 4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`ActorCall::get_or_create`].
    pub fn get_or_create_actor<A: Actor>(&self, call: ActorCall<A>) -> Result<ActorRef<A>> {
        lookup::get_or_create(self.engine(), call)
    }

    /// Returns the living actor of this [name](ActorCall::name). Blocks until it has been
    /// constructed.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # struct Counter(u64);
    /// #
    /// # #[remote]
    /// # impl Counter {
    /// #     fn new(start: u64) -> Self {
    /// #         Counter(start)
    /// #     }
    /// #
    /// #     fn add(&mut self, n: u64) -> u64 {
    /// #         self.0 += n;
    /// #         self.0
    /// #     }
    /// # }
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let _hits = rt.spawn_actor(Counter::remote(5).name("hits"));
    /// assert_eq!(rt.actor::<Counter>("hits")?.add(2).spawn().get()?, 7);
    /// assert!(rt.actor::<Counter>("misses").unwrap_err().is_usage());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// * `is_usage()`: there is no such actor.
    /// * `is_type_mismatch()`: the actor is of another type.
    /// * The constructor's failure, or `is_shutdown()`.
    pub fn actor<A: Actor>(&self, name: &str) -> Result<ActorRef<A>> {
        lookup::named(self.engine(), name)
    }
}
