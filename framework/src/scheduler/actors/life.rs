//! The assignment of processes to actors, the constructor's run, and the consequences of a
//! process's death.

use std::time::Duration;

use mobula_protocol::{Error, FunctionIndex, ObjectId, Outcome, WorkerId};

use super::{ActorRole, Life, is_ready};
use crate::scheduler::{
    Host, Scheduler,
    needs::{GotUnits, Grant},
    object::ObjectState,
    task::{Losses, Outputs, Task, TaskState},
    task_table::TaskId,
    worker::{Worker, WorkerState},
    workers::{Lost, Verdict},
};

impl Scheduler {
    /// Dedicates an unused worker to the actor, or queues the actor for the next worker. Starts one
    /// worker in either case.
    pub(super) fn want_process(&mut self, id: ObjectId, host: &mut impl Host) {
        host.start_worker();
        let unused = self.workers.iter().find(|(id, worker)| {
            worker.state == WorkerState::Up
                && worker.actor.is_none()
                && worker.next_attempt == 0
                // No other worker replaces the last one of the pool.
                && (!self.keeps_last || self.pool_has_another(*id))
        });
        match unused.map(|(worker, _)| worker) {
            Some(worker) => self.dedicate(worker, id, host),
            None => self.wanting.push_back(id),
        }
    }

    /// Grants the resources that an actor waited for, and requests a process.
    pub(in crate::scheduler) fn begin_actor(
        &mut self,
        constructor: TaskId,
        units: GotUnits,
        host: &mut impl Host,
    ) {
        let Some(need) = self.provide(constructor, &units) else {
            return;
        };
        let Some(task) = self.tasks.get_mut(constructor) else {
            return;
        };
        task.extra_mut().claim = None;
        let (id, granted) = (task.id, task.options(&self.functions).resources.clone());
        let grant = Grant { need, units };
        self.begin_grant(&grant);
        let Some(actor) = self.actors.get_mut(&id) else {
            return self.end_grant(&grant);
        };
        actor.grant = Some(Box::new(grant));
        // The granted resources also apply to processes after a restart.
        actor.options.resources = granted;
        actor.life = Life::Wanting;
        self.want_process(id, host);
    }

    /// Handles a newly registered worker. An actor that waits for a process gets the worker. A pool
    /// that keeps its last worker, and has none, comes first.
    pub(in crate::scheduler) fn came_up(&mut self, worker: WorkerId, host: &mut impl Host) {
        if self.keeps_last && !self.pool_has_another(worker) {
            return;
        }
        if let Some(id) = self.wanting.pop_front() {
            self.dedicate(worker, id, host);
        } else if self.too_many > 0 {
            // The actor that requested this process has ended.
            self.too_many -= 1;
            if let Some(found) = self.workers.get_mut(worker) {
                found.actor = Some(ObjectId {
                    origin: WorkerId::DRIVER,
                    seq: u64::MAX,
                });
            }
            self.relist(worker);
            self.worker_stopping(worker, host);
        }
    }

    fn dedicate(&mut self, worker_id: WorkerId, id: ObjectId, host: &mut impl Host) {
        let (Some(actor), Some(worker)) =
            (self.actors.get_mut(&id), self.workers.get_mut(worker_id))
        else {
            return;
        };
        worker.actor = Some(id);
        actor.life = Life::Waiting(worker_id);
        let threads = actor.threads();
        if worker.active {
            worker.active = false;
            self.active -= 1;
            self.active_workers.remove(worker.index);
        }
        self.relist(worker_id);
        host.make_actor(worker_id, threads);
        self.dirty_actors.push(id);
    }

    /// Assigns the constructor if a process exists and the inputs are ready. Ends the actor if the
    /// constructor can never run.
    pub(in crate::scheduler) fn construct(&mut self, id: ObjectId, host: &mut impl Host) {
        let Some(actor) = self.actors.get(&id) else {
            return;
        };
        let process = actor.process();
        if let Life::Alive(_) | Life::Dead(_) = actor.life {
            return;
        }
        let failed = match self.objects.get(id).map(|object| &object.state) {
            Some(ObjectState::Failed(error)) => Some(error.clone()),
            _ => self.closed.clone(),
        };
        if let Some(error) = failed {
            self.fail_actor(id, error, host);
            if let Some(worker) = process {
                self.stop_process(worker, Duration::ZERO, host);
            }
            return;
        }
        let Life::Waiting(worker) = actor.life else {
            return;
        };
        let up = |worker: &Worker| worker.state == WorkerState::Up;
        if !self.workers.get(worker).is_some_and(up) {
            return;
        }
        match self.task_of(id) {
            // The first run of the constructor.
            Some(task) if self.tasks.get(task).is_some_and(is_ready) => {
                self.hand_over(task, worker, host);
            }
            Some(_) => return,
            None => self.reconstruct(id, worker, host),
        }
        if let Some(actor) = self.actors.get_mut(&id) {
            actor.life = Life::Constructing(worker);
        }
    }

    /// Runs the constructor again in another process. The new task makes no object.
    fn reconstruct(&mut self, id: ObjectId, worker: WorkerId, host: &mut impl Host) {
        let Some(actor) = self.actors.get(&id) else {
            return;
        };
        let (constructor, args) = (actor.constructor, actor.args.clone());
        let options = self.constructor_options(constructor, &actor.options);
        for arg in &args {
            arg.for_each_object(|object| self.objects.add_ref(object));
        }
        let mut task = Task::new(id, constructor, args, TaskState::Ready);
        task.options = options;
        task.outputs = Outputs::None;
        task.extra_mut().role = Some(ActorRole::Constructor);
        let task = self.task_submitted(Box::new(task), host);
        self.hand_over(task, worker, host);
    }

    /// Handles the end of a constructor in the process of its actor.
    pub(in crate::scheduler) fn constructed(
        &mut self,
        id: ObjectId,
        outcome: &Outcome,
        host: &mut impl Host,
    ) {
        let Some(actor) = self.actors.get_mut(&id) else {
            return;
        };
        let Life::Constructing(worker) = actor.life else {
            return;
        };
        match outcome {
            Ok(_) => {
                if let Some(actor) = self.actors.get_mut(&id) {
                    actor.life = Life::Alive(worker);
                    actor.losses = Losses::default();
                }
                self.dirty_actors.push(id);
            }
            Err(error) => {
                self.fail_actor(id, error.clone(), host);
                self.stop_process(worker, Duration::ZERO, host);
            }
        }
    }

    /// Handles the death of an actor's process. If the actor restarts, calls that have not begun or
    /// have retries left wait for the next process. `describe` makes the crash error of a function.
    /// `intended`: the process exited by itself with code 0.
    pub(in crate::scheduler) fn process_lost(
        &mut self,
        id: ObjectId,
        worker: WorkerId,
        assignments: Vec<Lost>,
        intended: bool,
        describe: &mut dyn FnMut(FunctionIndex) -> Error,
        host: &mut impl Host,
    ) {
        let name = self.actor_name(id);
        let limit = self.config.deaths;
        let Some(actor) = self
            .actors
            .get_mut(&id)
            .filter(|actor| actor.process() == Some(worker))
        else {
            // The end of an actor has ended or abandoned its calls.
            for lost in assignments {
                self.drop_abandoned(lost.assignment.task, host);
            }
            return;
        };
        let constructor = actor.constructor;
        let constructed = matches!(actor.life, Life::Alive(_));
        let tasks = &self.tasks;
        let constructs = |task: TaskId| tasks.get(task).is_some_and(|task| task.id == id);
        let construction = assignments
            .iter()
            .find(|lost| constructs(lost.assignment.task));
        // The limit of deaths applies to constructors too. The state word alone would allow endless
        // restarts.
        let began = constructed
            || construction.is_some_and(|lost| lost.said || actor.losses.count(lost.near, limit));
        let unsaid = construction
            .is_some_and(|lost| !lost.said)
            .then_some(actor.losses);
        let intended = intended && constructed;
        // A death before the start of the constructor costs no restart.
        let again = self.closed.is_none() && !intended && (!began || actor.restarts > 0);
        if again {
            actor.restarts -= u32::from(began);
            actor.life = Life::Wanting;
        }
        let mut crashed = Vec::new();
        for lost in assignments.into_iter().rev() {
            let task = lost.assignment.task;
            if let Some(ActorRole::Constructor) = self.role_of(task) {
                self.unqueue(task, host);
                self.forget_reconstruction(task, host);
                continue;
            }
            self.call_landed(task);
            match self.judge(lost, again, false) {
                Verdict::Ended => {}
                Verdict::Crashed(crash) => crashed.push((task, crash)),
                Verdict::Ready => {
                    self.unqueue(task, host);
                    self.return_to_actor(task, worker, host);
                }
            }
        }
        crashed.reverse();
        if again {
            // The request for a process comes first: the end of the last call can end the actor.
            self.want_process(id, host);
            for (call, crash) in crashed {
                let error = self.crash_error(crash, describe);
                self.finish(call, Err(error), host);
            }
            return;
        }
        let why = if intended {
            Error::actor(
                format!("the {name} has ended itself: its process exited, with exit code 0"),
                None,
            )
        } else {
            let mut crash = describe(constructor);
            if let Some(losses) = unsaid {
                crash = losses.explain(crash, self.name(constructor));
            }
            Error::actor(
                format!("the process of the {name} died: {crash}"),
                Some(crash),
            )
        };
        for (call, crash) in crashed {
            let function = crash.function;
            let error = match intended {
                true => Error::actor(
                    format!("`{}` did not return: {why}", self.name(function)),
                    Some(why.clone()),
                ),
                false => {
                    let crash = self.crash_error(crash, describe);
                    Error::actor(
                        format!(
                            "the {name} died while it ran `{}`, and is not restarted: {crash}",
                            self.name(function)
                        ),
                        Some(crash),
                    )
                }
            };
            self.finish(call, Err(error), host);
        }
        self.fail_actor(id, why, host);
    }

    /// Handles a constructor that was assigned, was not begun and is taken back.
    pub(super) fn return_constructor(
        &mut self,
        id: TaskId,
        worker: WorkerId,
        host: &mut impl Host,
    ) {
        let actor = self.tasks.get(id).map(|task| task.id);
        if let Some(actor) = actor.and_then(|actor| self.actors.get_mut(&actor))
            && actor.process() == Some(worker)
        {
            actor.life = Life::Waiting(worker);
        }
        self.forget_reconstruction(id, host);
    }

    /// Ends the task of a repeated constructor. The next process gets a new task.
    fn forget_reconstruction(&mut self, id: TaskId, host: &mut impl Host) {
        let task = self.tasks.get(id);
        if task.is_some_and(|task| task.outputs == Outputs::None) {
            self.drop_abandoned(id, host);
        }
    }
}
