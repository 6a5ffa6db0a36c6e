//! Tests of tasks that need more than a worker.

use std::{collections::HashSet, sync::Arc};

use mobula_protocol::{
    Amount, CPUS, CancelOptions, MEMORY, ObjectId, Resources, TaskOptions, WorkerId,
    message::{FromWorker, TaskMessage, TaskSpec},
};

use super::env::{D, Env, W1, W2, bad, d, done, good, spec, w};
use crate::resources::Totals;

/// Returns an environment with this many workers and cores, a disk, and two GPUs.
fn env(workers: u32, cpus: f64) -> Env {
    // With a prefetch of 1, a worker begins each task that it has.
    let mut env = Env::new(workers, 1);
    let totals = Totals {
        cpus: Amount::checked(cpus),
        memory: Amount::whole(1000),
        declared: vec![("disk".to_owned(), 1), ("gpu".to_owned(), 2)],
        ..Totals::UNLIMITED
    };
    let workers = workers as usize;
    env.scheduler.set_resources(Arc::new(totals), workers);
    env
}

fn needs(demands: &[(&str, f64)]) -> TaskOptions {
    let mut resources = Resources::None;
    for (name, amount) in demands {
        resources.set(name, Amount::checked(*amount));
    }
    TaskOptions {
        resources,
        ..TaskOptions::DEFAULT
    }
}

fn with(id: ObjectId, options: TaskOptions) -> TaskSpec {
    TaskSpec {
        options: Some(Arc::new(options)),
        ..spec(id, vec![])
    }
}

impl Env {
    fn submit_with_options(&mut self, seq: u64, options: TaskOptions) {
        let spec = with(d(seq), options);
        self.scheduler.submit(spec, D, &mut self.host).unwrap();
        self.scheduler.sanity_check();
    }

    fn submit_needs(&mut self, seq: u64, demands: &[(&str, f64)]) {
        self.submit_with_options(seq, needs(demands));
    }

    /// Returns all tasks that workers begin now, with their workers.
    fn begin_all(&mut self, workers: u32) -> Vec<(WorkerId, TaskMessage)> {
        let before = self.scheduler.cores_in_use();
        self.pump();
        let after = self.scheduler.cores_in_use();
        assert!(after <= self.scheduler.cores().max(before));
        let workers = (1..=workers).map(WorkerId);
        let begun = workers.filter_map(|worker| Some((worker, self.host.start(worker)?)));
        begun.collect()
    }

    fn end_all(&mut self, running: Vec<(WorkerId, TaskMessage)>) {
        for (worker, task) in running {
            self.done(worker, &task, good(0));
        }
    }

    fn pause(&mut self, worker: WorkerId, task: &TaskMessage, paused: bool) {
        let attempt = task.attempt;
        let say = FromWorker::Paused { attempt, paused };
        match paused {
            true => {
                self.ok(worker, say);
                self.ok(worker, FromWorker::Blocked);
            }
            false => {
                self.ok(worker, FromWorker::Unblocked);
                self.ok(worker, say);
            }
        }
    }
}

fn numbers(running: &[(WorkerId, TaskMessage)]) -> Vec<u64> {
    let mut numbers: Vec<_> = running.iter().map(|(_, task)| task.id.seq).collect();
    numbers.sort_unstable();
    numbers
}

/// Returns the units of a resource that the task was given.
fn units(task: &TaskMessage, name: &str) -> Vec<u32> {
    let options = task.options.as_deref().unwrap();
    let mut demands = options.resources.demands().iter();
    demands
        .find(|demand| demand.name == name)
        .unwrap()
        .units
        .clone()
}

#[test]
fn a_task_with_two_cores_leaves_room_for_two_plain_ones_on_four_workers() {
    let mut env = env(4, 4.0);
    env.submit_needs(1, &[(CPUS, 2.0)]);
    for seq in 2..10 {
        env.submit(seq, vec![]);
    }
    let running = env.begin_all(4);
    assert_eq!(running.len(), 3);
    assert!(numbers(&running).contains(&1));
    env.end_all(running);
    // The cores are free again.
    let running = env.begin_all(4);
    assert_eq!(running.len(), 4);
    env.end_all(running);
    let running = env.begin_all(4);
    env.end_all(running);
    env.pump();
    env.scheduler.check_all_is_back();
    assert!(!env.scheduler.pending_work());
}

#[test]
fn ten_thousand_quarters_of_a_core_on_four_cores_use_sixteen_workers() {
    let mut env = env(20, 4.0);
    // The test calls the scheduler directly, since checks after each step would take minutes.
    let Env { scheduler, host } = &mut env;
    for seq in 0..10_000 {
        let spec = with(d(seq), needs(&[(CPUS, 0.25)]));
        scheduler.submit(spec, D, host).unwrap();
    }
    for round in 0..10_000 / 16 {
        scheduler.pump(host);
        let workers = (1..=20).map(WorkerId);
        let begun = workers.filter_map(|worker| Some((worker, host.start(worker)?)));
        let begun: Vec<_> = begun.collect();
        assert_eq!(begun.len(), 16, "round {round}");
        for (worker, task) in begun {
            host.end(worker, &task);
            scheduler
                .on_message(worker, done(&task, good(0)), host)
                .unwrap();
        }
    }
    env.pump();
    env.scheduler.check_all_is_back();
    assert!(!env.scheduler.pending_work());
}

#[test]
fn with_fewer_cores_than_workers_plain_tasks_use_no_more_than_the_cores() {
    let mut env = env(8, 2.5);
    for seq in 0..100 {
        env.submit(seq, vec![]);
    }
    env.submit_needs(100, &[(CPUS, 0.5)]);
    let mut ended = 0;
    while ended < 101 {
        let running = env.begin_all(8);
        let plain = numbers(&running).iter().filter(|seq| **seq < 100).count();
        assert!(plain <= 2 && !running.is_empty());
        ended += running.len();
        env.end_all(running);
    }
}

#[test]
fn small_tasks_with_resources_do_not_starve_a_big_one() {
    let mut env = env(4, 4.0);
    for seq in 0..4 {
        env.submit_needs(seq, &[(CPUS, 1.0)]);
    }
    let mut running = env.begin_all(4);
    env.submit_needs(1000, &[(CPUS, 4.0)]);
    let mut next = 4;
    // Running tasks end one after the other, and new tasks come all the time.
    for _ in 0..4 {
        env.submit_needs(next, &[(CPUS, 0.5)]);
        env.submit(next + 1, vec![]);
        next += 2;
        let (worker, task) = running.remove(0);
        env.done(worker, &task, good(0));
        running.extend(env.begin_all(4));
    }
    assert_eq!(numbers(&running), [1000]);
    env.end_all(running);
    assert_eq!(env.begin_all(4).len(), 4);
}

#[test]
fn plain_tasks_do_not_starve_a_big_one() {
    let mut env = env(4, 4.0);
    for seq in 0..4 {
        env.submit(seq, vec![]);
    }
    let mut running = env.begin_all(4);
    env.submit_needs(1000, &[(CPUS, 3.0)]);
    for n in 0..4 {
        env.submit(10 + n, vec![]);
        let (worker, task) = running.remove(0);
        env.done(worker, &task, good(0));
        running.extend(env.begin_all(4));
    }
    assert!(numbers(&running).contains(&1000), "{:?}", numbers(&running));
    assert_eq!(running.len(), 2);
}

#[test]
fn what_workers_have_ahead_makes_room_too() {
    for revocable in [true, false] {
        ahead_makes_room(revocable);
    }
}

/// `revocable`: whether revocations succeed, or workers have always begun the task before.
fn ahead_makes_room(revocable: bool) {
    let mut env = Env::new(2, 64);
    env.host.revocable = revocable;
    let totals = Totals {
        cpus: Amount::whole(2),
        ..Totals::UNLIMITED
    };
    env.scheduler.set_resources(Arc::new(totals), 2);
    for seq in 0..100 {
        env.submit(seq, vec![]);
    }
    env.pump();
    let mut running = [W1, W2].map(|worker| env.host.start(worker));
    env.submit_needs(1000, &[(CPUS, 2.0)]);
    env.pump();
    let rounds = if revocable { 1 } else { 50 };
    for _ in 0..rounds {
        for (worker, task) in [W1, W2].into_iter().zip(&mut running) {
            env.done(worker, &task.take().unwrap(), good(0));
            env.pump();
            *task = env.host.start(worker);
        }
    }
    let next = [W1, W2].map(|worker| env.host.start(worker));
    let running = running.into_iter().chain(next).flatten();
    assert!(running.map(|task| task.id).eq([d(1000)]));
}

#[test]
fn tasks_with_resources_do_not_starve_plain_ones() {
    let mut env = env(2, 2.0);
    let mut next = 0;
    let mut running = Vec::new();
    for round in 0.. {
        assert!(round < 20, "the plain task never begins");
        // There are always more of these tasks than can run.
        for _ in 0..4 {
            env.submit_needs(next, &[(CPUS, 1.0)]);
            next += 1;
        }
        if round == 3 {
            env.submit(100_000, vec![]);
        }
        running.extend(env.begin_all(2));
        if numbers(&running).contains(&100_000) {
            break;
        }
        let (worker, task) = running.remove(0);
        env.done(worker, &task, good(0));
    }
}

#[test]
fn units_are_told_and_two_tasks_have_none_in_common() {
    let mut env = env(4, 4.0);
    for seq in 0..3 {
        env.submit_needs(seq, &[("gpu", 1.0)]);
    }
    let running = env.begin_all(4);
    assert_eq!(numbers(&running), [0, 1]);
    let got: HashSet<_> = running
        .iter()
        .flat_map(|(_, task)| units(task, "gpu"))
        .collect();
    assert_eq!(got, HashSet::from([0, 1]));
    env.end_all(running);
    env.submit_needs(3, &[("gpu", 2.0)]);
    let running = env.begin_all(4);
    assert_eq!(numbers(&running), [2]);
    env.end_all(running);
    let running = env.begin_all(4);
    assert_eq!(units(&running[0].1, "gpu"), [0, 1]);
}

#[test]
fn parts_share_a_unit_as_long_as_one_has_room() {
    let mut env = env(8, 8.0);
    for (seq, part) in [(0, 0.5), (1, 0.3), (2, 0.2), (3, 0.7), (4, 0.3), (5, 0.1)] {
        env.submit_needs(seq, &[("gpu", part)]);
    }
    let running = env.begin_all(8);
    assert_eq!(numbers(&running), [0, 1, 2, 3, 4]);
    let of = |seq: u64| {
        let found = running.iter().find(|(_, task)| task.id.seq == seq).unwrap();
        units(&found.1, "gpu")
    };
    assert_eq!([of(0), of(1), of(2)], [[0], [0], [0]]);
    assert_eq!([of(3), of(4)], [[1], [1]]);
}

#[test]
fn parts_do_not_starve_a_task_that_wants_a_whole_unit() {
    let mut env = env(8, 8.0);
    for seq in 0..4 {
        env.submit_needs(seq, &[("gpu", 0.5)]);
    }
    let mut running = env.begin_all(8);
    assert_eq!(running.len(), 4);
    env.submit_needs(1000, &[("gpu", 1.0)]);
    for seq in 10..30 {
        env.submit_needs(seq, &[("gpu", 0.5)]);
        // The tasks that began last end first, so old tasks stay on both units.
        let (worker, task) = running.pop().unwrap();
        env.done(worker, &task, good(0));
        running.extend(env.begin_all(8));
        if numbers(&running).contains(&1000) {
            return;
        }
    }
    panic!("parts of units begin for ever: {:?}", numbers(&running));
}

#[test]
fn a_task_that_waits_for_a_unit_keeps_no_core_idle() {
    let mut env = env(2, 2.0);
    env.submit_needs(0, &[("disk", 1.0), (CPUS, 1.0)]);
    let first = env.begin_all(2);
    env.submit_needs(1, &[("disk", 1.0), (CPUS, 2.0)]);
    for seq in 2..6 {
        env.submit(seq, vec![]);
    }
    env.submit_needs(6, &[("gpu", 1.0)]);
    for _ in 0..5 {
        let other = env.begin_all(2);
        assert_eq!(other.len(), 1, "a core is idle");
        env.end_all(other);
    }
    env.end_all(first);
    assert_eq!(numbers(&env.begin_all(2)), [1]);
}

#[test]
fn a_task_that_waits_gives_its_cores_and_keeps_its_units() {
    let mut env = env(2, 2.0);
    env.submit_needs(0, &[(CPUS, 2.0), ("gpu", 1.0)]);
    let parent = env.begin_all(2).remove(0);
    let (worker, parent) = parent;
    let child = |seq, demands| {
        FromWorker::Spawn(
            with(w(worker, seq), needs(demands)),
            Some(parent.attempt).into(),
        )
    };
    env.ok(worker, child(0, &[(CPUS, 2.0), ("gpu", 1.0)]));
    env.ok(worker, child(1, &[("gpu", 1.0), (CPUS, 0.5)]));
    assert!(env.begin_all(2).is_empty(), "the parent has all cores");
    env.pause(worker, &parent, true);
    let child = env.begin_all(2);
    assert_eq!(child.len(), 1);
    assert_eq!(child[0].1.id, w(worker, 0));
    assert_ne!(units(&child[0].1, "gpu"), units(&parent, "gpu"));
    env.end_all(child);
    let second = env.begin_all(2);
    assert_eq!(second.len(), 1);
    // The task goes on at once, beside all running tasks. Then no task begins until its cores are
    // free.
    env.pause(worker, &parent, false);
    env.submit_needs(10, &[(CPUS, 0.5)]);
    env.submit(11, vec![]);
    assert!(env.begin_all(2).is_empty());
    env.end_all(second);
    assert!(env.begin_all(2).is_empty());
    env.done(worker, &parent, good(0));
    assert_eq!(numbers(&env.begin_all(2)), [10, 11]);
}

#[test]
fn one_worker_with_one_core_runs_the_children_of_a_task_that_waits() {
    let mut env = env(1, 1.0);
    env.submit_needs(0, &[("gpu", 1.0)]);
    let parent = env.begin_all(1).remove(0).1;
    env.ok(
        W1,
        FromWorker::Spawn(spec(w(W1, 0), vec![]), Some(parent.attempt).into()),
    );
    let needy = with(w(W1, 1), needs(&[("gpu", 1.0)]));
    env.ok(W1, FromWorker::Spawn(needy, Some(parent.attempt).into()));
    env.pause(W1, &parent, true);
    for _ in 0..2 {
        let child = env.begin_all(1);
        assert_eq!(child.len(), 1);
        env.end_all(child);
    }
    env.pause(W1, &parent, false);
    env.done(W1, &parent, good(0));
    env.pump();
    env.scheduler.check_all_is_back();
}

#[test]
fn what_tasks_call_begins_before_what_the_driver_calls() {
    let mut env = env(2, 2.0);
    for seq in 0..100 {
        env.submit_needs(seq, &[(CPUS, 1.0)]);
    }
    let (worker, parent) = env.begin_all(2).remove(0);
    let child = with(w(worker, 0), needs(&[(CPUS, 1.0)]));
    env.ok(
        worker,
        FromWorker::Spawn(child, Some(parent.attempt).into()),
    );
    env.pause(worker, &parent, true);
    let begun = env.begin_all(2);
    assert_eq!((begun.len(), begun[0].1.id), (1, w(worker, 0)));
}

#[test]
fn a_task_of_a_higher_priority_begins_first() {
    let mut env = env(1, 1.0);
    for seq in 0..100 {
        env.submit(seq, vec![]);
    }
    let first = env.begin_all(1);
    for (seq, priority) in [(200, 0), (201, 1), (202, -1)] {
        let options = TaskOptions {
            priority: Some(priority),
            ..needs(&[(CPUS, 0.5)])
        };
        env.submit_with_options(seq, options);
    }
    env.end_all(first);
    let mut order = Vec::new();
    loop {
        let running = env.begin_all(1);
        if running.is_empty() {
            break;
        }
        order.extend(numbers(&running));
        env.end_all(running);
    }
    let place = |seq| order.iter().position(|other| *other == seq).unwrap();
    assert_eq!(order[0], 201);
    assert_eq!(order.len(), 102);
    assert!(place(202) > place(99) && place(200) < place(202));
}

#[test]
fn everything_comes_back_however_a_task_ends() {
    let mut env = env(2, 2.0);
    let all = [(CPUS, 2.0), ("gpu", 2.0), ("disk", 1.0), (MEMORY, 1000.0)];
    // A task returns an error.
    env.submit_needs(0, &all);
    let (worker, task) = env.begin_all(2).remove(0);
    env.done(worker, &task, bad("no"));
    // A worker dies with a task that has a retry, and with a task that has none.
    env.submit_with_options(
        1,
        TaskOptions {
            retries: Some(1),
            ..needs(&all)
        },
    );
    let (worker, _) = env.begin_all(2).remove(0);
    env.lose(worker);
    let (worker, _) = env.begin_all(2).remove(0);
    env.lose(worker);
    env.scheduler.check_all_is_back();
    env.add_worker(WorkerId(3));
    env.add_worker(WorkerId(4));
    // A task is cancelled before it has begun, and another while it runs.
    env.submit_needs(2, &all);
    env.submit_needs(3, &all);
    let (worker, task) = env.begin_all(4).remove(0);
    env.scheduler
        .cancel(&[d(2), d(3)], CancelOptions::new(), &mut env.host);
    env.scheduler.sanity_check();
    env.submit_needs(4, &all);
    assert!(
        env.begin_all(4).is_empty(),
        "the run has them until it ends"
    );
    env.done(worker, &task, good(0));
    let running = env.begin_all(4);
    assert_eq!(numbers(&running), [4]);
    // A worker dies while its task waits.
    env.pause(running[0].0, &running[0].1, true);
    env.lose(running[0].0);
    env.pump();
    env.scheduler.check_all_is_back();
}

#[test]
fn the_end_of_the_runtime_ends_what_waits_and_brings_all_back() {
    let mut env = env(2, 2.0);
    for seq in 0..4 {
        env.submit_needs(seq, &[("gpu", 1.0)]);
    }
    let running = env.begin_all(2);
    env.scheduler
        .fail_all(mobula_protocol::Error::shutdown(), &mut env.host);
    env.scheduler.sanity_check();
    assert!(!env.scheduler.pending_work());
    for (worker, _) in running {
        env.lose(worker);
    }
    env.scheduler.check_all_is_back();
}

#[test]
fn a_run_that_takes_too_long_keeps_its_units_beside_the_next_one() {
    use std::time::Duration;
    let mut env = env(2, 2.0);
    let second = Duration::from_secs(1);
    env.submit_with_options(
        0,
        TaskOptions {
            retries: Some(1),
            retry_timeouts: true,
            timeout: Some(second),
            ..needs(&[("gpu", 1.0)])
        },
    );
    let (worker, slow) = env.begin_all(2).remove(0);
    let (id, slot, attempt) = (slow.id, slow.slot, slow.attempt);
    env.ok(worker, FromWorker::Started { id, slot, attempt });
    env.host.elapsed += 2 * second;
    let now = mobula_now(&mut env);
    env.scheduler.on_time(now, &mut env.host);
    let (other, next) = env.begin_all(2).remove(0);
    assert_ne!(units(&next, "gpu"), units(&slow, "gpu"));
    env.done(other, &next, good(0));
    env.done(worker, &slow, good(0));
    env.pump();
    env.scheduler.check_all_is_back();
}

fn mobula_now(env: &mut Env) -> std::time::Instant {
    use super::super::Host;
    env.host.now()
}

#[test]
fn what_can_never_be_had_fails_at_once() {
    let mut env = env(2, 2.0);
    env.submit_needs(0, &[(CPUS, 2.5)]);
    env.submit_needs(1, &[("gpu", 3.0)]);
    env.submit_needs(2, &[("tpu", 1.0)]);
    env.submit_needs(3, &[(MEMORY, 1001.0)]);
    let errors: Vec<_> = env.completed();
    for ((_, outcome), part) in errors
        .iter()
        .zip(["`num_cpus`", "`gpu`", "`tpu`", "`memory`"])
    {
        let error = outcome.as_ref().unwrap_err();
        assert!(
            error.contains(part) && error.contains("could never run"),
            "{error}"
        );
    }
    assert_eq!(errors.len(), 4);
    assert!(!env.scheduler.pending_work());
}

#[test]
fn a_worker_that_speaks_of_resources_of_others_is_refused() {
    let mut env = env(2, 2.0);
    env.submit(0, vec![]);
    env.submit_needs(1, &[("gpu", 1.0)]);
    let running = env.begin_all(2);
    let (mine, plain) = (&running[1], &running[0]);
    let mine = if mine.1.id == d(1) { mine } else { plain };
    let plain = running
        .iter()
        .find(|(worker, _)| *worker != mine.0)
        .unwrap();
    let paused = |task: &TaskMessage, paused| FromWorker::Paused {
        attempt: task.attempt,
        paused,
    };
    assert!(env.message(plain.0, paused(&plain.1, true)).is_err());
    assert!(env.message(mine.0, paused(&mine.1, false)).is_err());
    assert!(env.message(mine.0, paused(&mine.1, true)).is_ok());
    assert!(env.message(mine.0, paused(&mine.1, true)).is_err());
    let unknown = FromWorker::Paused {
        attempt: mobula_protocol::Attempt(99),
        paused: true,
    };
    assert!(env.message(W2, unknown).is_err());
}

#[test]
fn a_worker_that_dies_leaves_its_cores_to_others() {
    let mut env = env(2, 2.0);
    env.submit_needs(0, &[(CPUS, 2.0)]);
    for seq in 1..5 {
        env.submit(seq, vec![]);
    }
    let running = env.begin_all(2);
    assert_eq!(numbers(&running), [0]);
    env.lose(running[0].0);
    let running = env.begin_all(2);
    assert_eq!(running.len(), 1, "there is one worker left, and it is open");
}
