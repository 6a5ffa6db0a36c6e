//! What a task needs of the resources of its runtime: cores, memory, and what the program has
//! declared.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The resource of which a worker is one, in [`Demand::name`].
pub const CPUS: &str = "num_cpus";

/// The resource that counts in bytes.
pub const MEMORY: &str = "memory";

/// How much of a resource: a multiple of 1/10,000, so that sums are exact.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Amount(u64);

impl Amount {
    /// One whole.
    pub const ONE: Amount = Amount(10_000);

    /// So many wholes, or as many as can be counted.
    pub const fn whole(n: u64) -> Amount {
        Amount(n.saturating_mul(Amount::ONE.0))
    }

    /// This much, rounded down to a multiple of 1/10,000: so `n` times `1.0 / n` is never more than
    /// one. `None` if that is not above zero.
    pub const fn new(n: f64) -> Option<Amount> {
        // What was written as a decimal fraction is not below it by a rounding error.
        let parts = n * Amount::ONE.0 as f64 + 1e-6;
        match parts >= 1.0 {
            true => Some(Amount(parts as u64)),
            // Also what is no number.
            false => None,
        }
    }

    /// Whether this is above zero, also when it is rounded, and finite.
    pub const fn is_amount(n: f64) -> bool {
        n < f64::INFINITY && Amount::new(n).is_some()
    }

    /// As [`new`](Amount::new), for constants.
    ///
    /// # Panics
    /// If it is [no amount](Amount::is_amount).
    pub const fn checked(n: f64) -> Amount {
        match Amount::new(n) {
            Some(amount) if n < f64::INFINITY => amount,
            _ => panic!("an amount of a resource is a positive number, and at least 0.0001"),
        }
    }

    /// In 1/10,000.
    pub const fn parts(self) -> u64 {
        self.0
    }

    /// So many 1/10,000.
    pub const fn of_parts(parts: u64) -> Amount {
        Amount(parts)
    }

    /// How many wholes, rounded down.
    pub const fn wholes(self) -> u64 {
        self.0 / Amount::ONE.0
    }

    /// Whether it is a number of wholes.
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

/// That a task needs so much of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// [`CPUS`], [`MEMORY`], or a name that the program has declared.
    pub name: Cow<'static, str>,
    /// How much. Of memory: bytes.
    pub amount: Amount,
    /// Which units the task has got, in a task that a worker has.
    pub units: Vec<u32>,
    /// The environment variable that tells programs so, in such a task, if there is one.
    pub variable: Cow<'static, str>,
}

impl Demand {
    /// Of a function, whose attribute says it.
    pub const fn fixed(name: &'static str, amount: Amount) -> Demand {
        Demand {
            name: Cow::Borrowed(name),
            amount,
            units: Vec::new(),
            variable: Cow::Borrowed(""),
        }
    }
}

/// What a task needs beside its worker. Each resource stands there once.
#[derive(Clone, Debug, Default)]
pub enum Resources {
    /// Nothing: nearly all.
    #[default]
    None,
    /// What the attribute of a function says.
    Fixed(&'static [Demand]),
    /// What a call says, or what it was given.
    Own(Arc<[Demand]>),
}

impl Resources {
    /// All that is needed.
    pub fn demands(&self) -> &[Demand] {
        match self {
            Resources::None => &[],
            Resources::Fixed(demands) => demands,
            Resources::Own(demands) => demands,
        }
    }

    /// Whether nothing is.
    #[inline]
    pub fn is_none(&self) -> bool {
        matches!(self, Resources::None)
    }

    /// Has so much of a resource be needed, in place of what was before.
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

    /// Those of a task that has got these units of a resource, by its name, with the variable that
    /// tells programs so.
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
