//! The processes of actors: who gets which, what runs there first, and what follows from its death.

use std::time::Duration;

use mobula_protocol::{
    Error, FunctionIndex, ObjectId, Outcome, WorkerId,
    message::{ArgSpec, Args, TaskMessage},
};

use super::{Life, is_ready};
use crate::scheduler::{
    Host, Scheduler,
    counts::Step,
    state::{Assignment, Losses, ObjectState, Worker, WorkerState},
    workers::{Lost, Verdict},
};

impl Scheduler {
    /// Looks for a process, and has one started: for the actor, or for the pool in its place.
    pub(super) fn want_process(&mut self, id: ObjectId, host: &mut dyn Host) {
        host.start_worker();
        let unused = self.workers.iter().find(|(id, worker)| {
            worker.state == WorkerState::Up
                && worker.actor.is_none()
                && worker.next_attempt == 0
                // Nobody may come in the place of the last one.
                && (!self.keeps_last || self.pool_has_another(**id))
        });
        match unused.map(|(worker, _)| *worker) {
            Some(worker) => self.dedicate(worker, id, host),
            None => self.wanting.push_back(id),
        }
    }

    /// A worker takes tasks from now on: those of an actor, if one waits for a process.
    /// A pool that keeps its last worker, and has none, comes first.
    pub(in crate::scheduler) fn came_up(&mut self, worker: WorkerId, host: &mut dyn Host) {
        if self.keeps_last && !self.pool_has_another(worker) {
            return;
        }
        if let Some(id) = self.wanting.pop_front() {
            self.dedicate(worker, id, host);
        } else if self.too_many > 0 {
            // The actor that it was started for is no more.
            self.too_many -= 1;
            if let Some(found) = self.workers.get_mut(&worker) {
                found.actor = Some(ObjectId {
                    origin: WorkerId::DRIVER,
                    seq: u64::MAX,
                });
            }
            self.relist(worker);
            self.worker_stopping(worker, host);
        }
    }

    fn dedicate(&mut self, worker_id: WorkerId, id: ObjectId, host: &mut dyn Host) {
        let (Some(actor), Some(worker)) =
            (self.actors.get_mut(&id), self.workers.get_mut(&worker_id))
        else {
            return;
        };
        worker.actor = Some(id);
        actor.life = Life::Waiting(worker_id);
        let threads = actor.threads();
        if worker.active {
            worker.active = false;
            self.active -= 1;
            self.active_seats.remove(worker.seat);
        }
        self.relist(worker_id);
        host.make_actor(worker_id, threads);
        self.dirty_actors.push(id);
    }

    /// Hands the constructor over, if there is a process and it can run; or ends the actor, if it
    /// never can.
    pub(in crate::scheduler) fn construct(&mut self, id: ObjectId, host: &mut dyn Host) {
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
        if !self.workers.get(&worker).is_some_and(up) {
            return;
        }
        let pending = self.objects.get(id).and_then(|object| object.task());
        match pending.map(is_ready) {
            // For the first time.
            Some(true) => self.hand_over(id, worker, host),
            Some(false) => return,
            None => self.reconstruct(id, worker, host),
        }
        if let Some(actor) = self.actors.get_mut(&id) {
            actor.life = Life::Constructing(worker);
        }
    }

    /// Runs the constructor once more, in another process.
    fn reconstruct(&mut self, id: ObjectId, worker_id: WorkerId, host: &mut dyn Host) {
        let Some(actor) = self.actors.get_mut(&id) else {
            return;
        };
        let function = actor.constructor;
        let specs = std::mem::take(&mut actor.args);
        self.shift_arg_pins(&specs, Step::Begin);
        if let Some(actor) = self.actors.get_mut(&id) {
            actor.args = specs;
        }
        let Some(worker) = self.workers.get_mut(&worker_id) else {
            return;
        };
        worker.is_given(id);
        let (slot, attempt) = worker.next_assignment();
        worker.assignments.push_back(Assignment {
            attempt,
            task: id,
            slot,
        });
        let specs = self.actors.get(&id).map_or(&[][..], |actor| &actor.args);
        let message = TaskMessage {
            id,
            slot,
            attempt,
            function,
            args: specs.iter().map(|spec| self.resolve(spec)).collect(),
            options: None,
            retries: 0,
            revocable: false,
        };
        host.send_task(worker_id, message);
    }

    /// A constructor has ended in the process of its actor.
    pub(in crate::scheduler) fn constructed(
        &mut self,
        id: ObjectId,
        outcome: &Outcome,
        host: &mut dyn Host,
    ) {
        let again = self.task_mut(id).is_none();
        let Some(actor) = self.actors.get_mut(&id) else {
            return;
        };
        let Life::Constructing(worker) = actor.life else {
            return;
        };
        if again {
            self.unpin_constructor(id);
        }
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

    /// The process of an actor is dead. Of its calls, those that were not begun, or may be run
    /// again, wait for the next process, if there is to be one. `describe` makes the crash error of
    /// a function; `intended`: the process ended itself, and well.
    pub(in crate::scheduler) fn process_lost(
        &mut self,
        id: ObjectId,
        worker: WorkerId,
        assignments: Vec<Lost>,
        intended: bool,
        describe: &mut dyn FnMut(FunctionIndex) -> Error,
        host: &mut dyn Host,
    ) {
        let name = self.actor_name(id);
        let limit = self.config.deaths;
        let Some(actor) = self
            .actors
            .get_mut(&id)
            .filter(|actor| actor.process() == Some(worker))
        else {
            return;
        };
        let constructor = actor.constructor;
        let constructed = matches!(actor.life, Life::Alive(_));
        let construction = assignments.iter().find(|lost| lost.assignment.task == id);
        // As for a task: the state word alone does not give the constructor runs without limit.
        let began = constructed
            || construction.is_some_and(|lost| lost.said || actor.losses.count(lost.near, limit));
        let unsaid = construction
            .is_some_and(|lost| !lost.said)
            .then_some(actor.losses);
        let intended = intended && constructed;
        // A process that has not begun with the constructor was no attempt.
        let again = self.closed.is_none() && !intended && (!began || actor.restarts > 0);
        if again {
            actor.restarts -= u32::from(began);
            actor.life = Life::Wanting;
        }
        let mut crashed = Vec::new();
        for lost in assignments.into_iter().rev() {
            let assignment = lost.assignment;
            if assignment.task == id {
                match self.task_mut(id) {
                    Some(_) => self.unqueue(id),
                    None => self.unpin_constructor(id),
                }
                continue;
            }
            self.call_landed(assignment.task);
            match self.judge(lost, again) {
                Verdict::Ended => {}
                Verdict::Crashed(crash) => crashed.push((assignment.task, crash)),
                Verdict::Ready => {
                    self.unqueue(assignment.task);
                    self.return_call(assignment.task);
                }
            }
        }
        crashed.reverse();
        if again {
            // First: with the last of these calls the actor may go.
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

    pub(super) fn unpin_constructor(&mut self, id: ObjectId) {
        let args = self
            .actors
            .get_mut(&id)
            .map(|actor| std::mem::take(&mut actor.args));
        if let Some(args) = args {
            self.shift_arg_pins(&args, Step::End);
            if let Some(actor) = self.actors.get_mut(&id) {
                actor.args = args;
            }
        }
    }

    /// Takes a constructor away from its process, and gives its arguments, with their refs and
    /// pins, to the process, which reads them though the actor may end. `None`: it does not run.
    pub(in crate::scheduler) fn leave_constructor(
        &mut self,
        id: ObjectId,
    ) -> Option<Args<ArgSpec>> {
        let actor = self.actors.get_mut(&id)?;
        let Life::Constructing(worker) = actor.life else {
            return None;
        };
        actor.life = Life::Waiting(worker);
        let kept = actor.args.clone();
        if let Some(task) = self.task_mut(id) {
            return Some(std::mem::take(&mut task.args));
        }
        for arg in &kept {
            arg.for_each_object(|id| self.add_ref(id));
        }
        Some(kept)
    }

    /// A constructor that was with the process was not begun, and will not be there; whether it is
    /// one.
    pub(in crate::scheduler) fn return_constructor(
        &mut self,
        id: ObjectId,
        worker: WorkerId,
    ) -> bool {
        let actor = self.actors.get_mut(&id);
        let Some(actor) = actor.filter(|actor| actor.process() == Some(worker)) else {
            return false;
        };
        actor.life = Life::Waiting(worker);
        if self.task_mut(id).is_none() {
            self.unpin_constructor(id);
        }
        true
    }
}
