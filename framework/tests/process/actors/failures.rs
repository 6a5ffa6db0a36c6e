//! Failures of actors: retries, restarts, and errors.

use std::time::{Duration, Instant};

use mobula::prelude::*;

use super::{Fragile, LONG, Log, Marks};
use crate::support::{eventually, lives, nothing_is_left, runtime, whole};

#[mobula::test]
fn a_constructors_error_is_that_of_the_first_call() {
    let rt = runtime(1);
    let marks = Marks::new();
    let fragile = rt.spawn_actor(Fragile::remote(marks.path(), 0).max_restarts(3));
    let error = fragile.constructions().spawn().get().unwrap_err();
    assert!(error.is_actor_dead(), "{error:?}");
    assert_eq!(
        error.application::<String>().as_deref(),
        Some("no such thing")
    );
    assert!(ActorRef::ready(&fragile).unwrap_err().is_application());
    // An error is a result, and no reason to try again.
    assert_eq!(marks.count(), 1);
    drop(fragile);
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_constructor_that_kills_its_process_is_tried_as_often_as_restarts_are_allowed() {
    let rt = runtime(1);
    let marks = Marks::new();
    let fragile = rt.spawn_actor(Fragile::remote(marks.path(), 5).max_restarts(2));
    let error = fragile
        .constructions()
        .spawn()
        .get_timeout(LONG)
        .unwrap_err();
    assert!(
        error.is_actor_dead() && error.root().is_crash(),
        "{error:?}"
    );
    let id = ActorRef::id(&fragile).to_string();
    assert!(whole(&error).contains(&id), "{id}: {error:?}");
    assert_eq!(marks.count(), 3);

    let marks = Marks::new();
    let fragile = rt.spawn_actor(Fragile::remote(marks.path(), 2).max_restarts(2));
    assert_eq!(
        fragile.constructions().spawn().get_timeout(LONG).unwrap(),
        3
    );
}

#[mobula::test]
fn a_kill_fails_calls_that_run_and_calls_that_wait_at_once() {
    let rt = runtime(1);
    let log = rt.spawn_actor(Log::remote().max_restarts(3));
    let pid = log.pid().spawn().get().unwrap();
    let running = log.sleep(60_000).spawn();
    let waiting: Vec<_> = (0..100).map(|n| log.add(n).spawn()).collect();
    std::thread::sleep(Duration::from_millis(20));
    let began = Instant::now();
    ActorRef::kill(&log);
    for result in waiting.iter().map(|call| call.get_timeout(LONG).map(drop)) {
        let error = result.unwrap_err();
        assert!(
            error.is_actor_dead() && whole(&error).contains("kill"),
            "{error:?}"
        );
    }
    let error = running.get_timeout(LONG).unwrap_err();
    assert!(
        error.is_actor_dead() && whole(&error).contains("kill"),
        "{error:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(20));
    eventually("the actor's process has ended", || !lives(pid));
    let error = log.add(1).spawn().get().unwrap_err();
    assert!(
        error.is_actor_dead() && whole(&error).contains("kill"),
        "{error:?}"
    );
}

#[mobula::test]
fn a_crash_is_told_from_a_kill_and_from_the_end_of_the_runtime() {
    let rt = runtime(1);
    let log = rt.spawn_actor(Log::remote());
    let error = log.abort().spawn().get_timeout(LONG).unwrap_err();
    assert!(
        error.is_actor_dead() && error.root().is_crash(),
        "{error:?}"
    );
    assert!(whole(&error).contains("SIGABRT"), "{error:?}");
    let later = log.add(1).spawn().get().unwrap_err();
    assert!(
        later.is_actor_dead() && later.root().is_crash(),
        "{later:?}"
    );
    assert!(!whole(&later).contains("kill"), "{later:?}");

    let log = rt.spawn_actor(Log::remote());
    let running = log.sleep(60_000).spawn();
    rt.shutdown();
    assert!(running.get().unwrap_err().is_shutdown());
    let later = log.add(1).spawn().get().unwrap_err();
    assert!(later.is_shutdown(), "{later:?}");
}

#[mobula::test]
fn a_restarted_actor_begins_with_a_new_value() {
    let rt = runtime(1);
    let log = rt.spawn_actor(Log::remote().max_restarts(1));
    let first = log.pid().spawn().get().unwrap();
    for n in 1..=10 {
        assert_eq!(log.add(n as u64).spawn().get().unwrap(), n);
    }
    let error = log.abort().spawn().get_timeout(LONG).unwrap_err();
    assert!(error.is_crash() && !error.is_actor_dead(), "{error:?}");
    assert_eq!(log.add(1).spawn().get_timeout(LONG).unwrap(), 1);
    let second = log.pid().spawn().get().unwrap();
    assert!(first != second && !lives(first));
    // One death more than allowed.
    let error = log.abort().spawn().get_timeout(LONG).unwrap_err();
    assert!(
        error.is_actor_dead() && error.root().is_crash(),
        "{error:?}"
    );
    assert!(log.add(1).spawn().get().unwrap_err().is_actor_dead());
}

#[mobula::test]
fn calls_with_retries_survive_a_restart() {
    let rt = runtime(1);
    let log = rt.spawn_actor(Log::remote().max_restarts(1).max_call_retries(1));
    let pid = log.pid().spawn().get().unwrap();
    let calls: Vec<_> = (0..100).map(|n| log.add(n).spawn()).collect();
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    for call in &calls {
        call.get_timeout(LONG).unwrap();
    }
    // Whatever was done after the restart was done in order.
    let entries = log.entries().spawn().get_timeout(LONG).unwrap();
    assert!(entries.is_sorted(), "{entries:?}");
    assert!(entries.is_empty() || entries.last() == Some(&99));
}

#[mobula::test]
fn an_exit_in_a_method_runs_nothing_that_waits() {
    let rt = runtime(1);
    let marks = Marks::new();
    let log = rt.spawn_actor(Log::remote().max_restarts(5).max_call_retries(5));
    ActorRef::ready(&log).unwrap();
    log.sleep(200).spawn().detach();
    let exit = log.exit().spawn();
    let waiting: Vec<_> = (0..10_000)
        .map(|_| log.mark(marks.path()).spawn())
        .collect();
    for call in &waiting {
        let error = call.get_timeout(LONG).unwrap_err();
        assert!(error.is_actor_dead(), "{error:?}");
        assert!(whole(&error).contains("exit"), "{error:?}");
    }
    assert!(exit.get_timeout(LONG).unwrap_err().is_actor_dead());
    assert_eq!(marks.count(), 0);
}

#[mobula::test]
fn a_call_runs_once_and_as_often_again_as_it_may() {
    let rt = runtime(1);
    let log = rt.spawn_actor(Log::remote().max_restarts(100));
    let marks = Marks::new();
    let error = log
        .dies_at_first(marks.path(), 100)
        .retries(4)
        .spawn()
        .get_timeout(LONG)
        .unwrap_err();
    assert!(error.is_crash(), "{error:?}");
    assert_eq!(marks.count(), 5);

    let marks = Marks::new();
    let call = log.dies_at_first(marks.path(), 3).retries(4).spawn();
    assert_eq!(call.get_timeout(LONG).unwrap(), 4);

    // By default nothing is done twice.
    let marks = Marks::new();
    let call = log.dies_at_first(marks.path(), 1).spawn();
    assert!(call.get_timeout(LONG).unwrap_err().is_crash());
    assert_eq!(marks.count(), 1);

    // An error is a result.
    let marks = Marks::new();
    let call = log.refuses(marks.path()).retries(4).spawn();
    assert!(call.get_timeout(LONG).unwrap_err().is_application());
    assert_eq!(marks.count(), 1);
}
