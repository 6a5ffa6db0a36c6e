//! Tests of messages that race with one another, and of invalid messages.

use std::sync::Arc;

use mobula_protocol::{
    Attempt, FunctionIndex, TaskSlot, WireAttachment, WorkerId,
    message::{ArgSpec, FromWorker, TaskSpec},
};

use super::env::{
    Env, W1, W2, array, array_attachment, bad, d, done, good, inline, packed, refer, spawn, spec, w,
};

#[test]
fn a_watch_is_answered_now_or_later_and_once() {
    let mut env = Env::new(2, 1);
    let id = env.submit(1, vec![]);
    env.pump();
    let task = env.start(W1, id);
    env.ok(W2, FromWorker::Watch(id));
    env.ok(W2, FromWorker::Watch(id));
    env.done(W1, &task, good(5));
    assert_eq!(env.told(W2, id), Ok(5));
    assert_eq!(env.scheduler.pins(id), 1);
    env.release(id);
    env.ok(W1, FromWorker::Watch(id));
    assert_eq!(env.told(W1, id), Ok(5));
    assert_eq!(env.scheduler.pins(id), 2);
    env.ok(W1, FromWorker::Release(id));
    env.ok(W2, FromWorker::Release(id));
    assert_eq!(env.completed(), [(id, Ok(5))]);
    env.assert_over();
}

#[test]
fn a_release_ends_the_watch_before_it() {
    let mut env = Env::new(2, 1);
    let id = env.submit(1, vec![]);
    env.ok(W2, FromWorker::Hold(id));
    env.ok(W2, FromWorker::Watch(id));
    env.ok(W2, FromWorker::Release(id));
    env.run(W1, id, good(5));
    assert_eq!(env.completed(), [(id, Ok(5))]);
    env.release(id);
    env.assert_over();
}

#[test]
fn a_release_that_crosses_the_answer_ends_its_pin() {
    let mut env = Env::new(2, 1);
    let id = env.submit(1, vec![]);
    env.ok(W2, FromWorker::Hold(id));
    env.ok(W2, FromWorker::Watch(id));
    env.run(W1, id, good(5));
    assert_eq!((env.told(W2, id), env.scheduler.pins(id)), (Ok(5), 1));
    env.ok(W2, FromWorker::Release(id));
    assert_eq!(env.scheduler.pins(id), 0);
    // The worker has found the object again meanwhile.
    env.ok(W2, FromWorker::Hold(id));
    assert_eq!(env.scheduler.pins(id), 1);
    env.release(id);
    env.ok(W2, FromWorker::Release(id));
    assert_eq!(env.completed(), [(id, Ok(5))]);
    env.assert_over();
}

#[test]
fn a_failure_comes_without_a_hold_and_a_release_that_crosses_it_means_nothing() {
    let mut env = Env::new(2, 1);
    let id = env.submit(1, vec![]);
    env.ok(W2, FromWorker::Watch(id));
    env.run(W1, id, bad("boom"));
    assert_eq!(env.told(W2, id), Err("boom".into()));
    assert!(env.scheduler.is_quiet());
    env.ok(W2, FromWorker::Release(id));
    env.release(id);
    assert_eq!(env.scheduler.object_count(), 0);
    env.ok(W2, FromWorker::Release(id));
    assert_eq!(env.completed().len(), 1);
    env.assert_over();
}

#[test]
fn a_lost_worker_is_not_told() {
    let mut env = Env::new(2, 1);
    let id = env.submit(1, vec![]);
    env.pump();
    let task = env.start(W1, id);
    env.ok(W2, FromWorker::Watch(id));
    env.lose(W2);
    env.done(W1, &task, good(5));
    env.release(id);
    assert_eq!(env.completed(), [(id, Ok(5))]);
    env.assert_over();
}

#[test]
fn a_result_that_contains_itself_fails_the_task() {
    let mut env = Env::new(1, 1);
    let id = env.submit(1, vec![]);
    let mut value = packed(1, vec![refer(id)]);
    value.body = array(1).body;
    env.run(W1, id, Ok(Arc::new(value)));
    assert!(
        env.completed()[0]
            .1
            .as_ref()
            .unwrap_err()
            .contains("never be freed")
    );
    assert_eq!(env.freed(), [1]);
    env.release(id);
    env.assert_over();
}

#[test]
fn a_longer_cycle_stays_and_goes_without_harm() {
    let mut env = Env::new(1, 2);
    let (a, b) = (env.submit(1, vec![]), env.submit(2, vec![]));
    env.run(W1, a, Ok(Arc::new(packed(1, vec![refer(b)]))));
    env.run(W1, b, Ok(Arc::new(packed(2, vec![refer(a)]))));
    env.release(a);
    env.release(b);
    assert_eq!(
        (env.scheduler.object_count(), env.completed().len()),
        (2, 2)
    );
    env.host.emptiness_check();
}

/// Returns all kinds of invalid messages, while a worker runs `task` and holds its own object 1.0.
fn nonsense(task: &mobula_protocol::message::TaskMessage) -> Vec<(WorkerId, FromWorker)> {
    let own = w(W1, 0);
    let end = |id, slot, attempt| FromWorker::Done {
        id,
        slot,
        attempt,
        outcome: good(0),
    };
    let value = |attachments| done(task, Ok(Arc::new(packed(0, attachments))));
    let put = |id, value| FromWorker::Put {
        id,
        value: Arc::new(value),
    };
    let call = |value| spawn(w(W1, 9), vec![ArgSpec::Value(Box::new(value))]);
    let crooked = WireAttachment::Array {
        id: own,
        value: Arc::new(packed(0, vec![refer(own)])),
    };
    let not_inline = WireAttachment::InlineArray(Arc::new(array(1)));
    vec![
        // The task, slot or attempt is not the worker's.
        (W1, end(d(99), task.slot, task.attempt)),
        (W1, end(d(2), task.slot, task.attempt)),
        (W1, end(task.id, TaskSlot(task.slot.0 + 1), task.attempt)),
        (W1, end(task.id, TaskSlot(u32::MAX), task.attempt)),
        (W1, end(task.id, task.slot, Attempt(task.attempt.0 + 1))),
        (W2, done(task, good(0))),
        // The id belongs to another process, or is in use.
        (W1, spawn(w(W2, 9), vec![])),
        (W1, spawn(d(9), vec![])),
        (W1, spawn(own, vec![])),
        (W1, put(w(W2, 9), inline(0))),
        (W1, put(own, inline(0))),
        // The function is not in the registry.
        (
            W1,
            FromWorker::Spawn(
                TaskSpec {
                    function: FunctionIndex(u32::MAX),
                    ..spec(w(W1, 9), vec![])
                },
                None.into(),
            ),
        ),
        // The value refers to a missing object, or to an impossible value.
        (W1, value(vec![refer(d(99))])),
        (W1, value(vec![array_attachment(d(99), 1)])),
        (W1, value(vec![array_attachment(d(2), 1)])),
        (W1, value(vec![crooked.clone()])),
        (W1, put(w(W1, 9), packed(0, vec![refer(w(W1, 9))]))),
        (W1, put(w(W1, 9), packed(0, vec![refer(own), refer(d(99))]))),
        (W1, put(w(W1, 9), packed(0, vec![not_inline.clone()]))),
        (W1, call(array(1))),
        (W1, call(packed(0, vec![crooked]))),
        (W1, call(packed(0, vec![not_inline]))),
        // The object does not exist.
        (W1, FromWorker::Hold(d(99))),
        (W1, FromWorker::Watch(d(99))),
        // The message is out of order.
        (W1, FromWorker::Unblocked),
        (W1, FromWorker::Registered),
        (WorkerId(4), FromWorker::Blocked),
        (WorkerId(5), FromWorker::Blocked),
        (WorkerId(5), FromWorker::Registered),
        (WorkerId::DRIVER, FromWorker::Blocked),
        // The message is not for the scheduler.
        (W1, FromWorker::NeedBytes(1)),
        (W1, FromWorker::ReturnBytes(1)),
    ]
}

#[test]
fn nonsense_is_an_error_and_changes_nothing() {
    let mut env = Env::new(2, 1);
    env.scheduler.worker_starting(WorkerId(4)).unwrap();
    assert!(env.scheduler.worker_starting(W1).is_err());
    assert!(env.scheduler.worker_starting(WorkerId::DRIVER).is_err());
    env.submit(1, vec![]);
    env.submit(2, vec![]);
    env.pump();
    let task = env.start(W1, d(1));
    env.ok(
        W1,
        FromWorker::Put {
            id: w(W1, 0),
            value: Arc::new(inline(0)),
        },
    );
    for (from, message) in nonsense(&task) {
        let before = format!("{:?}", env.scheduler);
        let text = format!("{message:?} of {from}");
        let violation = env.message(from, message).expect_err(&text);
        assert!(!violation.to_string().is_empty());
        assert_eq!(format!("{:?}", env.scheduler), before, "{text}");
    }
    env.done(W1, &task, good(1));
    env.message(W1, done(&task, good(1)))
        .expect_err("a task ends once");
    env.run(W2, d(2), good(2));
    env.ok(W1, FromWorker::Release(w(W1, 0)));
    assert_eq!(env.completed(), [(d(1), Ok(1)), (d(2), Ok(2))]);
    env.release(d(1));
    env.release(d(2));
    env.assert_over();
}

#[test]
fn values_that_could_only_come_from_a_broken_worker_do_no_harm() {
    let mut env = Env::new(1, 1);
    env.submit(1, vec![]);
    env.pump();
    let task = env.start(W1, d(1));
    // No segment has this length. A process that maps it refuses it. The scheduler's sums stay
    // correct.
    let mut huge = array(1);
    let mobula_protocol::Body::Stored(loc) = &mut huge.body else {
        panic!()
    };
    loc.len = u64::MAX;
    huge.format = inline(1).format;
    env.scheduler
        .on_message(
            W1,
            FromWorker::Put {
                id: w(W1, 1),
                value: Arc::new(huge),
            },
            &mut env.host,
        )
        .unwrap();
    env.scheduler
        .put(d(2), Arc::new(array(2)), WorkerId::DRIVER)
        .unwrap();
    env.scheduler.release(d(2), &mut env.host).unwrap();
    env.ok(W1, FromWorker::Release(w(W1, 1)));
    assert_eq!(env.freed(), [1, 2]);
    env.done(W1, &task, good(1));
    env.submit(3, vec![]);
    env.run(W1, d(3), good(3));
    assert_eq!(env.completed(), [(d(1), Ok(1)), (d(3), Ok(3))]);
    env.release(d(1));
    env.release(d(3));
    env.assert_over();
}
