//! Tests of the progress that tasks report.

use mobula_protocol::{Attempt, TaskProgress, message::FromWorker};

use super::env::{Env, W1, W2, d, good};

fn steps(done: u64) -> TaskProgress {
    TaskProgress { done, total: 10 }
}

impl Env {
    fn progress(&self, seq: u64) -> Option<TaskProgress> {
        self.scheduler.progress(d(seq))
    }
}

#[test]
fn a_task_says_how_far_it_is_until_it_ends() {
    let mut env = Env::new(1, 2);
    env.submit(1, vec![]);
    env.submit(2, vec![]);
    assert_eq!(env.progress(1), None);
    env.pump();
    let first = env.start(W1, d(1));
    assert_eq!(env.progress(1), None);
    for done in [3, 7] {
        env.message(W1, FromWorker::Progress(first.attempt, steps(done)))
            .unwrap();
        assert_eq!(
            (env.progress(1), env.progress(2)),
            (Some(steps(done)), None)
        );
    }
    env.done(W1, &first, good(1));
    assert_eq!(env.progress(1), None);
    // The reports come from a thread that the task has left behind, and from an unknown run.
    for run in [first.attempt, Attempt(1_000)] {
        env.message(W1, FromWorker::Progress(run, steps(8)))
            .unwrap();
    }
    assert_eq!((env.progress(1), env.progress(2)), (None, None));
    env.run(W1, d(2), good(2));
    assert_eq!(env.progress(2), None);
}

#[test]
fn a_worker_speaks_of_its_own_runs_only() {
    let mut env = Env::new(2, 1);
    env.submit(1, vec![]);
    env.pump();
    let first = env.start(W1, d(1));
    env.message(W2, FromWorker::Progress(first.attempt, steps(3)))
        .unwrap();
    assert_eq!(env.progress(1), None);
}
