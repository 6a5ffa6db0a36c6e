//! Actors in the world: they are made, called, killed and told to end.

use std::sync::Arc;

use mobula_protocol::{
    ActorOptions, FunctionIndex, ObjectId, Resources, TaskOptions,
    message::{FromWorker, TaskSpec},
};

use super::{
    super::{
        super::{CallRole, Function, counts::stored},
        env::{D, crash, function},
        peer::Known,
    },
    World,
};

/// Returns two functions. The second one shares the value if it is a method.
pub(super) fn functions() -> Arc<[Function]> {
    let shares = CallRole {
        interleaves: true,
        group: None,
    };
    [function("f", CallRole::default()), function("g", shares)].into()
}

impl World {
    pub(super) fn create_actor(&mut self, known: &Known) {
        let id = self.mint();
        let args = self.spec(id, known).args;
        // An actor may restart often.
        self.lives.insert(id, u32::MAX);
        let max_call_retries = self.dice.below(3) as u32;
        let options = ActorOptions {
            max_restarts: self.dice.below(3) as u32,
            max_call_retries,
            max_concurrency: 1 + self.dice.below(2) as u32,
            max_pending_calls: self.dice.one_in(4).then_some(3),
            resources: self.perhaps_resources(),
            ..ActorOptions::default()
        };
        self.handles.push(id);
        self.actors.insert(id, max_call_retries);
        let call = (FunctionIndex(0), args);
        self.scheduler
            .create_actor(id, call, options, D, &mut self.host)
            .unwrap();
    }

    /// Returns a task, or a call of a known actor, and how often it may run again.
    pub(super) fn perhaps_of_actor(&mut self, spec: TaskSpec, known: &Known) -> (TaskSpec, u32) {
        let actors = known.iter().map(|(id, _)| *id);
        let actors: Vec<_> = actors.filter(|id| self.actors.contains_key(id)).collect();
        let options = spec.options.as_deref().cloned();
        let own = options.as_ref().and_then(|options| options.retries);
        let Some(actor) = self.dice.pick(&actors).filter(|_| self.dice.one_in(2)) else {
            return (spec, own.unwrap_or(0));
        };
        let retries = own.filter(|_| self.dice.one_in(2));
        let most = retries.unwrap_or(self.actors[&actor]);
        let spec = TaskSpec {
            function: FunctionIndex(self.dice.below(2) as u32),
            actor: Some(actor),
            options: options.map(|options| {
                Arc::new(TaskOptions {
                    retries,
                    resources: Resources::None,
                    ..options
                })
            }),
            ..spec
        };
        (spec, most)
    }

    pub(super) fn kill_one_actor(&mut self) {
        let handles = self.handles.iter().copied();
        let actors: Vec<ObjectId> = handles.filter(|id| self.actors.contains_key(id)).collect();
        if let Some(actor) = self.dice.pick(&actors).filter(|_| self.dice.one_in(3)) {
            self.scheduler.kill_actor(actor, &mut self.host);
        }
    }

    /// Kills an actor whose resources other tasks may wait for.
    pub(super) fn kill_one_with_resources(&mut self) {
        let mut actors = self.scheduler.actors.iter();
        let found = actors.find(|(_, actor)| actor.grant().is_some());
        if let Some(id) = found.map(|(id, _)| *id) {
            self.scheduler.kill_actor(id, &mut self.host);
        }
    }

    /// Returns whether the driver ignores this worker's messages, since it is to be killed.
    pub(super) fn is_condemned(&self, index: usize) -> bool {
        self.host.killed.contains(&self.workers[index].id)
    }

    /// Forgets a message that the worker could not send.
    pub(super) fn forget_message(&mut self, message: Option<FromWorker>) {
        if let Some(
            FromWorker::Put { value, .. }
            | FromWorker::Ran {
                outcome: Ok(value), ..
            }
            | FromWorker::Done {
                outcome: Ok(value), ..
            },
        ) = message
            && let Some(loc) = stored(&value)
        {
            // The worker's segment is recycled as a whole.
            self.extents.remove(&(loc.offset / 4096));
        }
    }

    /// Ignores a message of a worker that is being killed. Its run does not count, since another
    /// task is to blame.
    pub(super) fn ignore_message(&mut self, message: FromWorker) {
        if let FromWorker::Done { id, .. } | FromWorker::Again { id, .. } = &message {
            let lives = self.lives.get_mut(id).unwrap();
            *lives = lives.saturating_add(1);
        }
        self.forget_message(Some(message));
    }

    /// A worker is gone. All its messages have been read.
    pub(super) fn lose_worker(&mut self, index: usize, intended: bool) {
        let worker = self.workers.swap_remove(index);
        if self.scheduler.workers[worker.id].killed {
            // Another task is to blame, so these runs do not count.
            for (task, _) in &worker.tasks {
                let lives = self.lives.get_mut(&task.id).unwrap();
                *lives = lives.saturating_add(1);
            }
        }
        self.host.reap(worker.id);
        self.host.killed.retain(|id| *id != worker.id);
        let scheduler = &mut self.scheduler;
        let missing = scheduler.worker_lost(worker.id, intended, crash, &mut self.host);
        self.host.starting += usize::from(missing);
        self.settle();
    }

    /// One of the workers that are to be killed dies. Returns `false` if there is none.
    pub(in super::super) fn reap(&mut self) -> bool {
        let Some(at) = (0..self.workers.len()).find(|at| self.is_condemned(*at)) else {
            return false;
        };
        while let Some(message) = self.workers[at].outbox.pop_back() {
            self.ignore_message(message);
        }
        self.lose_worker(at, false);
        true
    }

    /// A worker that was told to end does so, if it runs no task.
    pub(in super::super) fn leave(&mut self, index: usize) -> bool {
        let worker = &self.workers[index];
        if !worker.closing || !worker.tasks.is_empty() || self.is_condemned(index) {
            return false;
        }
        while self.deliver(index) {}
        self.lose_worker(index, true);
        true
    }

    /// Starts a worker that the scheduler has asked for. Returns `false` if there is none.
    pub(in super::super) fn start_wanted(&mut self) -> bool {
        let wanted = self.host.starting > 0;
        if wanted {
            self.host.starting -= 1;
            self.start_worker();
        }
        wanted
    }

    /// Checks the number of workers without the actors' processes.
    pub(super) fn check_pool(&self) {
        assert_eq!(self.host.starting, 0);
        let pool = self.scheduler.workers.values();
        let pool = pool.filter(|worker| worker.actor.is_none()).count();
        assert_eq!(pool, self.pool, "workers of the pool");
    }
}
