//! The invariants of resources.

use std::collections::{HashMap, HashSet};

use mobula_protocol::WorkerId;

use super::{PLAIN, pool::Pool};
use crate::scheduler::{
    Scheduler,
    actors::{Actor, ActorRole},
    task::TaskState,
    task_table::TaskId,
};

impl Scheduler {
    /// Asserts that granted and free resources add up to all resources, and that exactly the ready
    /// tasks with resources wait.
    pub(in crate::scheduler) fn check_resources(&self) {
        let resources = &self.resources;
        resources.waiting.check();
        let mut waiting: HashSet<TaskId> = resources.waiting.iter().collect();
        let mut all = Pool::new(&resources.totals);
        let mut claims: HashMap<WorkerId, u32> = HashMap::new();
        for (id, task) in self.tasks.iter() {
            let Some(claim) = task.claim() else {
                assert!(!waiting.contains(&id), "{} needs nothing", task.id);
                continue;
            };
            let constructs = matches!(task.role(), Some(ActorRole::Constructor));
            assert!(
                task.role().is_none() || constructs,
                "{} is an actor's",
                task.id
            );
            let waits = task.state == TaskState::Ready;
            assert_eq!(waiting.remove(&id), waits, "{} waits", task.id);
            let hand = task.state.hand();
            let worker = claim.got.as_ref().map(|got| got.worker);
            assert_eq!(worker, hand.map(|hand| hand.worker), "{}", task.id);
            if let Some(got) = &claim.got {
                all.take(&claim.need, &got.units);
                if got.paused {
                    all.used_cpus -= claim.need.cpus.parts();
                } else {
                    *claims.entry(got.worker).or_default() += 1;
                }
            }
        }
        let living = self.actors.values().filter_map(Actor::grant);
        let ended = self.workers.values();
        let ended = ended.filter_map(|worker| worker.grant.as_deref());
        for grant in living.chain(ended) {
            all.take(&grant.need, &grant.units);
        }
        assert!(waiting.is_empty(), "these have ended: {waiting:?}");
        assert_eq!(all.used_cpus, resources.pool.used_cpus);
        assert_eq!(all.left(), resources.pool.left());
        for (id, worker) in self.workers.iter() {
            assert_eq!(worker.claims, claims.remove(&id).unwrap_or(0), "{id}");
            assert!(worker.closed || worker.claims == 0, "{id} is open");
            assert!(
                !worker.closed || worker.actor.is_some() || resources.closed > 0,
                "{id}"
            );
        }
    }

    /// Returns the cores that tasks with resources and plain tasks use, in 1/10,000.
    pub(in crate::scheduler) fn cores_in_use(&self) -> u64 {
        let plain = self
            .workers
            .values()
            .filter(|worker| worker.is_plainly_busy());
        self.resources.pool.used_cpus + PLAIN * plain.count() as u64
    }

    /// Returns all cores, in 1/10,000.
    pub(in crate::scheduler) fn cores(&self) -> u64 {
        self.resources.totals.cpus.parts()
    }

    /// Asserts that no task waits for resources and that all resources are free.
    pub(in crate::scheduler) fn check_all_is_back(&self) {
        let resources = &self.resources;
        assert!(resources.waiting.is_empty());
        assert_eq!(resources.pool.left(), Pool::new(&resources.totals).left());
        assert_eq!(resources.pool.used_cpus, 0);
    }
}
