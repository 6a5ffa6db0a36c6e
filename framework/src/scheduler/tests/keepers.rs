//! Tests of workers that keep calls of their tasks, and are asked for some.

use mobula_protocol::{
    ObjectId, WorkerId,
    message::{FromWorker, ToWorker},
};

use super::{
    dispatch::wind_up,
    env::{Env, W1, W2, W3, bad, d, good, packed, refer, spawn, w},
};

/// Returns how often a worker was asked for calls since the last look.
fn asked(env: &mut Env, worker: WorkerId) -> usize {
    let messages = std::iter::from_fn(|| env.host.control(worker));
    messages
        .filter(|message| matches!(message, ToWorker::Share))
        .count()
}

#[test]
fn who_keeps_calls_is_asked_once_while_another_worker_is_idle() {
    let mut env = Env::new(2, 1);
    env.submit(1, vec![]);
    env.pump();
    let task = env.start(W1, d(1));
    assert_eq!(asked(&mut env, W1), 0);
    env.ok(W1, FromWorker::Keeps);
    env.pump();
    env.pump();
    assert_eq!(asked(&mut env, W1), 1);
    // The worker gives a call away, which the idle worker gets. No worker is idle any more.
    env.ok(W1, spawn(w(W1, 1), vec![]));
    env.pump();
    assert_eq!(env.host.lane(W2), [w(W1, 1)]);
    assert_eq!(asked(&mut env, W1), 0);
    env.run(W2, w(W1, 1), good(1));
    env.pump();
    assert_eq!(asked(&mut env, W1), 1);
    env.done(W1, &task, good(1));
    env.ok(W1, FromWorker::Release(w(W1, 1)));
    env.pump();
    assert_eq!(asked(&mut env, W1), 0);
    wind_up(&mut env, &[W1, W2]);
    env.assert_over();
}

#[test]
fn nobody_is_asked_while_tasks_are_ready_or_all_workers_have_some() {
    let mut env = Env::new(2, 1);
    super::dispatch::submit_all(&mut env, 1..=3);
    env.pump();
    let task = env.start(W1, d(1));
    env.ok(W1, FromWorker::Keeps);
    env.pump();
    env.run(W2, d(2), good(2));
    env.pump();
    assert_eq!(asked(&mut env, W1), 0);
    env.run(W2, d(3), good(3));
    env.pump();
    assert_eq!(asked(&mut env, W1), 1);
    env.done(W1, &task, good(1));
    wind_up(&mut env, &[W1, W2]);
    env.assert_over();
}

/// The worker reports kept calls before its task ends or blocks.
#[test]
fn a_task_that_ends_or_blocks_and_a_worker_that_dies_keep_nothing() {
    let mut env = Env::new(3, 1);
    env.submit(1, vec![]);
    env.pump();
    let task = env.start(W1, d(1));
    for end in [FromWorker::Blocked, FromWorker::Unblocked] {
        env.ok(W1, end);
        if env.host.lane(W2).is_empty() {
            env.pump();
        }
        assert_eq!(asked(&mut env, W1), 0);
    }
    env.ok(W1, FromWorker::Keeps);
    env.ok(W1, FromWorker::Blocked);
    env.pump();
    assert_eq!(asked(&mut env, W1), 0);
    env.ok(W1, FromWorker::Unblocked);
    env.ok(W1, FromWorker::Keeps);
    env.done(W1, &task, good(1));
    env.pump();
    assert_eq!(asked(&mut env, W1), 0);
    env.submit(2, vec![]);
    env.pump();
    let worker = [W1, W2, W3]
        .into_iter()
        .find(|worker| !env.host.lane(*worker).is_empty());
    let worker = worker.unwrap();
    env.start(worker, d(2));
    env.ok(worker, FromWorker::Keeps);
    env.lose(worker);
    env.pump();
    let rest: Vec<_> = [W1, W2, W3].into_iter().filter(|w| *w != worker).collect();
    wind_up(&mut env, &rest);
    env.assert_over();
}

#[test]
fn the_result_of_a_call_that_a_worker_has_run_is_an_object_which_it_holds() {
    let mut env = Env::new(1, 1);
    env.submit(1, vec![]);
    env.pump();
    let task = env.start(W1, d(1));
    let [small, failed, outer] = [1, 2, 3].map(|seq| w(W1, seq));
    let ran = |id: ObjectId, outcome| FromWorker::Ran { id, outcome };
    env.ok(W1, ran(small, good(7)));
    env.ok(W1, ran(failed, bad("no")));
    let refers = packed(1, vec![refer(small)]);
    env.ok(W1, ran(outer, Ok(std::sync::Arc::new(refers))));
    for id in [small, failed] {
        env.ok(W1, FromWorker::Release(id));
    }
    assert!(env.scheduler.outcome(failed).is_none());
    // The outer object keeps it.
    assert!(env.scheduler.outcome(small).is_some());
    env.ok(W1, FromWorker::Release(outer));
    assert!(env.scheduler.outcome(small).is_none());
    // The messages use an id of another worker, and an id in use.
    env.message(W1, ran(w(W2, 1), good(1))).unwrap_err();
    env.ok(W1, ran(small, good(1)));
    env.message(W1, ran(small, good(1))).unwrap_err();
    env.ok(W1, FromWorker::Release(small));
    env.done(W1, &task, good(1));
    wind_up(&mut env, &[W1]);
    env.assert_over();
}
