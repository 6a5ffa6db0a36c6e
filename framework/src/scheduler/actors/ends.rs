//! How actors end: by a kill, or with their last handle.

use std::time::Duration;

use mobula_protocol::{Error, ObjectId, WorkerId};

use super::Life;
use crate::scheduler::{Host, Scheduler, needs::Grant, task_table::TaskId};

impl Scheduler {
    /// Ends an actor at once, even during a call, and fails its calls.
    pub(crate) fn kill_actor(&mut self, id: ObjectId, host: &mut impl Host) {
        let name = self.actor_name(id);
        let Some(actor) = self.actors.get(&id) else {
            return;
        };
        if let Life::Dead(_) = actor.life {
            return;
        }
        let why = Error::actor(format!("the {name} was killed by `ActorRef::kill`"), None);
        if let Some(worker) = actor.process() {
            // The revoked calls have not begun and never will.
            self.take_back(worker, u32::MAX, host);
            host.kill(
                worker,
                "it was an actor, and `ActorRef::kill` was called".to_owned(),
            );
            for task in self.tasks_of(worker) {
                let error = match self.tasks.get(task) {
                    Some(task) if task.id != id => Error::actor(
                        format!("`{}` did not return: {why}", self.name(task.function)),
                        Some(why.clone()),
                    ),
                    _ => why.clone(),
                };
                self.fail_task(task, error, host);
            }
        }
        self.fail_actor(id, why, host);
    }

    /// Returns the assigned tasks of a worker that have not ended.
    fn tasks_of(&self, worker: WorkerId) -> Vec<TaskId> {
        let worker = self.workers.get(worker);
        worker.map_or_else(Vec::new, |worker| {
            let tasks = worker.assignments.iter();
            tasks.map(|assignment| assignment.task).collect()
        })
    }

    /// Ends an actor without handles and unfinished calls.
    pub(in crate::scheduler) fn end_actor(&mut self, id: ObjectId, host: &mut impl Host) {
        let Some(actor) = self.actors.get(&id) else {
            return;
        };
        let (process, grace) = (actor.process(), actor.options.grace);
        if let Some(worker) = process {
            self.stop_process(worker, grace, host);
            // The constructor may be running again after a restart. Nobody waits for its result.
            for task in self.tasks_of(worker) {
                self.fail_task(task, Error::shutdown(), host);
            }
        }
        let Some(mut actor) = self.actors.remove(&id) else {
            return;
        };
        self.end_grant_with(process, actor.grant.take());
        if let Some(name) = &actor.options.name {
            self.names_of_actors.remove(name);
        }
        if let Life::Wanting = actor.life {
            self.wanting.retain(|wanting| *wanting != id);
            self.too_many += 1;
        }
        self.drop_args(&actor.args, host);
    }

    /// Keeps the resources of an ended actor until its process is dead.
    pub(super) fn end_grant_with(&mut self, process: Option<WorkerId>, grant: Option<Box<Grant>>) {
        let Some(grant) = grant else { return };
        match process.and_then(|worker| self.workers.get_mut(worker)) {
            Some(worker) => worker.grant = Some(grant),
            None => self.end_grant(&grant),
        }
    }

    /// Returns whether the worker belongs to an actor that has ended or that uses another process.
    pub(crate) fn is_of_ended_actor(&self, worker: WorkerId) -> bool {
        let actor = self.workers.get(worker).and_then(|worker| worker.actor);
        actor.is_some_and(|actor| {
            let actor = self.actors.get(&actor);
            actor.is_none_or(|actor| actor.process() != Some(worker))
        })
    }

    /// Returns the processes of actors without assigned tasks, each with its grace time.
    pub(crate) fn idle_actors(&self) -> Vec<(WorkerId, Duration)> {
        let processes = self.actors.values().filter_map(|actor| {
            let process = actor.process()?;
            let is_idle = self.workers.get(process)?.assignments.is_empty();
            is_idle.then_some((process, actor.options.grace))
        });
        processes.collect()
    }

    /// Stops the process of an actor. The grace time is at least 250 ms.
    pub(crate) fn stop_process(&mut self, worker: WorkerId, grace: Duration, host: &mut impl Host) {
        self.worker_stopping(worker, host);
        host.end_within(worker, grace.max(Duration::from_millis(250)));
    }
}
