//! What there is of each resource, what of it is in use, and what is set aside.

use mobula_protocol::Amount;

use crate::{
    resources::{Need, Totals},
    scheduler::needs::GotUnits,
};

/// A unit that nobody uses.
const WHOLE: u16 = Amount::ONE.parts() as u16;

/// How much of each resource is in use. Cores and memory in 1/10,000.
#[derive(Debug)]
pub(super) struct Pool {
    cpus: u64,
    /// By tasks with resources. More than there are, where tasks have gone on after a wait.
    pub(super) used_cpus: u64,
    memory_left: u64,
    units: Vec<Units>,
}

/// The units of one resource: what is left of each.
#[derive(Debug)]
struct Units(Vec<u16>);

/// What tasks that begin now must leave to others, which have waited for longer.
#[derive(Debug, Default)]
pub(super) struct Aside {
    pub(super) cpus: u64,
    /// Idle workers.
    pub(super) workers: usize,
    /// The highest priority of the tasks that wait for cores.
    pub(super) priority: Option<i32>,
    memory: u64,
    /// Units, with the resources that they are of.
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

    /// The cores that nobody uses, if these are used by tasks without resources.
    pub(super) fn cpus_left(&self, plain: u64) -> u64 {
        let used = self.used_cpus.saturating_add(plain);
        self.cpus.saturating_sub(used)
    }

    /// The units for this need, if they and the memory are there and not set aside.
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

    /// Sets aside what this need lacks beside cores. Units are those of which most is left. Nobody
    /// else gets anything of them, so more is left of them with each task that ends, and the same
    /// or better ones are found the next time.
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

    /// Gives these units and the rest to a task with this need.
    pub(super) fn take(&mut self, need: &Need, got: &GotUnits) {
        self.used_cpus += need.cpus.parts();
        self.memory_left -= need.memory.parts();
        for (&(resource, amount), units) in need.units.iter().zip(got) {
            for unit in units {
                self.units[usize::from(resource)].0[*unit as usize] -= share(amount);
            }
        }
    }

    /// Takes all back but the cores.
    pub(super) fn give_back(&mut self, need: &Need, got: &GotUnits) {
        self.memory_left += need.memory.parts();
        for (&(resource, amount), units) in need.units.iter().zip(got) {
            for unit in units {
                self.units[usize::from(resource)].0[*unit as usize] += share(amount);
            }
        }
    }

    /// What is left: cores, memory, and the sum of each declared resource.
    #[cfg(test)]
    pub(in crate::scheduler) fn left(&self) -> (u64, u64, Vec<u64>) {
        let sum = |units: &Units| units.0.iter().map(|left| u64::from(*left)).sum();
        let units = self.units.iter().map(sum).collect();
        (self.cpus_left(0), self.memory_left, units)
    }
}

/// What a task that wants this much takes of each of its units.
fn share(amount: Amount) -> u16 {
    amount.parts().min(u64::from(WHOLE)) as u16
}

/// How many units a task gets that wants this much.
fn count(amount: Amount) -> usize {
    amount.wholes().max(1) as usize
}

impl Units {
    /// The first units of which nobody uses anything; for a part of a unit, the one that it fills
    /// best.
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

    /// Those of which most is left, as many as this takes.
    fn best(&self, amount: Amount, free: impl Fn(&u32) -> bool) -> Vec<u32> {
        let all = self.0.iter().zip(0..).filter(|(_, unit)| free(unit));
        let mut all: Vec<_> = all.map(|(left, unit)| (WHOLE - left, unit)).collect();
        all.sort_unstable();
        all.truncate(count(amount));
        all.into_iter().map(|(_, unit)| unit).collect()
    }
}
