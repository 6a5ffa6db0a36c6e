//! Tasks with resources: the resources that they wait for, and the order in which they wait.
//!
//! A ready task with resources is not in the ready queue. It [waits](waiting) in an order of its
//! own. The task begins when its units, its memory and its cores are free, in a worker without
//! other tasks to run. The resources come back when the task [ends](Scheduler::end_task) or is
//! taken back from its worker.
//!
//! # Cores
//!
//! A plain task uses the one core of its worker. The scheduler does not count plain tasks. Instead,
//! it *closes* workers for them: `open workers + cores of tasks with resources <= all cores`. A
//! worker that runs a task with resources is closed too, and has no further task ahead. Without
//! tasks with resources, and with at least as many cores as workers, no worker is closed. The
//! scheduler then skips all these checks.
//!
//! A task that waits [pauses](Scheduler::on_paused): its cores come back, but not its units and its
//! memory. The task continues without a request, so more cores can be in use than there are. Then
//! no task begins until enough cores are free again.
//!
//! # Fairness
//!
//! The scheduler looks at the first waiting task of each kind, in order. If a task cannot begin
//! now, its units and its memory are set aside. Later tasks get only the rest. The task's units and
//! memory are therefore free when the tasks that had them before have ended. From then on, the
//! task's cores are set aside as well: workers are closed, so cores become free when earlier tasks
//! end. A task that waits for its units sets no cores aside, since they would be idle meanwhile.
//!
//! Plain tasks that became ready earlier are dispatched before a task with resources closes a
//! worker ([`Claim::due`]). Plain tasks that became ready later wait until the task has begun.
//! Neither kind of task can therefore block the other forever.
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

/// The maximum number of kinds of tasks in a search for a task that can begin. Also the maximum
/// depth of calls that counts.
const LOOK: usize = 64;

/// The cores of a plain task, in 1/10,000.
const PLAIN: u64 = Amount::ONE.parts();

/// The resources of a runtime, and the tasks that wait for them.
#[derive(Debug)]
pub(super) struct ResourceTable {
    totals: Arc<Totals>,
    pool: Pool,
    waiting: Waiting,
    /// An upper limit of the number of workers that take no plain tasks.
    closed: usize,
    /// Whether there may be more workers than cores.
    scarce: bool,
    /// The cores that remain if all workers run plain tasks, in 1/10,000.
    spare_cpus: u64,
    /// The cores of actors, in 1/10,000.
    held_cpus: u64,
    /// Whether the user was told that actors hold too many cores.
    warned: bool,
}

impl ResourceTable {
    /// Makes the table of a runtime with this number of workers.
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

    /// Returns whether resources can affect the dispatch of tasks now.
    #[inline]
    pub(super) fn matters(&self) -> bool {
        // If workers register while actors hold cores, there may be too many open workers.
        let short = self.pool.used_cpus > self.spare_cpus;
        self.closed > 0 || self.scarce || !self.waiting.is_empty() || short
    }

    /// Returns whether any task waits for resources.
    pub(super) fn any_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Returns the claim of a new task or a new actor, or `None` without resources. An actor keeps
    /// its claim while it lives.
    ///
    /// # Errors
    /// The runtime can never meet the need.
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

    /// Removes all waiting tasks.
    pub(super) fn clear_waiting(&mut self) {
        self.waiting.clear();
    }
}

impl Scheduler {
    /// Sets the resources of a runtime with this number of workers.
    pub(crate) fn set_resources(&mut self, totals: Arc<Totals>, workers: usize) {
        self.resources = ResourceTable::new(totals, workers);
    }

    /// Lets a ready task with resources wait for them. Returns `false` for a task without
    /// resources, which belongs in the ready queue.
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
        let Some(claim) = task.claim_mut() else {
            return false;
        };
        let waiting = &mut self.resources.waiting;
        let place = *claim.place.get_or_insert_with(|| {
            // A call that a task made goes first anyway.
            claim.due = if depth > 0 { 0 } else { due };
            waiting.place(priority, depth)
        });
        waiting.insert(place, &claim.need, id);
        true
    }

    /// Returns the number of nested calls that led to this task, up to the first ended caller.
    /// Counts at most `LOOK` calls.
    fn depth_of(&self, id: TaskId) -> u32 {
        let parent = |id: &TaskId| self.tasks.get(*id).and_then(|task| task.parent);
        let ancestors = std::iter::successors(parent(&id), parent);
        ancestors.take(LOOK).count() as u32
    }

    /// Begins the waiting tasks that can begin, and closes and opens workers for plain tasks. For
    /// each task that begins, costs one step for each worker and one for each kind of waiting
    /// tasks, up to `LOOK` kinds.
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

    /// Grants the resources of a waiting task, and assigns the task to the worker.
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
        let claim = self.tasks.get_mut(id).and_then(Task::claim_mut);
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

    /// Takes the units and the other resources of a task out of the pool. The options of the task
    /// then name the units. Returns the task's need.
    pub(super) fn provide(&mut self, id: TaskId, units: &GotUnits) -> Option<Arc<Need>> {
        let task = self.tasks.get_mut(id)?;
        let claim = task.claim()?;
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

    /// Releases the resources of a dead actor.
    pub(super) fn end_grant(&mut self, grant: &Grant) {
        let cpus = grant.need.cpus.parts();
        self.resources.pool.give_back(&grant.need, &grant.units);
        self.resources.pool.used_cpus -= cpus;
        self.resources.held_cpus -= cpus;
    }

    /// Counts the cores that an actor has got.
    pub(super) fn begin_grant(&mut self, grant: &Grant) {
        self.resources.held_cpus += grant.need.cpus.parts();
    }

    /// Tells the user once that waiting calls cannot begin before an actor ends.
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

    /// Counts a task with resources that runs on the worker, and closes the worker.
    fn add_claim(&mut self, worker: WorkerId) {
        if let Some(found) = self.workers.get_mut(worker) {
            found.claims += 1;
            self.close(worker);
        }
    }

    /// Ends the wait of a task and releases its resources. The task has left its worker, or never
    /// had one.
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

    /// Ends the claim of a task in the table, like [`end_claim`](Self::end_claim).
    pub(super) fn end_claim_of(&mut self, id: TaskId) {
        let claim = self.tasks.get_mut(id).and_then(Task::take_claim);
        if let Some(mut claim) = claim {
            self.end_claim(&mut claim);
            if let Some(task) = self.tasks.get_mut(id) {
                task.extra_mut().claim = Some(claim);
            }
        }
    }

    fn give_cores_back(&mut self, need: &Need, worker: WorkerId) {
        self.resources.pool.used_cpus -= need.cpus.parts();
        if let Some(worker) = self.workers.get_mut(worker) {
            worker.claims -= 1;
        }
    }

    /// Handles a task with resources that pauses, which frees its cores, or that continues.
    pub(super) fn on_paused(
        &mut self,
        from: WorkerId,
        attempt: Attempt,
        paused: bool,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        let worker = self.workers.get(from);
        let task = worker.and_then(|worker| Some(worker.assignment(attempt)?.task));
        let task = task.and_then(|task| self.tasks.get_mut(task));
        let claim = task.and_then(Task::claim_mut);
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
        // The worker's other tasks would queue behind a task that may take long.
        self.take_back(from, u32::MAX, host);
        Ok(())
    }

    /// Removes and returns the first waiting task. Skips actors, which do not wait for a worker.
    pub(super) fn next_waiting(&mut self) -> Option<TaskId> {
        self.resources.waiting.pop()
    }
}

impl Task {
    /// Returns whether the task needs resources.
    pub(super) fn claims(&self) -> bool {
        self.claim().is_some()
    }
}
