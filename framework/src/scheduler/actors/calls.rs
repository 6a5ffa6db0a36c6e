//! Calls of actors: in which order they go to the process.

use mobula_protocol::{Error, FunctionIndex, ObjectId, WorkerId};

use super::{Actor, ActorRole, Call, Life, QueueKey, is_ready};
use crate::scheduler::{
    Host, Scheduler,
    task_table::TaskId,
    worker::{Worker, WorkerState},
};

/// With so many calls that have not ended, their maker is told that they pile up.
const MANY: u32 = 5_000;

/// A call, and the queue that it stands in.
type Place = (QueueKey, TaskId);

impl Scheduler {
    /// Where a new call belongs.
    ///
    /// # Errors
    /// Why it cannot run.
    pub(in crate::scheduler) fn place_call(
        &self,
        actor: ObjectId,
        function: FunctionIndex,
        caller: WorkerId,
    ) -> Result<ActorRole, Error> {
        let name = self.name(function);
        let Some(found) = self.actors.get(&actor) else {
            let why = match self.objects.get(actor).and_then(|object| object.outcome()) {
                Some(Err(error)) => error,
                _ => Error::internal(format!("there is no actor {actor}")),
            };
            return Err(Error::actor_dead(name, &why));
        };
        if let Life::Dead(why) = &found.life {
            return Err(Error::actor_dead(name, why));
        }
        let most = found.options.max_pending_calls.unwrap_or(u32::MAX);
        if found.pending >= most {
            return Err(Error::backpressure(format!(
                "`{name}` was not called: {most} calls of the {} have not ended, which is its \
                 `max_pending_calls`; wait for some of them",
                self.actor_name(actor)
            )));
        }
        let group = self.role(function).group.and_then(|group| {
            let mut groups = found.options.groups.iter();
            groups.position(|(name, _)| name == group)
        });
        Ok(ActorRole::Call(Call {
            actor,
            queue: (group.map_or(0, |at| at + 1), caller),
        }))
    }

    /// How often a call of an actor runs again that does not say so itself.
    pub(in crate::scheduler) fn retries_of_actor(&self, role: Option<&ActorRole>) -> u32 {
        let Some(ActorRole::Call(call)) = role else {
            return 0;
        };
        let actor = self.actors.get(&call.actor);
        actor.map_or(0, |actor| actor.options.max_call_retries)
    }

    /// Enters a new call, whose task is there.
    pub(in crate::scheduler) fn enter_call(
        &mut self,
        id: TaskId,
        call: Call,
        host: &mut impl Host,
    ) {
        self.add_ref(call.actor);
        if let Some(actor) = self.actors.get_mut(&call.actor) {
            actor.pending += 1;
            actor.queues.entry(call.queue).or_default().push_back(id);
            if actor.pending == MANY && !actor.warned {
                actor.warned = true;
                host.say(format!(
                    "{MANY} calls of the {} have not ended: they are made faster than it runs them; wait for \
                     results in between, or limit them by its `max_pending_calls`",
                    self.actor_name(call.actor)
                ));
            }
        }
        self.dirty_actors.push(call.actor);
    }

    /// A call has ended.
    pub(in crate::scheduler) fn leave_call(&mut self, call: Call, host: &mut impl Host) {
        if let Some(actor) = self.actors.get_mut(&call.actor) {
            actor.pending -= 1;
        }
        self.dirty_actors.push(call.actor);
        self.drop_ref(call.actor, host);
    }

    /// A call that was with the process is not any more.
    pub(in crate::scheduler) fn call_landed(&mut self, id: TaskId) {
        if let Some(ActorRole::Call(call)) = self.role_of(id)
            && let Some(actor) = self.actors.get_mut(&call.actor)
        {
            actor.running[call.queue.0] -= 1;
            self.dirty_actors.push(call.actor);
        }
    }

    /// Puts a task that was with the process, and was not begun, back to where it was: the last one
    /// that was handed over first. Whether it is an actor's.
    pub(in crate::scheduler) fn return_to_actor(
        &mut self,
        id: TaskId,
        worker: WorkerId,
        host: &mut impl Host,
    ) -> bool {
        match self.role_of(id) {
            None => return false,
            Some(ActorRole::Constructor) => self.return_constructor(id, worker, host),
            Some(ActorRole::Call(call)) => {
                if let Some(actor) = self.actors.get_mut(&call.actor) {
                    actor.queues.entry(call.queue).or_default().push_front(id);
                    self.dirty_actors.push(call.actor);
                }
            }
        }
        true
    }

    /// What a task is to an actor.
    pub(in crate::scheduler) fn role_of(&self, id: TaskId) -> Option<ActorRole> {
        self.tasks.get(id)?.role.as_deref().copied()
    }

    /// Hands over what can be, for actors of which something has changed.
    pub(in crate::scheduler) fn pump_actors(&mut self, host: &mut impl Host) {
        while let Some(id) = self.dirty_actors.pop() {
            self.construct(id, host);
            while let Some((call, worker)) = self.next_call(id) {
                self.hand_over(call, worker, host);
            }
        }
    }

    /// The next call of an actor, taken out of its queue, if one may go to the process now.
    fn next_call(&mut self, id: ObjectId) -> Option<(TaskId, WorkerId)> {
        let actor = self.actors.get(&id)?;
        let Life::Alive(worker_id) = actor.life else {
            return None;
        };
        let (ended, found) = self.waiting_call(actor)?;
        let actor = self.actors.get_mut(&id)?;
        for (key, call) in ended.into_iter().chain(found) {
            if let Some(queue) = actor.queues.get_mut(&key) {
                if let Some(at) = queue.iter().position(|other| *other == call) {
                    queue.remove(at);
                }
                if queue.is_empty() {
                    actor.queues.remove(&key);
                }
            }
        }
        let (key, call) = found?;
        actor.served = key;
        actor.running[key.0] += 1;
        Some((call, worker_id))
    }

    /// Which call of an actor may go to the process now, and those before it that have ended where
    /// they stood, since their inputs have failed. `None`: the process takes no further call.
    pub(super) fn waiting_call(&self, actor: &Actor) -> Option<(Vec<Place>, Option<Place>)> {
        let Life::Alive(worker_id) = actor.life else {
            return None;
        };
        if actor.queues.is_empty() {
            return None;
        }
        let worker = self.workers.get(&worker_id)?;
        if !self.takes_calls(actor, worker) {
            return None;
        }
        // In turn, beginning behind the one that was served last.
        let later = actor.queues.range((
            std::ops::Bound::Excluded(actor.served),
            std::ops::Bound::Unbounded,
        ));
        let queues = later.chain(actor.queues.range(..=actor.served));
        let mut ended = Vec::new();
        let mut found = None;
        for (key, queue) in queues {
            if actor.running[key.0] >= actor.limit(key.0) {
                continue;
            }
            let mut queue = queue.iter();
            let head = queue.find_map(|call| {
                let task = self.tasks.get(*call);
                if task.is_none() {
                    ended.push((*key, *call));
                }
                task.map(|task| (*call, is_ready(task)))
            });
            if let Some((call, true)) = head {
                found = Some((*key, call));
                break;
            }
        }
        Some((ended, found))
    }

    /// Whether the process takes a further call.
    fn takes_calls(&self, actor: &Actor, worker: &Worker) -> bool {
        if worker.state != WorkerState::Up || !worker.has_slot(self.config.slots) {
            return false;
        }
        if !actor.is_serial() {
            return true;
        }
        // A call that waits has the value; only those that share it may begin meanwhile.
        let held = worker.blocked > 0
            && worker.assignments.iter().any(|assignment| {
                let task = self.tasks.get(assignment.task);
                task.is_none_or(|task| !self.role(task.function).interleaves)
            });
        !held && worker.load() < worker.depth
    }
}
