//! The resources of its runtime that a call needs.

use mobula_protocol::{Amount, CPUS, MEMORY};

use super::UnspawnedCall;

impl<R> UnspawnedCall<R> {
    /// Sets how many cores the call uses while it runs, in place of the function's own
    /// (`#[remote(num_cpus = 2)]`). A call without resources uses 1, which is its worker.
    ///
    /// The runtime has as many cores as workers, unless
    /// [`Builder::num_cpus`](crate::Builder::num_cpus) says otherwise. The calls that run at a time
    /// use no more than these. So beside a call with `num_cpus(2)`, four workers run two plain
    /// calls, and one worker stays idle. A fraction counts in steps of 1/10,000, rounded down. The
    /// number binds no thread: nothing limits what a library starts by itself.
    ///
    /// A call that has to wait for cores gets those that become free. Calls that were spawned later
    /// begin before it only where they leave what it needs. So small calls do not starve a big one,
    /// and calls with resources do not starve plain ones.
    ///
    /// A task that waits for others, or for a lock, gives its cores to other calls meanwhile. It
    /// then goes on at once. More cores may be in use than there are until others have ended, and
    /// no call begins meanwhile.
    ///
    /// Costs some allocations. Such a call has its worker for itself, and the worker has no further
    /// tasks ahead of it. So each call takes the way to its worker and back.
    ///
    /// # Errors
    /// The call fails (`is_usage()`) if the number is not above zero, if the runtime has fewer
    /// cores, and if it is the call of an actor's method. The inline engine checks this too. It
    /// runs one call at a time, so the number has no other effect there.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote(num_cpus = 2)]
    /// fn fit(seed: u64) -> u64 {
    ///     seed // two threads of a library work here
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(4).start()?;
    /// let models = rt.spawn_all((0..10).map(fit::remote)); // two at a time
    /// let small = fit::remote(10).num_cpus(0.5).spawn();
    /// assert_eq!(models[9].get()? + small.get()?, 19);
    /// # Ok(())
    /// # }
    /// ```
    pub fn num_cpus(self, cores: impl Into<f64>) -> UnspawnedCall<R> {
        self.needs(CPUS, cores.into())
    }

    /// Sets how many bytes of memory the call needs while it runs, in place of the function's own
    /// (`#[remote(memory = 2 << 30)]`).
    ///
    /// The calls that run at a time need no more than [`Builder::memory`](crate::Builder::memory)
    /// says. Nothing measures or limits what they use. A task that waits keeps its memory. Order,
    /// errors and cost are those of [`num_cpus`](Self::num_cpus).
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote(memory = 64 << 20)]
    /// fn load(rows: usize) -> usize {
    ///     vec![0_u64; rows].len()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(4).memory(128 << 20).start()?;
    /// let tables = rt.spawn_all((0..10).map(load::remote)); // two at a time
    /// let large = load::remote(1 << 20).memory(128 << 20).spawn(); // alone
    /// assert_eq!(tables[9].get()? + large.get()?, 9 + (1 << 20));
    /// # Ok(())
    /// # }
    /// ```
    pub fn memory(mut self, bytes: u64) -> UnspawnedCall<R> {
        match bytes {
            0 => self.needs(MEMORY, 0.0),
            bytes => {
                let resources = &mut self.own_options().resources;
                resources.set(MEMORY, Amount::whole(bytes));
                self
            }
        }
    }

    /// Sets how much of a resource the call needs while it runs, in place of the function's own
    /// (`#[remote(resources(gpu = 1))]`). [`Builder::resource`](crate::Builder::resource) declares
    /// it.
    ///
    /// The amount is a whole number of units, or a part of one unit. Calls with parts share a unit.
    /// A task that waits keeps its units. So a call that it waits for must not need the last of
    /// them. Order, errors and cost are those of [`num_cpus`](Self::num_cpus). A resource that is
    /// not declared is an error too.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote(resources(gpu = 1))]
    /// fn train(seed: u64) -> u64 {
    ///     seed
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(4).resource("gpu", 2).start()?;
    /// let models = rt.spawn_all((0..10).map(train::remote)); // two at a time
    /// let small = train::remote(10).resource("gpu", 0.25).spawn();
    /// assert_eq!(models[9].get()? + small.get()?, 19);
    /// let error = train::remote(0).resource("gpu", 3).spawn().get().unwrap_err();
    /// assert!(error.is_usage());
    /// # Ok(())
    /// # }
    /// ```
    pub fn resource(self, name: &str, amount: impl Into<f64>) -> UnspawnedCall<R> {
        self.needs(name, amount.into())
    }

    fn needs(mut self, name: &str, amount: f64) -> UnspawnedCall<R> {
        self.call.needs(name, amount);
        self
    }
}
