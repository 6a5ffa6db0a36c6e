//! Tests of deaths, and of the end of all workers.

use std::sync::Arc;

use mobula_protocol::{
    TaskOptions, WorkerId,
    message::{ArgSpec, FromWorker, TaskMessage, TaskSpec},
};

use super::env::{
    D, Env, W1, W2, again, array, bad, d, good, packed, refer, reruns, retries, retries_of_errors,
    spawn, spec, w,
};

fn object(seq: u64) -> ArgSpec {
    ArgSpec::Object(d(seq))
}

#[test]
fn queued_tasks_of_a_dead_worker_go_first_and_cost_no_retry() {
    let mut env = Env::new(1, 3);
    env.put(9, array(9));
    for seq in 1..=5 {
        env.submit(seq, vec![object(9)]);
    }
    env.pump();
    assert_eq!(env.scheduler.pins(d(9)), 3);
    env.lose(W1);
    assert_eq!(env.scheduler.pins(d(9)), 0);
    env.add_worker(W2);
    for seq in 1..=5 {
        env.run(W2, d(seq), good(seq));
    }
    assert_eq!(
        env.completed(),
        [1, 2, 3, 4, 5].map(|seq| (d(seq), Ok(seq)))
    );
    for seq in [1, 2, 3, 4, 5, 9] {
        env.release(d(seq));
    }
    assert_eq!(env.freed(), [9]);
    env.assert_over();
}

#[test]
fn a_started_task_uses_up_its_retries_and_then_fails_with_what_depends_on_it() {
    let mut env = Env::new(0, 3);
    let retried = TaskSpec {
        options: retries(2),
        actor: None,
        ..spec(d(1), vec![])
    };
    env.scheduler.submit(retried, D, &mut env.host).unwrap();
    let dependent = env.submit(2, vec![object(1)]);
    for number in 1..=3 {
        let worker = WorkerId(number);
        assert_eq!(env.completed(), []);
        env.add_worker(worker);
        env.pump();
        env.start(worker, d(1));
        env.lose(worker);
    }
    let completed = env.completed();
    assert_eq!(completed[0], (d(1), Err("crash of 0".into())));
    assert_eq!(completed[1].0, dependent);
    assert!(completed[1].1.as_ref().unwrap_err().contains("crash of 0"));
    env.release(d(1));
    env.release(dependent);
    env.assert_over();
}

#[test]
fn a_function_s_retries_count_for_calls_without_options() {
    let options = TaskOptions {
        retries: Some(1),
        ..TaskOptions::DEFAULT
    };
    let mut env = Env::with_options(0, 3, options);
    let id = env.submit(1, vec![]);
    for number in 1..=2 {
        let worker = WorkerId(number);
        assert_eq!(env.completed(), []);
        env.add_worker(worker);
        env.pump();
        env.start(worker, id);
        env.lose(worker);
    }
    assert_eq!(env.completed(), [(id, Err("crash of 0".into()))]);
    env.release(id);
    env.assert_over();
}

#[test]
fn runs_after_an_error_and_runs_after_a_death_use_up_the_same_retries() {
    let mut env = Env::new(0, 3);
    let retried = TaskSpec {
        options: retries_of_errors(3),
        ..spec(d(1), vec![])
    };
    env.scheduler.submit(retried, D, &mut env.host).unwrap();
    env.add_worker(W1);
    env.pump();
    let task = env.start(W1, d(1));
    assert_eq!(reruns(&task), 3);
    env.ok(W1, again(&task));
    env.lose(W1);
    env.add_worker(W2);
    env.pump();
    let task = env.start(W2, d(1));
    assert_eq!(reruns(&task), 1);
    env.ok(W2, again(&task));
    let more = env.scheduler.on_message(W2, again(&task), &mut env.host);
    assert!(more.unwrap_err().to_string().contains("no retry left"));
    env.done(W2, &task, bad("no"));
    assert_eq!(env.completed(), [(d(1), Err("no".into()))]);
    env.release(d(1));
    env.assert_over();
}

#[test]
fn only_tasks_that_ask_for_it_are_run_again_by_their_worker() {
    let mut env = Env::new(1, 3);
    let retried = TaskSpec {
        options: retries(3),
        ..spec(d(1), vec![])
    };
    env.scheduler.submit(retried, D, &mut env.host).unwrap();
    env.pump();
    let task = env.start(W1, d(1));
    assert_eq!(reruns(&task), 0);
    let refused = env.scheduler.on_message(W1, again(&task), &mut env.host);
    assert!(refused.is_err());
    let other = TaskMessage { id: d(9), ..task };
    assert!(
        env.scheduler
            .on_message(W1, again(&other), &mut env.host)
            .is_err()
    );
}

#[test]
fn a_task_that_was_only_queued_keeps_its_retries() {
    let mut env = Env::new(0, 3);
    let retried = TaskSpec {
        options: retries(1),
        actor: None,
        ..spec(d(1), vec![])
    };
    env.scheduler.submit(retried, D, &mut env.host).unwrap();
    for number in 1..=3 {
        let worker = WorkerId(number);
        env.add_worker(worker);
        env.pump();
        if number == 2 {
            env.start(worker, d(1));
        }
        env.lose(worker);
    }
    assert_eq!(env.completed(), []);
    env.add_worker(WorkerId(4));
    env.run(WorkerId(4), d(1), good(1));
    assert_eq!(env.completed(), [(d(1), Ok(1))]);
    env.release(d(1));
    env.assert_over();
}

#[test]
fn what_a_dead_worker_had_said_counts() {
    let mut env = Env::new(2, 1);
    let id = env.submit(1, vec![]);
    env.run(W1, id, good(7));
    env.lose(W1);
    env.lose(W1);
    assert_eq!(env.completed(), [(id, Ok(7))]);
    env.release(id);
    env.assert_over();
}

#[test]
fn children_of_a_dead_attempt_go_on_and_are_freed_when_nobody_holds_them() {
    let mut env = Env::new(2, 1);
    env.submit(1, vec![]);
    env.submit(2, vec![]);
    env.pump();
    let parent = env.start(W1, d(1));
    let other = env.start(W2, d(2));
    let (put, child, grandchild) = (w(W1, 1), w(W1, 2), w(W1, 3));
    env.ok(
        W1,
        FromWorker::Put {
            id: put,
            value: Arc::new(array(1)),
        },
    );
    env.ok(W1, spawn(child, vec![ArgSpec::Object(put)]));
    env.ok(W1, spawn(grandchild, vec![ArgSpec::Object(child)]));
    env.ok(W1, FromWorker::Watch(child));
    drop(parent);
    env.lose(W1);
    assert_eq!(env.completed(), [(d(1), Err("crash of 0".into()))]);
    env.done(W2, &other, good(2));
    env.run(W2, child, good(3));
    assert_eq!(env.freed(), [1]);
    env.run(W2, grandchild, good(4));
    assert_eq!(env.completed(), [(d(2), Ok(2))]);
    env.release(d(1));
    env.release(d(2));
    env.assert_over();
}

#[test]
fn a_child_that_somebody_else_holds_outlives_the_worker() {
    let mut env = Env::new(2, 1);
    env.submit(1, vec![]);
    env.pump();
    let parent = env.start(W1, d(1));
    let child = w(W1, 1);
    env.ok(W1, spawn(child, vec![]));
    env.done(W1, &parent, Ok(Arc::new(packed(1, vec![refer(child)]))));
    env.lose(W1);
    assert!(env.retain(child).unwrap().is_none());
    env.run(W2, child, good(2));
    assert_eq!(env.completed(), [(d(1), Ok(1)), (child, Ok(2))]);
    env.release(child);
    assert_eq!(env.scheduler.object_count(), 2);
    env.release(d(1));
    env.assert_over();
}

/// A task with a bug may overwrite its state word, which then says that it has not begun.
#[test]
fn a_task_on_three_dead_workers_has_crashed_whatever_its_state_word_says() {
    let mut env = Env::new(0, 3);
    env.submit(1, vec![]);
    for number in 1..=3 {
        let worker = WorkerId(number);
        assert_eq!(env.completed(), []);
        env.add_worker(worker);
        env.pump();
        let task = env.start(worker, d(1));
        env.host.unsay(worker, &task);
        env.lose(worker);
    }
    let completed = env.completed();
    let [(id, Err(error))] = &completed[..] else {
        panic!("{completed:?}");
    };
    assert!(*id == d(1) && error.contains("it was on 3 workers that died"));
    env.release(d(1));
    env.assert_over();
}

/// With retries left, a death that counts uses up one retry.
#[test]
fn a_task_whose_state_word_lies_has_its_retries_and_no_more() {
    let mut env = Env::new(0, 3);
    let retried = TaskSpec {
        options: retries(2),
        ..spec(d(1), vec![])
    };
    env.scheduler.submit(retried, D, &mut env.host).unwrap();
    let mut runs = 0;
    while env.completed().is_empty() {
        runs += 1;
        assert!(runs < 10);
        env.add_worker(WorkerId(runs));
        env.pump();
        let task = env.start(WorkerId(runs), d(1));
        env.host.unsay(WorkerId(runs), &task);
        env.lose(WorkerId(runs));
    }
    assert_eq!(runs, 5);
    env.release(d(1));
    env.assert_over();
}

#[test]
fn tasks_behind_one_that_kills_its_workers_are_not_the_cause() {
    let mut env = Env::new(0, 4);
    let frail = TaskSpec {
        options: retries(9),
        ..spec(d(1), vec![])
    };
    env.scheduler.submit(frail, D, &mut env.host).unwrap();
    for seq in [2, 3] {
        env.submit(seq, vec![]);
    }
    for number in 1..=9 {
        env.add_worker(WorkerId(number));
        env.pump();
        env.start(WorkerId(number), d(1));
        env.lose(WorkerId(number));
    }
    assert_eq!(env.completed(), []);
    let last = WorkerId(10);
    env.add_worker(last);
    for seq in [1, 2, 3] {
        env.run(last, d(seq), good(seq));
    }
    assert_eq!(env.completed(), [1, 2, 3].map(|seq| (d(seq), Ok(seq))));
    for seq in [1, 2, 3] {
        env.release(d(seq));
    }
    env.assert_over();
}

/// A task behind a waiting task may run, too.
#[test]
fn as_many_tasks_may_have_run_as_wait_and_one_more() {
    let mut env = Env::new(0, 4);
    for seq in 1..=3 {
        let retried = TaskSpec {
            options: retries(9),
            ..spec(d(seq), vec![])
        };
        env.scheduler.submit(retried, D, &mut env.host).unwrap();
    }
    env.host.revocable = false;
    for number in 1..=3 {
        let worker = WorkerId(number);
        env.add_worker(worker);
        env.pump();
        env.start(worker, d(1));
        env.ok(worker, FromWorker::Blocked);
        let task = env.start(worker, d(2));
        env.host.unsay(worker, &task);
        env.lose(worker);
    }
    let left = |seq| {
        let task = env.scheduler.task_of(d(seq)).unwrap();
        env.scheduler.tasks.get(task).unwrap().retries
    };
    assert_eq!([left(1), left(2), left(3)], [6, 8, 9]);
}

/// Otherwise the task would run twice at a time, again and again.
#[test]
fn a_task_that_waits_is_not_taken_back_whatever_its_state_word_says() {
    let mut env = Env::new(2, 4);
    for seq in 1..=5 {
        env.submit(seq, vec![]);
    }
    env.pump();
    let task = env.start(W1, d(1));
    env.host.unsay(W1, &task);
    env.ok(W1, FromWorker::Blocked);
    env.scheduler.worker_stopping(W1, &mut env.host);
    env.pump();
    assert!(!env.host.lane(W2).contains(&d(1)));
    let queued = &env.scheduler.workers[W1].assignments;
    assert!(queued.len() == 1 && Some(queued[0].task) == env.scheduler.task_of(d(1)));
}
