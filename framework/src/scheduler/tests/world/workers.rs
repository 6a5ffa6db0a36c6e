//! The actions of workers, and their messages.

use std::{collections::BTreeSet, sync::Arc};

use mobula_protocol::{
    ObjectId, Value, WorkerId,
    message::{FromWorker, TaskMessage, ToWorker},
};
use mobula_store::Loc;

use super::{
    super::{
        super::{Scheduler, counts::stored, task::Outputs},
        env::{again, bad, done, inline, reruns},
        peer::{Entry, Worker},
    },
    World,
};

impl World {
    /// Delivers a worker's oldest message. Returns `false` if there is none.
    pub(in super::super) fn deliver(&mut self, index: usize) -> bool {
        let worker = &mut self.workers[index];
        let Some(mut message) = worker.outbox.pop_front() else {
            return false;
        };
        if self.host.killed.contains(&worker.id) {
            self.ignore_message(message);
            return true;
        }
        if let FromWorker::Done {
            id,
            outcome: Ok(value),
            ..
        } = &mut message
            && reaches(&self.scheduler, value, *id)
        {
            // In this world, a task knows the objects of its worker's other tasks. Its result must
            // make no cycle.
            *value = Arc::new(inline(0));
        }
        let from = worker.id;
        let kept = kept_by_worker(&self.scheduler, from, &message);
        self.scheduler
            .on_message(from, message, &mut self.host)
            .unwrap();
        if let Some(loc) = kept {
            self.extents.remove(&(loc.offset / 4096));
        }
        self.settle();
        true
    }

    /// A worker reads the oldest message on its control lane. Returns `false` if there is none.
    pub(in super::super) fn read(&mut self, index: usize) -> bool {
        let worker = &mut self.workers[index];
        match self.host.control(worker.id) {
            None => return false,
            Some(ToWorker::Shutdown) => worker.closing = true,
            // The worker's tasks do not check for cancellation.
            Some(ToWorker::Cancel { .. }) => {}
            Some(ToWorker::Share) => {
                worker.asked = true;
                worker.share(1);
            }
            Some(ToWorker::Ready { id, outcome }) => match worker.entries.get_mut(&id) {
                Some(entry) if entry.watching => {
                    entry.watching = false;
                    entry.value = outcome.ok();
                }
                // The object was released meanwhile.
                _ => {}
            },
            Some(other) => panic!("the core does not send {other:?}"),
        }
        true
    }

    /// A worker's tasks perform a random action.
    pub(in super::super) fn act(&mut self, index: usize) {
        let mut worker = self.workers.remove(index);
        match worker.running() {
            None => self.take_up(&mut worker),
            Some(running) => self.execute(&mut worker, running),
        }
        self.workers.insert(index, worker);
    }

    pub(super) fn take_up(&mut self, worker: &mut Worker) {
        if !worker.tasks.is_empty() && self.dice.one_in(2) {
            let waiting = self.dice.below(worker.tasks.len());
            worker.tasks[waiting].1 = false;
            let attempt = worker.tasks[waiting].0.attempt;
            worker.say(FromWorker::Unblocked);
            self.pause(worker, attempt, false);
        } else if let Some(task) = self.host.start(worker.id) {
            let lives = self.lives.get_mut(&task.id).unwrap();
            assert!(*lives > 0, "{} was begun too often", task.id);
            *lives -= 1;
            if task
                .options
                .as_ref()
                .is_some_and(|options| options.timeout.is_some())
            {
                let TaskMessage {
                    id, slot, attempt, ..
                } = task;
                worker.say(FromWorker::Started { id, slot, attempt });
            }
            worker.tasks.push((task, false));
        }
    }

    /// The task has returned an error, and runs again.
    fn run_again(&mut self, worker: &mut Worker, mut task: TaskMessage) {
        let lives = self.lives.get_mut(&task.id).unwrap();
        assert!(*lives > 0, "{} was begun too often", task.id);
        *lives -= 1;
        task.retries -= 1;
        worker.say(again(&task));
        worker.tasks.push((task, false));
    }

    fn execute(&mut self, worker: &mut Worker, running: usize) {
        let known = worker.known();
        match self.dice.below(12) {
            10 => {
                let id = worker.mint();
                let spec = self.spec(id, &known);
                if spec.args.is_empty() && spec.actor.is_none() {
                    worker.keep(spec);
                } else {
                    worker.entries.insert(id, Entry::default());
                    worker.say(FromWorker::Spawn(spec, None.into()));
                }
            }
            11 => {
                let id = worker.mint();
                let outcome = match self.dice.one_in(3) {
                    true => bad("no"),
                    false => Ok(self.value(&known)),
                };
                let value = outcome.as_ref().ok().cloned();
                let watching = false;
                worker.entries.insert(id, Entry { value, watching });
                worker.say(FromWorker::Ran { id, outcome });
            }
            0 | 1 => {
                let (task, _) = worker.tasks.swap_remove(running);
                if reruns(&task) > 0 && self.dice.one_in(2) {
                    self.run_again(worker, task);
                    return;
                }
                let outcome = if self.dice.one_in(8) {
                    bad("no")
                } else {
                    Ok(self.value(&known))
                };
                self.host.end(worker.id, &task);
                worker.leave(done(&task, outcome));
            }
            2 => {
                worker.tasks[running].1 = true;
                let attempt = worker.tasks[running].0.attempt;
                self.pause(worker, attempt, true);
                worker.leave(FromWorker::Blocked);
            }
            3 => {
                let id = worker.mint();
                let spec = self.spec(id, &known);
                let parent = self.dice.one_in(2).then(|| worker.tasks[running].0.attempt);
                worker.entries.insert(id, Entry::default());
                worker.say(FromWorker::Spawn(spec, parent.into()));
            }
            4 => {
                let (id, value) = (worker.mint(), self.value(&known));
                worker.entries.insert(
                    id,
                    Entry {
                        value: Some(value.clone()),
                        watching: false,
                    },
                );
                worker.say(FromWorker::Put { id, value });
            }
            5 | 6 => {
                if let Some((id, value)) = self.dice.pick(&worker.in_sight())
                    && !worker.entries.contains_key(&id)
                {
                    worker.entries.insert(
                        id,
                        Entry {
                            value,
                            watching: false,
                        },
                    );
                    worker.say(FromWorker::Hold(id));
                }
            }
            7 => {
                if let Some((id, None)) = self.dice.pick(&known)
                    && let Some(entry) = worker.entries.get_mut(&id)
                    && !entry.watching
                {
                    entry.watching = true;
                    worker.say(FromWorker::Watch(id));
                }
            }
            8 if self.dice.one_in(4) => worker.say(FromWorker::Retire),
            _ => self.forget(worker),
        }
    }

    pub(super) fn forget(&mut self, worker: &mut Worker) {
        if let Some((id, _)) = self.dice.pick(&worker.known()) {
            worker.entries.remove(&id);
            worker.say(FromWorker::Release(id));
        }
    }

    /// A worker dies. Its last messages may not have been written.
    pub(in super::super) fn kill(&mut self, index: usize) {
        let unwritten = self.dice.below(3);
        for _ in 0..unwritten {
            let outbox = &mut self.workers[index].outbox;
            // A task runs again only when this message is written.
            let lost = outbox.pop_back_if(|message| !matches!(message, FromWorker::Again { .. }));
            self.forget_message(lost);
        }
        while self.deliver(index) {}
        self.lose_worker(index, false);
    }
}

/// Returns whether the refs in a value lead to an object.
fn reaches(scheduler: &Scheduler, value: &Value, target: ObjectId) -> bool {
    let mut seen = BTreeSet::new();
    let mut rest: Vec<ObjectId> = value.nested().collect();
    while let Some(id) = rest.pop() {
        if !seen.insert(id) {
            continue;
        }
        if let Some(Ok(value)) = scheduler.outcome(id) {
            rest.extend(value.nested());
        }
        if let Some(actor) = scheduler.actors.get(&id) {
            for arg in actor.kept_args() {
                arg.for_each_object(|id| rest.push(id));
            }
        }
    }
    seen.contains(&target)
}

/// Returns the stored bytes of a result without handles, if the worker keeps them. It has a view of
/// the object until its end.
fn kept_by_worker(scheduler: &Scheduler, from: WorkerId, message: &FromWorker) -> Option<Loc> {
    let FromWorker::Done {
        id,
        attempt,
        outcome: Ok(value),
        ..
    } = message
    else {
        return None;
    };
    let worker = scheduler.workers.get(from)?;
    let task = scheduler.tasks.get(worker.assignment(*attempt)?.task)?;
    let kept = task.outputs == Outputs::None && worker.held.contains(*id);
    stored(value).filter(|_| kept)
}
