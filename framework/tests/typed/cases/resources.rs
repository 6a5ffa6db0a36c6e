//! Each engine checks the resources that a call needs.

use mobula::prelude::*;

use super::Rt;

const MANY: u32 = 1;

#[remote(num_cpus = MANY, memory = 4096)]
fn modest() -> u32 {
    1
}

#[remote(num_cpus = 1_000_000.0)]
fn immense() -> u32 {
    2
}

#[remote(resources(unheard_of = 1))]
fn unknown() -> u32 {
    3
}

struct Tally(u32);

#[remote]
impl Tally {
    fn new() -> Tally {
        Tally(0)
    }

    fn add(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

struct Greedy;

#[remote(num_cpus = 1_000_000.0)]
impl Greedy {
    fn new() -> Greedy {
        Greedy
    }

    fn ask(&self, n: u32) -> u32 {
        n + 1
    }
}

fn actors(rt: &Rt) {
    let modest = rt.spawn_actor(Greedy::remote().num_cpus(0.25).memory(1));
    assert_eq!(rt.spawn(modest.ask(1)).get().unwrap(), 2);
    drop(modest);
    for (call, parts) in [
        (Greedy::remote(), ["Greedy::new", "num_cpus", "1000000"]),
        (
            Greedy::remote().num_cpus(1).resource("unheard_of", 1),
            ["Greedy::new", "`unheard_of`", "Runtime::builder()"],
        ),
        (
            Greedy::remote().num_cpus(1).memory(u64::MAX),
            ["Greedy::new", "`memory`", "never"],
        ),
        (
            Greedy::remote().num_cpus(0),
            ["Greedy", "0 of `num_cpus`", "positive"],
        ),
    ] {
        let actor = rt.spawn_actor(call);
        let error = ActorRef::ready(&actor).unwrap_err();
        let text = error.to_string();
        assert!(error.is_usage(), "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert!(rt.spawn(actor.ask(1)).get().is_err());
    }
}

pub(crate) fn all(rt: &Rt) {
    actors(rt);
    assert_eq!(rt.spawn(modest::remote()).get().unwrap(), 1);
    assert_eq!(
        rt.spawn(modest::remote().num_cpus(0.5).memory(1))
            .get()
            .unwrap(),
        1
    );
    assert_eq!(rt.spawn(immense::remote().num_cpus(1)).get().unwrap(), 2);
    let mapped = rt.map((0..10).map(|_| modest::remote())).get().unwrap();
    assert_eq!(mapped, [1; 10]);
    for (call, parts) in [
        (immense::remote(), ["immense", "num_cpus", "1000000"]),
        (
            unknown::remote(),
            ["unknown", "`unheard_of`", "Runtime::builder().resource("],
        ),
        (modest::remote().resource("", 1), ["modest", "``", "never"]),
        (
            modest::remote().memory(u64::MAX),
            ["modest", "`memory`", "never"],
        ),
        (
            modest::remote().num_cpus(0),
            ["modest", "0 of `num_cpus`", "positive"],
        ),
        (
            modest::remote().num_cpus(-2),
            ["modest", "-2 of", "positive"],
        ),
        (
            modest::remote().num_cpus(f64::NAN),
            ["modest", "NaN of", "positive"],
        ),
        (
            modest::remote().num_cpus(f64::INFINITY),
            ["modest", "inf of", "positive"],
        ),
        (
            modest::remote().resource("gpu", 0.00001),
            ["modest", "`gpu`", "0.0001"],
        ),
        (
            modest::remote().memory(0),
            ["modest", "0 of `memory`", "positive"],
        ),
    ] {
        let error = rt.spawn(call).get().unwrap_err();
        let text = error.to_string();
        assert!(error.is_usage(), "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
    let tally = rt.spawn_actor(Tally::remote());
    let error = rt.spawn(tally.add().num_cpus(0.5)).get().unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("methods run"),
        "{error}"
    );
    assert_eq!(rt.spawn(tally.add()).get().unwrap(), 1);
}
