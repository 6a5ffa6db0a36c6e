//! Tasks with resources: what they wait for, and who waits for them.
//!
//! A task with resources that could run is not in the ready queue but [waits](waiting) in an order
//! of its own. It begins when its units, its memory and its cores are there, in a worker that has
//! nothing else to do. All of it comes back where the task [ends](Scheduler::end_task) or is taken
//! back from its worker.
//!
//! # Cores
//!
//! A plain task uses one core, which is its worker's. Nobody counts plain tasks. Instead, workers
//! are *closed* for them: `open workers + cores of tasks with resources <= all cores`. A worker
//! that runs a task with resources is closed too, and has no further task ahead. While there are no
//! tasks with resources and as many cores as workers, no worker is closed and none of this is
//! looked at.
//!
//! A task that waits [pauses](Scheduler::on_paused): its cores come back, and its units and memory
//! do not. It goes on without asking, so that there can be more cores in use than there are. Then
//! nothing begins until that is over.
//!
//! # Nobody starves
//!
//! The tasks that wait are looked at in order, as far as the first of each kind is concerned. What
//! one of them needs beside cores, and does not get now, is set aside: those behind it get only
//! what is left then. So its units and its memory are there when the tasks have ended that had them
//! before. From then on its cores are set aside as well: workers are closed, so the cores come
//! free when the tasks have ended that have begun before. A task that waits for its units sets no
//! cores aside, since they would be idle meanwhile.
//!
//! Plain tasks that became ready before are handed out before a task with resources closes any
//! worker ([`Claim::due`]), and those that came later wait until it has begun. So neither kind
//! starves the other.
//!
//! # Actors
//!
//! An actor that needs resources waits in the common order, by the task that constructs its value.
//! The actor gets a process when its resources are granted, and keeps the resources through
//! restarts. An actor whose method waits gives no cores to others. The resources are released when
//! the actor has ended and its process is dead. An actor without `num_cpus` uses no core.

#[cfg(test)]
mod checks;
mod open;
mod pool;
mod waiting;

use std::sync::Arc;

use mobula_protocol::{Amount, Attempt, CPUS, Error, Resources, TaskOptions, WorkerId};

use super::{
    Host, Scheduler, Violation,
    needs::{Claim, Got, GotUnits, Grant},
    task::Task,
    task_table::TaskId,
};
use crate::resources::{Need, Needer, Totals};
use pool::Pool;
use waiting::Waiting;

/// So many kinds of tasks are looked at to find one that can begin.
const LOOK: usize = 64;

/// The cores of a plain task, in 1/10,000.
const PLAIN: u64 = Amount::ONE.parts();

/// The resources of a runtime, and who waits for them.
#[derive(Debug)]
pub(super) struct ResourceTable {
    totals: Arc<Totals>,
    pool: Pool,
    waiting: Waiting,
    /// How many workers take no plain tasks, or somewhat more.
    closed: usize,
    /// There may be more workers than cores.
    scarce: bool,
    /// The cores that all workers with plain tasks leave, in 1/10,000.
    spare_cpus: u64,
    /// The cores of actors, in 1/10,000.
    held_cpus: u64,
    /// Somebody was told that actors hold too many.
    warned: bool,
}

impl ResourceTable {
    /// Those of a runtime with so many workers.
    pub(super) fn new(totals: Arc<Totals>, workers: usize) -> ResourceTable {
        ResourceTable {
            pool: Pool::new(&totals),
            scarce: totals.cpus.wholes() < workers as u64,
            spare_cpus: totals.cpus.parts().saturating_sub(workers as u64 * PLAIN),
            totals,
            waiting: Waiting::default(),
            closed: 0,
            held_cpus: 0,
            warned: false,
        }
    }

    /// Whether there is anything to look at.
    #[inline]
    pub(super) fn matters(&self) -> bool {
        // Workers that come up while actors have cores may be too many.
        let short = self.pool.used_cpus > self.spare_cpus;
        self.closed > 0 || self.scarce || !self.waiting.is_empty() || short
    }

    /// Whether any task waits for resources.
    pub(super) fn any_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What a new task claims, or a new actor for as long as it lives, if it has resources.
    ///
    /// # Errors
    /// It could never have them.
    #[inline]
    pub(super) fn claim(
        &self,
        function: &str,
        resources: &Resources,
        of: Needer,
    ) -> Result<Option<Box<Claim>>, Error> {
        let need = self.totals.need(function, resources, of)?;
        Ok(need.map(|need| Box::new(Claim::new(Arc::new(need), None))))
    }

    /// Nobody waits any more.
    pub(super) fn clear_waiting(&mut self) {
        self.waiting.clear();
    }
}

impl Scheduler {
    /// What there is, for a runtime with so many workers.
    pub(crate) fn set_resources(&mut self, totals: Arc<Totals>, workers: usize) {
        self.resources = ResourceTable::new(totals, workers);
    }

    /// Has a task that could run wait for its resources. Whether it has any; otherwise its place is
    /// in the ready queue.
    pub(super) fn await_resources(&mut self, id: TaskId) -> bool {
        if !self.tasks.get(id).is_some_and(Task::claims) {
            return false;
        }
        let depth = self.depth_of(id);
        let handed_out = self.ready.handed_out();
        let due = handed_out + self.ready.len() as u64;
        let Some(task) = self.tasks.get_mut(id) else {
            return false;
        };
        let priority = task.priority;
        let Some(claim) = &mut task.claim else {
            return false;
        };
        let waiting = &mut self.resources.waiting;
        let place = *claim.place.get_or_insert_with(|| {
            // What a task has called comes first anyway.
            claim.due = if depth > 0 { 0 } else { due };
            waiting.place(priority, depth)
        });
        waiting.insert(place, &claim.need, id);
        true
    }

    /// How many tasks have called one another to call this one, as far as they have not ended.
    fn depth_of(&self, id: TaskId) -> u32 {
        let parent = |id: &TaskId| self.tasks.get(*id).and_then(|task| task.parent);
        let ancestors = std::iter::successors(parent(&id), parent);
        ancestors.take(LOOK).count() as u32
    }

    /// Begins what can begin, and closes and opens workers for plain tasks. Costs a look at each
    /// worker, and at the first of each kind of tasks that wait, for each task that begins.
    pub(super) fn serve_waiting(&mut self, host: &mut impl Host) {
        loop {
            match self.next_claim() {
                (Some((task, Some(worker), units)), _) => {
                    self.begin_claim(task, worker, units, host);
                }
                (Some((constructor, None, units)), _) => self.begin_actor(constructor, units, host),
                (None, aside) => {
                    self.open_workers(&aside, host);
                    return self.tell_of_held_cores(host);
                }
            }
        }
    }

    /// Gives a task what it waited for, and a worker.
    fn begin_claim(
        &mut self,
        id: TaskId,
        worker_id: WorkerId,
        units: GotUnits,
        host: &mut impl Host,
    ) {
        if self.provide(id, &units).is_none() {
            return;
        }
        let claim = self.tasks.get_mut(id).and_then(|task| task.claim.as_mut());
        if let Some(claim) = claim {
            claim.got = Some(Got {
                worker: worker_id,
                units,
                paused: false,
            });
        }
        self.add_claim(worker_id);
        self.hand_over(id, worker_id, host);
    }

    /// Gives a task these units and the rest that it waits for, and has it know which they are.
    /// Returns its need.
    pub(super) fn provide(&mut self, id: TaskId, units: &GotUnits) -> Option<Arc<Need>> {
        let task = self.tasks.get_mut(id)?;
        let claim = task.claim.as_ref()?;
        let need = claim.need.clone();
        if let Some(place) = claim.place {
            self.resources.waiting.remove(place, &need);
        }
        self.resources.pool.take(&need, units);
        if !units.is_empty() {
            let totals = &self.resources.totals;
            let of = |name: &str| {
                let mut all = need.units.iter().zip(units);
                let found = all.find(|((resource, _), _)| {
                    let known = totals.declared.get(usize::from(*resource));
                    known.is_some_and(|(known, _)| known == name)
                });
                let units = found.map(|(_, units)| units.clone());
                (units.unwrap_or_default(), totals.variable(name))
            };
            let options = task.options(&self.functions);
            let options = TaskOptions {
                resources: options.resources.granted(of),
                ..options.clone()
            };
            task.options = Some(Arc::new(options));
        }
        Some(need)
    }

    /// An actor that had this is dead.
    pub(super) fn end_grant(&mut self, grant: &Grant) {
        let cpus = grant.need.cpus.parts();
        self.resources.pool.give_back(&grant.need, &grant.units);
        self.resources.pool.used_cpus -= cpus;
        self.resources.held_cpus -= cpus;
    }

    /// An actor has got this.
    pub(super) fn begin_grant(&mut self, grant: &Grant) {
        self.resources.held_cpus += grant.need.cpus.parts();
    }

    /// Says once that calls wait which cannot begin before an actor ends.
    fn tell_of_held_cores(&mut self, host: &mut impl Host) {
        let resources = &self.resources;
        if resources.warned || resources.held_cpus == 0 {
            return;
        }
        let (held, cpus) = (resources.held_cpus, resources.totals.cpus);
        let left = cpus.parts().saturating_sub(held);
        let lacks = |need: &Need| need.cpus.parts() > left;
        let waits = resources.waiting.firsts().any(|(_, need, _)| lacks(need));
        if waits || left < PLAIN && !self.ready.is_empty() {
            self.resources.warned = true;
            host.say(format!(
                "actors hold {} of {cpus} cores, so calls wait until an actor ends; lower the \
                 actors' `{CPUS}`, or raise `Builder::num_cpus`",
                Amount::of_parts(held)
            ));
        }
    }

    /// A task with resources runs in a worker.
    fn add_claim(&mut self, worker: WorkerId) {
        if let Some(found) = self.workers.get_mut(&worker) {
            found.claims += 1;
            self.close(worker);
        }
    }

    /// A task is not with its worker any more, or never was: it has nothing, and waits for nothing.
    pub(super) fn end_claim(&mut self, claim: &mut Claim) {
        if let Some(place) = claim.place {
            self.resources.waiting.remove(place, &claim.need);
        }
        let Some(got) = claim.got.take() else {
            return;
        };
        self.resources.pool.give_back(&claim.need, &got.units);
        if !got.paused {
            self.give_cores_back(&claim.need.clone(), got.worker);
        }
    }

    /// As [`end_claim`](Self::end_claim), of a task that is in the table.
    pub(super) fn end_claim_of(&mut self, id: TaskId) {
        let claim = self.tasks.get_mut(id).and_then(|task| task.claim.take());
        if let Some(mut claim) = claim {
            self.end_claim(&mut claim);
            if let Some(task) = self.tasks.get_mut(id) {
                task.claim = Some(claim);
            }
        }
    }

    fn give_cores_back(&mut self, need: &Need, worker: WorkerId) {
        self.resources.pool.used_cpus -= need.cpus.parts();
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.claims -= 1;
        }
    }

    /// A task with resources waits, and gives its cores to others; or goes on.
    pub(super) fn on_paused(
        &mut self,
        from: WorkerId,
        attempt: Attempt,
        paused: bool,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        let worker = self.workers.get(&from);
        let task = worker.and_then(|worker| Some(worker.assignment(attempt)?.task));
        let task = task.and_then(|task| self.tasks.get_mut(task));
        let claim = task.and_then(|task| task.claim.as_mut());
        let got = claim.and_then(|claim| Some((claim.need.clone(), claim.got.as_mut()?)));
        let Some((need, got)) = got.filter(|(_, got)| got.paused != paused) else {
            return Err(Violation::new(format!(
                "{from} spoke of resources in attempt {}, which it does not have",
                attempt.0
            )));
        };
        got.paused = paused;
        if paused {
            self.give_cores_back(&need, from);
            return Ok(());
        }
        self.resources.pool.used_cpus += need.cpus.parts();
        self.add_claim(from);
        // What else it has stands behind a task that may take long.
        self.take_back(from, u32::MAX, host);
        Ok(())
    }

    /// The first task that waits, which is taken out. An actor does not wait for a worker.
    pub(super) fn next_waiting(&mut self) -> Option<TaskId> {
        self.resources.waiting.pop()
    }
}

impl Task {
    /// Whether it has resources.
    pub(super) fn claims(&self) -> bool {
        self.claim.is_some()
    }
}
