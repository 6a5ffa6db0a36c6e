//! Tests of processes that die: restarts, retries, and the errors of calls.

use mobula_protocol::PartRange;

use super::{
    super::env::{array_attachment, packed},
    *,
};

fn restarts(max_restarts: u32, max_call_retries: u32) -> ActorOptions {
    ActorOptions {
        max_restarts,
        max_call_retries,
        ..options()
    }
}

#[test]
fn without_restarts_the_first_death_is_the_end() {
    let mut env = env(1, 4);
    let actor = env.alive(W1, options());
    let calls = [(); 3].map(|()| env.call(actor));
    env.pump();
    env.start(W1, calls[0]);
    env.lose(W1);
    env.pump();
    env.failed(
        [calls[0]],
        "while it ran `add`, and is not restarted: crash of 1",
    );
    env.failed([calls[1], calls[2]], "crash of 0");
    let late = env.call(actor);
    env.failed([late], "crash of 0");
    assert_eq!(env.started(), 1);
    env.release(actor);
    env.assert_over();
}

#[test]
fn a_restart_constructs_anew_and_goes_on_in_order() {
    let mut env = env(1, 4);
    let kept = env.put(100, array(1));
    let actor = env.create(
        vec![ArgSpec::Value(Box::new(packed(
            1,
            vec![array_attachment(kept, 1)],
        )))],
        restarts(1, 1),
    );
    env.release(kept);
    env.run(W1, actor, good(0));
    let calls = [(); 4].map(|()| env.call(actor));
    let frail = env.call_with(actor, ALONE, vec![], Some(0));
    env.pump();
    env.run(W1, calls[0], good(1));
    env.start(W1, calls[1]);
    env.lose(W1);
    env.pump();
    assert_eq!(env.started(), 2);
    env.add_worker(W2);
    env.pump();
    assert_eq!(env.scheduler.pins(kept), 1);
    assert_eq!(env.host.lane(W2), [actor]);
    env.run(W2, actor, good(0));
    assert_eq!(env.scheduler.pins(kept), 0);
    env.pump();
    assert_eq!(env.host.lane(W2), [calls[1], calls[2], calls[3], frail]);
    // No restart is left. The first of these calls has used up its retry. The others have not
    // begun.
    env.start(W2, calls[1]);
    env.lose(W2);
    env.pump();
    env.failed([calls[1]], "not restarted");
    env.failed([calls[2], calls[3], frail], "crash");
    env.succeeded([calls[0], actor]);
    assert_eq!((env.freed(), env.started()), (vec![1], 0));
    env.assert_over();
}

#[test]
fn a_call_without_retries_fails_though_the_actor_goes_on() {
    let mut env = env(1, 4);
    let actor = env.alive(W1, restarts(5, 0));
    let calls = [(); 2].map(|()| env.call(actor));
    let hard = env.call_with(actor, ALONE, vec![], Some(9));
    env.pump();
    env.start(W1, calls[0]);
    env.lose(W1);
    env.failed([calls[0]], "crash of 1");
    env.add_worker(W2);
    env.run(W2, actor, good(0));
    env.run(W2, calls[1], good(1));
    env.pump();
    env.start(W2, hard);
    env.lose(W2);
    env.add_worker(W3);
    env.run(W3, actor, good(0));
    env.run(W3, hard, good(1));
    env.succeeded([calls[1], hard, actor]);
    env.ends(W3);
    env.assert_over();
}

#[test]
fn constructors_that_crash_use_up_the_restarts() {
    let mut env = env(1, 4);
    let actor = env.create(vec![], restarts(1, 0));
    let call = env.call(actor);
    for worker in [W1, W2] {
        env.pump();
        env.start(worker, actor);
        env.lose(worker);
        env.add_worker(WorkerId(worker.0 + 1));
        env.pump();
    }
    env.failed([call, actor], "crash of 0");
    // The worker that was started for the third attempt belongs to the pool.
    assert_eq!(env.started(), 2);
    assert!(env.host.control(W3).is_none());
    assert_eq!(env.scheduler.workers[W3].actor, None);
    env.assert_over();
}

#[test]
fn a_constructor_may_fail_at_a_restart() {
    let mut env = env(1, 4);
    let actor = env.alive(W1, restarts(1, 1));
    let calls = [(); 2].map(|()| env.call(actor));
    env.pump();
    env.start(W1, calls[0]);
    env.lose(W1);
    env.add_worker(W2);
    env.run(
        W2,
        actor,
        Err(mobula_protocol::Error::internal("not again")),
    );
    env.failed(calls, "not again");
    // The actor was made, so its handle is no failure.
    env.succeeded([actor]);
    env.ends(W2);
    env.assert_over();
}

#[test]
fn a_process_that_ends_itself_is_not_restarted() {
    let mut env = env(1, 4);
    let actor = env.alive(W1, restarts(5, 5));
    let calls = [(); 2].map(|()| env.call(actor));
    env.pump();
    env.start(W1, calls[0]);
    assert!(!env.lose_as(W1, true));
    env.failed(calls, "has ended itself");
    env.release(actor);
    assert_eq!(env.started(), 1);
    env.assert_over();
}

#[test]
fn a_constructor_that_exits_has_not_made_anything() {
    let mut env = env(1, 4);
    let actor = env.create(vec![], restarts(1, 0));
    env.pump();
    env.start(W1, actor);
    assert!(!env.lose_as(W1, true));
    env.add_worker(W2);
    env.run(W2, actor, good(0));
    env.succeeded([actor]);
    env.ends(W2);
    env.assert_over();
}

#[test]
fn the_crash_may_take_the_last_handle_along() {
    for workers in [1, 2] {
        let mut env = env(workers, 4);
        let actor = env.alive(W1, restarts(5, 0));
        let call = env.call(actor);
        env.release(actor);
        env.pump();
        env.start(W1, call);
        assert_eq!(env.started(), 1);
        env.lose(W1);
        env.failed([call], "crash of 1");
        env.pump();
        // The workers that were started needlessly end.
        let mut surplus = env.started();
        for number in 1..=3 {
            let worker = WorkerId(number);
            if number > workers {
                env.add_worker(worker);
            }
            if matches!(env.host.control(worker), Some(ToWorker::Shutdown)) {
                surplus -= 1;
                assert!(!env.lose_as(worker, true));
            }
        }
        assert_eq!(surplus, 0);
        env.assert_over();
    }
}

#[test]
fn a_process_may_hold_its_own_actor_alone() {
    let mut env = env(1, 4);
    let actor = env.alive(W1, restarts(5, 5));
    env.ok(W1, FromWorker::Hold(actor));
    env.release(actor);
    assert!(env.host.control(W1).is_none());
    let own = method(w(W1, 1), actor, ALONE, vec![], Some(0));
    env.ok(W1, FromWorker::Spawn(own, None.into()));
    env.run(W1, w(W1, 1), good(1));
    env.ok(W1, FromWorker::Release(w(W1, 1)));
    // No process could use a restarted actor, so there is no restart.
    env.lose(W1);
    env.pump();
    assert_eq!(env.started(), 1);
    env.assert_over();
}

#[test]
fn nobody_wants_an_actor_that_is_being_restarted() {
    for begun in [false, true] {
        let mut env = env(1, 4);
        let kept = env.put(100, array(1));
        let actor = env.create(vec![object(kept)], restarts(5, 5));
        env.release(kept);
        env.run(W1, actor, good(0));
        assert_eq!(env.completed().len(), 1);
        env.lose(W1);
        env.add_worker(W2);
        env.pump();
        let constructing = begun.then(|| env.start(W2, actor));
        env.release(actor);
        env.pump();
        // The constructor's argument stays until the process is gone.
        assert_eq!(env.freed(), if begun { vec![] } else { vec![1] });
        env.add_worker(W3);
        let task = env.submit(101, vec![]);
        env.run(W3, task, good(1));
        env.succeeded([task]);
        if let Some(task) = constructing {
            env.done(W2, &task, good(0));
            env.pump();
        }
        env.ends(W2);
        assert_eq!(env.freed(), if begun { vec![1] } else { vec![] });
        env.assert_over();
    }
}

#[test]
fn parts_of_calls_that_a_death_has_cut_short_are_incomplete() {
    let mut env = env(1, 4);
    let shared = env.put(100, super::super::lending::shared(1));
    let actor = env.alive(W1, restarts(5, 0));
    let ranges = [0, 10, 20].map(|start| PartRange::Span {
        start,
        end: start + 10,
    });
    let parts = env.scheduler.lend(shared, &ranges).unwrap().unwrap();
    let calls = [0, 1, 2].map(|n| {
        let call = env.call_of(actor, ALONE, vec![object(parts[n])]);
        env.release(parts[n]);
        call
    });
    env.run(W1, calls[0], good(1));
    env.pump();
    env.start(W1, calls[1]);
    env.lose(W1);
    env.add_worker(W2);
    env.run(W2, actor, good(0));
    env.run(W2, calls[2], good(1));
    let settler = env.scheduler.mint();
    env.scheduler.settle(settler, shared, D).unwrap();
    let incomplete = env.incomplete(settler).unwrap();
    assert_eq!(
        incomplete,
        [("elements 10..20".to_owned(), "crash of 1".to_owned())]
    );
    env.failed([calls[1]], "crash");
    env.succeeded([calls[0], calls[2], settler, actor]);
    env.release(shared);
    env.ends(W2);
    env.host.closing.clear();
    env.assert_over();
}

#[test]
fn a_constructor_on_three_dead_workers_has_crashed_whatever_its_state_word_says() {
    let mut env = env(1, 4);
    let actor = env.create(vec![], options());
    let call = env.call(actor);
    for number in 1..=3 {
        let worker = WorkerId(number);
        assert_eq!(env.completed(), []);
        if number > 1 {
            env.add_worker(worker);
        }
        env.pump();
        let task = env.start(worker, actor);
        env.host.unsay(worker, &task);
        env.lose(worker);
    }
    env.pump();
    let failed = env.completed();
    for id in [actor, call] {
        let (_, outcome) = failed.iter().find(|(failed, _)| *failed == id).unwrap();
        let error = outcome.as_ref().unwrap_err();
        assert!(error.contains("it was on 3 workers that died"), "{error}");
    }
    env.release(call);
    env.release(actor);
}
