//! The resources of a runtime, and the check whether a task's demand can ever be met.

use std::collections::BTreeMap;

use mobula_protocol::{Amount, CPUS, Demand, Error, MEMORY, Resources, Result};
use smallvec::SmallVec;

/// The largest number of units of one resource. A task that wants a unit costs a look at each.
const MAX_UNITS: u32 = 4096;

/// The largest number of resources that a program may declare.
const MAX_DECLARED: usize = u16::MAX as usize;

/// The resources of a runtime.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    /// The number of cores. A plain task uses one.
    pub(crate) cpus: Amount,
    /// The bytes of memory.
    pub(crate) memory: Amount,
    /// The declared resources, sorted by name, each with its number of units.
    pub(crate) declared: Vec<(String, u32)>,
    /// The environment variables that tell programs the units of a resource, by the name of the
    /// resource.
    pub(crate) variables: BTreeMap<String, String>,
}

/// The kind of work that needs a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Needer {
    /// A task, while it runs.
    Task,
    /// An actor, as long as it lives.
    Actor,
}

/// The needs of a task or an actor, by the numbers of the resources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    pub(crate) of: Needer,
    /// The number of cores. It is not zero for a task. It is zero for an actor that asks for no
    /// cores.
    pub(crate) cpus: Amount,
    /// The bytes of memory.
    pub(crate) memory: Amount,
    /// The needs of declared resources, sorted by their places in [`Totals::declared`]. A need is a
    /// number of units, or a part of one.
    pub(crate) units: SmallVec<[(u16, Amount); 2]>,
}

impl Totals {
    /// The largest amounts of cores and memory, and no declared resource.
    pub(crate) const UNLIMITED: Totals = Totals {
        cpus: Amount::whole(u64::MAX),
        memory: Amount::whole(u64::MAX),
        declared: Vec::new(),
        variables: BTreeMap::new(),
    };

    /// Returns the environment variable for a resource, or an empty text.
    pub(crate) fn variable(&self, name: &str) -> String {
        self.variables.get(name).cloned().unwrap_or_default()
    }

    /// Returns the need of a task of this function, or of an actor with this constructor. Returns
    /// `None` if it needs only its worker, like any task.
    ///
    /// # Errors
    /// Fails if the need could never be met.
    #[inline]
    pub(crate) fn need(
        &self,
        function: &str,
        resources: &Resources,
        of: Needer,
    ) -> Result<Option<Need>> {
        match resources.is_none() {
            true => Ok(None),
            false => self.resolve(function, resources, of).map(Some),
        }
    }

    #[cold]
    fn resolve(&self, function: &str, resources: &Resources, of: Needer) -> Result<Need> {
        let mut need = Need {
            of,
            cpus: match of {
                Needer::Task => Amount::ONE,
                Needer::Actor => Amount::default(),
            },
            memory: Amount::default(),
            units: SmallVec::new(),
        };
        for Demand { name, amount, .. } in resources.demands() {
            if *amount == Amount::default() {
                return Err(Error::usage(format!(
                    "`{function}` needs 0 of `{name}`; an amount is above zero"
                )));
            }
            match &**name {
                CPUS if *amount > self.cpus => {
                    let (cpus, wanted) = (self.cpus, amount);
                    return Err(Error::usage(format!(
                        "`{function}` could never run: it needs {wanted} of `{CPUS}`, and the \
                         runtime has {cpus} in all; lower its `{CPUS}`, or raise \
                         `Builder::workers` or `Builder::num_cpus`"
                    )));
                }
                CPUS => need.cpus = *amount,
                MEMORY if *amount > self.memory => {
                    return Err(Error::usage(format!(
                        "`{function}` could never run: it needs {amount} bytes of `{MEMORY}`, and \
                         the runtime has {} in all; lower its `{MEMORY}`, or raise \
                         `Builder::memory`",
                        self.memory
                    )));
                }
                MEMORY => need.memory = *amount,
                name => need.units.push(self.units(function, name, *amount)?),
            }
        }
        need.units.sort_unstable();
        if let Some(twice) = need.units.windows(2).find(|two| two[0].0 == two[1].0) {
            let name = &self.declared[usize::from(twice[0].0)].0;
            return Err(Error::usage(format!(
                "`{function}` needs the resource `{name}` twice"
            )));
        }
        Ok(need)
    }

    fn units(&self, function: &str, name: &str, amount: Amount) -> Result<(u16, Amount)> {
        let found = self
            .declared
            .binary_search_by(|(known, _)| (**known).cmp(name));
        let Some((index, total)) = found.ok().and_then(|index| {
            let index = u16::try_from(index).ok()?;
            Some((index, self.declared[usize::from(index)].1))
        }) else {
            let known: Vec<_> = self.declared.iter().map(|(name, _)| &**name).collect();
            let known = match known[..] {
                [] => "none is declared".to_owned(),
                _ => format!("declared are `{}`", known.join("`, `")),
            };
            return Err(Error::usage(format!(
                "`{function}` could never run: it needs {amount} of the resource `{name}`, and the \
                 runtime has 0 in all ({known}); declare it with \
                 `Runtime::builder().resource(\"{name}\", ..)`"
            )));
        };
        if amount > Amount::whole(u64::from(total)) {
            return Err(Error::usage(format!(
                "`{function}` could never run: it needs {amount} of the resource `{name}`, and the \
                 runtime has {total} in all; lower the amount, or raise the number in \
                 `Runtime::builder().resource(\"{name}\", {total})`"
            )));
        }
        if amount > Amount::ONE && !amount.is_whole() {
            return Err(Error::usage(format!(
                "`{function}` needs {amount} of the resource `{name}`; an amount is a whole number \
                 of units, or a part of one unit"
            )));
        }
        Ok((index, amount))
    }
}

/// Returns the declared resources, sorted by name. The last declaration of a name counts.
///
/// # Errors
/// Fails if a name or a number is not allowed.
pub(crate) fn declare(all: Vec<(String, u32)>) -> Result<Vec<(String, u32)>> {
    let all: BTreeMap<String, u32> = all.into_iter().collect();
    if all.len() > MAX_DECLARED {
        return Err(Error::usage(format!(
            "a runtime has {MAX_DECLARED} declared resources at most, not {}",
            all.len()
        )));
    }
    for (name, total) in &all {
        if name.is_empty() || name == CPUS || name == MEMORY {
            return Err(Error::usage(format!(
                "a resource cannot be called `{name}`; for cores and memory there are \
                 `Builder::num_cpus` and `Builder::memory`"
            )));
        }
        if !(1..=MAX_UNITS).contains(total) {
            return Err(Error::usage(format!(
                "the resource `{name}` has 1 to {MAX_UNITS} units, not {total}"
            )));
        }
    }
    Ok(all.into_iter().collect())
}

/// Returns the variables of a program's resources, and the usual one for GPUs.
///
/// # Errors
/// Fails if a variable belongs to no declared resource, or has no valid name.
pub(crate) fn variables(
    all: Vec<(String, String)>,
    declared: &[(String, u32)],
) -> Result<BTreeMap<String, String>> {
    let mut variables = BTreeMap::from([("gpu".to_owned(), "CUDA_VISIBLE_DEVICES".to_owned())]);
    for (name, variable) in all {
        if !declared.iter().any(|(known, _)| *known == name) {
            return Err(Error::usage(format!(
                "the variable `{variable}` is for the resource `{name}`, which is not declared; \
                 declare it with `Runtime::builder().resource(\"{name}\", ..)`"
            )));
        }
        if variable.is_empty() || variable.contains(['=', '\0']) {
            return Err(Error::usage(format!(
                "`{variable}` cannot be the name of an environment variable"
            )));
        }
        variables.insert(name, variable);
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals() -> Totals {
        Totals {
            cpus: Amount::whole(4),
            memory: Amount::whole(1 << 30),
            declared: totals_of(1),
            variables: BTreeMap::new(),
        }
    }

    fn totals_of(disks: u32) -> Vec<(String, u32)> {
        vec![("disk".to_owned(), disks), ("gpu".to_owned(), 2)]
    }

    fn resources(demands: &[(&str, f64)]) -> Resources {
        let mut resources = Resources::None;
        for (name, amount) in demands {
            resources.set(name, Amount::checked(*amount));
        }
        resources
    }

    fn need(demands: &[(&str, f64)]) -> Result<Option<Need>> {
        totals().need("train", &resources(demands), Needer::Task)
    }

    #[test]
    fn a_task_without_resources_needs_nothing_beside_its_worker() {
        assert_eq!(need(&[]).unwrap(), None);
    }

    #[test]
    fn an_actor_that_asks_for_no_cores_needs_none() {
        let resources = resources(&[("gpu", 1.0)]);
        let need = totals().need("Net::new", &resources, Needer::Actor);
        assert_eq!(need.unwrap().unwrap().cpus, Amount::default());
    }

    #[test]
    fn needs_of_one_kind_are_equal_whatever_their_order() {
        let one = need(&[("gpu", 1.0), ("num_cpus", 0.5), ("disk", 0.25)]);
        let other = need(&[("disk", 0.25), ("gpu", 1.0), ("num_cpus", 0.5)]);
        let one = one.unwrap().unwrap();
        assert_eq!(one, other.unwrap().unwrap());
        assert_eq!(one.cpus, Amount::checked(0.5));
        let units = [(0, Amount::checked(0.25)), (1, Amount::ONE)];
        assert_eq!(one.units[..], units);
    }

    #[test]
    fn what_could_never_run_is_refused_with_the_remedy() {
        for (demand, parts) in [
            (
                ("num_cpus", 4.5),
                ["4.5 of `num_cpus`", "has 4 in all", "`Builder::workers`"],
            ),
            (
                ("memory", (1_u64 << 31) as f64),
                ["2147483648 bytes", "1073741824", "`Builder::memory`"],
            ),
            (
                ("gpu", 3.0),
                [
                    "3 of the resource `gpu`",
                    "has 2 in all",
                    "resource(\"gpu\", 2)",
                ],
            ),
            (
                ("tpu", 1.0),
                [
                    "the resource `tpu`",
                    "`disk`, `gpu`",
                    "resource(\"tpu\", ..)",
                ],
            ),
            (
                ("gpu", 1.5),
                ["1.5 of the resource `gpu`", "whole number", "part of one"],
            ),
        ] {
            let error = need(&[demand]).unwrap_err();
            let text = error.to_string();
            assert!(error.is_usage() && text.contains("`train`"), "{text}");
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    }

    #[test]
    fn nothing_is_refused_also_where_a_worker_sends_it() {
        let mut resources = Resources::None;
        resources.set("gpu", Amount::default());
        let need = totals().need("train", &resources, Needer::Task);
        assert!(need.unwrap_err().is_usage());
    }

    #[test]
    fn variables_belong_to_declared_resources() {
        let of = |name: &str, variable: &str| {
            let all = vec![(name.to_owned(), variable.to_owned())];
            variables(all, &totals_of(1))
        };
        let usual = variables(vec![], &[]).unwrap();
        assert_eq!(usual["gpu"], "CUDA_VISIBLE_DEVICES");
        assert_eq!(
            of("gpu", "HIP_VISIBLE_DEVICES").unwrap()["gpu"],
            "HIP_VISIBLE_DEVICES"
        );
        assert_eq!(of("disk", "DISK").unwrap().len(), 2);
        for (name, variable) in [("tpu", "A"), ("gpu", ""), ("gpu", "A=B")] {
            assert!(of(name, variable).unwrap_err().is_usage());
        }
    }

    #[test]
    fn declared_names_and_numbers_are_checked() {
        let check = |name: &str, total| declare(vec![(name.to_owned(), total)]);
        assert!(check("gpu", 1).is_ok() && check("gpu", MAX_UNITS).is_ok());
        for (name, total) in [("", 1), ("num_cpus", 1), ("memory", 1), ("gpu", 0)] {
            assert!(check(name, total).unwrap_err().is_usage(), "{name} {total}");
        }
        assert!(check("gpu", MAX_UNITS + 1).unwrap_err().is_usage());
        let all = [("gpu", 1), ("disk", 3), ("gpu", 2)].map(|(name, n)| (name.to_owned(), n));
        assert_eq!(declare(all.into()).unwrap(), totals_of(3));
    }
}
