//! Workers come and go.

use mobula_worker::{Error, FunctionIndex, ObjectId, WorkerId, message::ToWorker};

use super::{
    Comm, Core, Violation,
    counts::Step,
    ready::Siblings,
    state::{ObjectState, Worker, WorkerState},
};

impl Core {
    /// A worker process was started. It gets no tasks yet.
    ///
    /// # Errors
    /// The number is in use, or the driver's.
    pub(crate) fn worker_starting(&mut self, id: WorkerId) -> Result<(), Violation> {
        if id == WorkerId::DRIVER || self.workers.contains_key(&id) {
            return Err(Violation::new(format!("{id} was started already")));
        }
        let seat = self.free_seats.pop().unwrap_or(self.seats.len());
        if seat == self.seats.len() {
            self.seats.push(id);
        }
        self.seats[seat] = id;
        self.workers
            .insert(id, Worker::new(self.config.prefetch, seat));
        Ok(())
    }

    /// A worker has registered. It gets tasks from the next [`pump`](Core::pump) on.
    ///
    /// # Errors
    /// The worker is not one that was starting.
    pub(crate) fn worker_up(&mut self, id: WorkerId, comm: &mut dyn Comm) -> Result<(), Violation> {
        match self.workers.get_mut(&id) {
            Some(worker) if worker.state == WorkerState::Starting => {
                worker.state = WorkerState::Up;
                self.came_up(id, comm);
            }
            // It was told to stop before it got here.
            Some(worker) if worker.state == WorkerState::ShuttingDown => {}
            _ => {
                return Err(Violation::new(format!(
                    "{id} registered, but was not starting"
                )));
            }
        }
        self.relist(id);
        Ok(())
    }

    /// Tells a worker to finish what it runs and to exit. What it has not started goes to others.
    pub(crate) fn worker_stopping(&mut self, id: WorkerId, comm: &mut dyn Comm) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if worker.state != WorkerState::ShuttingDown {
            worker.state = WorkerState::ShuttingDown;
            self.take_back(id, u32::MAX, comm);
            comm.send(id, ToWorker::Shutdown);
        }
    }

    /// A worker is dead, and all that it had sent has been passed on. Decides what becomes of its
    /// tasks (see the [module](super)); `describe` makes the crash error for a task that was
    /// running, `intended` says that it exited by itself, with code 0. Does nothing for a worker that is not there.
    ///
    /// Says whether the pool has one worker less.
    pub(crate) fn worker_lost(
        &mut self,
        id: WorkerId,
        intended: bool,
        mut describe: impl FnMut(FunctionIndex) -> Error,
        comm: &mut dyn Comm,
    ) -> bool {
        let Some(mut worker) = self.workers.remove(&id) else {
            return false;
        };
        self.room.relist(worker.seat, &mut worker.room, None);
        self.active_seats.remove(worker.seat);
        self.active -= usize::from(worker.active);
        self.laden -= usize::from(worker.laden);
        self.free_seats.push(worker.seat);

        let flights = std::mem::take(&mut worker.flights);
        let actor = worker.actor;
        self.end_decoded(id);
        self.end_holds(id, worker, comm);
        if let Some(actor) = actor {
            let flights = flights.into_iter().map(|flight| {
                let started = comm.started(id, flight.slot, flight.attempt);
                (flight, started)
            });
            let flights: Vec<_> = flights.collect();
            self.process_lost(actor, id, flights, intended, &mut describe, comm);
            return false;
        }

        let mut siblings = Siblings::default();
        let mut crashed = Vec::new();
        for flight in flights {
            let started = comm.started(id, flight.slot, flight.attempt);
            let Some(task) = self.task_mut(flight.task) else {
                continue;
            };
            task.begun |= started;
            if started && task.retries.left == 0 {
                crashed.push((flight.task, task.function));
                continue;
            }
            task.retries.left -= u32::from(started);
            self.unqueue(flight.task);
            self.ready.push_first(&mut siblings, flight.task);
        }
        for (task, function) in crashed {
            self.finish(task, Err(describe(function)), comm);
        }
        true
    }

    /// Ends all that a worker kept which is not in the table any more.
    fn end_holds(&mut self, id: WorkerId, worker: Worker, comm: &mut dyn Comm) {
        for object in worker.watches {
            self.end_watch(id, object);
        }
        for (object, hold) in worker.held.into_entries() {
            self.give_up(object, hold, comm);
        }
        for args in worker.left {
            self.shift_arg_pins(&args, Step::End);
            self.drop_args(&args, comm);
        }
    }

    /// The end of the runtime: every unfinished task fails with `error`, and nothing runs any more
    /// but what workers have started. What the driver has handles of stays until they are released.
    /// What workers read or hold stays until they are [lost](Core::worker_lost): it must not
    /// change under them. From now on workers are only told that things failed, and what is
    /// submitted or put fails with `error`. A second call changes nothing.
    pub(crate) fn fail_all(&mut self, error: Error, comm: &mut dyn Comm) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(error.clone());
        let mut workers: Vec<WorkerId> = self.workers.keys().copied().collect();
        workers.sort_unstable();
        for id in workers {
            self.take_back(id, u32::MAX, comm);
            self.leave_running(id);
        }
        self.ready.clear();
        let mut pending = Vec::new();
        for (id, object) in self.objects.iter_mut() {
            if let ObjectState::Pending(task) = &mut object.state {
                // All fail of the same cause, not of one another.
                if let Some(followers) = &mut task.followers {
                    followers.dependents.clear();
                }
                pending.push(id);
            }
        }
        pending.sort_unstable();
        for id in pending {
            self.finish(id, Err(error.clone()), comm);
        }
        let mut actors: Vec<ObjectId> = self.actors.keys().copied().collect();
        actors.sort_unstable();
        for id in actors {
            self.construct(id, comm);
        }
    }

    /// Takes the tasks away from a worker that runs them, but leaves it their arguments.
    pub(super) fn leave_running(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        let actor = worker.actor;
        let flights: Vec<_> = worker.flights.iter().copied().collect();
        for flight in flights {
            self.call_landed(flight.task);
            let args = match actor == Some(flight.task) {
                true => self.leave_constructor(flight.task),
                false => self
                    .task_mut(flight.task)
                    .map(|task| std::mem::take(&mut task.args)),
            };
            if let Some(worker) = self.workers.get_mut(&id) {
                worker.land(flight.attempt);
                worker.left.extend(args);
            }
        }
        self.relist(id);
    }
}
