//! The resources of its runtime that an actor holds.

use mobula_protocol::{Amount, CPUS, MEMORY};

use super::{Actor, ActorCall};

impl<A: Actor> ActorCall<A> {
    /// Sets how many cores the actor holds, in place of the type's own (`#[remote(num_cpus = 1)]`).
    /// Default: none, so that actors run beside the calls of the pool.
    ///
    /// An actor gets its resources when its arguments are ready, and then a process. It keeps them
    /// through restarts. They come back when the actor has ended and its process is dead. Actors
    /// and calls wait for resources in one order: see
    /// [`UnspawnedCall::num_cpus`](crate::UnspawnedCall::num_cpus). The cores of an actor are not
    /// passed on while a method waits.
    ///
    /// Plain calls use a core each. Actors that hold all cores hold them up until one ends. The
    /// driver then says so once on standard error. The number binds no thread.
    ///
    /// # Errors
    /// Creating the actor fails (`is_usage()`) if the number is not above zero, and if the runtime
    /// has fewer cores.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// struct Server;
    ///
    /// #[remote(num_cpus = 1)]
    /// impl Server {
    ///     fn new() -> Self {
    ///         Server
    ///     }
    ///
    ///     fn ask(&self, n: u64) -> u64 {
    ///         n + 1
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).num_cpus(2).start()?;
    /// let (one, small) = (Server::remote().spawn(), Server::remote().num_cpus(0.5).spawn());
    /// assert_eq!(one.ask(1).spawn().get()? + small.ask(2).spawn().get()?, 5);
    /// assert!(ActorRef::ready(&Server::remote().num_cpus(3).spawn()).unwrap_err().is_usage());
    /// # drop(rt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn num_cpus(self, cores: impl Into<f64>) -> ActorCall<A> {
        self.needs(CPUS, cores.into())
    }

    /// Sets how many bytes of memory the actor holds, in place of the type's own
    /// (`#[remote(memory = 2 << 30)]`). Default: none.
    ///
    /// Nothing measures or limits what the actor uses. Order, duration and errors are those of
    /// [`num_cpus`](Self::num_cpus).
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// struct Table(Vec<u64>);
    ///
    /// #[remote(memory = 64 << 20)]
    /// impl Table {
    ///     fn new(rows: usize) -> Self {
    ///         Table(vec![1; rows])
    ///     }
    ///
    ///     fn sum(&self) -> u64 {
    ///         self.0.iter().sum()
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).memory(96 << 20).start()?;
    /// let first = Table::remote(10).spawn();
    /// let other = Table::remote(5).memory(32 << 20).spawn();
    /// assert_eq!(first.sum().spawn().get()? + other.sum().spawn().get()?, 15);
    /// # drop(rt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn memory(mut self, bytes: u64) -> ActorCall<A> {
        match bytes {
            0 => self.needs(MEMORY, 0.0),
            bytes => {
                self.options.resources.set(MEMORY, Amount::whole(bytes));
                self
            }
        }
    }

    /// Sets how much of a declared resource the actor holds, in place of the type's own
    /// (`#[remote(resources(gpu = 1))]`). Default: none.
    ///
    /// [`TaskContext::units`](crate::TaskContext::units) tells the constructor and the methods
    /// which units the actor has. An actor that is made anew has the same ones. Order, duration and
    /// errors are those of [`num_cpus`](Self::num_cpus). A resource that is not declared is an
    /// error too.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// struct Net;
    ///
    /// #[remote(resources(gpu = 1))]
    /// impl Net {
    ///     fn new() -> Self {
    ///         Net
    ///     }
    ///
    ///     fn device(&self) -> Vec<u32> {
    ///         mobula::context().units("gpu")
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).resource("gpu", 3).start()?;
    /// let one = Net::remote().spawn();
    /// assert_eq!(one.device().spawn().get()?, [0]);
    /// let two = Net::remote().resource("gpu", 2).spawn();
    /// assert_eq!(two.device().spawn().get()?, [1, 2]);
    /// # drop(rt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn resource(self, name: &str, amount: impl Into<f64>) -> ActorCall<A> {
        self.needs(name, amount.into())
    }

    fn needs(mut self, name: &str, amount: f64) -> ActorCall<A> {
        match Amount::new(amount).filter(|_| Amount::is_amount(amount)) {
            Some(amount) => self.options.resources.set(name, amount),
            None => self.wrong(format_args!(
                "it needs {amount} of `{name}`; an amount is a positive number, and at least 0.0001"
            )),
        }
        self
    }
}
