//! Tests of failures that no caller has read.

use std::time::Duration;

use mobula_protocol::message::{ArgSpec, FromWorker};

use super::{
    super::unread::Unread,
    env::{Env, W1, bad, d, good, spawn, w},
};

impl Env {
    fn said(&mut self) -> Vec<String> {
        self.host.completed.clear();
        std::mem::take(&mut self.host.said)
    }
}

#[test]
fn a_failure_is_said_when_its_last_ref_goes_unless_it_was_read() {
    let mut env = Env::new(1, 8);
    for seq in 1..=3 {
        env.submit(seq, vec![]);
    }
    env.run(W1, d(1), bad("no room"));
    env.run(W1, d(2), bad("read"));
    env.run(W1, d(3), good(3));
    assert_eq!(env.said(), Vec::<String>::new());
    env.scheduler.heard(d(2));
    env.scheduler.heard(d(3));
    (1..=3).for_each(|seq| env.release(d(seq)));
    let said = env.said();
    assert!(said.len() == 1 && said[0].contains("no room"), "{said:?}");
    env.assert_over();
}

#[test]
fn a_failure_that_comes_after_its_last_ref_is_said() {
    let mut env = Env::new(1, 8);
    env.submit(1, vec![]);
    env.release(d(1));
    env.run(W1, d(1), bad("no room"));
    assert_eq!(env.said().len(), 1);
    env.assert_over();
}

#[test]
fn of_calls_in_a_row_the_last_failure_is_said() {
    let mut env = Env::new(1, 8);
    env.submit(1, vec![]);
    env.submit(2, vec![ArgSpec::Object(d(1))]);
    env.run(W1, d(1), bad("no room"));
    // This input has failed already.
    env.submit(3, vec![ArgSpec::Object(d(1))]);
    (1..=2).for_each(|seq| env.release(d(seq)));
    let said = env.said();
    assert!(said.len() == 1 && said[0].contains("no room"), "{said:?}");
    env.scheduler.heard(d(3));
    env.release(d(3));
    assert!(env.said().is_empty());
    env.assert_over();
}

#[test]
fn a_worker_that_is_told_has_read_it_and_one_that_lets_go_has_not() {
    let mut env = Env::new(2, 8);
    env.submit(1, vec![]);
    env.pump();
    let parent = env.start(W1, d(1));
    for seq in 0..2 {
        env.ok(W1, spawn(w(W1, seq), vec![]));
    }
    env.pump();
    env.ok(W1, FromWorker::Watch(w(W1, 0)));
    for seq in 0..2 {
        let worker = super::env::W2;
        env.run(worker, w(W1, seq), bad("no room"));
    }
    assert!(env.told(W1, w(W1, 0)).is_err());
    for seq in 0..2 {
        env.ok(W1, FromWorker::Release(w(W1, seq)));
    }
    assert_eq!(env.said().len(), 1);
    env.done(W1, &parent, good(1));
    env.said();
    env.release(d(1));
    env.assert_over();
}

#[test]
fn what_is_cancelled_or_cut_has_not_failed() {
    let mut env = Env::new(1, 8);
    for seq in 1..=2 {
        env.submit(seq, vec![]);
    }
    env.pump();
    let task = env.start(W1, d(1));
    let scheduler = &mut env.scheduler;
    scheduler.cancel(&[d(1), d(2)], Default::default(), &mut env.host);
    (1..=2).for_each(|seq| env.release(d(seq)));
    env.done(W1, &task, good(1));
    env.submit(3, vec![]);
    let why = mobula_protocol::Error::shutdown();
    env.scheduler.fail_all(why, &mut env.host);
    env.release(d(3));
    assert!(env.said().is_empty());
}

#[test]
fn of_many_failures_some_are_said_and_the_others_are_counted() {
    let mut env = Env::new(1, 8);
    let fail = |env: &mut Env, seqs: std::ops::RangeInclusive<u64>| {
        for seq in seqs {
            env.submit(seq, vec![]);
            env.run(W1, d(seq), bad("no room"));
            env.release(d(seq));
        }
    };
    fail(&mut env, 1..=20);
    assert_eq!(env.said().len(), 5);
    env.host.elapsed += Duration::from_secs(2);
    fail(&mut env, 21..=21);
    let said = env.said();
    assert!(
        said.len() == 2 && said[0].starts_with("15 more"),
        "{said:?}"
    );
    fail(&mut env, 22..=30);
    assert_eq!(env.said().len(), 4);
    let why = mobula_protocol::Error::shutdown();
    env.scheduler.fail_all(why, &mut env.host);
    let said = env.said();
    assert!(said.len() == 1 && said[0].starts_with("5 more"), "{said:?}");
}

#[test]
fn nothing_is_said_where_it_is_not_wanted() {
    let mut env = Env::new(1, 8);
    env.scheduler.unread = Unread::new(false);
    env.submit(1, vec![]);
    env.run(W1, d(1), bad("no room"));
    env.release(d(1));
    assert!(env.said().is_empty());
    env.assert_over();
}
