//! Tests of kills, of last handles, and of the end of the runtime.

use mobula_protocol::PartRange;

use super::*;

fn restarts(max_restarts: u32) -> ActorOptions {
    ActorOptions {
        max_restarts,
        max_call_retries: 9,
        ..options()
    }
}

/// The state of an actor when a test ends it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Wanting,
    Waiting,
    Queued,
    Constructing,
    Alive,
    Calling,
    WantingAgain,
    QueuedAgain,
    ConstructingAgain,
}

const ALL: [At; 9] = [
    At::Wanting,
    At::Waiting,
    At::Queued,
    At::Constructing,
    At::Alive,
    At::Calling,
    At::WantingAgain,
    At::QueuedAgain,
    At::ConstructingAgain,
];

/// Returns an actor in this state. It has an array that its constructor reads, and two waiting
/// calls. Its process, if it has one, is the second worker. The first worker runs a task whose
/// result the actor may wait for.
fn bring_to(at: At) -> (Env, ObjectId, [ObjectId; 2], TaskMessage) {
    let mut env = env(1, 4);
    let input = env.submit(100, vec![]);
    env.pump();
    let task = env.start(W1, input);
    env.put(101, array(1));
    let mut args = vec![object(d(101))];
    if at == At::Waiting {
        args.push(object(input));
    }
    let actor = env.create(args, restarts(5));
    env.release(d(101));
    let again = [At::WantingAgain, At::QueuedAgain, At::ConstructingAgain].contains(&at);
    if again {
        env.add_worker(W3);
        env.run(W3, actor, good(0));
    }
    let calls = [(); 2].map(|()| env.call(actor));
    env.pump();
    if again {
        env.lose(W3);
    }
    if ![At::Wanting, At::WantingAgain].contains(&at) {
        env.add_worker(W2);
        env.pump();
    }
    if [At::Constructing, At::ConstructingAgain].contains(&at) {
        env.start(W2, actor);
    }
    if [At::Alive, At::Calling].contains(&at) {
        env.run(W2, actor, good(0));
        env.pump();
    }
    if at == At::Calling {
        env.start(W2, calls[0]);
    }
    env.host.starting = 0;
    env.host.completed.clear();
    (env, actor, calls, task)
}

/// Checks the rest when the actor has ended.
fn over(mut env: Env, at: At, task: &TaskMessage) {
    env.done(W1, task, good(1));
    env.pump();
    let mut freed = env.freed();
    if at == At::Wanting || at == At::WantingAgain {
        // The worker that was started for the actor is surplus and ends.
        env.add_worker(W2);
        env.ends(W2);
    } else {
        let _ = env.host.control(W2);
        assert!(!env.lose_as(W2, false));
    }
    env.pump();
    freed.extend(env.freed());
    assert_eq!(freed, [1], "{at:?}");
    assert_eq!(env.started(), 0, "{at:?}");
    env.succeeded([d(100)]);
    let last = env.submit(102, vec![]);
    env.run(W1, last, good(1));
    env.succeeded([last]);
    env.assert_over();
}

#[test]
fn a_kill_ends_it_in_every_state() {
    for at in ALL {
        let (mut env, actor, calls, task) = bring_to(at);
        env.kill_actor(actor);
        env.kill_actor(actor);
        let killed = env.host.killed.clone();
        env.failed(calls, "killed by");
        let late = env.call(actor);
        env.failed([late], "killed by");
        env.host.completed.retain(|(id, _)| *id != actor);
        env.release(actor);
        let has_process = at != At::Wanting && at != At::WantingAgain;
        assert_eq!(killed, if has_process { vec![W2] } else { vec![] });
        let reads = [At::Constructing, At::ConstructingAgain].contains(&at);
        if reads {
            assert_eq!(env.freed(), [], "what is being read stays");
        }
        over(env, at, &task);
    }
}

#[test]
fn it_ends_with_its_last_call_in_every_state() {
    for at in ALL {
        let (mut env, actor, calls, task) = bring_to(at);
        env.release(actor);
        if at == At::Waiting {
            env.done(W1, &task, good(1));
        }
        if at == At::Wanting || at == At::WantingAgain {
            env.add_worker(W2);
        }
        env.pump();
        if ![At::Alive, At::Calling].contains(&at) {
            if at != At::Constructing && at != At::ConstructingAgain {
                env.start(W2, actor);
            }
            let construction = env.scheduler.workers[W2].assignments[0];
            let made = TaskMessage {
                id: actor,
                slot: construction.slot,
                attempt: construction.attempt,
                function: FunctionIndex(MAKE),
                args: Default::default(),
                options: None,
                retries: 0,
                revocable: false,
            };
            env.done(W2, &made, good(0));
            env.pump();
        }
        for call in calls {
            let assignment = env.scheduler.workers[W2].assignments[0];
            if at != At::Calling || call != calls[0] {
                env.start(W2, call);
            }
            let task = TaskMessage {
                id: call,
                slot: assignment.slot,
                attempt: assignment.attempt,
                function: FunctionIndex(ALONE),
                args: Default::default(),
                options: None,
                retries: 0,
                revocable: false,
            };
            assert!(env.host.control(W2).is_none());
            env.done(W2, &task, good(1));
            env.pump();
        }
        env.succeeded(calls);
        env.ends(W2);
        assert_eq!(env.freed(), [1]);
        if at != At::Waiting {
            env.done(W1, &task, good(1));
        }
        env.host.completed.retain(|(id, _)| *id != actor);
        env.succeeded([d(100)]);
        env.assert_over();
    }
}

#[test]
fn the_end_of_the_runtime_comes_in_every_state() {
    for at in ALL {
        for registers_late in [false, true] {
            let (mut env, actor, calls, task) = bring_to(at);
            env.fail_all();
            env.pump();
            let shutdown = mobula_protocol::Error::shutdown().to_string();
            env.failed(calls, &shutdown);
            let late = env.call(actor);
            env.failed([late], &shutdown);
            if registers_late && (at == At::Wanting || at == At::WantingAgain) {
                env.add_worker(W2);
                env.pump();
                assert_eq!(env.host.lane(W2), [], "nothing begins any more");
            }
            for worker in [W1, W2] {
                env.scheduler.worker_stopping(worker, &mut env.host);
                env.scheduler.sanity_check();
                env.pump();
            }
            if [At::Constructing, At::ConstructingAgain].contains(&at) {
                env.release(actor);
                env.pump();
                assert_eq!(env.freed(), [], "what is being read stays");
                // The process ends after all.
                env.lose(W2);
            } else {
                env.lose(W2);
                env.release(actor);
            }
            env.host.end(W1, &task);
            env.lose(W1);
            env.pump();
            env.host.completed.clear();
            env.release(d(100));
            assert_eq!(env.freed(), [1], "{at:?}");
            let _ = (env.host.control(W1), env.host.control(W2));
            env.assert_over();
        }
    }
}

#[test]
fn what_a_killed_call_was_lent_stays_until_the_process_is_gone_and_is_incomplete() {
    let mut env = env(1, 4);
    let shared = env.put(100, super::super::lending::shared(1));
    let actor = env.alive(W1, restarts(5));
    let ranges = [0, 10].map(|start| PartRange::Span {
        start,
        end: start + 10,
    });
    let parts = env.scheduler.lend(shared, &ranges).unwrap().unwrap();
    let calls = [0, 1].map(|n| {
        let call = env.call_of(actor, ALONE, vec![object(parts[n])]);
        env.release(parts[n]);
        call
    });
    let settler = env.scheduler.mint();
    env.scheduler.settle(settler, shared, D).unwrap();
    env.pump();
    env.start(W1, calls[0]);
    env.kill_actor(actor);
    env.failed(calls, "killed by");
    env.release(actor);
    env.pump();
    // The process may write until it is dead.
    assert_eq!(env.incomplete(settler), None);
    env.lose(W1);
    let incomplete = env.incomplete(settler).unwrap();
    assert_eq!(incomplete.len(), 1, "{incomplete:?}");
    assert_eq!(incomplete[0].0, "elements 0..10");
    assert!(incomplete[0].1.contains("killed by"), "{incomplete:?}");
    env.succeeded([settler]);
    env.release(shared);
    env.host.closing.clear();
    env.assert_over();
}

#[test]
fn a_call_may_end_while_its_process_is_being_killed() {
    let mut env = env(2, 4);
    let actor = env.alive(W1, restarts(5));
    let call = env.call(actor);
    env.pump();
    let task = env.start(W1, call);
    env.ok(W2, FromWorker::KillActor(actor));
    env.failed([call], "killed by");
    env.host.end(W1, &task);
    // The process was about to report its end. No handle waits for it.
    env.message(W1, super::super::env::done(&task, good(1)))
        .unwrap();
    assert!(env.host.completed.is_empty());
    assert!(!env.lose_as(W1, false));
    env.release(actor);
    env.assert_over();
}
