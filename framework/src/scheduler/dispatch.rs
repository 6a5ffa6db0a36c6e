//! The dispatch of tasks to workers.

use mobula_protocol::{
    Error, ObjectId, WorkerId,
    message::{ArgRef, ArgSpec, Args, TaskMessage},
};

use super::{
    Host, Scheduler,
    counts::Step,
    loads::Loads,
    object::Object,
    task::{Hand, Task},
    task_table::TaskId,
    worker::{Assignment, Worker, WorkerState},
};

impl Scheduler {
    /// Assigns ready tasks to workers, and takes tasks back from busy workers for idle ones. The
    /// driver calls it after each batch of events.
    ///
    /// Costs a constant for each assigned task, and nothing for other ready tasks. If a worker is
    /// idle while others have tasks ahead, costs the number of workers.
    pub(crate) fn pump(&mut self, host: &mut impl Host) {
        loop {
            if !self.settled.is_empty() {
                self.tell_settled(host);
            }
            if !self.dirty_actors.is_empty() {
                self.pump_actors(host);
            }
            let handed_out = self.ready.handed_out();
            if self.resources.matters() {
                self.serve_waiting(host);
            }
            if self.prioritized > 0 {
                self.overtake(host);
            }
            // The worker is searched for last: mostly there is no task.
            while !self.ready.is_empty()
                && let Some(worker) = self.next_worker()
            {
                let Some(task) = self.next_ready() else { break };
                self.hand_over(task, worker, host);
            }
            let mut more = match self.ready.is_empty() {
                true => self.steal(host),
                false => self.relieve_one(host),
            };
            if !more && self.resources.any_waits() {
                // The last assigned plain task may have made a waiting task due.
                more = self.ready.handed_out() > handed_out || self.relieve_one(host);
            }
            // An ended actor can settle the parts of shared arrays too.
            if !more && self.settled.is_empty() && self.dirty_actors.is_empty() {
                if self.keepers > 0 {
                    self.ask_keepers(host);
                }
                return;
            }
        }
    }

    /// Ends a deadlock of the pool: on each worker, waiting tasks take every slot, or no thread is
    /// left. The first ready task goes to a worker without a thread, which then ends a wait.
    /// Without such a worker, the task fails, so that its waiters continue. Returns whether a task
    /// was assigned or failed.
    #[inline]
    fn relieve_one(&mut self, host: &mut impl Host) -> bool {
        // A worker with more than one task to run will go on.
        self.stealable == 0 && self.relieve_stuck_pool(host)
    }

    fn relieve_stuck_pool(&mut self, host: &mut impl Host) -> bool {
        let stuck = |worker: &&Worker| {
            worker.state == WorkerState::Up
                && worker.load() == 0
                && (worker.stalled || !worker.has_slot(self.config.slots))
        };
        let pool = || {
            self.workers
                .values()
                .filter(|worker| worker.actor.is_none())
        };
        if self.expected > 0 || pool().next().is_none() || !pool().all(|worker| stuck(&worker)) {
            return false;
        }
        let stalled = self.stalled_worker();
        let task = self.next_ready();
        let Some(task) = task.or_else(|| self.next_waiting()) else {
            return false;
        };
        if let Some(worker) = stalled
            && !self.tasks.get(task).is_some_and(Task::claims)
        {
            self.hand_over(task, worker, host);
            return true;
        }
        let name = self.task_name(task);
        let error = Error::usage(format!(
            "`{name}` cannot run: every place of every worker ({} each) is taken by a task that waits for another one; \
             recurse less deeply, or return refs instead of waiting for them",
            self.config.slots
        ));
        self.finish(task, Err(error), host);
        true
    }

    /// Removes and returns the first ready task. Skips tasks that have ended in the queue.
    #[inline]
    pub(super) fn next_ready(&mut self) -> Option<TaskId> {
        loop {
            let id = self.ready.pop()?;
            if self.tasks.get(id).is_some() {
                return Some(id);
            }
        }
    }

    /// Assigns a task to a worker. The message goes before most of the bookkeeping, because the
    /// worker may be idle.
    pub(super) fn hand_over(&mut self, id: TaskId, worker_id: WorkerId, host: &mut impl Host) {
        let Some(worker) = self.workers.get_mut(worker_id) else {
            return;
        };
        let (slot, attempt) = worker.next_assignment();
        let idle = worker.assignments.is_empty();
        let mut limited = self.limits_calls;
        worker.assignments.push_back(Assignment {
            attempt,
            task: id,
            slot,
        });
        worker.is_given(id);
        if let Some(task) = self.tasks.get(id) {
            if !task.plain {
                self.objects.shift_arg_pins(&task.args, Step::Begin);
            }
            limited |= task.options.is_some();
            let mut args = Args::with_capacity(task.args.len());
            for spec in &task.args {
                args.push(self.resolve(spec));
            }
            host.send_task(
                worker_id,
                TaskMessage {
                    id: task.id,
                    slot,
                    attempt,
                    function: task.function,
                    args,
                    options: task.options.clone(),
                    retries: task.retries,
                    revocable: !idle,
                },
            );
        }
        self.relist(worker_id);
        let hand = Hand {
            worker: worker_id,
            slot,
            attempt,
        };
        self.task_assigned(id, hand, host);
        if limited {
            self.count_call(id, worker_id, attempt);
        }
    }

    /// Returns the argument with the values of its objects, which are all ready.
    #[inline]
    pub(super) fn resolve<'a>(&'a self, spec: &'a ArgSpec) -> ArgRef<'a> {
        let value = |id: &ObjectId| {
            let value = self.objects.get(*id).and_then(Object::value);
            value.expect("the inputs of a ready task are ready, and counted")
        };
        spec.map_ref(|value| &**value, |id| (*id, value(id)))
    }

    /// If a worker is idle, takes back half of the load of the busiest worker that gives tasks
    /// back. Returns whether any task was taken back.
    fn steal(&mut self, host: &mut impl Host) -> bool {
        if self.stealable == 0 || !self.any_idle() {
            return false;
        }
        let stealable = self
            .workers
            .iter()
            .filter(|(_, worker)| self.may_steal_from(worker));
        let mut stealable: Vec<(u32, WorkerId)> =
            stealable.map(|(id, worker)| (worker.load(), id)).collect();
        stealable.sort_unstable();
        stealable
            .into_iter()
            .rev()
            .any(|(load, worker)| self.take_back(worker, load / 2, host) > 0)
    }

    /// Takes up to `most` tasks back from the end of the worker's queue, into the ready queue. The
    /// tasks lose no retry. Returns the number of tasks taken back.
    pub(super) fn take_back(
        &mut self,
        worker_id: WorkerId,
        most: u32,
        host: &mut impl Host,
    ) -> u32 {
        let mut taken = 0;
        while taken < most {
            let Some(worker) = self.workers.get_mut(worker_id) else {
                return taken;
            };
            // The blocked tasks have begun, whatever their state words say.
            if worker.assignments.len() <= worker.near(0) {
                break;
            }
            let Some(&Assignment {
                attempt,
                task,
                slot,
            }) = worker.assignments.back()
            else {
                break;
            };
            // The worker starts tasks in order: a started task means that all tasks before it have
            // started.
            if !host.revoke(worker_id, slot, attempt) {
                break;
            }
            worker.complete(attempt);
            self.uncount_call(task, worker_id, attempt);
            self.call_landed(task);
            if self.is_abandoned(task) {
                self.drop_abandoned(task, host);
            } else {
                self.unqueue(task, host);
                if !self.return_to_actor(task, worker_id, host) && !self.await_resources(task) {
                    let priority = self.priority_of(task);
                    self.ready.give_back(task, priority);
                }
            }
            taken += 1;
        }
        if let Some(worker) = self.workers.get_mut(worker_id)
            && taken > 0
        {
            worker.depth = worker.load().max(1);
        }
        self.relist(worker_id);
        taken
    }

    /// Makes an assigned task ready without putting it into the ready queue.
    pub(super) fn unqueue(&mut self, id: TaskId, host: &mut impl Host) {
        self.task_returned(id, host);
        self.end_claim_of(id);
        if let Some(task) = self.tasks.get(id).filter(|task| !task.plain) {
            self.objects.shift_arg_pins(&task.args, Step::End);
        }
    }

    /// Calls `f` with the arguments of a task if they refer to objects. The task has no arguments
    /// during the call.
    pub(super) fn with_objects(&mut self, id: TaskId, f: impl FnOnce(&mut Scheduler, &[ArgSpec])) {
        let args = match self.tasks.get_mut(id) {
            Some(task) if !task.plain => std::mem::take(&mut task.args),
            _ => return,
        };
        f(self, &args);
        if let Some(task) = self.tasks.get_mut(id) {
            task.args = args;
        }
    }

    /// Updates the worker's entry in the list by load. Required after each change of its load,
    /// state, depth or slots.
    pub(super) fn relist(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.relist(self.config.slots, &mut self.room, &mut self.stealable);
        }
    }
}

impl Worker {
    /// See [`Scheduler::relist`].
    #[inline]
    pub(super) fn relist(&mut self, slots: u32, list: &mut Loads, all_stealable: &mut usize) {
        let room = self.has_room(slots).then(|| self.rank());
        list.relist(self.index, &mut self.room, room);
        let stealable = self.is_stealable();
        if self.stealable != stealable {
            self.stealable = stealable;
            *all_stealable = *all_stealable + usize::from(stealable) - usize::from(!stealable);
        }
    }

    /// Returns whether the worker has tasks that it has probably not started.
    pub(super) fn is_stealable(&self) -> bool {
        matches!(self.state, WorkerState::Up | WorkerState::Retiring)
            && self.actor.is_none()
            && self.load() > 1
    }
}
