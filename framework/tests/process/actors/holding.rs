//! Actors that hold resources of their runtime.

use std::time::Duration;

use mobula::prelude::*;

use crate::support::{eventually, runtime};

/// Ends in each of the ways there are.
struct Net;

#[remote(resources(gpu = 1))]
impl Net {
    fn new(fails: bool) -> Result<Self, String> {
        match fails {
            true => Err("no device".to_owned()),
            false => Ok(Net),
        }
    }

    fn device(&self) -> (Vec<u32>, Vec<(String, String)>) {
        let context = mobula::context();
        (context.units("gpu"), context.variables())
    }

    fn fail(&mut self) -> Result<(), String> {
        Err("on purpose".to_owned())
    }

    fn die(&mut self) {
        std::process::abort();
    }

    fn exit(&mut self) {
        std::process::exit(0);
    }

    fn endless(&mut self) {
        loop {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    async fn waits(&self, n: &u64) -> u64 {
        *n
    }
}

#[remote(resources(gpu = 1))]
fn task() -> Vec<u32> {
    mobula::context().units("gpu")
}

fn with_gpus(units: u32) -> Runtime {
    let builder = Runtime::builder().workers(2).store_capacity(64 << 20);
    builder.resource("gpu", units).start().unwrap()
}

#[mobula::test]
fn an_actor_and_its_methods_know_the_units() {
    let rt = with_gpus(3);
    let one = rt.spawn_actor(Net::remote(false));
    let two = rt.spawn_actor(Net::remote(false).resource("gpu", 2));
    let variable = |units: &str| vec![("CUDA_VISIBLE_DEVICES".to_owned(), units.to_owned())];
    let devices = (one.device().spawn(), two.device().spawn());
    assert_eq!(devices.0.get().unwrap(), (vec![0], variable("0")));
    assert_eq!(devices.1.get().unwrap(), (vec![1, 2], variable("1,2")));
    // All are held, until one actor has ended.
    let waits = rt.spawn(task::remote());
    let waited = waits.wait_timeout(Duration::from_millis(50));
    assert!(waited.unwrap_err().is_timeout());
    drop(one);
    assert_eq!(waits.get().unwrap(), [0]);
}

#[mobula::test]
fn units_come_back_from_actors_however_they_end() {
    let rt = with_gpus(1);
    let there = || assert_eq!(rt.spawn(task::remote()).get().unwrap(), [0]);
    for round in 0..2 {
        let error = ActorRef::ready(&rt.spawn_actor(Net::remote(true))).unwrap_err();
        assert!(error.to_string().contains("no device"), "{round}: {error}");
        there();
        let net = rt.spawn_actor(Net::remote(false));
        assert!(net.fail().spawn().get().is_err());
        assert_eq!(net.device().spawn().get().unwrap().0, [0]);
        drop(net);
        there();
        let net = rt.spawn_actor(Net::remote(false));
        assert!(net.die().spawn().get().is_err());
        there();
        let exits = rt.spawn_actor(Net::remote(false));
        assert!(exits.exit().spawn().get().is_err());
        there();
        let net = rt.spawn_actor(Net::remote(false));
        let endless = net.endless().spawn();
        let waiting = rt.spawn_actor(Net::remote(false));
        ActorRef::kill(&net);
        assert!(endless.get().is_err());
        assert_eq!(waiting.device().spawn().get().unwrap().0, [0]);
        ActorRef::kill(&waiting);
        there();
    }
}

#[mobula::test]
fn an_actor_that_is_made_anew_has_the_same_units() {
    let rt = with_gpus(2);
    let first = rt.spawn_actor(Net::remote(false));
    ActorRef::ready(&first).unwrap();
    let net = rt.spawn_actor(Net::remote(false).max_restarts(1));
    assert_eq!(net.device().spawn().get().unwrap().0, [1]);
    drop(first);
    let other = rt.spawn(task::remote());
    assert_eq!(other.get().unwrap(), [0]);
    assert!(net.die().spawn().get().is_err());
    assert_eq!(net.device().spawn().get().unwrap().0, [1]);
    drop(net);
    let both = task::remote().resource("gpu", 2);
    assert_eq!(rt.spawn(both).get().unwrap(), [0, 1]);
}

struct Core;

#[remote(num_cpus = 1)]
impl Core {
    fn new() -> Self {
        Core
    }

    fn own_calls(&self, calls: u64) -> u64 {
        let calls = (0..calls).map(|n| twice::remote(n).spawn());
        calls.map(|call| call.get().unwrap()).sum()
    }
}

#[remote]
fn twice(n: u64) -> u64 {
    2 * n
}

#[mobula::test]
fn a_method_that_waits_passes_no_cores_on() {
    let rt = runtime(2);
    let core = rt.spawn_actor(Core::remote());
    assert_eq!(core.own_calls(10).spawn().get().unwrap(), 90);
    drop(core);
    let all = twice::remote(4).num_cpus(2);
    assert_eq!(rt.spawn(all).get().unwrap(), 8);
}

#[mobula::test]
fn actors_wait_for_cores_in_turn() {
    let rt = runtime(2);
    let mut actors: Vec<_> = (0..4).map(|_| rt.spawn_actor(Core::remote())).collect();
    for _ in 0..2 {
        ActorRef::ready(&actors.remove(0)).unwrap();
    }
    for actor in &actors {
        ActorRef::ready(actor).unwrap();
    }
    let plain = rt.spawn(twice::remote(1));
    let waited = plain.wait_timeout(Duration::from_millis(50));
    assert!(waited.unwrap_err().is_timeout());
    drop(actors);
    assert_eq!(plain.get().unwrap(), 2);
}

#[mobula::test]
fn an_actor_takes_its_units_when_its_arguments_are_there() {
    let rt = with_gpus(1);
    let net = rt.spawn_actor(Net::remote(false));
    let waits = net.waits(rt.spawn(twice::remote(4))).spawn();
    assert_eq!(waits.get().unwrap(), 8);
    drop(net);
    eventually("the unit is back", || {
        rt.spawn(task::remote()).get().unwrap() == [0]
    });
}

struct Flaky;

#[remote]
impl Flaky {
    fn new() -> Self {
        Flaky
    }

    fn run(&self, until: u32) -> u32 {
        let attempt = mobula::context().attempt();
        if attempt < until {
            std::process::abort();
        }
        attempt
    }
}

#[mobula::test]
fn a_call_that_runs_again_because_its_actor_says_so_counts_its_attempts() {
    let rt = runtime(1);
    let flaky = rt.spawn_actor(Flaky::remote().max_restarts(5).max_call_retries(2));
    assert_eq!(flaky.run(3).spawn().get().unwrap(), 3);
    assert_eq!(flaky.run(1).spawn().get().unwrap(), 1);
    assert_eq!(flaky.run(2).retries(1).spawn().get().unwrap(), 2);
}
