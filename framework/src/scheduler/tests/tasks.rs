//! Tests of tasks that wait for one another, end and fail.

use std::sync::Arc;

use mobula_protocol::{
    Error, FunctionIndex,
    message::{ArgSpec, FromWorker, TaskSpec},
};

use super::{
    super::TaskCounts,
    env::{D, Env, W1, array, bad, d, good, inline, packed, refer, spawn, spec, w},
};

fn object(seq: u64) -> ArgSpec {
    ArgSpec::Object(d(seq))
}

#[test]
fn a_task_waits_for_its_inputs_and_not_for_what_they_mention() {
    let mut env = Env::new(1, 1);
    let a = env.submit(1, vec![]);
    let b = env.submit(2, vec![]);
    let both = env.submit(3, vec![object(1), ArgSpec::Gather(vec![a, b, b])]);
    let mentions = env.submit(
        4,
        vec![ArgSpec::Value(Box::new(packed(0, vec![refer(both)])))],
    );
    assert_eq!(
        env.scheduler.task_counts(),
        TaskCounts {
            waiting: 1,
            ready: 3,
            queued: 0,
            abandoned: 0
        }
    );
    env.run(W1, a, good(1));
    env.run(W1, b, good(2));
    // `both` became ready behind `mentions`.
    env.run(W1, mentions, good(4));
    env.run(W1, both, good(3));
    assert_eq!(
        env.completed(),
        [(a, Ok(1)), (b, Ok(2)), (mentions, Ok(4)), (both, Ok(3))]
    );
    for id in [a, b, both, mentions] {
        env.release(id);
    }
    env.assert_over();
}

#[test]
fn tasks_in_a_row_keep_their_inputs_though_the_driver_let_go() {
    let mut env = Env::new(1, 1);
    env.put(0, array(1));
    for seq in 1..=10 {
        env.submit(seq, vec![object(seq - 1)]);
        env.release(d(seq - 1));
    }
    for seq in 1..=10 {
        env.run(W1, d(seq), good(seq));
        assert_eq!(env.scheduler.object_count(), 11 - seq as usize);
    }
    assert_eq!(env.completed(), [(d(10), Ok(10))]);
    assert_eq!(env.freed(), [1]);
    env.release(d(10));
    env.assert_over();
}

#[test]
fn a_failed_input_fails_its_dependents_which_name_the_first_failure() {
    let mut env = Env::new(1, 1);
    let pending = env.submit(9, vec![]);
    let names = |function, seq, arg: ArgSpec| TaskSpec {
        function: FunctionIndex(function),
        ..spec(d(seq), vec![arg])
    };
    env.submit(1, vec![]);
    env.scheduler
        .submit(names(1, 2, object(1)), D, &mut env.host)
        .unwrap();
    env.scheduler
        .submit(
            names(2, 3, ArgSpec::Gather(vec![d(2), d(9), d(2)])),
            D,
            &mut env.host,
        )
        .unwrap();
    env.run(W1, pending, good(9));
    env.run(W1, d(1), bad("boom"));
    let why = |function: &str| Error::dependency(function, &Error::internal("boom")).to_string();
    let late = env.submit(4, vec![object(3)]);
    assert_eq!(
        env.completed(),
        [
            (pending, Ok(9)),
            (d(1), Err("boom".into())),
            (d(2), Err(why("second"))),
            (d(3), Err(why("third"))),
            (late, Err(why("first"))),
        ]
    );
    assert!(!env.scheduler.pending_work());
    for seq in [1, 2, 3, 4, 9] {
        env.release(d(seq));
    }
    env.assert_over();
}

#[test]
fn a_task_that_failed_is_passed_over_by_its_other_inputs() {
    let mut env = Env::new(1, 1);
    let failing = env.submit(1, vec![]);
    let slow = env.submit(2, vec![]);
    let victim = env.submit(3, vec![object(1), object(2)]);
    env.run(W1, failing, bad("boom"));
    env.release(victim);
    env.release(failing);
    assert_eq!(env.scheduler.object_count(), 1);
    env.run(W1, slow, bad("too"));
    env.release(slow);
    assert_eq!(env.completed().len(), 3);
    env.assert_over();
}

#[test]
fn ten_thousand_dependents_in_a_row_fail_in_one_go() {
    let mut env = Env::new(1, 1);
    env.submit(0, vec![]);
    for seq in 1..=10_000 {
        env.scheduler
            .submit(spec(d(seq), vec![object(seq - 1)]), D, &mut env.host)
            .unwrap();
        env.scheduler.release(d(seq - 1), &mut env.host).unwrap();
    }
    env.run(W1, d(0), bad("boom"));
    let completed = env.completed();
    assert_eq!(completed.len(), 1);
    let text = completed[0].1.clone().unwrap_err();
    assert!(text.contains("boom") && text.len() < 200, "{text}");
    env.release(d(10_000));
    env.assert_over();
}

#[test]
fn an_argument_that_does_not_exist_fails_the_task() {
    let mut env = Env::new(1, 1);
    let direct = env.submit(1, vec![object(77)]);
    let nested = env.submit(
        2,
        vec![ArgSpec::Value(Box::new(packed(0, vec![refer(d(78))])))],
    );
    let own = env.submit(3, vec![object(3)]);
    for ((id, outcome), (expected, missing)) in
        env.completed()
            .into_iter()
            .zip([(direct, "0.77"), (nested, "0.78"), (own, "0.3")])
    {
        assert_eq!(id, expected);
        assert!(outcome.unwrap_err().contains(missing));
        env.release(id);
    }
    env.assert_over();
}

#[test]
fn a_child_that_cannot_run_is_told_to_the_worker_that_watches_it() {
    let mut env = Env::new(1, 1);
    let parent = env.submit(1, vec![]);
    env.pump();
    let task = env.start(W1, parent);
    let child = w(W1, 1);
    env.ok(W1, spawn(child, vec![object(77)]));
    env.ok(W1, FromWorker::Watch(child));
    assert!(env.told(W1, child).unwrap_err().contains("0.77"));
    env.ok(W1, FromWorker::Release(child));
    env.done(W1, &task, good(1));
    assert_eq!(env.completed(), [(parent, Ok(1))]);
    env.release(parent);
    env.assert_over();
}

#[test]
fn what_the_driver_does_wrong_is_an_error_and_changes_nothing() {
    let mut env = Env::new(0, 1);
    env.put(1, inline(1));
    let mut submit = |spec| env.scheduler.submit(spec, D, &mut env.host).unwrap_err();
    submit(spec(d(1), vec![]));
    submit(spec(w(W1, 1), vec![]));
    submit(TaskSpec {
        function: FunctionIndex(3),
        ..spec(d(2), vec![])
    });
    submit(spec(d(2), vec![ArgSpec::Value(Box::new(array(1)))]));
    let mut put = |seq, value| env.scheduler.put(d(seq), Arc::new(value), D).unwrap_err();
    put(1, inline(1));
    put(2, packed(2, vec![refer(d(2))]));
    put(2, packed(2, vec![refer(d(3))]));
    env.scheduler.sanity_check();
    assert_eq!(env.scheduler.object_count(), 1);
    env.add_worker(W1);
    env.ok(W1, FromWorker::Hold(d(1)));
    env.release(d(1));
    // The driver cannot release the worker's hold.
    env.scheduler.release(d(1), &mut env.host).unwrap_err();
    env.ok(W1, FromWorker::Release(d(1)));
    env.assert_over();
}
