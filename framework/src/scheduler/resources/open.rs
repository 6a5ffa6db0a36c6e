//! The choice of the next task with resources, and of the workers that take plain tasks.

use mobula_protocol::{Amount, WorkerId};

use super::{LOOK, PLAIN, pool::Aside};
use crate::{
    resources::Needer,
    scheduler::{
        Host, Scheduler,
        needs::{Claim, GotUnits, Place},
        task_table::TaskId,
        worker::{Worker, WorkerState},
    },
};

/// A task that can begin, its worker and its units. The constructor of an actor has no worker,
/// because the actor gets a process of its own.
type Beginning = (TaskId, Option<WorkerId>, GotUnits);

impl Scheduler {
    /// Returns the first task that can begin, if any, and what the waiting tasks before it have set
    /// aside.
    pub(super) fn next_claim(&self) -> (Option<Beginning>, Aside) {
        let mut aside = Aside::default();
        if self.resources.waiting.is_empty() {
            return (None, aside);
        }
        let (idle, plain) = self.idle_workers();
        let pool = &self.resources.pool;
        let left = pool.cpus_left(plain);
        let mut no_cpus = false;
        for (place, need, task) in self.resources.waiting.firsts().take(LOOK) {
            if !self.has_its_turn(place, task) || no_cpus && need.cpus > Amount::default() {
                continue;
            }
            let found = pool.find(need, &aside);
            let Some(units) = found else {
                pool.set_aside(need, &mut aside);
                continue;
            };
            let cpus = need.cpus.parts();
            let (worker, workers) = match need.of {
                Needer::Task => (idle.get(aside.workers).copied(), 1),
                Needer::Actor => (None, 0),
            };
            let has_cpus = cpus == 0 || aside.cpus.saturating_add(cpus) <= left;
            if has_cpus && (worker.is_some() || workers == 0) {
                return (Some((task, worker, units)), aside);
            }
            pool.set_aside(need, &mut aside);
            aside.cpus = aside.cpus.saturating_add(cpus);
            aside.workers += workers;
            aside.priority.get_or_insert(place.priority.0);
            // No later task can get a core.
            no_cpus |= aside.cpus >= pool.cpus_left(0);
        }
        (None, aside)
    }

    /// Returns whether the plain tasks that go before this task have been dispatched.
    fn has_its_turn(&self, place: Place, task: TaskId) -> bool {
        let Some(first) = self.ready.first_priority() else {
            return true;
        };
        if place.priority.0 != first {
            return place.priority.0 > first;
        }
        let claim = self.tasks.get(task).and_then(|task| task.claim());
        claim.is_none_or(|claim: &Claim| claim.due <= self.ready.handed_out())
    }

    /// Returns the workers that can take a task with resources, the best first, and the cores that
    /// plain tasks use.
    fn idle_workers(&self) -> (Vec<WorkerId>, u64) {
        let mut idle = Vec::new();
        let mut plain = 0_u64;
        for (id, worker) in self.workers.iter() {
            if worker.is_plainly_busy() {
                plain += PLAIN;
            } else if worker.could_begin(self.config.slots) && worker.claims == 0 {
                idle.push((worker.blocked > 0, !worker.closed, worker.index, id));
            }
        }
        idle.sort_unstable();
        (idle.into_iter().map(|(.., id)| id).collect(), plain)
    }

    /// Opens as many workers for plain tasks as there are cores for them, and closes the others.
    pub(super) fn open_workers(&mut self, aside: &Aside, host: &mut impl Host) {
        let slots = self.config.slots;
        // Workers that run plain tasks come first. Workers that cannot begin a task come last.
        let mut pool: Vec<_> = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.actor.is_none() && worker.claims == 0)
            .map(|(id, worker)| {
                let useless = !worker.is_plainly_busy() && !worker.could_begin(slots);
                let place = (
                    useless,
                    !worker.is_plainly_busy(),
                    worker.closed,
                    worker.index,
                );
                (place, id)
            })
            .collect();
        pool.sort_unstable();
        let cores = self.resources.pool.cpus_left(0).saturating_sub(aside.cpus) / PLAIN;
        let cores = usize::try_from(cores).unwrap_or(usize::MAX);
        let useful = pool.iter().filter(|((useless, ..), _)| !useless).count();
        let open = cores.min(useful.saturating_sub(aside.workers));
        let claimed = self.workers.values().filter(|worker| worker.claims > 0);
        self.resources.closed = claimed.count();
        for (at, (_, id)) in pool.into_iter().enumerate() {
            if at < open {
                self.open(id);
            } else {
                self.close(id);
                self.leave_one(id, aside.priority, host);
            }
        }
    }

    /// Takes back a worker's tasks from the last on, except the next task to run. Stops at a task
    /// of a higher priority than `priority`. The next task stays, because the scheduler may have
    /// assigned it just now in its turn.
    fn leave_one(&mut self, id: WorkerId, priority: Option<i32>, host: &mut impl Host) {
        let last = |scheduler: &Scheduler| {
            let worker = scheduler.workers.get(id)?;
            let last = worker.assignments.back()?.task;
            (worker.load() > 1).then(|| scheduler.priority_of(last))
        };
        while last(self).is_some_and(|last| priority.is_none_or(|priority| last <= priority)) {
            if self.take_back(id, 1, host) == 0 {
                break;
            }
        }
    }

    fn open(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(id)
            && std::mem::take(&mut worker.closed)
        {
            self.relist(id);
        }
    }

    /// Closes the worker for plain tasks.
    pub(super) fn close(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(id) else {
            return;
        };
        self.resources.closed += 1;
        if !std::mem::replace(&mut worker.closed, true) {
            // Short tasks must not wait for a closed worker.
            if std::mem::take(&mut worker.active) {
                self.active -= 1;
                self.active_workers.remove(worker.index);
            }
            self.relist(id);
        }
    }
}

impl Worker {
    /// Returns whether the worker belongs to the pool and runs plain tasks.
    pub(in crate::scheduler) fn is_plainly_busy(&self) -> bool {
        self.actor.is_none() && self.claims == 0 && self.load() > 0
    }

    /// Returns whether the worker belongs to the pool, has no task to run and can begin a task.
    fn could_begin(&self, slots: u32) -> bool {
        self.state == WorkerState::Up
            && self.actor.is_none()
            && !self.stalled
            && self.load() == 0
            && self.has_slot(slots)
    }
}
