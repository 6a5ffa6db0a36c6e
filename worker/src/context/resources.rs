//! A task asks which resources it has got.

use mobula_protocol::Demand;

use super::TaskContext;

impl TaskContext {
    /// Returns which units of a resource the task has got, by their numbers, from 0 on. In a method
    /// or a constructor, these are the units of the actor.
    ///
    /// The list is empty for a resource that the call does not need, for cores and memory, and
    /// outside of tasks. An engine that runs one call at a time returns an empty list, too.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote(resources(gpu = 1))]
    /// fn which() -> Vec<u32> {
    ///     mobula::context().units("gpu")
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).resource("gpu", 2).start()?;
    /// assert_eq!(rt.spawn(which::remote()).get()?, [0]);
    /// assert_eq!(rt.spawn(which::remote().resource("gpu", 2)).get()?, [0, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn units(&self, resource: &str) -> Vec<u32> {
        let mut demands = self.demands().iter();
        let found = demands.find(|demand| demand.name == resource);
        found.map(|demand| demand.units.clone()).unwrap_or_default()
    }

    /// Returns the environment variables that tell a program which units of the task's resources it
    /// is to use. An example is `CUDA_VISIBLE_DEVICES` with `0,1` for the resource `gpu`.
    /// `Builder::resource_variable` declares others.
    ///
    /// They are for the processes that the task starts. The worker's own environment does not
    /// change: several tasks use it at a time, and code of other languages may read it meanwhile.
    /// Code in the worker takes the numbers from [`units`](Self::units).
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote(resources(gpu = 1))]
    /// fn train() -> String {
    ///     let mut program = std::process::Command::new("sh");
    ///     program.args(["-c", "echo uses $CUDA_VISIBLE_DEVICES"]);
    ///     let output = program.envs(mobula::context().variables()).output().unwrap();
    ///     String::from_utf8(output.stdout).unwrap()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).resource("gpu", 2).start()?;
    /// assert_eq!(rt.spawn(train::remote()).get()?, "uses 0\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn variables(&self) -> Vec<(String, String)> {
        let declared = self.demands().iter();
        let declared = declared.filter(|demand| !demand.variable.is_empty());
        let variables = declared.map(|demand| {
            let units: Vec<_> = demand.units.iter().map(u32::to_string).collect();
            (demand.variable.to_string(), units.join(","))
        });
        variables.collect()
    }

    fn demands(&self) -> &[Demand] {
        self.task
            .as_ref()
            .map_or(&[], |task| task.resources.demands())
    }
}
