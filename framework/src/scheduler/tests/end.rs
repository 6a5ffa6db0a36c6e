//! Tests of the end of the runtime.

use std::sync::Arc;

use mobula_protocol::{
    Error,
    message::{ArgSpec, FromWorker, ToWorker},
};

use super::env::{
    Env, W1, W2, array, array_attachment, bad, d, done, good, inline, packed, refer, spawn, w,
};

fn object(seq: u64) -> ArgSpec {
    ArgSpec::Object(d(seq))
}

fn end(env: &mut Env) -> String {
    env.scheduler.fail_all(Error::shutdown(), &mut env.host);
    env.scheduler.sanity_check();
    Error::shutdown().to_string()
}

#[test]
fn every_task_fails_of_the_same_cause_and_what_the_driver_has_stays() {
    let mut env = Env::new(2, 2);
    let kept = env.put(1, array(1));
    for seq in 2..=8 {
        env.submit(seq, vec![object(1)]);
    }
    env.submit(9, vec![object(8), object(1)]);
    env.pump();
    let why = end(&mut env);
    let expected: Vec<_> = (2..=9).map(|seq| (d(seq), Err(why.clone()))).collect();
    assert_eq!(env.completed(), expected);
    // No task had been started, and none will be.
    assert_eq!((env.host.lane(W1), env.host.lane(W2)), (vec![], vec![]));
    assert!(env.scheduler.outcome(kept).unwrap().is_ok());
    assert!(!env.scheduler.pending_work() && env.scheduler.is_quiet());

    env.submit(11, vec![]);
    env.put(12, array(12));
    env.put(13, inline(13));
    env.pump();
    // A caller may read the memory of a stored object, so the object lives as long as its handles.
    assert!(env.freed().is_empty());
    assert!(env.scheduler.outcome(d(12)).unwrap().is_ok());
    assert_eq!(env.completed(), [(d(11), Err(why.clone()))]);
    env.scheduler
        .fail_all(Error::internal("again"), &mut env.host);
    env.submit(14, vec![]);
    assert_eq!(env.completed(), [(d(14), Err(why))]);
    for seq in (1..=9).chain(11..=14) {
        env.release(d(seq));
    }
    assert_eq!(env.freed(), [1, 12]);
    env.assert_over();
}

#[test]
fn what_a_worker_reads_stays_until_the_worker_is_gone() {
    let mut env = Env::new(1, 2);
    let held = env.put(1, array(1));
    let nested = env.put(2, array(2));
    let arg = env.put(3, packed(3, vec![array_attachment(nested, 2)]));
    env.submit(4, vec![object(3)]);
    env.pump();
    let task = env.start(W1, d(4));
    env.ok(W1, FromWorker::Hold(held));
    for id in [held, nested, arg] {
        env.release(id);
    }
    let why = end(&mut env);
    assert_eq!(env.completed(), [(d(4), Err(why))]);
    env.release(d(4));
    let pins = |env: &Env| [held, nested, arg].map(|id| env.scheduler.pins(id));
    assert_eq!(pins(&env), [1, 1, 1]);
    // The task ends after all. The worker's releases still count.
    env.host.end(W1, &task);
    env.ok(W1, done(&task, good(4)));
    env.ok(W1, FromWorker::Hold(nested));
    assert_eq!((env.freed(), pins(&env)), (vec![], [1, 2, 1]));
    env.ok(W1, FromWorker::Release(held));
    assert_eq!(env.freed(), [1]);
    env.scheduler.worker_stopping(W1, &mut env.host);
    assert!(matches!(env.host.control(W1), Some(ToWorker::Shutdown)));
    env.lose(W1);
    assert_eq!(env.freed(), [2]);
    env.assert_over();
}

#[test]
fn a_task_that_waits_is_told_and_can_end() {
    let mut env = Env::new(1, 2);
    let ready = env.put(1, inline(1));
    env.submit(
        2,
        vec![ArgSpec::Value(Box::new(packed(0, vec![refer(ready)])))],
    );
    env.pump();
    let task = env.start(W1, d(2));
    let (before, after) = (w(W1, 1), w(W1, 2));
    env.ok(W1, spawn(before, vec![]));
    env.ok(W1, FromWorker::Watch(before));
    env.ok(W1, FromWorker::Blocked);
    let why = end(&mut env);
    assert_eq!(env.told(W1, before), Err(why.clone()));
    env.ok(W1, FromWorker::Unblocked);
    // Further tasks fail, too. Ready objects stay ready.
    env.ok(W1, spawn(after, vec![]));
    env.ok(W1, FromWorker::Watch(after));
    assert_eq!(env.told(W1, after), Err(why.clone()));
    env.ok(W1, FromWorker::Watch(ready));
    assert_eq!(env.told(W1, ready), Ok(1));
    let own = FromWorker::Put {
        id: w(W1, 3),
        value: Arc::new(array(3)),
    };
    env.ok(W1, own);
    env.ok(W1, FromWorker::Hold(w(W1, 3)));
    env.host.end(W1, &task);
    env.ok(W1, done(&task, bad("no")));
    env.release(ready);
    assert_eq!(env.scheduler.pins(ready), 1);
    // The worker reads its own object until it is gone, also from within a value that it has put
    // later.
    let holds = Arc::new(packed(4, vec![array_attachment(w(W1, 3), 3), refer(after)]));
    let id = w(W1, 4);
    env.ok(W1, FromWorker::Put { id, value: holds });
    env.ok(W1, FromWorker::Release(w(W1, 3)));
    assert!(env.freed().is_empty());
    env.lose(W1);
    assert_eq!(env.freed(), [3]);
    assert_eq!(env.completed(), [(d(2), Err(why))]);
    env.release(d(2));
    env.assert_over();
}

#[test]
fn a_worker_may_register_and_die_after_the_end() {
    let mut env = Env::new(0, 1);
    env.scheduler.worker_starting(W1).unwrap();
    end(&mut env);
    env.scheduler.worker_stopping(W1, &mut env.host);
    assert!(matches!(env.host.control(W1), Some(ToWorker::Shutdown)));
    env.ok(W1, FromWorker::Registered);
    env.submit(1, vec![]);
    env.pump();
    assert_eq!((env.host.lane(W1), env.completed().len()), (vec![], 1));
    env.lose(W1);
    env.release(d(1));
    env.assert_over();
}
