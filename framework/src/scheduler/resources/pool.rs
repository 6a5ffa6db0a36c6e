//! The amounts of each resource: in all, in use, and set aside.

use mobula_protocol::Amount;

use crate::{
    resources::{Need, Totals},
    scheduler::needs::GotUnits,
};

/// The free amount of an unused unit, in 1/10,000.
const WHOLE: u16 = Amount::ONE.parts() as u16;

/// The resources in use. Amounts of cores and memory are in 1/10,000.
#[derive(Debug)]
pub(super) struct Pool {
    cpus: u64,
    /// The cores in use by actors and by tasks with resources. They exceed `cpus` when paused tasks
    /// have continued.
    pub(super) used_cpus: u64,
    memory_left: u64,
    units: Vec<Units>,
}

/// The free amount of each unit of one resource, in 1/10,000.
#[derive(Debug)]
struct Units(Vec<u16>);

/// The resources that new tasks must leave to tasks that have waited longer.
#[derive(Debug, Default)]
pub(super) struct Aside {
    pub(super) cpus: u64,
    /// Number of idle workers.
    pub(super) workers: usize,
    /// The highest priority of the tasks that wait for cores.
    pub(super) priority: Option<i32>,
    memory: u64,
    /// Pairs of a resource and one of its units.
    units: Vec<(u16, u32)>,
}

impl Pool {
    pub(super) fn new(totals: &Totals) -> Pool {
        let units = totals.declared.iter();
        let units = units.map(|(_, total)| Units(vec![WHOLE; *total as usize]));
        Pool {
            cpus: totals.cpus.parts(),
            used_cpus: 0,
            memory_left: totals.memory.parts(),
            units: units.collect(),
        }
    }

    /// Returns the unused cores, if plain tasks use `plain` of them.
    pub(super) fn cpus_left(&self, plain: u64) -> u64 {
        let used = self.used_cpus.saturating_add(plain);
        self.cpus.saturating_sub(used)
    }

    /// Returns the units for this need. `None`: memory or units are in use or set aside.
    pub(super) fn find(&self, need: &Need, aside: &Aside) -> Option<GotUnits> {
        if need.memory.parts() > self.memory_left.saturating_sub(aside.memory) {
            return None;
        }
        let units = need.units.iter().map(|&(resource, amount)| {
            let free = |unit: &u32| !aside.units.contains(&(resource, *unit));
            self.units[usize::from(resource)].find(amount, free)
        });
        units.collect()
    }

    /// Sets aside the memory and the units of this need, but not its cores. Chooses the units with
    /// the most left. No other task gets anything of these units, so each ending task leaves more
    /// of them. The next search then finds the same units or better ones.
    pub(super) fn set_aside(&self, need: &Need, aside: &mut Aside) {
        aside.memory = aside.memory.saturating_add(need.memory.parts());
        for &(resource, amount) in &need.units {
            let units = &self.units[usize::from(resource)];
            let free = |unit: &u32| !aside.units.contains(&(resource, *unit));
            let best = units.best(amount, free);
            aside
                .units
                .extend(best.into_iter().map(|unit| (resource, unit)));
        }
    }

    /// Takes these units and the other resources of this need.
    pub(super) fn take(&mut self, need: &Need, got: &GotUnits) {
        self.used_cpus += need.cpus.parts();
        self.memory_left -= need.memory.parts();
        for (&(resource, amount), units) in need.units.iter().zip(got) {
            for unit in units {
                self.units[usize::from(resource)].0[*unit as usize] -= share(amount);
            }
        }
    }

    /// Returns the units and the memory of this need, but not its cores.
    pub(super) fn give_back(&mut self, need: &Need, got: &GotUnits) {
        self.memory_left += need.memory.parts();
        for (&(resource, amount), units) in need.units.iter().zip(got) {
            for unit in units {
                self.units[usize::from(resource)].0[*unit as usize] += share(amount);
            }
        }
    }

    /// Returns the free cores, the free memory, and the free sum of each declared resource.
    #[cfg(test)]
    pub(in crate::scheduler) fn left(&self) -> (u64, u64, Vec<u64>) {
        let sum = |units: &Units| units.0.iter().map(|left| u64::from(*left)).sum();
        let units = self.units.iter().map(sum).collect();
        (self.cpus_left(0), self.memory_left, units)
    }
}

/// Returns the amount that a demand takes of each of its units.
fn share(amount: Amount) -> u16 {
    amount.parts().min(u64::from(WHOLE)) as u16
}

/// Returns the number of units that a demand gets.
fn count(amount: Amount) -> usize {
    amount.wholes().max(1) as usize
}

impl Units {
    /// Returns the first units that are completely free. For a part of a unit, returns the unit
    /// that the part fills best.
    fn find(&self, amount: Amount, free: impl Fn(&u32) -> bool) -> Option<Vec<u32>> {
        let share = share(amount);
        let fit = self
            .0
            .iter()
            .zip(0..)
            .filter(|(left, unit)| **left >= share && free(unit));
        if share < WHOLE {
            return Some(vec![fit.min()?.1]);
        }
        let found: Vec<u32> = fit.take(count(amount)).map(|(_, unit)| unit).collect();
        (found.len() == count(amount)).then_some(found)
    }

    /// Returns the units with the most left, as many as this demand gets.
    fn best(&self, amount: Amount, free: impl Fn(&u32) -> bool) -> Vec<u32> {
        let all = self.0.iter().zip(0..).filter(|(_, unit)| free(unit));
        let mut all: Vec<_> = all.map(|(left, unit)| (WHOLE - left, unit)).collect();
        all.sort_unstable();
        all.truncate(count(amount));
        all.into_iter().map(|(_, unit)| unit).collect()
    }
}
