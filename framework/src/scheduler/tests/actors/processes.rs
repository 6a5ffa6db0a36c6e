//! Tests of the choice of an actor's process, and of its effects on the pool.

use mobula_protocol::{Error, message::ToWorker};

use super::*;

#[test]
fn it_takes_an_unused_worker_and_the_pool_gets_another() {
    let mut env = env(2, 2);
    let used = env.submit(100, vec![]);
    env.run(W1, used, good(1));
    let actor = env.alive(
        W2,
        ActorOptions {
            max_concurrency: 3,
            groups: vec![("slow".into(), 2)],
            ..options()
        },
    );
    assert_eq!((env.started(), &env.host.actors[..]), (1, &[(W2, 5)][..]));
    // The actor's process gets no other tasks.
    let tasks = [101, 102].map(|seq| env.submit(seq, vec![]));
    env.pump();
    assert_eq!(env.host.lane(W1), tasks);
    for id in tasks {
        env.run(W1, id, good(1));
    }
    env.release(actor);
    env.ends(W2);
    env.succeeded([used, tasks[0], tasks[1]]);
    assert!(env.lose_as(W1, false), "the pool misses it");
    env.assert_over();
}

#[test]
fn it_waits_for_the_next_worker_and_constructs_when_the_inputs_are_there() {
    let mut env = env(1, 2);
    let input = env.submit(100, vec![]);
    env.pump();
    let task = env.start(W1, input);
    let actor = env.create(vec![object(input)], options());
    let call = env.call(actor);
    env.pump();
    env.add_worker(W2);
    env.pump();
    assert_eq!((env.host.lane(W2), env.started()), (vec![], 1));
    env.done(W1, &task, good(1));
    env.run(W2, actor, good(0));
    env.run(W2, call, good(2));
    env.succeeded([call, input, actor]);
    // Until here, the constructor's argument was kept for a restart.
    env.ends(W2);
    env.assert_over();
}

#[test]
fn a_constructor_that_fails_fails_the_calls_and_ends_the_process() {
    let mut env = env(1, 2);
    let kept = env.put(100, array(1));
    let actor = env.create(vec![object(kept)], options());
    let call = env.call(actor);
    env.release(kept);
    env.run(W1, actor, Err(Error::internal("no such file")));
    assert_eq!(env.freed(), [1]);
    env.failed([call], "no such file");
    let late = env.call(actor);
    env.failed([late, actor], "no such file");
    assert_eq!(env.host.ending, [W1]);
    env.ends(W1);
    env.assert_over();
}

#[test]
fn an_input_that_fails_later_ends_an_actor_that_has_a_process() {
    let mut env = env(2, 2);
    let used = env.submit(100, vec![]);
    env.pump();
    let task = env.start(W1, used);
    let actor = env.create(
        vec![object(used)],
        ActorOptions {
            name: Some("log".into()),
            ..options()
        },
    );
    let early = env.call(actor);
    env.pump();
    env.done(W1, &task, Err(Error::internal("boom")));
    env.pump();
    env.failed([early], "boom");
    assert_eq!(env.scheduler.named_actor("log"), None);
    let late = env.call(actor);
    env.pump();
    env.failed([late, actor, used], "boom");
    env.ends(W2);
    env.assert_over();
}

#[test]
fn an_input_that_fails_later_ends_an_actor_without_a_process() {
    let mut env = env(1, 2);
    let used = env.submit(100, vec![]);
    env.pump();
    let task = env.start(W1, used);
    let actor = env.create(vec![object(used)], options());
    let early = env.call(actor);
    env.pump();
    env.done(W1, &task, Err(Error::internal("boom")));
    env.pump();
    env.failed([early, actor, used], "boom");
    // The worker that was started for the actor is surplus.
    assert_eq!(env.started(), 1);
    env.add_worker(W2);
    env.ends(W2);
    env.add_worker(W3);
    assert!(env.host.control(W3).is_none());
    env.assert_over();
}

#[test]
fn workers_that_come_for_actors_that_are_no_more_end() {
    let mut env = env(0, 2);
    let actors = [(); 3].map(|()| env.create(vec![], options()));
    assert_eq!(env.started(), 3);
    env.kill_actor(actors[0]);
    env.failed([actors[0]], "killed");
    // The constructor of the second actor still has to run.
    env.release(actors[1]);
    env.add_worker(W1);
    env.run(W1, actors[1], good(0));
    env.ends(W1);
    env.add_worker(W2);
    env.run(W2, actors[2], good(0));
    env.add_worker(W3);
    env.ends(W3);
    env.succeeded([actors[2]]);
    env.ends(W2);
    // All requested workers have come. Further workers belong to the pool.
    let last = WorkerId(4);
    env.add_worker(last);
    let task = env.submit(100, vec![]);
    env.run(last, task, good(1));
    env.succeeded([task]);
    env.assert_over();
}

#[test]
fn a_process_that_dies_before_the_constructor_began_was_no_attempt() {
    let mut env = env(1, 2);
    let actor = env.create(vec![], options());
    assert_eq!(env.started(), 1);
    assert!(!env.lose_as(W1, false));
    assert_eq!(env.started(), 1);
    env.add_worker(W2);
    env.pump();
    // The constructor is handed over, but has not begun.
    assert_eq!(env.host.lane(W2), [actor]);
    env.lose(W2);
    env.add_worker(W3);
    env.run(W3, actor, good(0));
    env.succeeded([actor]);
    env.ends(W3);
    env.assert_over();
}

#[test]
fn a_worker_that_is_told_to_stop_gives_the_constructor_back() {
    let mut env = env(1, 2);
    let actor = env.create(vec![], options());
    env.pump();
    env.scheduler.worker_stopping(W1, &mut env.host);
    env.scheduler.sanity_check();
    env.add_worker(W2);
    env.pump();
    // The constructor does not go to the pool: it turns a process into the actor's process.
    assert_eq!(env.host.lane(W2), []);
    env.ends(W1);
    env.pump();
    env.run(W2, actor, good(0));
    env.succeeded([actor]);
    env.ends(W2);
    env.assert_over();
}

#[test]
fn short_tasks_do_not_count_on_a_worker_that_becomes_an_actor() {
    let mut env = env(4, 2);
    for seq in 100..104 {
        env.submit(seq, vec![]);
    }
    for worker in [W1, W2] {
        env.pump();
        let task = env.host.start(worker).unwrap();
        env.done(worker, &task, good(1));
    }
    env.scheduler.tick(true);
    env.scheduler.sanity_check();
    let actor = env.create(vec![], options());
    env.scheduler.tick(true);
    env.scheduler.sanity_check();
    env.pump();
    let ids: Vec<_> = env.completed().into_iter().map(|(id, _)| id).collect();
    ids.into_iter().for_each(|id| env.release(id));
    env.release(actor);
    env.fail_all();
    let ids: Vec<_> = env.completed().into_iter().map(|(id, _)| id).collect();
    ids.into_iter().for_each(|id| env.release(id));
    for worker in 1..=4 {
        let _ = env.host.control(WorkerId(worker));
        env.lose(WorkerId(worker));
    }
    env.assert_over();
}

#[test]
fn a_name_is_taken_until_the_actor_is_dead() {
    let mut env = env(3, 2);
    let named = || ActorOptions {
        name: Some("log".into()),
        ..options()
    };
    let first = env.alive(W1, named());
    assert_eq!(env.scheduler.named_actor("log"), Some(first));
    let second = env.create(vec![], named());
    env.failed([second], "\"log\"");
    // A worker asks for the named actor. It gets the present actor, and makes none.
    let (made, found) = (w(W2, 1), w(W2, 2));
    let ask = |id, found| FromWorker::CreateActor {
        id,
        constructor: FunctionIndex(MAKE),
        args: Default::default(),
        options: Box::new(named()),
        found,
    };
    env.ok(W2, ask(made, Some(found)));
    env.ok(W2, FromWorker::Release(made));
    let refers = env.scheduler.outcome(found).unwrap().unwrap();
    assert!(refers.nested().eq([first]));
    env.ok(
        W2,
        FromWorker::FindActor {
            id: w(W2, 3),
            name: "log".into(),
        },
    );
    env.ok(
        W2,
        FromWorker::FindActor {
            id: w(W2, 4),
            name: "none".into(),
        },
    );
    env.ok(W2, FromWorker::Watch(w(W2, 4)));
    assert!(env.told(W2, w(W2, 4)).unwrap_err().contains("\"none\""));
    env.release(first);
    for n in [2, 3] {
        assert_eq!(env.scheduler.named_actor("log"), Some(first));
        env.ok(W2, FromWorker::Release(w(W2, n)));
    }
    // The name is free before the process is gone.
    assert_eq!(env.scheduler.named_actor("log"), None);
    env.ends(W1);
    env.ok(W2, ask(w(W2, 5), Some(w(W2, 6))));
    env.ok(W2, ask(w(W2, 7), None));
    let third = env.scheduler.named_actor("log").unwrap();
    assert_eq!(third, w(W2, 5));
    env.ok(W2, FromWorker::Watch(w(W2, 7)));
    assert!(env.told(W2, w(W2, 7)).is_err());
    env.ok(W2, FromWorker::KillActor(third));
    assert_eq!(env.scheduler.named_actor("log"), None);
    env.pump();
    assert_eq!(env.host.killed.len(), 1);
    let process = env.host.killed[0];
    env.lose(process);
    if process != W2 {
        env.lose(W2);
    }
    env.assert_over();
}

#[test]
fn make_actor_comes_before_its_first_task() {
    let mut env = env(0, 2);
    let actor = env.create(vec![], options());
    env.pump();
    assert!(env.host.actors.is_empty());
    env.add_worker(W1);
    assert_eq!(env.host.actors, [(W1, 1)]);
    env.run(W1, actor, good(0));
    env.succeeded([actor]);
    assert!(matches!(env.host.control(W1), Some(ToWorker::Shutdown)));
    env.lose(W1);
    env.assert_over();
}

#[test]
fn while_no_process_can_be_had_the_pool_keeps_its_last_worker() {
    let mut env = env(1, 2);
    env.scheduler.keep_last_worker(true);
    let actor = env.create(vec![], options());
    assert_eq!(env.started(), 1);
    let task = env.submit(100, vec![]);
    env.run(W1, task, good(1));
    assert!(env.lose_as(W1, false), "the pool misses it");
    // The next worker belongs to the pool, the one after it to the actor.
    env.add_worker(W2);
    let other = env.submit(101, vec![]);
    env.run(W2, other, good(1));
    env.add_worker(W3);
    env.run(W3, actor, good(0));
    env.succeeded([task, other, actor]);
    env.ends(W3);
    env.assert_over();
}

#[test]
fn an_actor_that_gets_no_process_is_an_error_of_its_calls() {
    let mut env = env(1, 2);
    env.scheduler.keep_last_worker(true);
    let actor = env.create(vec![], options());
    let call = env.call(actor);
    let why = Error::resource_limit("no descriptors");
    assert_eq!(env.scheduler.refuse_processes(&why, true, &mut env.host), 1);
    env.scheduler.sanity_check();
    let error = env.scheduler.outcome(call).unwrap().unwrap_err();
    assert!(
        error.is_actor_dead() && error.root().is_resource_limit(),
        "{error}"
    );
    env.failed([call, actor], "no descriptors");
    // No worker was started for the actor, so the next worker is not surplus.
    env.add_worker(W2);
    let tasks = [100, 101].map(|seq| env.submit(seq, vec![]));
    env.pump();
    env.run(W1, tasks[0], good(1));
    env.run(W2, tasks[1], good(1));
    env.succeeded(tasks);
    env.assert_over();
}
