//! How actors end: by a kill, or with their last handle.

use std::time::Duration;

use mobula_protocol::{Error, ObjectId, WorkerId};

use super::Life;
use crate::scheduler::{Host, Scheduler, counts::Step, state::Assignment};

impl Scheduler {
    /// Ends an actor at once, whatever it does, and fails its calls.
    pub(crate) fn kill_actor(&mut self, id: ObjectId, host: &mut dyn Host) {
        let name = self.actor_name(id);
        let Some(actor) = self.actors.get(&id) else {
            return;
        };
        if let Life::Dead(_) = actor.life {
            return;
        }
        let why = Error::actor(format!("the {name} was killed by `ActorRef::kill`"), None);
        if let Some(worker) = actor.process() {
            // These have not begun, and will not.
            self.take_back(worker, u32::MAX, host);
            let mut running = Vec::new();
            for assignment in self.flights_of(worker) {
                let Some(function) = self.task_mut(assignment.task).map(|task| task.function)
                else {
                    continue;
                };
                let error = Error::actor(
                    format!("`{}` did not return: {why}", self.name(function)),
                    Some(why.clone()),
                );
                // Before the process keeps them.
                self.with_objects(assignment.task, |scheduler, args| {
                    scheduler.tear(args, &error)
                });
                running.push((assignment.task, error));
            }
            self.leave_running(worker);
            host.kill(
                worker,
                "it was an actor, and `ActorRef::kill` was called".to_owned(),
            );
            for (call, error) in running.into_iter().filter(|(call, _)| *call != id) {
                self.finish(call, Err(error), host);
            }
        }
        self.fail_actor(id, why, host);
    }

    /// What was handed over to a worker and has not ended.
    fn flights_of(&self, worker: WorkerId) -> Vec<Assignment> {
        let worker = self.workers.get(&worker);
        worker.map_or_else(Vec::new, |worker| {
            worker.assignments.iter().copied().collect()
        })
    }

    /// Nobody has a handle of the actor any more, and all its calls have ended.
    pub(in crate::scheduler) fn end_actor(&mut self, id: ObjectId, host: &mut dyn Host) {
        let Some(actor) = self.actors.get(&id) else {
            return;
        };
        let (process, grace) = (actor.process(), actor.options.grace);
        if let Some(worker) = process {
            self.stop_process(worker, grace, host);
        }
        // If it is being made once more, and that has begun: what it reads stays as long as the
        // process.
        if let Some(args) = self.leave_constructor(id) {
            match process.and_then(|worker| self.workers.get_mut(&worker)) {
                Some(worker) => worker.left.push(args),
                None => {
                    self.shift_arg_pins(&args, Step::End);
                    self.drop_args(&args, host);
                }
            }
        }
        let Some(actor) = self.actors.remove(&id) else {
            return;
        };
        if let Some(name) = &actor.options.name {
            self.names_of_actors.remove(name);
        }
        if let Life::Wanting = actor.life {
            self.wanting.retain(|wanting| *wanting != id);
            self.too_many += 1;
        }
        self.drop_args(&actor.args, host);
    }

    /// The processes of actors that have nothing to do, and how long each may take to end.
    pub(crate) fn idle_actors(&self) -> Vec<(WorkerId, Duration)> {
        let processes = self.actors.values().filter_map(|actor| {
            let process = actor.process()?;
            let is_idle = self.workers.get(&process)?.assignments.is_empty();
            is_idle.then_some((process, actor.options.grace))
        });
        processes.collect()
    }

    /// Has the process drop its value and end, in this time.
    pub(crate) fn stop_process(&mut self, worker: WorkerId, grace: Duration, host: &mut dyn Host) {
        self.worker_stopping(worker, host);
        host.end_within(worker, grace.max(Duration::from_millis(250)));
    }
}
