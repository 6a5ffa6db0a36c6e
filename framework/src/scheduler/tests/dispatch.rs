//! Tests of the choice of workers for tasks, and of the order of tasks.

use mobula_protocol::{
    ObjectId, WorkerId,
    message::{FromWorker, ToWorker},
};

use super::{
    super::TaskCounts,
    env::{Env, W1, W2, W3, d, good, spawn, w},
};

pub(super) fn submit_all(env: &mut Env, seqs: std::ops::RangeInclusive<u64>) {
    for seq in seqs {
        env.submit(seq, vec![]);
    }
}

pub(super) fn ids(seqs: impl IntoIterator<Item = u64>) -> Vec<ObjectId> {
    seqs.into_iter().map(d).collect()
}

/// Ends all remaining tasks, so that the test can end with the usual checks.
pub(super) fn wind_up(env: &mut Env, workers: &[WorkerId]) {
    loop {
        env.pump();
        let before = env.scheduler.task_counts().total();
        for &worker in workers {
            if let Some(task) = env.host.start(worker) {
                env.done(worker, &task, good(0));
            }
        }
        if env.scheduler.task_counts().total() == before {
            break;
        }
    }
    assert!(!env.scheduler.pending_work());
    for (id, _) in env.completed() {
        env.release(id);
    }
}

#[test]
fn idle_workers_come_first_and_then_the_least_loaded() {
    let mut env = Env::new(3, 3);
    submit_all(&mut env, 1..=7);
    env.pump();
    assert_eq!(env.host.lane(W1), ids([1, 4, 7]));
    assert_eq!(env.host.lane(W2), ids([2, 5]));
    assert_eq!(env.host.lane(W3), ids([3, 6]));
    submit_all(&mut env, 8..=11);
    env.pump();
    assert_eq!(
        env.scheduler.task_counts(),
        TaskCounts {
            waiting: 0,
            ready: 2,
            queued: 9,
            abandoned: 0
        }
    );
    env.run(W2, d(2), good(2));
    env.pump();
    assert_eq!(env.host.lane(W2), ids([5, 8, 10]));
    wind_up(&mut env, &[W1, W2, W3]);
    env.assert_over();
}

#[test]
fn a_worker_gets_nothing_before_it_is_up_and_no_more_than_it_has_slots() {
    let mut env = Env::new(0, 1000);
    env.scheduler.worker_starting(W1).unwrap();
    submit_all(&mut env, 1..=150);
    env.pump();
    assert_eq!(env.scheduler.task_counts().queued, 0);
    env.ok(W1, FromWorker::Registered);
    env.pump();
    assert_eq!(env.scheduler.task_counts().queued, 100);
    wind_up(&mut env, &[W1]);
    env.assert_over();
}

#[test]
fn children_go_before_all_else_in_the_order_of_their_spawning() {
    let mut env = Env::new(2, 1);
    submit_all(&mut env, 1..=3);
    env.pump();
    let first = env.start(W1, d(1));
    let second = env.start(W2, d(2));
    env.ok(W1, spawn(w(W1, 1), vec![]));
    env.ok(W2, spawn(w(W2, 1), vec![]));
    env.ok(W1, spawn(w(W1, 2), vec![]));
    env.done(W1, &first, good(1));
    // The children of the latest parent come first. The children of one parent stay together.
    env.pump();
    let child = env.start(W1, w(W2, 1));
    env.ok(W1, spawn(w(W1, 3), vec![]));
    env.done(W1, &child, good(2));
    for id in [w(W1, 3), w(W1, 1), w(W1, 2), d(3)] {
        env.run(W1, id, good(3));
    }
    env.done(W2, &second, good(4));
    for (worker, seq) in [(W1, 1), (W1, 2), (W1, 3), (W2, 1)] {
        env.ok(worker, FromWorker::Release(w(worker, seq)));
    }
    wind_up(&mut env, &[]);
    env.assert_over();
}

#[test]
fn a_parent_goes_on_spawning_after_its_first_children_are_gone() {
    let mut env = Env::new(3, 1);
    submit_all(&mut env, 1..=3);
    env.pump();
    let tasks =
        [(W1, 1), (W2, 2), (W3, 3)].map(|(worker, seq)| (worker, env.start(worker, d(seq))));
    env.ok(W1, spawn(w(W1, 1), vec![]));
    env.done(W3, &tasks[2].1, good(3));
    env.run(W3, w(W1, 1), good(4));
    env.ok(W2, spawn(w(W2, 1), vec![]));
    env.ok(W1, spawn(w(W1, 2), vec![]));
    env.run(W3, w(W1, 2), good(5));
    env.run(W3, w(W2, 1), good(6));
    for (worker, task) in &tasks[..2] {
        env.done(*worker, task, good(1));
    }
    for (worker, seq) in [(W1, 1), (W1, 2), (W2, 1)] {
        env.ok(worker, FromWorker::Release(w(worker, seq)));
    }
    wind_up(&mut env, &[]);
    env.assert_over();
}

#[test]
fn children_that_had_to_wait_become_ready_in_order_too() {
    let mut env = Env::new(1, 1);
    submit_all(&mut env, 1..=3);
    env.pump();
    let parent = env.start(W1, d(1));
    let input = mobula_protocol::message::ArgSpec::Object(d(2));
    for seq in 1..=3 {
        env.ok(W1, spawn(w(W1, seq), vec![input.clone()]));
        env.ok(W1, FromWorker::Release(w(W1, seq)));
    }
    env.done(W1, &parent, good(1));
    for id in [d(2), w(W1, 1), w(W1, 2), w(W1, 3), d(3)] {
        env.run(W1, id, good(2));
    }
    wind_up(&mut env, &[]);
    env.assert_over();
}

#[test]
fn an_idle_worker_gets_half_of_what_the_busiest_has_not_started() {
    let mut env = Env::new(1, 8);
    submit_all(&mut env, 1..=8);
    env.pump();
    let long = env.start(W1, d(1));
    env.add_worker(W2);
    env.pump();
    assert_eq!(env.host.lane(W1), ids(2..=4));
    assert_eq!(env.host.lane(W2), ids(5..=8));
    // The revoked hand-over has left no pins. No further task moves while both workers work.
    env.pump();
    assert_eq!(env.host.revocations, 4);
    for seq in 5..=8 {
        env.run(W2, d(seq), good(seq));
    }
    env.pump();
    assert_eq!(
        (env.host.lane(W1), env.host.lane(W2)),
        (ids([2]), ids([3, 4]))
    );
    env.run(W2, d(3), good(3));
    env.run(W2, d(4), good(4));
    env.pump();
    assert_eq!((env.host.lane(W1), env.host.lane(W2)), (vec![], ids([2])));
    // The worker with the long task has lost its queue. It gets no task until the long task is
    // done.
    submit_all(&mut env, 9..=20);
    env.pump();
    assert_eq!(env.host.lane(W1), []);
    env.done(W1, &long, good(1));
    env.pump();
    assert_eq!(env.host.lane(W1).len(), 2);
    wind_up(&mut env, &[W1, W2]);
    env.assert_over();
}

#[test]
fn what_is_taken_back_is_spread_over_all_idle_workers() {
    let mut env = Env::new(1, 8);
    submit_all(&mut env, 1..=4);
    env.pump();
    env.start(W1, d(1));
    env.add_worker(W2);
    env.add_worker(W3);
    env.pump();
    assert_eq!((env.host.lane(W2), env.host.lane(W3)), (ids([3]), ids([4])));
    env.lose(W1);
    wind_up(&mut env, &[W2, W3]);
    env.assert_over();
}

#[test]
fn a_worker_that_is_quicker_than_the_revocation_keeps_its_tasks() {
    let mut env = Env::new(1, 8);
    submit_all(&mut env, 1..=4);
    env.pump();
    env.add_worker(W2);
    env.host.revocable = false;
    env.pump();
    assert_eq!((env.host.lane(W1), env.host.lane(W2)), (ids(1..=4), vec![]));
    env.host.revocable = true;
    wind_up(&mut env, &[W1, W2]);
    env.assert_over();
}

#[test]
fn where_the_busiest_has_nothing_to_give_the_next_is_asked() {
    let mut env = Env::new(2, 8);
    submit_all(&mut env, 1..=7);
    env.pump();
    assert_eq!(env.host.lane(W1), ids([1, 3, 5, 7]));
    // These tasks have ended, but the worker's messages are still in transit.
    let ended = [1, 3, 5, 7].map(|seq| env.start(W1, d(seq)));
    env.add_worker(W3);
    env.pump();
    assert_eq!(
        (env.host.lane(W2), env.host.lane(W3)),
        (ids([2, 4]), ids([6]))
    );
    for task in ended {
        env.done(W1, &task, good(1));
    }
    wind_up(&mut env, &[W1, W2, W3]);
    env.assert_over();
}

#[test]
fn a_worker_that_blocks_gives_back_its_queue_and_gets_the_children_first() {
    let mut env = Env::new(1, 4);
    submit_all(&mut env, 1..=4);
    env.pump();
    let parent = env.start(W1, d(1));
    let child = w(W1, 1);
    env.ok(W1, spawn(child, vec![]));
    env.ok(W1, FromWorker::Watch(child));
    env.ok(W1, FromWorker::Blocked);
    assert_eq!(env.host.lane(W1), []);
    env.pump();
    assert_eq!(env.host.lane(W1), [child]);

    // One level deeper, in another thread of the same worker.
    let inner = env.start(W1, child);
    env.ok(W1, spawn(w(W1, 2), vec![]));
    env.ok(W1, FromWorker::Blocked);
    env.run(W1, w(W1, 2), good(2));
    env.ok(W1, FromWorker::Unblocked);
    env.done(W1, &inner, good(3));
    assert_eq!(env.told(W1, child), Ok(3));
    env.ok(W1, FromWorker::Unblocked);
    env.done(W1, &parent, good(4));
    for seq in [1, 2] {
        env.ok(W1, FromWorker::Release(w(W1, seq)));
    }
    // The driver's tasks were given back in order.
    for seq in 2..=4 {
        env.run(W1, d(seq), good(seq));
    }
    wind_up(&mut env, &[]);
    env.assert_over();
}

#[test]
fn a_child_goes_to_an_idle_worker_before_the_one_where_its_parent_waits() {
    let mut env = Env::new(3, 4);
    submit_all(&mut env, 1..=1);
    env.pump();
    let parent = env.start(W1, d(1));
    for seq in 1..=5 {
        env.ok(W1, spawn(w(W1, seq), vec![]));
    }
    env.ok(W1, FromWorker::Blocked);
    env.pump();
    // A task runs sooner on the worker where its parent waits than behind another task.
    assert_eq!(env.host.lane(W1), [w(W1, 3)]);
    assert_eq!(env.host.lane(W2), [w(W1, 1), w(W1, 4)]);
    assert_eq!(env.host.lane(W3), [w(W1, 2), w(W1, 5)]);
    for (worker, seq) in [(W2, 1), (W3, 2), (W1, 3), (W2, 4), (W3, 5)] {
        env.run(worker, w(W1, seq), good(2));
    }
    env.ok(W1, FromWorker::Unblocked);
    env.done(W1, &parent, good(1));
    for seq in 1..=5 {
        env.ok(W1, FromWorker::Release(w(W1, seq)));
    }
    wind_up(&mut env, &[]);
    env.assert_over();
}

#[test]
fn a_worker_that_does_not_block_any_more_gets_more_ahead_again() {
    let mut env = Env::new(1, 3);
    submit_all(&mut env, 1..=10);
    env.pump();
    let parent = env.start(W1, d(1));
    env.ok(W1, FromWorker::Blocked);
    env.ok(W1, FromWorker::Unblocked);
    env.pump();
    assert_eq!(env.host.lane(W1), []);
    env.done(W1, &parent, good(1));
    env.pump();
    assert_eq!(env.host.lane(W1), ids([2, 3]));
    env.run(W1, d(2), good(2));
    env.pump();
    assert_eq!(env.host.lane(W1), ids([3, 4, 5]));
    wind_up(&mut env, &[W1]);
    env.assert_over();
}

#[test]
fn a_worker_that_is_to_stop_finishes_only_what_it_has_begun() {
    let mut env = Env::new(2, 4);
    submit_all(&mut env, 1..=6);
    env.pump();
    let running = env.start(W1, d(1));
    env.scheduler.worker_stopping(W1, &mut env.host);
    env.scheduler.worker_stopping(W1, &mut env.host);
    env.scheduler.sanity_check();
    assert!(matches!(env.host.control(W1), Some(ToWorker::Shutdown)));
    env.pump();
    assert_eq!(env.host.lane(W1), []);
    env.done(W1, &running, good(1));
    env.pump();
    assert_eq!(env.host.lane(W1), []);
    env.lose(W1);
    wind_up(&mut env, &[W2]);
    env.assert_over();
}

#[test]
fn short_tasks_go_to_as_many_workers_as_there_are_cores() {
    let mut env = Env::new(4, 3);
    let all = [W1, W2, W3, WorkerId(4)];
    submit_all(&mut env, 1..=2);
    env.run(W1, d(1), good(1));
    env.run(W2, d(2), good(2));
    env.scheduler.end_round();
    env.scheduler.tick(true);
    submit_all(&mut env, 3..=10);
    env.pump();
    // Six tasks fit. Two wait, although two workers are idle.
    assert_eq!(env.host.lane(W1), ids([3, 5, 7]));
    assert_eq!(env.host.lane(W2), ids([4, 6, 8]));
    assert!(env.host.lane(W3).is_empty() && env.scheduler.is_packed());

    // One of the two workers gets stuck in its task. The other worker ends three tasks.
    let stuck = env.start(W1, d(3));
    for task in [4, 6, 8] {
        env.run(W2, d(task), good(task));
        env.scheduler.end_round();
        // The number of ticks in a round has no effect.
        (0..10).for_each(|_| env.scheduler.tick(true));
        env.pump();
        assert!(env.host.lane(W3).is_empty());
    }
    env.run(W2, d(9), good(9));
    env.scheduler.end_round();
    env.scheduler.tick(true);
    env.pump();
    assert!(!env.scheduler.is_packed());
    assert!(!env.host.lane(W3).is_empty() && !env.host.lane(WorkerId(4)).is_empty());

    // If tasks are not short, all workers count.
    env.scheduler.tick(false);
    env.done(W1, &stuck, good(3));
    wind_up(&mut env, &all);
    env.assert_over();
}
