//! Tests of healthy workers that are replaced.

use std::sync::Arc;

use mobula_protocol::{
    CallOptions, TaskOptions, WorkerId,
    message::{ArgSpec, FromWorker, TaskSpec, ToWorker},
};

use super::env::{D, Env, W1, W2, bad, d, good, spawn, spec, w};

fn max_calls(calls: u32) -> CallOptions {
    Some(Arc::new(TaskOptions {
        max_calls: Some(calls),
        ..TaskOptions::DEFAULT
    }))
}

impl Env {
    fn submit_limited(&mut self, seqs: std::ops::RangeInclusive<u64>, calls: u32) {
        for seq in seqs {
            let options = max_calls(calls);
            let call = TaskSpec {
                options,
                ..spec(d(seq), vec![])
            };
            self.scheduler.submit(call, D, &mut self.host).unwrap();
        }
    }

    #[track_caller]
    fn assert_told_to_end(&mut self, worker: WorkerId) {
        let told = self.host.control(worker);
        assert!(matches!(told, Some(ToWorker::Shutdown)), "{told:?}");
        assert!(self.host.ending.contains(&worker));
    }

    #[track_caller]
    fn assert_over_after(&mut self, seqs: std::ops::RangeInclusive<u64>) {
        assert_eq!(self.completed().len() as u64, seqs.clone().count() as u64);
        for seq in seqs {
            self.release(d(seq));
        }
        self.assert_over();
    }
}

#[test]
fn a_worker_gets_so_many_calls_and_ends_also_after_errors() {
    let mut env = Env::new(1, 8);
    env.submit_limited(1..=5, 2);
    env.run(W1, d(1), bad("no"));
    assert_eq!(env.host.lane(W1), [d(2)]);
    assert_eq!(env.host.starting, 0);
    env.run(W1, d(2), good(2));
    assert_eq!(env.host.starting, 1);
    env.pump();
    env.assert_told_to_end(W1);
    assert!(!env.lose_as(W1, true), "a second one in its place");
    env.add_worker(W2);
    env.run(W2, d(3), good(3));
    env.run(W2, d(4), good(4));
    env.assert_told_to_end(W2);
    env.lose_as(W2, true);
    env.add_worker(WorkerId(3));
    env.run(WorkerId(3), d(5), good(5));
    assert_eq!(env.host.starting, 2);
    env.assert_over_after(1..=5);
}

#[test]
fn calls_of_other_functions_do_not_count() {
    let mut env = Env::new(1, 8);
    env.submit_limited(1..=2, 3);
    for seq in 3..=9 {
        env.submit(seq, vec![]);
    }
    for seq in 1..=9 {
        env.run(W1, d(seq), good(seq));
    }
    assert_eq!(env.host.starting, 0);
    env.assert_over_after(1..=9);
}

#[test]
fn a_worker_whose_last_call_waits_is_replaced_at_once_and_ends_after_it() {
    let mut env = Env::new(1, 8);
    env.submit_limited(1..=1, 1);
    env.pump();
    let parent = env.start(W1, d(1));
    assert_eq!(env.host.starting, 0);
    env.ok(W1, spawn(w(W1, 0), vec![]));
    env.ok(W1, FromWorker::Blocked);
    assert_eq!(env.host.starting, 1);
    env.pump();
    assert_eq!(env.host.lane(W1), [], "it takes no further task");
    env.add_worker(W2);
    env.run(W2, w(W1, 0), good(7));
    env.ok(W1, FromWorker::Release(w(W1, 0)));
    env.ok(W1, FromWorker::Unblocked);
    assert!(env.host.ending.is_empty());
    env.done(W1, &parent, good(1));
    env.assert_told_to_end(W1);
    assert_eq!(env.host.starting, 1);
    assert!(!env.lose_as(W1, true));
    env.assert_over_after(1..=1);
}

#[test]
fn a_worker_goes_on_when_its_last_call_is_taken_back() {
    let mut env = Env::new(1, 8);
    env.submit_limited(1..=3, 3);
    env.pump();
    assert_eq!(env.host.lane(W1).len(), 3);
    env.add_worker(W2);
    // The last third of W1's tasks goes to W2.
    env.pump();
    assert_eq!(env.host.lane(W2), [d(3)]);
    env.run(W1, d(1), good(1));
    env.run(W1, d(2), good(2));
    env.run(W2, d(3), good(3));
    assert_eq!(env.host.starting, 0);
    env.submit_limited(4..=5, 3);
    env.run(W1, d(4), good(4));
    assert_eq!(env.host.starting, 1);
    env.assert_told_to_end(W1);
    env.lose_as(W1, true);
    env.run(W2, d(5), good(5));
    env.assert_over_after(1..=5);
}

#[test]
fn a_cancelled_call_does_not_count() {
    let mut env = Env::new(1, 8);
    env.submit(1, vec![]);
    env.submit_limited(2..=3, 2);
    env.pump();
    let busy = env.start(W1, d(1));
    let scheduler = &mut env.scheduler;
    scheduler.cancel(&[d(3)], Default::default(), &mut env.host);
    env.submit_limited(4..=4, 2);
    env.pump();
    assert_eq!(env.host.lane(W1), [d(2), d(4)]);
    env.done(W1, &busy, good(1));
    env.run(W1, d(2), good(2));
    assert_eq!(env.host.starting, 0);
    env.run(W1, d(4), good(4));
    env.assert_told_to_end(W1);
    env.lose_as(W1, true);
    env.assert_over_after(1..=4);
}

#[test]
fn a_worker_that_asks_for_it_gives_back_what_it_has_not_begun() {
    let mut env = Env::new(1, 8);
    for seq in 1..=3 {
        env.submit(seq, vec![]);
    }
    env.pump();
    let task = env.start(W1, d(1));
    env.ok(W1, FromWorker::Retire);
    env.ok(W1, FromWorker::Retire);
    assert_eq!(env.host.lane(W1), []);
    env.done(W1, &task, good(1));
    env.assert_told_to_end(W1);
    assert_eq!(env.host.starting, 1);
    env.lose_as(W1, true);
    env.add_worker(W2);
    env.run(W2, d(2), good(2));
    env.run(W2, d(3), good(3));
    env.assert_over_after(1..=3);
}

#[test]
fn the_death_of_a_worker_that_retires_is_a_loss_until_it_is_replaced() {
    let mut env = Env::new(1, 8);
    env.submit_limited(1..=1, 1);
    env.pump();
    env.start(W1, d(1));
    assert!(env.lose_as(W1, false));
    assert_eq!(env.host.starting, 0);
    env.assert_over_after(1..=1);
}

#[test]
fn with_many_that_wait_further_ones_take_further_tasks() {
    let mut env = Env::new(0, 8);
    env.submit_limited(1..=70, 1);
    let mut waiting = Vec::new();
    for seq in 1..=64 {
        let worker = WorkerId(seq as u32);
        env.add_worker(worker);
        env.pump();
        waiting.push((worker, env.start(worker, d(seq))));
        env.ok(worker, FromWorker::Blocked);
        assert_eq!(env.host.starting as u64, seq);
    }
    let last = WorkerId(65);
    env.add_worker(last);
    for seq in 65..=70 {
        env.pump();
        waiting.push((last, env.start(last, d(seq))));
        env.ok(last, FromWorker::Blocked);
    }
    assert_eq!(env.host.starting, 64);
    env.submit(71, vec![ArgSpec::Object(d(1))]);
    for (worker, task) in waiting {
        env.ok(worker, FromWorker::Unblocked);
        env.done(worker, &task, good(0));
        if env.host.ending.contains(&worker) {
            env.assert_told_to_end(worker);
            env.lose_as(worker, true);
        }
    }
    assert_eq!(env.host.ending.len(), 64);
    env.run(last, d(71), good(71));
    env.assert_over_after(1..=71);
}
