//! Tests of refs, of pins, and of the time at which objects are freed.

use std::sync::Arc;

use mobula_protocol::{
    Body,
    message::{Arg, ArgSpec, FromWorker, ToWorker},
};
use mobula_store::SegmentId;

use super::env::{
    D, Env, W1, W2, array, array_attachment, d, good, inline, packed, refer, spawn, w,
};

#[test]
fn the_last_handle_frees_a_stored_body() {
    let mut env = Env::new(0, 1);
    let id = env.put(1, array(7));
    assert_eq!(env.scheduler.used_bytes(), 128);
    assert!(env.retain(id).unwrap().is_some());
    env.release(id);
    assert!(env.freed().is_empty());
    env.release(id);
    assert_eq!(env.freed(), [7]);
    env.assert_over();
    assert!(env.scheduler.release(id, &mut env.host).is_err());
    assert!(env.retain(id).is_err());
}

#[test]
fn a_value_keeps_what_it_refers_to() {
    let mut env = Env::new(0, 1);
    let inner = env.put(1, array(7));
    let outer = env.put(2, packed(8, vec![array_attachment(inner, 7), refer(inner)]));
    env.release(inner);
    assert!(env.freed().is_empty());
    // The driver reads the outer value and finds a ref in it.
    env.retain(inner).unwrap();
    env.release(outer);
    assert_eq!((env.freed(), env.scheduler.object_count()), (vec![], 1));
    env.release(inner);
    assert_eq!(env.freed(), [7]);
    env.assert_over();
}

#[test]
fn the_bodies_in_one_segment_can_be_listed() {
    let mut env = Env::new(0, 1);
    let mut elsewhere = array(3);
    let Body::Stored(loc) = &mut elsewhere.body else {
        panic!()
    };
    loc.segment = SegmentId(1);
    let elsewhere_loc = *loc;
    for (seq, value) in [(1, array(1)), (2, inline(2)), (3, elsewhere), (4, array(4))] {
        env.put(seq, value);
    }
    env.release(d(4));
    assert_eq!(env.freed(), [4]);
    assert_eq!(env.scheduler.stored_in(SegmentId(0)).len(), 1);
    assert_eq!(env.scheduler.stored_in(SegmentId(1)), [elsewhere_loc]);
    assert_eq!(env.scheduler.stored_in(SegmentId(2)), []);
    for seq in 1..=3 {
        env.release(d(seq));
    }
    assert_eq!(env.freed(), [1, 3]);
    env.assert_over();
}

#[test]
fn a_hundred_thousand_values_in_one_another_are_freed_without_recursion() {
    let mut env = Env::new(0, 1);
    env.put(0, array(1));
    for seq in 1..100_000 {
        let value = Arc::new(packed(seq, vec![refer(d(seq - 1))]));
        env.scheduler.put(d(seq), value, D).unwrap();
        env.scheduler.release(d(seq - 1), &mut env.host).unwrap();
    }
    env.scheduler.sanity_check();
    assert_eq!(env.scheduler.object_count(), 100_000);
    env.release(d(99_999));
    assert_eq!(env.freed(), [1]);
    env.assert_over();
}

#[test]
fn a_result_that_nobody_wants_any_more_is_freed_when_it_is_there() {
    let mut env = Env::new(1, 1);
    let kept = env.put(1, array(1));
    let id = env.submit(2, vec![]);
    env.release(id);
    assert!(env.scheduler.pending_work());
    env.run(W1, id, Ok(Arc::new(packed(2, vec![refer(kept)]))));
    assert_eq!(env.scheduler.object_count(), 1);
    env.release(kept);
    assert_eq!(env.freed(), [1]);
    env.assert_over();
}

#[test]
fn arguments_and_their_arrays_are_pinned_from_the_hand_over_to_the_end() {
    let mut env = Env::new(0, 4);
    let array_id = env.put(1, array(1));
    let outer = env.put(
        2,
        packed(2, vec![array_attachment(array_id, 1), refer(array_id)]),
    );
    let gathered = env.put(3, inline(3));
    let value = ArgSpec::Value(Box::new(packed(4, vec![array_attachment(array_id, 1)])));
    let args = vec![
        ArgSpec::Object(outer),
        ArgSpec::Gather(vec![gathered, outer]),
        value,
    ];
    let id = env.submit(4, args);
    let pins = |env: &Env| [array_id, outer, gathered].map(|id| env.scheduler.pins(id));
    assert_eq!(pins(&env), [0, 0, 0]);
    env.add_worker(W1);
    env.pump();
    assert_eq!(pins(&env), [3, 2, 1]);

    let task = env.start(W1, id);
    assert!(matches!(&task.args[0], Arg::Object((id, _)) if *id == outer));
    assert!(matches!(&task.args[1], Arg::Gather(all) if all.len() == 2 && all[0].0 == gathered));
    assert!(matches!(&task.args[2], Arg::Value(_)));
    for held in [array_id, outer, gathered] {
        env.release(held);
    }
    assert_eq!(env.scheduler.object_count(), 4);
    // The worker keeps the array beyond the task: its own pin begins before the task's pin ends.
    env.ok(W1, FromWorker::Hold(array_id));
    env.done(W1, &task, good(9));
    assert_eq!(env.completed(), [(id, Ok(9))]);
    assert_eq!(pins(&env), [1, 0, 0]);
    assert_eq!(env.scheduler.object_count(), 2);
    env.ok(W1, FromWorker::Release(array_id));
    assert_eq!(env.freed(), [1]);
    env.release(id);
    env.assert_over();
}

#[test]
fn what_is_in_the_result_lives_on_though_it_came_from_the_arguments() {
    let mut env = Env::new(1, 1);
    let input = env.put(1, array(1));
    let id = env.submit(2, vec![ArgSpec::Object(input)]);
    env.release(input);
    env.run(
        W1,
        id,
        Ok(Arc::new(packed(2, vec![array_attachment(input, 1)]))),
    );
    assert_eq!(env.completed(), [(id, Ok(2))]);
    assert_eq!(env.scheduler.pins(input), 0);
    env.release(id);
    assert_eq!(env.freed(), [1]);
    env.assert_over();
}

#[test]
fn a_worker_pins_what_it_holds_and_knows() {
    let mut env = Env::new(1, 1);
    let parent = env.submit(1, vec![]);
    env.pump();
    let task = env.start(W1, parent);
    let (own, child) = (w(W1, 1), w(W1, 2));
    env.ok(
        W1,
        FromWorker::Put {
            id: own,
            value: Arc::new(array(5)),
        },
    );
    env.ok(W1, spawn(child, vec![]));
    assert_eq!((env.scheduler.pins(own), env.scheduler.pins(child)), (1, 0));
    // A second hold has no effect.
    env.ok(W1, FromWorker::Hold(own));
    assert_eq!(env.scheduler.pins(own), 1);
    assert!(!env.scheduler.is_quiet());
    env.done(W1, &task, good(1));
    env.run(W1, child, Ok(Arc::new(array(6))));
    // The result exists, but the worker does not know its place.
    assert_eq!(env.scheduler.pins(child), 0);
    env.ok(W1, FromWorker::Watch(child));
    assert_eq!(env.told(W1, child), Ok(6));
    assert_eq!(env.scheduler.pins(child), 1);
    env.ok(W1, FromWorker::Release(child));
    env.ok(W1, FromWorker::Release(own));
    assert_eq!(env.freed(), [5, 6]);
    assert_eq!(env.completed(), [(parent, Ok(1))]);
    env.release(parent);
    env.assert_over();
}

#[test]
fn workers_forget_decoded_values_of_freed_objects() {
    let mut env = Env::new(2, 1);
    let inner = env.put(1, array(7));
    let outer = env.put(2, packed(8, vec![array_attachment(inner, 7)]));
    env.release(inner);
    for worker in [W1, W2, W1] {
        env.ok(worker, FromWorker::Decoded(outer));
    }
    // A worker keeps the inner array.
    env.ok(W1, FromWorker::Hold(inner));
    env.lose(W2);
    env.release(outer);
    assert!(matches!(env.host.control(W1), Some(ToWorker::Forget(id)) if id == outer));
    env.ok(W1, FromWorker::Release(inner));
    assert_eq!(env.freed(), [7]);
    env.assert_over();
    assert!(env.message(W1, FromWorker::Decoded(outer)).is_err());
}
