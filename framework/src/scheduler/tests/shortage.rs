//! Tests of workers without threads, and of pools without further workers.

use mobula_protocol::{
    Error, WorkerId,
    message::{FromWorker, TaskMessage},
};

use super::{
    dispatch::{ids, submit_all, wind_up},
    env::{Env, W1, W2, d, good, spawn, w},
};

fn limit() -> Error {
    Error::resource_limit("no further process")
}

/// A parent waits for its child on a worker that has no thread for the child.
fn stalls(env: &mut Env, worker: WorkerId, parent: u64) -> TaskMessage {
    let running = env.start(worker, d(parent));
    env.ok(worker, spawn(w(worker, 1), vec![]));
    env.ok(worker, FromWorker::Watch(w(worker, 1)));
    env.ok(worker, FromWorker::Blocked);
    env.ok(worker, FromWorker::Stalled(true));
    env.pump();
    running
}

#[test]
fn a_stalled_worker_gets_no_task_while_another_takes_tasks() {
    let mut env = Env::new(2, 4);
    submit_all(&mut env, 1..=2);
    env.pump();
    let other = env.start(W2, d(2));
    let parent = stalls(&mut env, W1, 1);
    assert_eq!(env.host.lane(W1), []);
    assert_eq!(env.host.lane(W2), [w(W1, 1)]);
    env.done(W2, &other, good(2));
    env.run(W2, w(W1, 1), good(1));
    assert_eq!(env.told(W1, w(W1, 1)), Ok(1));
    env.ok(W1, FromWorker::Stalled(false));
    env.ok(W1, FromWorker::Unblocked);
    env.done(W1, &parent, good(1));
    env.ok(W1, FromWorker::Release(w(W1, 1)));
    submit_all(&mut env, 3..=4);
    env.pump();
    assert_eq!((env.host.lane(W1), env.host.lane(W2)), (ids([3]), ids([4])));
    wind_up(&mut env, &[W1, W2]);
    env.assert_over();
}

#[test]
fn where_all_workers_are_stalled_one_gets_a_task_so_that_a_wait_ends() {
    let mut env = Env::new(2, 4);
    submit_all(&mut env, 1..=2);
    env.pump();
    let first = stalls(&mut env, W1, 1);
    let second = stalls(&mut env, W2, 2);
    // One worker at a time is relieved, though there are two children.
    let lanes = |env: &Env| env.host.lane(W1).len() + env.host.lane(W2).len();
    assert_eq!(lanes(&env), 1);
    let running = [(W1, first), (W2, second)];
    let (relieved, task) = match env.host.lane(W1).is_empty() {
        true => running[1].clone(),
        false => running[0].clone(),
    };
    let (other, other_task) = running[usize::from(relieved == W1)].clone();
    env.ok(relieved, FromWorker::Stalled(false));
    env.ok(relieved, FromWorker::Unblocked);
    env.done(relieved, &task, Err(limit()));
    env.pump();
    assert_eq!(env.host.lane(relieved).len(), 2, "it takes tasks again");
    env.ok(relieved, FromWorker::Release(w(relieved, 1)));
    while let Some(child) = env.host.start(relieved) {
        env.done(relieved, &child, good(3));
    }
    assert_eq!(env.told(other, w(other, 1)), Ok(3));
    env.ok(other, FromWorker::Stalled(false));
    env.ok(other, FromWorker::Unblocked);
    env.done(other, &other_task, good(4));
    env.ok(other, FromWorker::Release(w(other, 1)));
    wind_up(&mut env, &[W1, W2]);
    env.assert_over();
}

#[test]
fn what_waits_for_a_process_fails_when_there_will_be_none() {
    let mut env = Env::new(1, 2);
    submit_all(&mut env, 1..=3);
    env.pump();
    assert_eq!(
        env.scheduler
            .refuse_processes(&limit(), false, &mut env.host),
        0
    );
    env.scheduler.sanity_check();
    // The pool still has a worker, which keeps its tasks.
    assert_eq!(env.host.lane(W1), ids([1, 2]));
    env.lose(W1);
    assert!(env.scheduler.pool_is_empty());
    // A worker that was started before may still register.
    env.scheduler.worker_starting(W2).unwrap();
    env.scheduler
        .refuse_processes(&limit(), true, &mut env.host);
    assert!(env.scheduler.outcome(d(1)).is_none() && !env.scheduler.pool_is_up());
    env.scheduler
        .refuse_processes(&limit(), false, &mut env.host);
    env.scheduler.sanity_check();
    for seq in 1..=3 {
        let error = env.scheduler.outcome(d(seq)).unwrap().unwrap_err();
        assert!(error.is_resource_limit(), "{error}");
    }
    env.ok(W2, FromWorker::Registered);
    assert!(env.scheduler.pool_is_up());
    submit_all(&mut env, 4..=4);
    env.run(W2, d(4), good(4));
    wind_up(&mut env, &[]);
    env.assert_over();
}

#[test]
fn no_wait_ends_while_another_worker_is_about_to_be_started() {
    let mut env = Env::new(1, 4);
    submit_all(&mut env, 1..=1);
    env.pump();
    env.scheduler.expect_workers(1);
    let parent = stalls(&mut env, W1, 1);
    assert_eq!(env.host.lane(W1), []);
    env.scheduler.worker_starting(W2).unwrap();
    env.scheduler.expect_workers(0);
    env.pump();
    assert_eq!(env.host.lane(W1), []);
    env.ok(W2, FromWorker::Registered);
    env.run(W2, w(W1, 1), good(1));
    assert_eq!(env.told(W1, w(W1, 1)), Ok(1));
    env.ok(W1, FromWorker::Stalled(false));
    env.ok(W1, FromWorker::Unblocked);
    env.done(W1, &parent, good(1));
    env.ok(W1, FromWorker::Release(w(W1, 1)));
    wind_up(&mut env, &[W1, W2]);
    env.assert_over();
}

#[test]
fn a_worker_that_comes_up_takes_over_what_a_stalled_one_was_handed() {
    let mut env = Env::new(1, 4);
    submit_all(&mut env, 1..=1);
    env.pump();
    let parent = stalls(&mut env, W1, 1);
    assert_eq!(env.host.lane(W1), [w(W1, 1)]);
    env.add_worker(W2);
    env.run(W2, w(W1, 1), good(1));
    assert_eq!(env.host.start(W1).map(|task| task.id), None);
    assert_eq!(env.told(W1, w(W1, 1)), Ok(1));
    env.ok(W1, FromWorker::Stalled(false));
    env.ok(W1, FromWorker::Unblocked);
    env.done(W1, &parent, good(1));
    env.ok(W1, FromWorker::Release(w(W1, 1)));
    wind_up(&mut env, &[W1, W2]);
    env.assert_over();
}
