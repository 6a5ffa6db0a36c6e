//! Tests of actors that hold resources.

use std::sync::Arc;

use mobula_protocol::{Amount, CPUS, MEMORY, Resources};

use super::*;
use crate::resources::Totals;

/// Returns an environment with this many workers and cores, and two GPUs.
fn provided(workers: u32, cpus: f64) -> Env {
    let mut env = env(workers, 1);
    let totals = Totals {
        cpus: Amount::checked(cpus),
        memory: Amount::whole(1000),
        declared: vec![("gpu".to_owned(), 2)],
        ..Totals::UNLIMITED
    };
    let workers = workers as usize;
    env.scheduler.set_resources(Arc::new(totals), workers);
    env
}

fn needs(demands: &[(&str, f64)], max_restarts: u32) -> ActorOptions {
    let mut resources = Resources::None;
    for (name, amount) in demands {
        resources.set(name, Amount::checked(*amount));
    }
    ActorOptions {
        resources,
        max_restarts,
        ..options()
    }
}

/// Returns the GPUs of the actor, as its constructor was told.
fn gpus(task: &TaskMessage) -> Vec<u32> {
    let options = task.options.as_deref().unwrap();
    let mut demands = options.resources.demands().iter();
    demands.find(|d| d.name == "gpu").unwrap().units.clone()
}

impl Env {
    /// Returns an actor that is alive in this worker.
    fn holding(&mut self, worker: WorkerId, demands: &[(&str, f64)]) -> ObjectId {
        let actor = self.create(vec![], needs(demands, 0));
        self.run(worker, actor, good(0));
        self.host.completed.clear();
        actor
    }

    fn is_waiting(&self, actor: ObjectId) -> bool {
        self.scheduler.actors[&actor].grant().is_none()
    }
}

#[test]
fn an_actor_without_resources_takes_none() {
    let mut env = provided(2, 2.0);
    env.alive(W1, options());
    env.scheduler.check_all_is_back();
}

#[test]
fn what_an_actor_holds_is_there_again_when_its_process_is_dead() {
    let mut env = provided(3, 3.0);
    let all = [("gpu", 2.0), (MEMORY, 1000.0)];
    let first = env.holding(W1, &all);
    let next = env.create(vec![], needs(&all, 0));
    env.pump();
    assert!(env.is_waiting(next));
    // The actor has ended, but its process still has the memory.
    env.release(first);
    env.pump();
    assert!(env.is_waiting(next));
    env.ends(W1);
    env.run(W2, next, good(0));
    env.host.completed.clear();
    env.release(next);
    env.ends(W2);
    env.scheduler.check_all_is_back();
    assert_eq!(env.started(), 2);
    env.assert_over();
}

#[test]
fn an_actor_that_is_killed_gives_all_back_with_its_process() {
    let mut env = provided(2, 2.0);
    let actor = env.holding(W1, &[("gpu", 2.0), (CPUS, 1.0)]);
    env.kill_actor(actor);
    let next = env.create(vec![], needs(&[("gpu", 0.5)], 0));
    env.pump();
    assert!(env.is_waiting(next));
    assert_eq!(std::mem::take(&mut env.host.killed), [W1]);
    env.lose(W1);
    env.run(W2, next, good(0));
}

#[test]
fn a_constructor_that_fails_gives_all_back() {
    let mut env = provided(2, 2.0);
    let actor = env.create(vec![], needs(&[("gpu", 2.0)], 0));
    env.run(W1, actor, super::super::env::bad("no device"));
    env.pump();
    env.failed([actor], "no device");
    env.ends(W1);
    env.scheduler.check_all_is_back();
}

#[test]
fn an_actor_keeps_its_units_through_a_restart() {
    let mut env = provided(2, 2.0);
    let other = env.holding(W1, &[("gpu", 1.0)]);
    let actor = env.create(vec![], needs(&[("gpu", 1.0)], 1));
    env.pump();
    let task = env.start(W2, actor);
    assert_eq!(gpus(&task), [1]);
    env.done(W2, &task, good(0));
    // Unit 0 belongs to the other actor, and is free at the restart.
    env.release(other);
    env.ends(W1);
    env.lose(W2);
    env.add_worker(W3);
    env.pump();
    let again = env.start(W3, actor);
    assert_eq!(gpus(&again), [1]);
    env.done(W3, &again, good(0));
    env.lose(W3);
    env.scheduler.check_all_is_back();
}

#[test]
fn cores_of_actors_are_not_those_of_plain_tasks() {
    let mut env = provided(3, 2.0);
    let actor = env.holding(W1, &[(CPUS, 1.0)]);
    for seq in 100..104 {
        env.submit(seq, vec![]);
    }
    env.pump();
    let running: Vec<_> = [W2, W3].map(|worker| env.host.start(worker)).into();
    assert_eq!(running.iter().flatten().count(), 1);
    // A new worker gets no task either.
    env.add_worker(WorkerId(4));
    env.pump();
    assert!(env.host.start(WorkerId(4)).is_none());
    env.release(actor);
    env.ends(W1);
    env.pump();
    let more = [W2, W3, WorkerId(4)].map(|worker| env.host.start(worker));
    assert_eq!(more.iter().flatten().count(), 1);
}

#[test]
fn a_worker_that_replaces_a_dead_one_takes_no_cores_of_actors() {
    let mut env = provided(2, 2.0);
    let actor = env.holding(W1, &[(CPUS, 2.0)]);
    env.submit(100, vec![]);
    env.pump();
    env.lose(W2);
    env.pump();
    env.add_worker(W3);
    env.pump();
    assert!(env.host.start(W3).is_none());
    env.release(actor);
    env.ends(W1);
    env.run(W3, d(100), good(0));
}

#[test]
fn an_actor_waits_for_its_cores_in_its_turn() {
    let mut env = provided(2, 2.0);
    for seq in 100..102 {
        env.submit(seq, vec![]);
    }
    env.pump();
    let running = [W1, W2].map(|worker| env.host.start(worker).unwrap());
    env.add_worker(W3);
    let actor = env.create(vec![], needs(&[(CPUS, 1.0)], 0));
    let free = env.create(vec![], needs(&[("gpu", 1.0)], 0));
    env.pump();
    assert!(env.is_waiting(actor) && !env.is_waiting(free));
    let later = env.submit(102, vec![]);
    env.done(W1, &running[0], good(0));
    env.pump();
    assert!(!env.is_waiting(actor));
    env.done(W2, &running[1], good(0));
    env.pump();
    assert_eq!(env.scheduler.cores_in_use(), env.scheduler.cores());
    assert!(env.scheduler.outcome(later).is_none());
}

#[test]
fn an_actor_that_could_never_have_its_resources_fails_at_once() {
    let mut env = provided(1, 2.0);
    for (demand, part) in [
        ((CPUS, 2.5), "2.5 of `num_cpus`"),
        ((MEMORY, 1001.0), "1001 bytes"),
        (("gpu", 3.0), "`gpu`"),
        (("tpu", 1.0), "`tpu`"),
    ] {
        let actor = env.create(vec![], needs(&[demand], 0));
        env.failed([actor], part);
    }
    assert_eq!(env.started(), 0);
    env.assert_over();
}

#[test]
fn an_actor_whose_inputs_are_missing_holds_nothing() {
    let mut env = provided(2, 2.0);
    let input = env.submit(100, vec![]);
    let actor = env.create(vec![object(input)], needs(&[("gpu", 2.0)], 0));
    env.pump();
    env.scheduler.check_all_is_back();
    let task = env.start(W1, input);
    env.done(W1, &task, good(0));
    env.run(W2, actor, good(0));
    // An actor whose input fails gets no resources.
    let input = env.submit(101, vec![]);
    let other = env.create(vec![object(input)], needs(&[("gpu", 1.0)], 0));
    env.run(W1, input, super::super::env::bad("no input"));
    env.pump();
    env.failed([other], "no input");
}

#[test]
fn an_actor_that_waits_for_resources_can_be_killed() {
    let mut env = provided(2, 2.0);
    let _first = env.holding(W1, &[("gpu", 2.0)]);
    let waiting = env.create(vec![], needs(&[("gpu", 1.0)], 0));
    let call = env.call(waiting);
    env.pump();
    env.kill_actor(waiting);
    env.pump();
    env.failed([waiting, call], "killed");
    // No process was started for the killed actor.
    assert_eq!(env.started(), 1);
    env.fail_all();
}

#[test]
fn actors_that_hold_all_cores_are_told_of_once() {
    let mut env = provided(2, 1.0);
    let _actor = env.holding(W1, &[(CPUS, 1.0)]);
    assert!(env.host.said.is_empty());
    env.submit(100, vec![]);
    env.submit(101, vec![]);
    env.pump();
    env.pump();
    let said = std::mem::take(&mut env.host.said);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("1 of 1 cores"), "{said:?}");
    assert!(env.host.start(W2).is_none());
}

#[test]
fn a_worker_makes_actors_with_resources_too() {
    let mut env = provided(2, 2.0);
    let maker = env.submit(100, vec![]);
    env.pump();
    let task = env.start(W1, maker);
    let make = |seq, amount| FromWorker::CreateActor {
        id: w(W1, seq),
        constructor: FunctionIndex(MAKE),
        args: Default::default(),
        options: Box::new(needs(&[("gpu", amount)], 0)),
        found: None,
    };
    env.ok(W1, make(1, 1.0));
    env.ok(W1, make(2, 3.0));
    let error = env.scheduler.outcome(w(W1, 2)).unwrap().unwrap_err();
    assert!(error.is_usage(), "{error}");
    env.run(W2, w(W1, 1), good(0));
    env.done(W1, &task, good(1));
}
