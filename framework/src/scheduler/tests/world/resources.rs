//! Tasks with resources in the world.

use std::sync::Arc;

use mobula_protocol::{Amount, Attempt, CPUS, MEMORY, Resources, message::FromWorker};

use super::{super::peer::Worker, World};
use crate::resources::Totals;

impl World {
    /// Limits the runtime's resources, or provides as many cores as all tasks want.
    pub(super) fn limit_resources(&mut self) {
        let cpus = match self.dice.below(3) {
            0 => Amount::whole(1000),
            1 => Amount::whole(1 + self.dice.below(4) as u64),
            _ => Amount::checked(1.0 + self.dice.below(40) as f64 / 10.0),
        };
        let totals = Totals {
            cpus,
            memory: Amount::whole(100),
            declared: vec![("disk".to_owned(), 1), ("gpu".to_owned(), 3)],
            ..Totals::UNLIMITED
        };
        self.scheduler.set_resources(Arc::new(totals), 64);
    }

    pub(super) fn perhaps_resources(&mut self) -> Resources {
        let mut resources = Resources::None;
        if self.dice.one_in(2) {
            return resources;
        }
        let parts = [0.0001, 0.25, 0.3, 0.5, 1.0];
        if self.dice.one_in(2) {
            let most = self.scheduler.cores().min(40_000);
            let amount = [2_500, 10_000, most][self.dice.below(3)];
            resources.set(CPUS, Amount::of_parts(amount));
        }
        if self.dice.one_in(3) {
            resources.set("disk", Amount::checked(parts[self.dice.below(5)]));
        }
        if self.dice.one_in(3) {
            let amounts = [0.5, 0.7, 1.0, 2.0, 3.0];
            resources.set("gpu", Amount::checked(amounts[self.dice.below(5)]));
        }
        if self.dice.one_in(4) {
            resources.set(MEMORY, Amount::whole(1 + self.dice.below(100) as u64));
        }
        resources
    }

    /// The task waits, or goes on. If it has resources, the worker reports that.
    pub(super) fn pause(&self, worker: &mut Worker, attempt: Attempt, paused: bool) {
        let mut scheduled = self.scheduler.workers[worker.id].assignments.iter();
        let found = scheduled.find(|assignment| assignment.attempt == attempt);
        let task = found.and_then(|found| self.scheduler.tasks.get(found.task));
        if task.is_some_and(|task| task.claims()) {
            worker.say(FromWorker::Paused { attempt, paused });
        }
    }

    /// Checks that all tasks that began in a step got free cores.
    pub(super) fn check_cores(&self, before: u64) {
        let after = self.scheduler.cores_in_use();
        assert!(
            after <= self.scheduler.cores().max(before),
            "{after} of {} cores are in use, before: {before}",
            self.scheduler.cores()
        );
    }
}
