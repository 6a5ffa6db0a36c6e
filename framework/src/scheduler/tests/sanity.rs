//! Checks of every invariant that ties the scheduler's parts together.

use std::collections::{BTreeSet, HashMap, HashSet};

use mobula_protocol::{ObjectId, Value, WireAttachment, WorkerId, message::ArgSpec};

use super::super::{
    Scheduler, TaskCounts,
    actors::ActorRole,
    counts::{footprint, stored},
    keepers::Keeping,
    object::{Maker, ObjectState},
    task::TaskState,
    task_table::TaskId,
    worker::{Worker, WorkerState},
};

/// Counts that are computed again from the reachable objects.
#[derive(Default)]
struct Recount {
    refs: HashMap<ObjectId, u64>,
    pins: HashMap<ObjectId, u32>,
}

impl Recount {
    fn refer(&mut self, id: ObjectId) {
        *self.refs.entry(id).or_default() += 1;
    }

    fn pin(&mut self, scheduler: &Scheduler, id: ObjectId) {
        *self.pins.entry(id).or_default() += 1;
        if let Some(value) = scheduler.objects.get(id).unwrap().value() {
            self.pin_arrays(value);
        }
    }

    fn refer_all(&mut self, args: &[ArgSpec]) {
        for arg in args {
            arg.for_each_object(|id| self.refer(id));
        }
    }

    fn pin_all(&mut self, scheduler: &Scheduler, args: &[ArgSpec]) {
        for id in inputs(args) {
            self.pin(scheduler, id);
        }
        for arg in args {
            if let ArgSpec::Value(value) = arg {
                self.pin_arrays(value);
            }
        }
    }

    fn pin_arrays(&mut self, value: &Value) {
        for attachment in &value.attachments {
            if let WireAttachment::Array { id, .. } = attachment {
                *self.pins.entry(*id).or_default() += 1;
            }
        }
    }
}

fn inputs(args: &[ArgSpec]) -> Vec<ObjectId> {
    let ids = args.iter().map(|arg| match arg {
        ArgSpec::Value(_) => vec![],
        ArgSpec::Object(id) => vec![*id],
        ArgSpec::Gather(ids) => ids.clone(),
    });
    ids.flatten().collect()
}

impl Scheduler {
    /// Checks all invariants. The time is linear in the size of the scheduler.
    pub(super) fn sanity_check(&self) {
        self.check_counts();
        self.check_tasks();
        self.check_dependents();
        self.check_workers();
        self.check_actors();
        self.check_lending();
        self.check_queues();
        self.check_resources();
        for (id, keepers) in &self.decoded {
            assert!(
                self.objects.contains(*id),
                "{id} is gone, and workers keep it decoded"
            );
            assert!(keepers.iter().all(|keeper| self.workers.contains(*keeper)));
        }
    }

    fn check_counts(&self) {
        let mut recount = Recount::default();
        let mut used = 0;
        for (id, object) in self.objects.iter() {
            for _ in 0..object.handles {
                recount.refer(id);
            }
            match &object.state {
                ObjectState::Failed(_) => {}
                ObjectState::Ready(value) => {
                    value.nested().for_each(|nested| recount.refer(nested));
                    used += stored(value).map_or(0, footprint);
                }
                ObjectState::Pending(_) => {}
            }
        }
        for (_, task) in self.tasks.iter() {
            recount.refer_all(&task.args);
            if let Some(ActorRole::Call(call)) = task.role() {
                recount.refer(call.actor);
            }
            if task.state.hand().is_some() {
                recount.pin_all(self, &task.args);
            }
        }
        for array in self.asked_of_arrays.values() {
            recount.refer(*array);
        }
        for worker in self.workers.values() {
            for (id, hold) in worker.held.iter() {
                recount.refer(id);
                if hold.pinned {
                    assert!(self.objects.get(id).unwrap().value().is_some());
                    recount.pin(self, id);
                }
            }
        }
        for actor in self.actors.values() {
            recount.refer_all(actor.kept_args());
        }
        self.for_each_queued(|id| recount.refer(id));
        for (id, object) in self.objects.iter() {
            assert_eq!(
                object.refs,
                recount.refs.remove(&id).unwrap_or(0),
                "refs of {id}"
            );
            assert_eq!(
                object.pins,
                recount.pins.remove(&id).unwrap_or(0),
                "pins of {id}"
            );
            assert!(!object.is_unused(), "{id} should have been freed");
            assert!(object.refs > 0 || object.pins == 0);
        }
        assert!(
            recount.refs.is_empty(),
            "these are missing: {:?}",
            recount.refs
        );
        assert_eq!(self.used, used);
    }

    fn check_tasks(&self) {
        let mut counts = TaskCounts::default();
        let mut ready: HashSet<TaskId> = HashSet::new();
        for id in self.ready.iter() {
            assert!(ready.insert(id), "{id:?} is ready twice");
        }
        assert_eq!(ready.len(), self.ready.len());
        assert_eq!(self.ready.is_empty(), ready.is_empty());
        let (mut assignments, mut detached, mut prioritized) = (0, 0, 0);
        let admitted = self.tasks.iter().filter(|(_, task)| task.admitted).count();
        assert_eq!(admitted, self.admission.admitted);
        for (id, task) in self.tasks.iter() {
            let name = task.id;
            *counts.of(task.state) += 1;
            detached += usize::from(task.detached);
            prioritized += usize::from(task.priority != 0);
            if let Some(output) = task.output() {
                let maker = self.objects.get(output).unwrap().pending();
                assert_eq!(maker.unwrap().maker, Maker::Task(id), "{output}");
            }
            let in_queue = ready.remove(&id);
            // The places of waiting tasks with resources are checked elsewhere.
            let elsewhere = task.role().is_some() || task.claims();
            assert_eq!(
                task.state == TaskState::Ready,
                in_queue
                    || elsewhere
                        && (task.claims() || self.waits_for_actor(id, task))
                        && task.state == TaskState::Ready,
                "{name} is {:?}",
                task.state
            );
            assert!(!(in_queue && elsewhere), "{name} is an actor's");
            if let Some(hand) = task.state.hand() {
                let assignment = self.workers[hand.worker].assignment(hand.attempt).unwrap();
                assert_eq!((assignment.task, assignment.slot), (id, hand.slot));
                assignments += 1;
            }
            let nobody_waits = task.output().is_none();
            assert_eq!(
                nobody_waits,
                matches!(task.state, TaskState::Abandoned(_))
                    || matches!(task.role(), Some(ActorRole::Constructor)) && nobody_waits
            );
        }
        // The remaining entries of the queue are tasks that have ended there.
        assert!(ready.iter().all(|id| self.tasks.get(*id).is_none()));
        assert_eq!(counts, self.counts);
        assert_eq!((detached, prioritized), (self.detached, self.prioritized));
        let mut requests = 0;
        for (id, object) in self.objects.iter() {
            match object.pending().map(|pending| pending.maker) {
                None => {}
                Some(Maker::Request) => requests += 1,
                Some(Maker::Task(task)) => {
                    let output = self.tasks.get(task).unwrap().output().unwrap();
                    let result = self.objects.get(output).unwrap().pending().unwrap();
                    let followers = result.followers.as_ref();
                    let is_element =
                        || followers.is_some_and(|followers| followers.elements.contains(&id));
                    assert!(output == id || is_element(), "{id}");
                }
            }
        }
        assert_eq!(requests, self.requests);
        for id in self.asked_of_arrays.keys() {
            assert!(self.objects.get(*id).unwrap().pending().is_some());
        }
        assert_eq!(
            assignments,
            self.workers
                .values()
                .map(|worker| worker.assignments.len())
                .sum::<usize>()
        );
    }

    fn check_dependents(&self) {
        // How often pending objects list each task.
        let mut listed: HashMap<(ObjectId, TaskId), u32> = HashMap::new();
        for (id, object) in self.objects.iter() {
            let followers = object
                .pending()
                .and_then(|pending| pending.followers.as_ref());
            for &dependent in followers.iter().flat_map(|f| &f.dependents) {
                *listed.entry((id, dependent)).or_default() += 1;
            }
        }
        for (id, task) in self.tasks.iter() {
            if task.output().is_none() {
                // The inputs of an abandoned task may have failed meanwhile.
                continue;
            }
            let mut expected = 0;
            for input in inputs(&task.args) {
                match &self.objects.get(input).unwrap().state {
                    ObjectState::Ready(_) => {}
                    ObjectState::Failed(_) => {
                        panic!("{} should have failed with {input}", task.id)
                    }
                    ObjectState::Pending(_) => {
                        expected += 1;
                        let entry = listed.get_mut(&(input, id)).unwrap();
                        *entry -= 1;
                    }
                }
            }
            match task.state {
                TaskState::Waiting { missing } => {
                    assert_eq!(missing, expected, "inputs of {}", task.id);
                }
                _ => assert_eq!(expected, 0),
            }
        }
        // The remaining tasks have failed for another reason.
        for ((input, dependent), count) in listed {
            assert!(
                count == 0 || self.tasks.get(dependent).is_none(),
                "{input} lists {dependent:?}, which does not wait for it"
            );
        }
    }

    fn check_workers(&self) {
        let mut room = BTreeSet::new();
        let (mut stealable, mut active, mut replaced) = (0, 0, 0);
        let keeps = |worker: &&Worker| worker.keeping == Keeping::Calls;
        assert_eq!(self.keepers, self.workers.values().filter(keeps).count());
        for (id, worker) in self.workers.iter() {
            assert_ne!(id, WorkerId::DRIVER);
            assert_eq!(self.indexes.worker(worker.index), id);
            room.extend(
                worker
                    .has_room(self.config.slots)
                    .then(|| (worker.rank(), worker.index)),
            );
            assert_eq!(
                self.active_workers.contains(worker.index),
                worker.active,
                "{id}"
            );
            active += usize::from(worker.active);
            replaced += usize::from(worker.term.replaced);
            if worker.state == WorkerState::Retiring && self.closed.is_none() {
                assert!(!worker.assignments.is_empty(), "{id} has nothing to end");
                assert!(worker.load() > 0 || worker.term.replaced, "{id} waits");
            }
            assert_eq!(worker.stealable, worker.is_stealable());
            stealable += usize::from(worker.stealable);
            assert!(
                worker
                    .assignments
                    .iter()
                    .is_sorted_by(|a, b| a.attempt < b.attempt)
            );
            let mut slots: Vec<u32> = worker.free_slots.iter().map(|slot| slot.0).collect();
            slots.extend(
                worker
                    .assignments
                    .iter()
                    .map(|assignment| assignment.slot.0),
            );
            slots.sort_unstable();
            assert_eq!(
                slots,
                (0..worker.fresh_slot).collect::<Vec<_>>(),
                "slots of {id}"
            );
            assert!(worker.fresh_slot <= self.config.slots);
            assert!((1..=self.config.prefetch).contains(&worker.depth));
            for watched in &worker.watches {
                let Some(pending) = self.objects.get(*watched).unwrap().pending() else {
                    panic!("{id} waits for {watched}, which is finished")
                };
                assert!(pending.followers.as_ref().unwrap().watchers.contains(&id));
            }
        }
        assert!(room.into_iter().eq(self.room.iter()));
        assert_eq!((stealable, active), (self.stealable, self.active));
        assert_eq!(replaced, self.replaced);
        assert_eq!(self.active_workers.len(), active);
        assert_eq!(self.indexes.in_use(), self.workers.len());
        let watchers: usize = self
            .objects
            .iter()
            .filter_map(|(_, object)| object.pending()?.followers.as_ref())
            .map(|followers| followers.watchers.len())
            .sum();
        assert_eq!(
            watchers,
            self.workers
                .values()
                .map(|worker| worker.watches.len())
                .sum::<usize>()
        );
    }
}
