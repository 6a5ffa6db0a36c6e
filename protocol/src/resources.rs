//! The resources that a task needs: cores, memory, and resources that the program has declared.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The resource for cores, in [`Demand::name`]. A worker counts as one of it.
pub const CPUS: &str = "num_cpus";

/// The resource for memory. It counts in bytes.
pub const MEMORY: &str = "memory";

/// An amount of a resource: a multiple of 1/10,000, so sums are exact.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Amount(u64);

impl Amount {
    /// The amount 1.
    pub const ONE: Amount = Amount(10_000);

    /// Returns the amount `n`, or the largest amount if `n` is larger than that.
    pub const fn whole(n: u64) -> Amount {
        Amount(n.saturating_mul(Amount::ONE.0))
    }

    /// Returns the amount `n`, rounded down to a multiple of 1/10,000. So `n` times `1.0 / n` is
    /// never more than 1. Returns `None` if the rounded amount is not above zero.
    pub const fn new(n: f64) -> Option<Amount> {
        // The addend keeps a decimal fraction from falling below its value by a rounding error.
        let parts = n * Amount::ONE.0 as f64 + 1e-6;
        match parts >= 1.0 {
            true => Some(Amount(parts as u64)),
            // NaN also comes here.
            false => None,
        }
    }

    /// Returns whether `n` is finite, and above zero after rounding down.
    pub const fn is_amount(n: f64) -> bool {
        n < f64::INFINITY && Amount::new(n).is_some()
    }

    /// Returns the amount `n`, for constants: see [`new`](Amount::new).
    ///
    /// # Panics
    /// Panics if `n` is [no amount](Amount::is_amount).
    pub const fn checked(n: f64) -> Amount {
        match Amount::new(n) {
            Some(amount) if n < f64::INFINITY => amount,
            _ => panic!("an amount of a resource is a positive number, and at least 0.0001"),
        }
    }

    /// Returns the amount in units of 1/10,000.
    pub const fn parts(self) -> u64 {
        self.0
    }

    /// Returns the amount of `parts` units of 1/10,000.
    pub const fn of_parts(parts: u64) -> Amount {
        Amount(parts)
    }

    /// Returns the amount rounded down to a whole number.
    pub const fn wholes(self) -> u64 {
        self.0 / Amount::ONE.0
    }

    /// Returns whether the amount is a whole number.
    pub const fn is_whole(self) -> bool {
        self.0.is_multiple_of(Amount::ONE.0)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wholes, rest) = (self.wholes(), self.0 % Amount::ONE.0);
        match rest {
            0 => wholes.fmt(f),
            rest => {
                let digits = format!("{rest:04}");
                write!(f, "{wholes}.{}", digits.trim_end_matches('0'))
            }
        }
    }
}

/// The need of a task for one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// [`CPUS`], [`MEMORY`], or a name that the program has declared.
    pub name: Cow<'static, str>,
    /// The amount. For memory it is in bytes.
    pub amount: Amount,
    /// The units that the task has got. Only a task in a worker has them.
    pub units: Vec<u32>,
    /// The environment variable that names these units to programs, in such a task. Empty if there
    /// is none.
    pub variable: Cow<'static, str>,
}

impl Demand {
    /// Returns the demand of a function whose attribute declares it.
    pub const fn fixed(name: &'static str, amount: Amount) -> Demand {
        Demand {
            name: Cow::Borrowed(name),
            amount,
            units: Vec::new(),
            variable: Cow::Borrowed(""),
        }
    }
}

/// The resources that a task needs beside its worker. Each resource appears once.
#[derive(Clone, Debug, Default)]
pub enum Resources {
    /// The task needs nothing. Nearly all tasks are of this kind.
    #[default]
    None,
    /// The demands in the attribute of a function.
    Fixed(&'static [Demand]),
    /// The demands of a call, or the resources that it has got.
    Own(Arc<[Demand]>),
}

impl Resources {
    /// Returns all demands.
    pub fn demands(&self) -> &[Demand] {
        match self {
            Resources::None => &[],
            Resources::Fixed(demands) => demands,
            Resources::Own(demands) => demands,
        }
    }

    /// Returns whether the task needs no resource.
    #[inline]
    pub fn is_none(&self) -> bool {
        matches!(self, Resources::None)
    }

    /// Sets the needed amount of a resource. It replaces an amount that was set before.
    pub fn set(&mut self, name: &str, amount: Amount) {
        let mut demands = self.demands().to_vec();
        match demands.iter_mut().find(|demand| demand.name == name) {
            Some(demand) => demand.amount = amount,
            None => demands.push(Demand {
                name: Cow::Owned(name.to_owned()),
                amount,
                units: Vec::new(),
                variable: Cow::Borrowed(""),
            }),
        }
        *self = demands.into();
    }

    /// Returns the resources of a task that has got units. For a resource's name, `units` returns
    /// the units and the environment variable that names them.
    pub fn granted(&self, units: impl Fn(&str) -> (Vec<u32>, String)) -> Resources {
        let mut demands = self.demands().to_vec();
        for demand in &mut demands {
            let (units, variable) = units(&demand.name);
            (demand.units, demand.variable) = (units, variable.into());
        }
        demands.into()
    }
}

impl From<Vec<Demand>> for Resources {
    fn from(demands: Vec<Demand>) -> Resources {
        match demands.is_empty() {
            true => Resources::None,
            false => Resources::Own(demands.into()),
        }
    }
}

impl PartialEq for Resources {
    fn eq(&self, other: &Resources) -> bool {
        self.demands() == other.demands()
    }
}

impl Eq for Resources {}

impl Serialize for Resources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.demands().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Resources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Resources, D::Error> {
        Ok(Vec::<Demand>::deserialize(deserializer)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_and_rounded_down() {
        for (n, parts) in [
            (1.0, 10_000),
            (0.25, 2_500),
            (0.29, 2_900),
            (1.1, 11_000),
            (1.0 / 3.0, 3_333),
            (1.0 / 6.0, 1_666),
            (0.0001, 1),
            (4096.0, 40_960_000),
            (f64::INFINITY, u64::MAX),
        ] {
            assert_eq!(Amount::new(n).unwrap().parts(), parts, "{n}");
        }
        for n in 1..=10_000_u64 {
            let share = Amount::new(1.0 / n as f64).unwrap();
            assert!(share.parts() * n <= Amount::ONE.parts(), "{n}");
        }
        for n in 1..=10_000_u64 {
            let amount = Amount::new(n as f64 / 10_000.0).unwrap();
            assert_eq!(amount.parts(), n);
            assert_eq!(
                amount.to_string().parse::<f64>().unwrap(),
                n as f64 / 10_000.0
            );
        }
    }

    #[test]
    fn what_is_not_above_zero_is_no_amount() {
        for n in [0.0, -0.0, -1.0, 0.000_09, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(Amount::new(n), None, "{n}");
        }
    }

    #[test]
    fn amounts_show_as_they_were_written() {
        for (parts, text) in [
            (10_000, "1"),
            (2_500, "0.25"),
            (1, "0.0001"),
            (15_000, "1.5"),
            (40_960_000, "4096"),
        ] {
            assert_eq!(Amount::of_parts(parts).to_string(), text);
        }
    }

    #[test]
    fn a_call_says_it_in_place_of_its_function() {
        static FIXED: [Demand; 2] = [
            Demand::fixed(CPUS, Amount::whole(2)),
            Demand::fixed("gpu", Amount::ONE),
        ];
        let mut resources = Resources::Fixed(&FIXED);
        resources.set(CPUS, Amount::ONE);
        resources.set("disk", Amount::ONE);
        let told: Vec<_> = resources
            .demands()
            .iter()
            .map(|demand| (&*demand.name, demand.amount))
            .collect();
        let one = Amount::ONE;
        assert_eq!(told, [(CPUS, one), ("gpu", one), ("disk", one)]);
        assert_eq!(FIXED[0].amount, Amount::whole(2));
    }
}
