//! Tests of tasks that are cancelled, or exceed their limits.

use std::{sync::Arc, time::Duration};

use mobula_protocol::{
    CallOptions, CancelOptions, ObjectId, TaskOptions,
    message::{ArgSpec, FromWorker, TaskMessage, ToWorker},
};

use super::{
    super::Host,
    env::{D, Env, W1, W2, d, done, good, inline, spawn, spec, w},
};

pub(super) const SECOND: Duration = Duration::from_secs(1);

impl Env {
    fn cancel(&mut self, ids: &[ObjectId]) {
        self.cancel_with(ids, CancelOptions::new());
    }

    fn cancel_with(&mut self, ids: &[ObjectId], options: CancelOptions) {
        self.scheduler.cancel(ids, options, &mut self.host);
        self.scheduler.sanity_check();
    }

    /// Lets this time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        self.host.elapsed += time;
        let now = self.host.now();
        if self.host.wake_at.is_some_and(|at| at <= now) {
            self.host.wake_at = None;
            self.scheduler.on_time(now, &mut self.host);
        }
        self.scheduler.sanity_check();
    }

    pub(super) fn submit_with(&mut self, seq: u64, options: TaskOptions) {
        let options: CallOptions = Some(Arc::new(options));
        let spec = mobula_protocol::message::TaskSpec {
            options,
            ..spec(d(seq), vec![])
        };
        self.scheduler.submit(spec, D, &mut self.host).unwrap();
        self.scheduler.sanity_check();
    }

    fn is_told(&mut self, task: &TaskMessage) -> bool {
        let told = self.host.control(W1);
        matches!(told, Some(ToWorker::Cancel { run, .. }) if run == task.attempt)
    }

    #[track_caller]
    fn cancelled(&mut self, ids: impl IntoIterator<Item = u64>) {
        for seq in ids {
            let (id, outcome) = self.host.completed.pop_front().unwrap();
            assert_eq!(id, d(seq));
            assert!(outcome.unwrap_err().is_cancelled());
        }
    }
}

pub(super) fn started(task: &TaskMessage) -> FromWorker {
    FromWorker::Started {
        id: task.id,
        slot: task.slot,
        attempt: task.attempt,
    }
}

#[test]
fn what_waits_is_queued_or_is_ahead_never_runs() {
    let mut env = Env::new(1, 2);
    for seq in 1..=4 {
        env.submit(seq, vec![]);
    }
    env.submit(5, vec![ArgSpec::Object(d(1))]);
    env.pump();
    let first = env.start(W1, d(1));
    env.cancel(&[d(2), d(3), d(5)]);
    env.cancelled([2, 3, 5]);
    env.pump();
    assert_eq!(env.host.lane(W1), [d(4)]);
    env.done(W1, &first, good(1));
    env.run(W1, d(4), good(4));
    assert!(env.host.control(W1).is_none() && env.host.wake_at.is_none());
    assert_eq!(env.completed().len(), 2);
    (1..=5).for_each(|seq| env.release(d(seq)));
    env.assert_over();
}

#[test]
fn cancelling_the_third_of_a_chain_fails_the_later_ones_which_name_it() {
    let mut env = Env::new(1, 1);
    env.submit(1, vec![]);
    for seq in 2..=5 {
        env.submit(seq, vec![ArgSpec::Object(d(seq - 1))]);
    }
    env.pump();
    env.cancel(&[d(3)]);
    let failed: Vec<_> = std::mem::take(&mut env.host.completed).into();
    let ids: Vec<_> = failed.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [d(3), d(4), d(5)]);
    for (_, outcome) in failed {
        let error = outcome.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(error.root().to_string(), "`first` was cancelled");
    }
    env.run(W1, d(1), good(1));
    env.run(W1, d(2), good(2));
    assert_eq!(env.completed().len(), 2);
}

#[test]
fn what_runs_fails_at_once_and_is_killed_after_the_grace_time() {
    let mut env = Env::new(1, 2);
    env.put(9, inline(9));
    env.submit(1, vec![ArgSpec::Object(d(9))]);
    env.submit(2, vec![]);
    env.pump();
    let task = env.start(W1, d(1));
    env.release(d(9));
    env.cancel(&[d(1)]);
    env.cancelled([1]);
    assert!(env.is_told(&task));
    // The worker still reads the argument.
    assert_eq!(env.scheduler.object_count(), 3);
    env.pass(SECOND / 2);
    assert!(env.host.killed.is_empty());
    env.pass(SECOND);
    assert_eq!(env.host.killed, [W1]);
    env.lose(W1);
    env.release(d(1));
    assert_eq!(env.scheduler.object_count(), 1);
    // The task behind the cancelled task runs elsewhere.
    env.add_worker(W2);
    env.run(W2, d(2), good(2));
    env.release(d(2));
    env.completed();
    env.assert_over();
}

#[test]
fn what_ends_within_the_grace_time_is_not_killed_and_its_value_is_freed() {
    let mut env = Env::new(1, 1);
    env.submit(1, vec![]);
    env.pump();
    let task = env.start(W1, d(1));
    env.cancel(&[d(1)]);
    env.cancelled([1]);
    assert!(env.is_told(&task));
    env.done(W1, &task, Ok(Arc::new(super::env::array(7))));
    assert_eq!(env.freed(), [7]);
    env.pass(2 * SECOND);
    assert!(env.host.killed.is_empty());
    env.release(d(1));
    env.assert_over();
}

#[test]
fn the_value_of_an_abandoned_task_stays_while_its_worker_has_a_view_of_it() {
    let mut env = Env::new(1, 1);
    env.submit(1, vec![]);
    env.pump();
    let task = env.start(W1, d(1));
    env.cancel(&[d(1)]);
    env.cancelled([1]);
    assert!(env.is_told(&task));
    env.ok(W1, FromWorker::Hold(d(1)));
    env.done(W1, &task, Ok(Arc::new(super::env::array(7))));
    assert!(env.freed().is_empty());
    env.ok(W1, FromWorker::Release(d(1)));
    env.release(d(1));
    env.assert_over();
}

#[test]
fn what_has_ended_is_not_cancelled() {
    let mut env = Env::new(1, 1);
    env.put(2, inline(2));
    env.submit(1, vec![]);
    env.run(W1, d(1), good(1));
    assert_eq!(env.completed(), [(d(1), Ok(1))]);
    env.cancel(&[d(1), d(2), d(3)]);
    assert!(env.scheduler.outcome(d(1)).unwrap().is_ok());
    assert!(env.completed().is_empty() && env.host.control(W1).is_none());
}

/// Starts a task of the driver. It has spawned a task, which has spawned another task.
fn family(env: &mut Env) -> [TaskMessage; 2] {
    env.submit(1, vec![]);
    env.pump();
    let parent = env.start(W1, d(1));
    let child = spec(w(W1, 1), vec![]);
    env.ok(W1, FromWorker::Spawn(child, Some(parent.attempt).into()));
    env.ok(W1, FromWorker::Blocked);
    env.pump();
    let child = env.host.start(W2).or_else(|| env.host.start(W1)).unwrap();
    assert_eq!(child.id, w(W1, 1));
    [parent, child]
}

#[test]
fn calls_that_a_task_has_made_go_with_it_unless_told_otherwise() {
    for recursive in [true, false] {
        let mut env = Env::new(2, 1);
        let [_, child] = family(&mut env);
        env.cancel_with(&[d(1)], CancelOptions::new().recursive(recursive));
        env.cancelled([1]);
        let outcome = env.scheduler.outcome(child.id);
        assert_eq!(outcome.is_some(), recursive);
        assert!(outcome.is_none_or(|outcome| outcome.unwrap_err().is_cancelled()));
    }
}

#[test]
fn a_cancelled_task_is_never_retried() {
    let mut env = Env::new(1, 1);
    let options = TaskOptions {
        retries: Some(5),
        ..TaskOptions::DEFAULT
    };
    env.submit_with(1, options);
    env.pump();
    let task = env.start(W1, d(1));
    env.cancel(&[d(1)]);
    env.cancelled([1]);
    assert!(env.is_told(&task));
    // The worker has not read the cancellation yet.
    env.ok(W1, super::env::again(&task));
    env.lose(W1);
    env.add_worker(W2);
    env.pump();
    assert!(env.host.start(W2).is_none());
    env.release(d(1));
    env.assert_over();
}

#[test]
fn tasks_that_waited_in_a_killed_worker_do_not_pay_for_it() {
    let mut env = Env::new(1, 4);
    let options = TaskOptions {
        retries: Some(1),
        ..TaskOptions::DEFAULT
    };
    env.submit_with(1, options);
    env.submit(2, vec![]);
    env.pump();
    let waits = env.start(W1, d(1));
    env.ok(W1, FromWorker::Blocked);
    env.pump();
    env.start(W1, d(2));
    env.cancel_with(&[d(2)], CancelOptions::new().grace(Duration::ZERO));
    env.cancelled([2]);
    env.pass(Duration::ZERO);
    env.lose(W1);
    env.add_worker(W2);
    env.pump();
    let again = env.start(W2, d(1));
    assert_eq!((again.retries, waits.retries), (1, 1));
}

#[test]
fn a_run_has_its_limit_from_its_start() {
    let mut env = Env::new(1, 2);
    let options = TaskOptions {
        timeout: Some(SECOND),
        grace: Some(2 * SECOND),
        ..TaskOptions::DEFAULT
    };
    env.submit(1, vec![]);
    env.submit_with(2, options.clone());
    env.submit_with(3, options);
    env.pump();
    env.pass(5 * SECOND);
    env.run(W1, d(1), good(1));
    let task = env.start(W1, d(2));
    env.ok(W1, started(&task));
    env.pass(SECOND / 2);
    env.done(W1, &task, good(2));
    assert_eq!(env.completed(), [(d(1), Ok(1)), (d(2), Ok(2))]);
    assert_eq!(env.scheduler.timers.len(), 0);
    env.pump();
    let task = env.start(W1, d(3));
    env.ok(W1, started(&task));
    env.pass(SECOND);
    let (_, outcome) = env.host.completed.pop_front().unwrap();
    let error = outcome.unwrap_err();
    assert!(error.is_task_timeout() && !error.is_timeout(), "{error}");
    assert_eq!(
        error.to_string(),
        "`first` ran for longer than 1s, which is its `timeout`"
    );
    assert!(env.is_told(&task));
    env.pass(SECOND);
    assert!(env.host.killed.is_empty());
    env.pass(SECOND);
    assert_eq!(env.host.killed, [W1]);
}

#[test]
fn a_deadline_counts_from_the_submission() {
    let mut env = Env::new(1, 1);
    env.submit(1, vec![]);
    env.pump();
    env.start(W1, d(1));
    let options = TaskOptions {
        deadline: Some(SECOND),
        ..TaskOptions::DEFAULT
    };
    env.submit_with(2, options);
    env.submit(3, vec![ArgSpec::Object(d(2))]);
    env.pass(SECOND);
    for id in [d(2), d(3)] {
        let (failed, outcome) = env.host.completed.pop_front().unwrap();
        assert_eq!(failed, id);
        assert!(outcome.unwrap_err().is_task_timeout());
    }
}

#[test]
fn a_function_s_deadline_counts_for_calls_without_options() {
    let options = TaskOptions {
        deadline: Some(SECOND),
        ..TaskOptions::DEFAULT
    };
    let mut env = Env::with_options(0, 1, options);
    env.submit(1, vec![]);
    env.pass(SECOND);
    let (failed, outcome) = env.host.completed.pop_front().unwrap();
    assert_eq!(failed, d(1));
    assert!(outcome.unwrap_err().is_task_timeout());
}

#[test]
fn a_run_that_took_too_long_is_followed_by_another() {
    let mut env = Env::new(2, 1);
    let options = TaskOptions {
        retries: Some(1),
        timeout: Some(SECOND),
        retry_timeouts: true,
        ..TaskOptions::DEFAULT
    };
    env.put(9, inline(9));
    env.submit_with(1, options);
    env.pump();
    let task = env.start(W1, d(1));
    env.ok(W1, started(&task));
    env.pass(SECOND);
    assert!(env.is_told(&task));
    env.pump();
    let again = env.start(W2, d(1));
    assert_eq!(again.retries, 0);
    env.ok(W2, started(&again));
    // The first run ends after all. Its result is ignored.
    env.host.end(W1, &task);
    env.ok(W1, done(&task, good(1)));
    assert!(env.completed().is_empty());
    env.pass(SECOND);
    let (_, outcome) = env.host.completed.pop_front().unwrap();
    assert!(outcome.unwrap_err().is_task_timeout());
}

#[test]
fn five_hundred_cancelled_among_ten_thousand_leave_an_answer_for_each() {
    let mut env = Env::new(4, 64);
    for seq in 0..10_000 {
        env.scheduler
            .submit(spec(d(seq), vec![]), D, &mut env.host)
            .unwrap();
        env.scheduler.pump(&mut env.host);
    }
    let some: Vec<_> = (0..10_000).filter(|seq| seq % 20 == 7).map(d).collect();
    env.cancel(&some);
    env.cancelled((0..10_000).filter(|seq| seq % 20 == 7));
    let mut ended = 0;
    while env.scheduler.pending_work() {
        for worker in 1..=4 {
            let worker = mobula_protocol::WorkerId(worker);
            while let Some(task) = env.host.start(worker) {
                env.host.end(worker, &task);
                let done = done(&task, good(0));
                env.scheduler
                    .on_message(worker, done, &mut env.host)
                    .unwrap();
                ended += 1;
            }
        }
        env.scheduler.pump(&mut env.host);
    }
    assert_eq!(ended, 9_500);
    assert_eq!(env.host.completed.len(), 9_500);
}

#[test]
fn a_worker_may_cancel_what_it_knows_of() {
    let mut env = Env::new(2, 1);
    env.submit(1, vec![]);
    env.pump();
    env.start(W1, d(1));
    env.ok(W1, spawn(w(W1, 1), vec![]));
    env.ok(
        W1,
        FromWorker::Cancel {
            ids: vec![w(W1, 1)],
            options: CancelOptions::new(),
        },
    );
    let outcome = env.scheduler.outcome(w(W1, 1)).unwrap();
    assert!(outcome.unwrap_err().is_cancelled());
    env.submit(2, vec![]);
    let of_others = FromWorker::Cancel {
        ids: vec![d(2)],
        options: CancelOptions::new(),
    };
    env.message(W1, of_others).unwrap_err();
}
