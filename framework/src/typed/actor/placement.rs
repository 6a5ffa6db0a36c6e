//! The machine that an actor lives on.

use super::{Actor, ActorCall};

impl<A: Actor> ActorCall<A> {
    /// Sets the machine that the actor lives on, by a name that
    /// [`Runtime::nodes`](crate::Runtime::nodes) returns. Default: any that has its resources.
    ///
    /// An actor that is made anew is there again. If the machine is lost, the actor is dead.
    ///
    /// # Errors
    /// Creating the actor fails (`is_usage()`) if the runtime has no machine of this name.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// struct Sink;
    ///
    /// #[remote]
    /// impl Sink {
    ///     fn new() -> Self {
    ///         Sink
    ///     }
    ///
    ///     fn node(&self) -> String {
    ///         mobula::context().node()
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).start()?;
    /// let here = rt.nodes()?.into_iter().find(|node| node.is_own()).unwrap();
    /// let sink = Sink::remote().node(here.name()).spawn();
    /// assert_eq!(sink.node().spawn().get()?, here.name());
    /// assert!(ActorRef::ready(&Sink::remote().node("elsewhere").spawn()).unwrap_err().is_usage());
    /// # drop(rt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn node(mut self, name: &str) -> ActorCall<A> {
        self.options.node = Some(name.into());
        self
    }
}
