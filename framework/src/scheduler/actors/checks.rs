//! The invariants of actors, for the tests.

use std::collections::{HashMap, HashSet};

use mobula_protocol::ObjectId;

use super::{ActorRole, Life};
use crate::scheduler::{Scheduler, task::Task, task_table::TaskId, worker::WorkerState};

impl Scheduler {
    /// Whether the task waits in the queue of an actor, or for its process, and not in the common
    /// queue.
    pub(in crate::scheduler) fn waits_for_actor(&self, id: TaskId, task: &Task) -> bool {
        match task.role() {
            None => false,
            Some(ActorRole::Constructor) => {
                let actor = self.actors.get(&task.id);
                actor.is_some_and(|actor| !matches!(actor.life, Life::Constructing(_)))
            }
            Some(ActorRole::Call(call)) => {
                let queue = self.actors[&call.actor].queues.get(&call.queue);
                queue.is_some_and(|queue| queue.contains(&id))
            }
        }
    }

    /// Asserts what ties actors to their objects, calls and processes.
    pub(in crate::scheduler) fn check_actors(&self) {
        let mut pending: HashMap<ObjectId, u32> = HashMap::new();
        let mut running: HashMap<(ObjectId, usize), u32> = HashMap::new();
        for (id, task) in self.tasks.iter() {
            let queued = task.state.hand().is_some();
            match task.role() {
                None => continue,
                Some(ActorRole::Constructor) => {
                    let known = self.actors.contains_key(&task.id);
                    assert!(known || self.is_abandoned(id), "{}", task.id);
                }
                Some(ActorRole::Call(call)) => {
                    *pending.entry(call.actor).or_default() += 1;
                    *running.entry((call.actor, call.queue.0)).or_default() += u32::from(queued);
                    let queues = &self.actors[&call.actor].queues;
                    let places = queues.iter().flat_map(|(key, queue)| {
                        let here = queue.iter().filter(|other| **other == id);
                        here.map(move |_| key)
                    });
                    let expected = (!queued).then_some(&call.queue);
                    assert!(places.eq(expected), "where {} waits", task.id);
                }
            }
        }
        let mut wanting: HashSet<ObjectId> = HashSet::new();
        for id in &self.wanting {
            assert!(wanting.insert(*id), "{id} wants two processes");
        }
        for (id, actor) in &self.actors {
            assert!(self.objects.contains(*id), "the actor {id} is no object");
            assert_eq!(actor.pending, pending.remove(id).unwrap_or(0), "{id}");
            assert_eq!(
                matches!(actor.life, Life::Wanting),
                wanting.remove(id),
                "{id}"
            );
            for (group, count) in actor.running.iter().enumerate() {
                let expected = running.get(&(*id, group)).copied().unwrap_or(0);
                assert_eq!(*count, expected, "running calls of {id}, group {group}");
                assert!(*count <= actor.limit(group));
            }
            if let Some(worker) = actor.process() {
                assert_eq!(self.workers[worker].actor, Some(*id));
                let assignments = self.workers[worker].assignments.iter();
                let constructors = assignments
                    .filter(|assignment| {
                        let task = self.tasks.get(assignment.task).unwrap();
                        task.id == *id && !self.is_abandoned(assignment.task)
                    })
                    .count();
                let constructing = matches!(actor.life, Life::Constructing(_));
                assert_eq!(constructors, usize::from(constructing), "{id}");
            }
            let object = self.objects.get(*id).unwrap();
            match actor.life {
                Life::Alive(_) => assert!(object.value().is_some()),
                Life::Dead(_) => {
                    assert!(
                        object.pending().is_none() && actor.queues.is_empty(),
                        "{id}"
                    );
                    assert!(actor.args.is_empty() && actor.options.name.is_none());
                }
                _ => {}
            }
            if let Some(name) = &actor.options.name {
                assert_eq!(self.names_of_actors.get(name), Some(id));
            }
        }
        assert!(pending.is_empty() && wanting.is_empty());
        for (name, id) in &self.names_of_actors {
            assert_eq!(self.actors[id].options.name.as_ref(), Some(name));
        }
    }

    /// Asserts that nothing waits that could go on: after [`Scheduler::pump`].
    pub(in crate::scheduler) fn check_nothing_forgotten(&self) {
        assert!(self.dirty_actors.is_empty() && self.settled.is_empty());
        for (id, actor) in &self.actors {
            let (_, next) = self.waiting_call(actor).unwrap_or_default();
            assert_eq!(next, None, "a call of {id} could run");
            if let Life::Waiting(worker) = actor.life
                && self.workers[worker].state == WorkerState::Up
            {
                let task = self.task_of(*id).and_then(|task| self.tasks.get(task));
                assert!(
                    task.is_some_and(|task| !super::is_ready(task)),
                    "the constructor of {id} could run, or can never"
                );
            }
        }
        for (array, lending) in &self.lending {
            assert!(lending.has_patience(), "somebody waits for {array}");
        }
    }
}
