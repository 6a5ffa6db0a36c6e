//! Tests with large numbers. They measure no time, but quadratic code would never end.

use mobula_protocol::{
    WorkerId,
    message::{ArgSpec, FromWorker},
};

use super::{
    super::{object::Object, task::Task, task_table::TaskId},
    env::{D, Env, W1, d, done, good, spawn, spec, w},
};

#[test]
fn a_queued_task_is_small() {
    // The sum includes the spare room of both tables and of the queue.
    let bytes =
        2 * (size_of::<Option<Object>>() + size_of::<Option<Task>>() + 8) + 2 * size_of::<TaskId>();
    assert!(bytes < 600, "{bytes}");
}

/// Runs all tasks with `workers` workers, and releases finished objects.
fn run_all(env: &mut Env, workers: u32) {
    while env.scheduler.pending_work() {
        for worker in (1..=workers).map(WorkerId) {
            if let Some(task) = env.host.start(worker) {
                env.host.end(worker, &task);
                env.scheduler
                    .on_message(worker, done(&task, good(0)), &mut env.host)
                    .unwrap();
            }
            env.scheduler.pump(&mut env.host);
        }
        for (id, outcome) in std::mem::take(&mut env.host.completed) {
            assert!(outcome.is_ok());
            env.scheduler.release(id, &mut env.host).unwrap();
        }
    }
    env.scheduler.sanity_check();
    env.assert_over();
}

#[test]
fn a_million_tasks_can_wait() {
    let mut env = Env::new(4, 64);
    for seq in 0..1_000_000 {
        env.scheduler
            .submit(spec(d(seq), vec![]), D, &mut env.host)
            .unwrap();
        env.scheduler.pump(&mut env.host);
    }
    run_all(&mut env, 4);
}

#[test]
fn a_hundred_thousand_tasks_can_share_an_input_and_be_gathered() {
    const N: u64 = 100_000;
    let mut env = Env::new(3, 64);
    env.scheduler
        .submit(spec(d(0), vec![]), D, &mut env.host)
        .unwrap();
    for seq in 1..=N {
        let args = vec![ArgSpec::Object(d(0)), ArgSpec::Object(d(seq - 1))];
        env.scheduler
            .submit(spec(d(seq), args), D, &mut env.host)
            .unwrap();
    }
    let all = ArgSpec::Gather((0..=N).map(d).collect());
    env.scheduler
        .submit(spec(d(N + 1), vec![all]), D, &mut env.host)
        .unwrap();
    env.scheduler.pump(&mut env.host);
    run_all(&mut env, 3);
}

#[test]
fn a_task_can_spawn_a_hundred_thousand_others() {
    let mut env = Env::new(2, 64);
    env.submit(0, vec![]);
    env.pump();
    let parent = env.start(W1, d(0));
    for seq in 0..100_000 {
        let child = w(W1, seq);
        env.scheduler
            .on_message(W1, spawn(child, vec![]), &mut env.host)
            .unwrap();
        env.scheduler
            .on_message(W1, FromWorker::Release(child), &mut env.host)
            .unwrap();
    }
    env.done(W1, &parent, good(0));
    run_all(&mut env, 2);
}
