//! Tests of tasks with priority.

use std::sync::Arc;

use mobula_protocol::{
    ObjectId, TaskOptions, WorkerId,
    message::{FromWorker, TaskSpec},
};

use super::env::{D, Env, W1, W2, d, done, good, spec, w};

fn with_priority(id: ObjectId, priority: i32) -> TaskSpec {
    TaskSpec {
        options: Some(Arc::new(TaskOptions {
            priority: Some(priority),
            ..TaskOptions::DEFAULT
        })),
        ..spec(id, vec![])
    }
}

impl Env {
    fn submit_at(&mut self, seq: u64, priority: i32) {
        let spec = with_priority(d(seq), priority);
        self.scheduler.submit(spec, D, &mut self.host).unwrap();
        self.scheduler.sanity_check();
    }

    /// Runs all tasks of the worker. Returns their order.
    fn runs(&mut self, worker: WorkerId) -> Vec<u64> {
        let mut order = Vec::new();
        while let Some(task) = self.host.start(worker) {
            order.push(task.id.seq);
            self.done(worker, &task, good(0));
            self.pump();
        }
        order
    }
}

#[test]
fn the_highest_comes_first_and_equal_ones_in_their_order() {
    let mut env = Env::new(1, 1);
    for (seq, priority) in [
        (1, 0),
        (2, -3),
        (3, 5),
        (4, 0),
        (5, 5),
        (6, i32::MIN),
        (7, 1),
    ] {
        env.submit_at(seq, priority);
    }
    env.pump();
    assert_eq!(env.runs(W1), [3, 5, 7, 1, 4, 2, 6]);
}

#[test]
fn a_function_s_priority_counts_for_calls_without_options() {
    let options = TaskOptions {
        priority: Some(2),
        ..TaskOptions::DEFAULT
    };
    let mut env = Env::with_options(1, 1, options);
    env.submit_at(1, 1);
    env.submit(2, vec![]);
    env.submit_at(3, 3);
    env.pump();
    assert_eq!(env.runs(W1), [3, 2, 1]);
}

#[test]
fn a_high_one_overtakes_what_workers_have_ahead() {
    let mut env = Env::new(2, 64);
    for seq in 0..1000 {
        env.submit(seq, vec![]);
    }
    env.pump();
    let running = [env.host.start(W1).unwrap(), env.host.start(W2).unwrap()];
    env.submit_at(2000, 1);
    env.submit_at(2001, 1);
    env.submit_at(2002, 2);
    env.pump();
    let [first, second] = running;
    env.done(W1, &first, good(0));
    env.done(W2, &second, good(0));
    env.pump();
    let next = [env.host.start(W1).unwrap(), env.host.start(W2).unwrap()];
    let mut next = next.map(|task| task.id);
    next.sort_unstable();
    assert!(next.contains(&d(2002)), "{next:?}");
    assert!(next.iter().all(|id| id.seq >= 2000), "{next:?}");
}

#[test]
fn what_was_taken_back_keeps_its_order() {
    let mut env = Env::new(1, 4);
    for seq in 1..=6 {
        env.submit(seq, vec![]);
    }
    env.pump();
    let first = env.start(W1, d(1));
    env.submit_at(7, 1);
    env.pump();
    env.done(W1, &first, good(0));
    env.pump();
    assert_eq!(env.runs(W1), [7, 2, 3, 4, 5, 6]);
}

#[test]
fn a_call_has_the_priority_of_the_task_that_makes_it_unless_it_has_its_own() {
    let mut env = Env::new(1, 1);
    env.submit_at(1, 3);
    for seq in 2..=4 {
        env.submit_at(seq, 1);
    }
    env.pump();
    let parent = env.start(W1, d(1));
    let child = spec(w(W1, 100), vec![]);
    env.ok(W1, FromWorker::Spawn(child, Some(parent.attempt).into()));
    let low = with_priority(w(W1, 101), -1);
    env.ok(W1, FromWorker::Spawn(low, Some(parent.attempt).into()));
    env.host.end(W1, &parent);
    env.ok(W1, done(&parent, good(0)));
    env.pump();
    assert_eq!(env.runs(W1), [100, 2, 3, 4, 101]);
}

#[test]
fn a_worker_that_has_begun_what_is_to_be_taken_back_is_left_alone() {
    let mut env = Env::new(1, 4);
    for seq in 1..=3 {
        env.submit(seq, vec![]);
    }
    env.pump();
    env.host.revocable = false;
    env.submit_at(4, 1);
    env.pump();
    assert_eq!(env.runs(W1), [1, 2, 3, 4]);
}
