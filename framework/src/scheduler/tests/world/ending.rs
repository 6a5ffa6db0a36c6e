//! The end of a history, and its final checks.

use mobula_protocol::message::FromWorker;

use super::{
    super::{super::Scheduler, env::done},
    World,
};

impl World {
    /// Delivers all messages. Compares the objects that workers hold with the scheduler's records.
    pub(in super::super) fn quiesce(&mut self) {
        for index in 0..self.workers.len() {
            while self.deliver(index) {}
            // A worker that is asked for calls answers.
            while self.read(index) || self.deliver(index) {}
            if self.is_condemned(index) {
                continue;
            }
            let worker = &self.workers[index];
            let held = &self.scheduler.workers[worker.id].held;
            assert!(held.iter().all(|(id, _)| worker.entries.contains_key(&id)));
            assert_eq!(held.len(), worker.entries.len());
            for (id, entry) in &worker.entries {
                assert!(
                    held.get(*id).unwrap().pinned || entry.value.is_none(),
                    "{id} is read without a pin"
                );
            }
        }
        for id in &self.handles {
            let told = self.outcomes.get(id).map(Result::is_ok);
            assert_eq!(
                told,
                self.scheduler.outcome(*id).map(|outcome| outcome.is_ok()),
                "{id}"
            );
        }
    }

    /// Runs every task to its end, without further deaths.
    pub(in super::super) fn finish(&mut self) {
        while self.start_wanted() {}
        if self.workers.is_empty() {
            self.pool += 1;
            self.start_worker();
        }
        self.quiesce();
        // Requests for parts may wait for parts that are still held.
        let runs = |scheduler: &Scheduler| scheduler.task_counts().total() > 0;
        for round in 0.. {
            if !runs(&self.scheduler) && self.host.closing.is_empty() {
                break;
            }
            assert!(round < 1000, "something never ends");
            self.pump();
            while self.reap() || self.start_wanted() || self.close_one() {}
            self.end_tasks();
            self.quiesce();
            self.let_time_pass();
            self.settle();
            self.let_leave();
            if round % 50 == 49 {
                self.kill_one_with_resources();
            }
        }
    }

    /// Each worker ends its tasks, and begins the next task.
    fn end_tasks(&mut self) {
        for index in 0..self.workers.len() {
            let mut worker = self.workers.remove(index);
            while let Some((task, waits)) = worker.tasks.pop() {
                if waits {
                    worker.say(FromWorker::Unblocked);
                    self.pause(&mut worker, task.attempt, false);
                }
                let outcome = Ok(self.value(&worker.known()));
                self.host.end(worker.id, &task);
                worker.leave(done(&task, outcome));
            }
            self.take_up(&mut worker);
            self.workers.insert(index, worker);
        }
    }

    /// The workers that were told to end do so.
    fn let_leave(&mut self) {
        while (0..self.workers.len()).any(|index| self.leave(index)) {}
    }

    /// Releases all handles, and checks that nothing is left.
    pub(in super::super) fn let_go(&mut self) {
        while !self.handles.is_empty() {
            self.release_one();
        }
        for index in 0..self.workers.len() {
            let mut worker = self.workers.remove(index);
            while !worker.entries.is_empty() {
                self.forget(&mut worker);
            }
            self.workers.insert(index, worker);
        }
        for _ in 0..3 {
            // The constructor of an actor without handles may still run.
            self.end_tasks();
            for index in 0..self.workers.len() {
                while self.deliver(index) {}
            }
            self.pump();
            while self.reap() || self.start_wanted() || self.close_one() {}
            for index in 0..self.workers.len() {
                while self.deliver(index) || self.read(index) {}
            }
            self.let_leave();
        }
        self.check_pool();
        self.scheduler.check_all_is_back();
        assert_eq!(self.scheduler.object_count(), 0);
        assert_eq!(self.scheduler.used_bytes(), 0);
        assert_eq!(self.scheduler.task_counts().total(), 0);
        assert!(self.scheduler.is_quiet());
        assert!(self.extents.is_empty(), "never freed: {:?}", self.extents);
    }
}
