//! Tests of the order and the number of the calls that go to the process.

use std::sync::Arc;

use mobula_protocol::Error;

use super::{super::env::packed, *};

#[test]
fn calls_of_one_caller_keep_their_order_behind_a_late_input() {
    let mut env = env(2, 8);
    let actor = env.alive(W1, options());
    let input = env.submit(100, vec![]);
    env.pump();
    let making = env.start(W2, input);
    let first = env.call(actor);
    let late = env.call_of(actor, ALONE, vec![object(input)]);
    let last = env.call(actor);
    env.pump();
    assert_eq!(env.host.lane(W1), [first]);
    env.done(W2, &making, good(1));
    env.pump();
    assert_eq!(env.host.lane(W1), [first, late, last]);
    for id in [first, late, last] {
        env.run(W1, id, good(1));
    }
    env.succeeded([first, late, last, input, actor]);
    env.ends(W1);
    env.assert_over();
}

#[test]
fn a_call_whose_input_fails_lets_those_behind_it_pass() {
    let mut env = env(2, 8);
    let actor = env.alive(W1, options());
    let input = env.submit(100, vec![]);
    env.pump();
    let making = env.start(W2, input);
    let late = env.call_of(actor, ALONE, vec![object(input)]);
    let last = env.call(actor);
    env.pump();
    assert_eq!(env.host.lane(W1), []);
    env.done(W2, &making, Err(Error::internal("boom")));
    env.run(W1, last, good(1));
    env.failed([late, input], "boom");
    env.succeeded([last, actor]);
    env.ends(W1);
    env.assert_over();
}

#[test]
fn callers_do_not_wait_for_one_another_and_take_turns() {
    let mut env = env(2, 1);
    let actor = env.alive(W1, options());
    let refers = packed(0, vec![mobula_protocol::WireAttachment::Ref { id: actor }]);
    let input = env.submit(100, vec![ArgSpec::Value(Box::new(refers))]);
    env.pump();
    let task = env.start(W2, input);
    let waits = env.call_of(actor, ALONE, vec![object(input)]);
    let behind = [(); 3].map(|()| env.call(actor));
    let theirs = [1, 2, 3].map(|n| w(W2, n));
    for id in theirs {
        let call = method(id, actor, ALONE, vec![], Some(0));
        env.ok(W2, FromWorker::Spawn(call, None.into()));
    }
    env.run(W1, theirs[0], good(1));
    env.done(W2, &task, good(1));
    // While the first caller's head call waits, a call of the other caller goes.
    for id in [waits, theirs[1], behind[0], theirs[2], behind[1], behind[2]] {
        env.run(W1, id, good(1));
    }
    for id in theirs {
        env.ok(W2, FromWorker::Release(id));
    }
    env.succeeded(behind);
    env.succeeded([waits, input, actor]);
    env.ends(W1);
    env.assert_over();
}

#[test]
fn groups_have_limits_of_their_own() {
    let mut env = env(1, 1);
    let actor = env.alive(
        W1,
        ActorOptions {
            max_concurrency: 2,
            groups: vec![("other".into(), 7), ("slow".into(), 1)],
            ..options()
        },
    );
    let plain = [(); 3].map(|()| env.call(actor));
    let slow = [(); 2].map(|()| env.call_of(actor, SLOW, vec![]));
    env.pump();
    let lane = env.host.lane(W1);
    assert_eq!(lane.len(), 3);
    assert!(
        [plain[0], plain[1], slow[0]]
            .iter()
            .all(|id| lane.contains(id))
    );
    let tasks = env.start_all(W1, &lane);
    // A call that waits still counts.
    env.ok(W1, FromWorker::Blocked);
    env.pump();
    assert_eq!(env.host.lane(W1), []);
    env.ok(W1, FromWorker::Unblocked);
    for task in tasks {
        env.done(W1, &task, good(1));
    }
    env.pump();
    let lane = env.host.lane(W1);
    assert_eq!(lane.len(), 2);
    for id in lane {
        env.run(W1, id, good(1));
    }
    env.succeeded(plain);
    env.succeeded(slow);
    env.succeeded([actor]);
    env.ends(W1);
    env.assert_over();
}

#[test]
fn a_call_that_waits_with_the_value_alone_holds_the_others() {
    let mut env = env(1, 4);
    let actor = env.alive(W1, options());
    let calls = [(); 4].map(|()| env.call(actor));
    env.pump();
    assert_eq!(env.host.lane(W1), calls);
    let first = env.start(W1, calls[0]);
    env.ok(W1, FromWorker::Blocked);
    env.pump();
    assert_eq!(env.host.lane(W1), []);
    env.ok(W1, FromWorker::Unblocked);
    env.pump();
    env.done(W1, &first, good(1));
    for id in &calls[1..] {
        env.run(W1, *id, good(1));
    }
    env.succeeded(calls);
    env.succeeded([actor]);
    env.ends(W1);
    env.assert_over();
}

#[test]
fn while_one_that_shares_the_value_waits_others_begin() {
    // With a prefetch of 1, no call is taken back when the first call waits.
    for prefetch in [1, 2, 8] {
        let mut env = env(1, prefetch);
        let actor = env.alive(W1, options());
        let waiting = [(); 4].map(|()| env.call_of(actor, SHARES, vec![]));
        let last = env.call(actor);
        env.pump();
        let mut tasks = Vec::new();
        for id in waiting {
            tasks.push(env.start(W1, id));
            env.ok(W1, FromWorker::Blocked);
            env.pump();
        }
        let alone = env.start(W1, last);
        env.ok(W1, FromWorker::Blocked);
        env.pump();
        let held = env.call_of(actor, SHARES, vec![]);
        env.pump();
        assert_eq!(env.host.lane(W1), []);
        for task in tasks {
            env.ok(W1, FromWorker::Unblocked);
            env.done(W1, &task, good(1));
            env.pump();
            assert_eq!(env.host.lane(W1), []);
        }
        env.ok(W1, FromWorker::Unblocked);
        env.done(W1, &alone, good(1));
        env.run(W1, held, good(1));
        env.succeeded(waiting);
        env.succeeded([last, held, actor]);
        env.ends(W1);
        env.assert_over();
    }
}

#[test]
fn no_more_calls_wait_than_the_options_say() {
    let mut env = env(1, 1);
    let actor = env.alive(
        W1,
        ActorOptions {
            max_pending_calls: Some(2),
            ..options()
        },
    );
    let calls = [(); 3].map(|()| env.call(actor));
    env.failed([calls[2]], "max_pending_calls");
    env.run(W1, calls[0], good(1));
    let next = env.call(actor);
    let more = env.call(actor);
    env.failed([more], "2 calls");
    env.run(W1, calls[1], good(1));
    env.run(W1, next, good(1));
    env.succeeded([calls[0], calls[1], next, actor]);
    env.ends(W1);
    env.assert_over();
}

#[test]
fn calls_that_pile_up_are_said_once_and_calls_one_by_one_are_not() {
    let mut env = env(1, 1);
    let actor = env.alive(W1, options());
    for _ in 0..2 {
        let call = env.call(actor);
        env.run(W1, call, good(1));
        env.succeeded([call]);
    }
    assert!(env.host.said.is_empty());
    for _ in 0..6_000 {
        let id = env.scheduler.mint();
        let call = method(id, actor, ALONE, vec![], None);
        env.scheduler.submit(call, D, &mut env.host).unwrap();
    }
    assert_eq!(env.host.said.len(), 1);
    assert!(env.host.said[0].contains("5000 calls of the actor"));
    env.fail_all();
    env.host.completed.clear();
}

#[test]
fn calls_of_what_is_no_actor_fail() {
    let mut env = env(1, 1);
    let value = env.put(100, array(1));
    let call = env.call(value);
    env.failed([call], "no actor");
    let nothing = env.call(d(101));
    env.failed([nothing], "no actor");
    env.kill_actor(value);
    env.release(value);
    assert_eq!((env.freed(), env.host.killed.len()), (vec![1], 0));
    env.assert_over();
}

#[test]
fn calls_in_a_queue_keep_the_actor() {
    let mut env = env(1, 1);
    let actor = env.create(vec![], options());
    let calls = [(); 2].map(|()| env.call(actor));
    env.pump();
    env.release(actor);
    env.run(W1, actor, good(0));
    env.run(W1, calls[0], good(1));
    env.pump();
    assert!(env.host.control(W1).is_none());
    // The result of a call may be a handle, too.
    let refers = packed(1, vec![mobula_protocol::WireAttachment::Ref { id: actor }]);
    env.run(W1, calls[1], Ok(Arc::new(refers)));
    assert!(env.host.control(W1).is_none());
    env.succeeded(calls);
    env.ends(W1);
    env.assert_over();
}
