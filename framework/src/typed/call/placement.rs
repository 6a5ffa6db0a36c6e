//! The machine that a call runs on.

use std::sync::Arc;

use mobula_protocol::{Engine, Error, Result};

use super::UnspawnedCall;

impl<R> UnspawnedCall<R> {
    /// Sets the machine that the call runs on, by a name that [`Runtime::nodes`] returns.
    ///
    /// On a cluster, a call without this runs where its large arguments are, or else on any node
    /// that has its resources. On one machine every call runs there. A map's batches keep the
    /// option. The call runs in a task of its own, also if another task makes and awaits it.
    ///
    /// # Errors
    /// The call fails (`is_usage()`) if the runtime has no machine of this name, and if it is the
    /// call of an actor's method. It fails as after a crash if the machine is lost before the call
    /// has begun.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn node() -> String {
    ///     mobula::context().node()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// for machine in rt.nodes()? {
    ///     assert_eq!(rt.spawn(node::remote().node(machine.name())).get()?, machine.name());
    /// }
    /// let error = rt.spawn(node::remote().node("elsewhere")).get().unwrap_err();
    /// assert!(error.is_usage() && error.to_string().contains("`elsewhere`"));
    /// # drop(rt);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`Runtime::nodes`]: crate::Runtime::nodes
    pub fn node(mut self, name: &str) -> UnspawnedCall<R> {
        self.own_options().node = Some(name.into());
        self
    }

    /// Sets whether calls like this one are spread over all machines of a cluster, wherever their
    /// arguments are.
    ///
    /// The default is the function's own (`#[remote(spread)]`), else no: a cluster fills one node
    /// after the other, and prefers those that have the arguments. On one machine this does
    /// nothing.
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
    /// let squares = rt.spawn_all((0..4).map(|n| square::remote(n).spread(true)));
    /// assert_eq!(rt.get(&squares)?, [0, 1, 4, 9]);
    /// # drop(squares);
    /// # Ok(())
    /// # }
    /// ```
    pub fn spread(mut self, spread: bool) -> UnspawnedCall<R> {
        self.own_options().spread = spread;
        self
    }
}

/// Checks that the engine has a machine of this name.
///
/// # Errors
/// The engine has no machine of this name.
pub(crate) fn check_node(node: &str, engine: &Arc<dyn Engine>) -> Result<()> {
    if engine.has_node(node) {
        return Ok(());
    }
    let own = mobula_protocol::node();
    Err(Error::usage(format!(
        "there is no node `{node}`: this runtime has one machine, `{own}`; `Runtime::nodes` returns the \
         names of all"
    )))
}
