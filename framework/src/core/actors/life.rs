//! The processes of actors, and how actors end.

use std::time::Duration;

use mobula_worker::{
    Error, FunctionIndex, ObjectId, Outcome, WorkerId,
    message::{Arg, TaskMessage},
};

use super::{Life, is_ready};
use crate::core::{
    Comm, Core,
    counts::Step,
    state::{Flight, WorkerState},
};

impl Core {
    /// Looks for a process, and has one started: for the actor, or for the pool in its place.
    pub(super) fn want_process(&mut self, id: ObjectId, comm: &mut dyn Comm) {
        comm.start_worker();
        let unused = self.workers.iter().find(|(_, worker)| {
            worker.state == WorkerState::Up && worker.actor.is_none() && worker.next_attempt == 0
        });
        match unused.map(|(worker, _)| *worker) {
            Some(worker) => self.dedicate(worker, id, comm),
            None => self.wanting.push_back(id),
        }
    }

    /// A worker takes tasks from now on: those of an actor, if one waits for a process.
    pub(in crate::core) fn came_up(&mut self, worker: WorkerId, comm: &mut dyn Comm) {
        if let Some(id) = self.wanting.pop_front() {
            self.dedicate(worker, id, comm);
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
            self.worker_stopping(worker, comm);
        }
    }

    fn dedicate(&mut self, worker_id: WorkerId, id: ObjectId, comm: &mut dyn Comm) {
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
        }
        self.relist(worker_id);
        comm.make_actor(worker_id, threads);
        self.stirred.push(id);
    }

    /// Hands the constructor over, if there is a process and it can run.
    pub(super) fn construct(&mut self, id: ObjectId, comm: &mut dyn Comm) {
        let Some(actor) = self.actors.get(&id) else {
            return;
        };
        let Life::Waiting(worker) = actor.life else {
            return;
        };
        let pending = self.objects.get(id).and_then(|object| object.task());
        match pending.map(is_ready) {
            // For the first time.
            Some(true) => self.hand_over(id, worker, comm),
            Some(false) => return,
            None => self.reconstruct(id, worker, comm),
        }
        if let Some(actor) = self.actors.get_mut(&id) {
            actor.life = Life::Constructing(worker);
        }
    }

    /// Runs the constructor once more, in another process.
    fn reconstruct(&mut self, id: ObjectId, worker_id: WorkerId, comm: &mut dyn Comm) {
        let Some(actor) = self.actors.get_mut(&id) else {
            return;
        };
        let function = actor.constructor;
        let specs = std::mem::take(&mut actor.args);
        let args: Vec<Arg> = specs.iter().map(|spec| self.resolve(spec)).collect();
        self.shift_arg_pins(&specs, Step::Begin);
        if let Some(actor) = self.actors.get_mut(&id) {
            actor.args = specs;
        }
        let Some(worker) = self.workers.get_mut(&worker_id) else {
            return;
        };
        let (slot, attempt) = worker.next_flight();
        worker.flights.push_back(Flight {
            attempt,
            task: id,
            slot,
        });
        let message = TaskMessage {
            id,
            slot,
            attempt,
            function,
            args,
        };
        comm.send_task(worker_id, message, true);
    }

    /// A constructor has ended in the process of its actor.
    pub(in crate::core) fn constructed(
        &mut self,
        id: ObjectId,
        outcome: &Outcome,
        comm: &mut dyn Comm,
    ) {
        let again = self.task_mut(id).is_none();
        let Some(actor) = self.actors.get_mut(&id) else {
            return;
        };
        let Life::Constructing(worker) = actor.life else {
            return;
        };
        if again {
            let args = std::mem::take(&mut actor.args);
            self.shift_arg_pins(&args, Step::End);
            if let Some(actor) = self.actors.get_mut(&id) {
                actor.args = args;
            }
        }
        match outcome {
            Ok(_) => {
                if let Some(actor) = self.actors.get_mut(&id) {
                    actor.life = Life::Alive(worker);
                }
                self.stirred.push(id);
            }
            Err(error) => {
                self.fail_actor(id, error.clone(), comm);
                self.stop_process(worker, Duration::ZERO, comm);
            }
        }
    }

    /// The process of an actor is dead. Of its calls, those that were not begun, or may be run again,
    /// wait for the next process, if there is to be one. `describe` makes the crash error of a
    /// function; `intended`: the process ended itself, and well.
    pub(in crate::core) fn process_lost(
        &mut self,
        id: ObjectId,
        worker: WorkerId,
        flights: Vec<(Flight, bool)>,
        intended: bool,
        describe: &mut dyn FnMut(FunctionIndex) -> Error,
        comm: &mut dyn Comm,
    ) {
        let name = self.actor_name(id);
        let Some(actor) = self
            .actors
            .get_mut(&id)
            .filter(|actor| actor.process() == Some(worker))
        else {
            return;
        };
        let constructor = actor.constructor;
        let constructed = matches!(actor.life, Life::Alive(_));
        let began = constructed
            || flights
                .iter()
                .any(|(flight, started)| flight.task == id && *started);
        let intended = intended && constructed;
        // A process that has not begun with the constructor was no attempt.
        let again = self.closed.is_none() && !intended && (!began || actor.restarts > 0);
        if again {
            actor.restarts -= u32::from(began);
            actor.life = Life::Wanting;
        }
        let mut crashed = Vec::new();
        for (flight, started) in flights.into_iter().rev() {
            if flight.task == id {
                match self.task_mut(id) {
                    Some(_) => self.unqueue(id),
                    None => self.unpin_constructor(id),
                }
                continue;
            }
            self.call_landed(flight.task);
            let Some(task) = self.task_mut(flight.task) else {
                continue;
            };
            task.begun |= started;
            if started && (task.retries == 0 || !again) {
                crashed.push((flight.task, task.function));
                continue;
            }
            task.retries -= u32::from(started);
            self.unqueue(flight.task);
            self.return_call(flight.task);
        }
        crashed.reverse();
        if again {
            for (call, function) in crashed {
                self.finish(call, Err(describe(function)), comm);
            }
            self.want_process(id, comm);
            return;
        }
        let why = if intended {
            Error::actor(
                format!("the {name} has ended itself: its process exited, with exit code 0"),
                None,
            )
        } else {
            let crash = describe(constructor);
            Error::actor(
                format!("the process of the {name} died: {crash}"),
                Some(crash),
            )
        };
        for (call, function) in crashed {
            let error = match intended {
                true => Error::actor(
                    format!("`{}` did not return: {why}", self.name(function)),
                    Some(why.clone()),
                ),
                false => {
                    let crash = describe(function);
                    Error::actor(
                        format!(
                            "the {name} died while it ran `{}`, and is not restarted: {crash}",
                            self.name(function)
                        ),
                        Some(crash),
                    )
                }
            };
            self.finish(call, Err(error), comm);
        }
        self.fail_actor(id, why, comm);
    }

    fn unpin_constructor(&mut self, id: ObjectId) {
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

    /// Ends an actor at once, whatever it does, and fails its calls.
    pub(crate) fn kill_actor(&mut self, id: ObjectId, comm: &mut dyn Comm) {
        let name = self.actor_name(id);
        let Some(actor) = self.actors.get(&id) else {
            return;
        };
        if let Life::Dead(_) = actor.life {
            return;
        }
        let why = Error::actor(format!("the {name} was killed by `ActorRef::kill`"), None);
        let process = actor.process();
        if process.is_none() {
            self.too_many += 1;
        }
        if let Some(worker) = process {
            let running: Vec<ObjectId> = match self.workers.get(&worker) {
                Some(worker) => worker.flights.iter().map(|flight| flight.task).collect(),
                None => Vec::new(),
            };
            self.leave_running(worker);
            comm.kill(
                worker,
                "it was an actor, and `ActorRef::kill` was called".to_owned(),
            );
            for call in running {
                self.call_landed(call);
                if call == id {
                    continue;
                }
                let Some(function) = self.task_mut(call).map(|task| task.function) else {
                    continue;
                };
                let error = Error::actor(
                    format!("`{}` did not return: {why}", self.name(function)),
                    Some(why.clone()),
                );
                self.finish(call, Err(error), comm);
            }
        }
        self.fail_actor(id, why, comm);
    }

    /// Nobody has a handle of the actor any more, and all its calls have ended.
    pub(in crate::core) fn end_actor(&mut self, id: ObjectId, comm: &mut dyn Comm) {
        let Some(actor) = self.actors.remove(&id) else {
            return;
        };
        if let Some(name) = &actor.options.name {
            self.names_of_actors.remove(name);
        }
        match actor.life {
            Life::Wanting => {
                self.wanting.retain(|wanting| *wanting != id);
                self.too_many += 1;
            }
            Life::Waiting(worker) | Life::Constructing(worker) | Life::Alive(worker) => {
                self.stop_process(worker, actor.options.grace, comm);
            }
            Life::Dead(_) => {}
        }
        self.drop_args(&actor.args, comm);
    }

    /// Has the process drop its value and end, in this time.
    fn stop_process(&mut self, worker: WorkerId, grace: Duration, comm: &mut dyn Comm) {
        self.worker_stopping(worker, comm);
        comm.end_within(worker, grace.max(Duration::from_millis(250)));
    }
}
