//! The order in which actors' calls go to the process.

use mobula_protocol::{Error, FunctionIndex, ObjectId, WorkerId};

use super::{Actor, ActorRole, Call, Life, QueueKey, is_ready};
use crate::scheduler::{
    Host, Scheduler,
    task_table::TaskId,
    worker::{Worker, WorkerState},
};

/// The number of unfinished calls at which the user gets a warning.
const MANY: u32 = 5_000;

/// A call and its queue.
type Place = (QueueKey, TaskId);

impl Scheduler {
    /// Returns the role of a new call, with the queue for it.
    ///
    /// # Errors
    /// The call cannot run.
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

    /// Returns the number of retries of an actor's call without its own setting.
    pub(in crate::scheduler) fn retries_of_actor(&self, role: Option<&ActorRole>) -> u32 {
        let Some(ActorRole::Call(call)) = role else {
            return 0;
        };
        let actor = self.actors.get(&call.actor);
        actor.map_or(0, |actor| actor.options.max_call_retries)
    }

    /// Queues a new call whose task exists.
    pub(in crate::scheduler) fn enter_call(
        &mut self,
        id: TaskId,
        call: Call,
        host: &mut impl Host,
    ) {
        self.objects.add_ref(call.actor);
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

    /// Removes an ended call from the counts of its actor.
    pub(in crate::scheduler) fn leave_call(&mut self, call: Call, host: &mut impl Host) {
        if let Some(actor) = self.actors.get_mut(&call.actor) {
            actor.pending -= 1;
        }
        self.dirty_actors.push(call.actor);
        self.drop_ref(call.actor, host);
    }

    /// Records that a call has left the process.
    pub(in crate::scheduler) fn call_landed(&mut self, id: TaskId) {
        if let Some(ActorRole::Call(call)) = self.role_of(id)
            && let Some(actor) = self.actors.get_mut(&call.actor)
        {
            actor.running[call.queue.0] -= 1;
            self.dirty_actors.push(call.actor);
        }
    }

    /// Puts an assigned task that has not begun back to its place. Call it for the last assigned
    /// task first, to keep the order. Returns whether the task belongs to an actor.
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

    /// Returns the role of a task for an actor.
    pub(in crate::scheduler) fn role_of(&self, id: TaskId) -> Option<ActorRole> {
        self.tasks.get(id)?.role().copied()
    }

    /// Assigns ready constructors and calls of actors that have changed.
    pub(in crate::scheduler) fn pump_actors(&mut self, host: &mut impl Host) {
        while let Some(id) = self.dirty_actors.pop() {
            self.construct(id, host);
            while let Some((call, worker)) = self.next_call(id) {
                self.hand_over(call, worker, host);
            }
        }
    }

    /// Removes and returns the next call of an actor if its process can take one now.
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

    /// Returns the next ready call of an actor, and the ended calls before it in the queues. A call
    /// ends in its queue if an input fails. Returns `None` if the process takes no further call.
    pub(super) fn waiting_call(&self, actor: &Actor) -> Option<(Vec<Place>, Option<Place>)> {
        let Life::Alive(worker_id) = actor.life else {
            return None;
        };
        if actor.queues.is_empty() {
            return None;
        }
        let worker = self.workers.get(worker_id)?;
        if !self.takes_calls(actor, worker) {
            return None;
        }
        // Queues are served in turn, beginning after the last served queue.
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

    /// Returns whether the process takes a further call.
    fn takes_calls(&self, actor: &Actor, worker: &Worker) -> bool {
        if worker.state != WorkerState::Up || !worker.has_slot(self.config.slots) {
            return false;
        }
        if !actor.is_serial() {
            return true;
        }
        // A call that waits borrows the value. Only calls that share the value may begin meanwhile.
        let held = worker.blocked > 0
            && worker.assignments.iter().any(|assignment| {
                let task = self.tasks.get(assignment.task);
                task.is_none_or(|task| !self.role(task.function).interleaves)
            });
        !held && worker.load() < worker.depth
    }
}
