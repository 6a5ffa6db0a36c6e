//! The events of tasks that a host sees. Every test of the scheduler checks their order for each
//! task.

use std::collections::HashMap;

use mobula_protocol::{ObjectId, TaskOptions, message::ArgSpec};

use super::{
    super::changes::{
        TaskChange::{
            self, Abandoned, Assigned, Ended, InputReady, Ready, Returned, Started, Submitted,
        },
        TaskEvent, TaskId,
    },
    cancel::{SECOND, started},
    env::{Env, W1, W2, bad, d, done, good},
};

/// All events, in order.
#[derive(Debug, Default)]
pub(super) struct Observed {
    events: Vec<(ObjectId, TaskChange)>,
    latest: HashMap<TaskId, TaskChange>,
}

impl Observed {
    /// Adds an event.
    ///
    /// # Panics
    /// This event cannot follow the task's latest event.
    pub(super) fn add(&mut self, event: TaskEvent) {
        let before = self.latest.insert(event.task, event.change);
        assert!(
            can_follow(before, event.change),
            "{event:?} comes after {before:?}"
        );
        self.events.push((event.id, event.change));
    }

    /// Checks that all tasks have ended.
    ///
    /// # Panics
    /// A task has not ended.
    pub(super) fn assert_all_ended(&self) {
        for (task, change) in &self.latest {
            assert!(matches!(change, Ended { .. }), "{task:?}: {change:?}");
        }
    }

    fn of(&self, id: ObjectId) -> Vec<TaskChange> {
        let events = self.events.iter();
        events
            .filter(|event| event.0 == id)
            .map(|event| event.1)
            .collect()
    }
}

fn can_follow(before: Option<TaskChange>, change: TaskChange) -> bool {
    match (before, change) {
        // A run that has exceeded its limit remains as an abandoned task.
        (None, Submitted { .. } | Abandoned(_)) => true,
        (
            Some(Submitted { missing: before } | InputReady { missing: before }),
            InputReady { missing },
        ) => missing > 0 && missing == before - 1,
        (Some(Submitted { missing } | InputReady { missing }), Ready) => missing == 1,
        (Some(Submitted { missing: 0 } | Ready | Returned(_)), Assigned(_)) => true,
        (
            Some(Assigned(hand) | Started(hand)),
            Started(same) | Returned(same) | Abandoned(same),
        ) => hand == same,
        (Some(before), Ended { .. }) => !matches!(before, Ended { .. }),
        _ => false,
    }
}

impl Env {
    fn events(&self, seq: u64) -> Vec<TaskChange> {
        self.host.observed.of(d(seq))
    }
}

#[test]
fn a_task_waits_for_each_input_and_ends_once() {
    let mut env = Env::new(1, 2);
    env.submit(1, vec![]);
    env.submit(2, vec![]);
    env.submit(3, vec![ArgSpec::Object(d(1)), ArgSpec::Object(d(2))]);
    env.run(W1, d(1), good(1));
    env.run(W1, d(2), good(2));
    env.run(W1, d(3), bad("no"));
    let events = env.events(3);
    assert!(
        matches!(
            events[..],
            [
                Submitted { missing: 2 },
                InputReady { missing: 1 },
                Ready,
                Assigned(hand),
                Ended { failed: true },
            ] if hand.worker == W1
        ),
        "{events:?}"
    );
    let events = env.events(1);
    assert!(
        matches!(
            events[..],
            [
                Submitted { missing: 0 },
                Assigned(_),
                Ended { failed: false }
            ]
        ),
        "{events:?}"
    );
}

#[test]
fn a_task_that_is_taken_back_or_lost_is_assigned_anew() {
    let mut env = Env::new(1, 2);
    env.submit(1, vec![]);
    env.submit(2, vec![]);
    env.pump();
    env.start(W1, d(1));
    // The second task stands behind the first, and the new worker is idle.
    env.add_worker(W2);
    env.pump();
    env.lose(W2);
    env.lose(W1);
    let events = env.events(2);
    assert!(
        matches!(
            events[..],
            [
                Submitted { missing: 0 },
                Assigned(first),
                Returned(back),
                Assigned(second),
                Returned(lost),
            ] if first == back && second == lost && (first.worker, second.worker) == (W1, W2)
        ),
        "{events:?}"
    );
    // The task had begun, and has no retry.
    assert_eq!(env.events(1).last(), Some(&Ended { failed: true }));
}

#[test]
fn a_cancelled_task_is_abandoned_until_its_worker_has_ended_it() {
    let mut env = Env::new(1, 1);
    env.submit(1, vec![]);
    env.pump();
    let task = env.start(W1, d(1));
    env.scheduler
        .cancel(&[d(1)], Default::default(), &mut env.host);
    let abandoned = env.events(1);
    assert!(
        matches!(abandoned[..], [_, Assigned(hand), Abandoned(same)] if hand == same),
        "{abandoned:?}"
    );
    env.host.end(W1, &task);
    env.ok(W1, done(&task, good(1)));
    assert_eq!(env.events(1)[3..], [Ended { failed: false }]);
}

#[test]
fn a_run_that_starts_says_so_and_one_that_takes_too_long_ends_beside_the_next() {
    let mut env = Env::new(2, 1);
    let options = TaskOptions {
        retries: Some(1),
        timeout: Some(SECOND),
        retry_timeouts: true,
        ..TaskOptions::DEFAULT
    };
    env.submit_with(1, options);
    env.pump();
    let task = env.start(W1, d(1));
    env.ok(W1, started(&task));
    env.pass(SECOND);
    env.pump();
    let again = env.start(W2, d(1));
    env.ok(W2, started(&again));
    env.host.end(W1, &task);
    env.ok(W1, done(&task, good(1)));
    env.done(W2, &again, good(2));
    let events = env.events(1);
    assert!(
        matches!(
            events[..],
            [
                Submitted { missing: 0 },
                Assigned(first),
                Started(_),
                Abandoned(left),
                Returned(back),
                Assigned(second),
                Started(_),
                Ended { failed: false },
                Ended { failed: false },
            ] if first == left && first == back && second.worker == W2
        ),
        "{events:?}"
    );
}
