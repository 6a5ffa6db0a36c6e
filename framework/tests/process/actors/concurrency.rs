//! How many calls run at a time, and how many may wait.

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
    assert!(error.is_usage() && whole(&error).contains('5'), "{error:?}");
    first.get().unwrap();
    rt.get(&waiting).unwrap();
    assert_eq!(log.add(10).spawn().get().unwrap(), 5);
}
