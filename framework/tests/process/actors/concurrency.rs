//! How many calls run at a time, and how many may wait.

use std::time::Duration;

use mobula::prelude::*;

use super::{Busy, LONG, Log};
use crate::support::{runtime, whole};

#[mobula::test]
fn as_many_calls_run_at_a_time_as_the_actor_says() {
    let rt = runtime(1);
    let busy = rt.spawn_actor(Busy::remote().max_concurrency(3));
    let calls: Vec<_> = (0..12).map(|_| busy.work(30).spawn()).collect();
    rt.get(&calls).unwrap();
    let (most, threads) = busy.most().spawn().get().unwrap();
    assert_eq!(most, 3);
    // One more is for the group.
    assert!(threads <= 4, "{threads} threads");

    let calls: Vec<_> = (0..12).map(|_| busy.wait(10).spawn()).collect();
    let alone: Vec<_> = (0..4).map(|_| busy.alone(2).spawn()).collect();
    rt.get(&calls).unwrap();
    assert_eq!(rt.get(&alone).unwrap(), [0; 4]);
    assert_eq!(busy.most().spawn().get().unwrap().0, 3);

    let one = rt.spawn_actor(Busy::remote());
    let calls: Vec<_> = (0..5).map(|_| one.work(2).spawn()).collect();
    rt.get(&calls).unwrap();
    assert_eq!(one.most().spawn().get().unwrap().0, 1);
}

#[mobula::test]
fn a_busy_group_leaves_others_responsive() {
    let rt = runtime(1);
    let busy = rt.spawn_actor(Busy::remote().group("io", 2));
    ActorRef::ready(&busy).unwrap();
    let blocked: Vec<_> = (0..2).map(|_| busy.block(60_000).spawn()).collect();
    let queued = busy.quick().spawn();
    for _ in 0..10 {
        busy.work(1).spawn().get_timeout(LONG / 2).unwrap();
    }
    assert!(!queued.is_ready() && blocked.iter().all(|call| !call.is_ready()));
    ActorRef::kill(&busy);
    assert!(queued.get().unwrap_err().is_actor_dead());
}

#[mobula::test]
fn more_calls_than_may_wait_are_errors_until_there_are_fewer() {
    let rt = runtime(1);
    let log = rt.spawn_actor(Log::remote().max_pending_calls(5));
    ActorRef::ready(&log).unwrap();
    let first = log.sleep(300).spawn();
    let waiting: Vec<_> = (0..4).map(|n| log.add(n).spawn()).collect();
    let error = log.add(9).spawn().get().unwrap_err();
    assert!(
        error.is_backpressure() && whole(&error).contains('5'),
        "{error:?}"
    );
    assert!(log.add(9).try_spawn().unwrap_err().is_backpressure());
    first.get().unwrap();
    rt.get(&waiting).unwrap();
    assert_eq!(log.add(10).spawn().get().unwrap(), 5);
}

/// Knows its own handle.
struct Selfish {
    own: Option<ActorRef<Selfish>>,
    done: u64,
}

#[remote]
impl Selfish {
    fn new() -> Self {
        Selfish { own: None, done: 0 }
    }

    fn know(&mut self, own: ActorRef<Selfish>) {
        self.own = Some(own);
    }

    fn step(&mut self) -> u64 {
        self.done += 1;
        self.done
    }

    fn waits_alone(&mut self) -> mobula::Result<u64> {
        self.own.as_ref().unwrap().step().spawn().get()
    }

    fn waits_a_while(&mut self) -> mobula::Result<u64> {
        let step = self.own.as_ref().unwrap().step().spawn();
        step.get_timeout(Duration::from_millis(5))
    }

    fn calls(&mut self) -> ObjectRef<u64> {
        self.own.as_ref().unwrap().step().spawn()
    }

    fn waits_for_an_earlier(&mut self, earlier: ObjectRef<u64>) -> mobula::Result<u64> {
        earlier.get()
    }
}

#[mobula::test]
fn a_method_that_waits_for_its_own_actor_is_told() {
    let rt = runtime(1);
    let actor = Selfish::remote().spawn();
    actor.know(actor.clone()).spawn().get().unwrap();
    let error = actor.waits_alone().spawn().get_timeout(LONG).unwrap_err();
    assert!(error.root().is_usage(), "{error:?}");
    let text = format!("{error:?}");
    assert!(
        text.contains("waits_alone") && text.contains("own actor"),
        "{text}"
    );
    let error = actor.waits_a_while().spawn().get_timeout(LONG).unwrap_err();
    assert!(error.root().is_timeout(), "{error:?}");
    // Both calls have run since, and the actor is well.
    assert_eq!(actor.step().spawn().get_timeout(LONG).unwrap(), 3);
    // A call of its own that has run is like any other.
    let earlier = actor.calls().spawn().get_timeout(LONG).unwrap();
    assert_eq!(earlier.get_timeout(LONG).unwrap(), 4);
    let waits = actor.waits_for_an_earlier(earlier).spawn();
    assert_eq!(waits.get_timeout(LONG).unwrap(), 4);
    ActorRef::kill(&actor);
    drop(rt);
}
