//! Tests of actors whose calls are held back, of several runtimes, and of options for the engine.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mobula_protocol::{ActorOptions, Amount, Registry, Resources, Role};

use super::Rt;
use crate::{ActorPool, ActorRef, Map, remote};

/// Returns the `retries` of each call since the last look.
fn retries(rt: &Rt) -> Vec<Option<u32>> {
    let options = rt.options().into_iter();
    options.map(|options| options.retries).collect()
}

fn needs(demands: &[(&str, f64)]) -> Resources {
    let mut resources = Resources::None;
    for (name, amount) in demands {
        resources.set(name, Amount::checked(*amount));
    }
    resources
}

struct Tally(u64);

#[remote(
    max_restarts = 3,
    max_call_retries = 2,
    max_concurrency = 5,
    max_pending_calls = 50,
    groups = [("io", 2)],
    grace = Duration::from_millis(20),
    num_cpus = 0.5
)]
impl Tally {
    fn new(start: u64) -> Self {
        Tally(start)
    }

    fn add(&mut self, n: u64) -> u64 {
        self.0 += n;
        self.0
    }

    #[remote(group = "io")]
    fn read(&self) -> u64 {
        self.0
    }

    #[remote(group = "cpu", retries = 1)]
    async fn work(&self) -> u64 {
        self.0
    }
}

#[test]
fn options_of_the_block_and_of_the_call_arrive() {
    let rt = Rt::start();
    let given = rt.options_of(&rt.spawn_actor(Tally::remote(0)));
    let groups = |io: u32, cpu: u32| vec![("io".to_owned(), io), ("cpu".to_owned(), cpu)];
    let of_block = ActorOptions {
        name: None,
        max_restarts: 3,
        max_call_retries: 2,
        max_concurrency: 5,
        groups: groups(2, 1),
        max_pending_calls: Some(50),
        grace: Duration::from_millis(20),
        resources: needs(&[("num_cpus", 0.5)]),
        node: None,
    };
    assert_eq!(given, of_block);
    let call = Tally::remote(0)
        .name("tally")
        .max_restarts(1)
        .max_call_retries(0)
        .max_concurrency(9)
        .group("cpu", 4)
        .max_pending_calls(6)
        .grace(Duration::ZERO)
        .num_cpus(0.25)
        .memory(7)
        .node(&mobula_protocol::node());
    let of_call = ActorOptions {
        name: Some("tally".to_owned()),
        max_restarts: 1,
        max_call_retries: 0,
        max_concurrency: 9,
        groups: groups(2, 4),
        max_pending_calls: Some(6),
        grace: Duration::ZERO,
        resources: needs(&[("num_cpus", 0.25), ("memory", 7.0)]),
        node: Some(mobula_protocol::node().into()),
    };
    assert_eq!(rt.options_of(&rt.spawn_actor(call)), of_call);
}

#[test]
fn retries_are_those_of_the_call_the_method_or_the_actor() {
    let rt = Rt::start();
    let tally = rt.spawn_actor(Tally::remote(0));
    for call in [
        tally.add(1),
        tally.work(),
        tally.add(1).retries(7),
        tally.work().retries(0),
        tally.add(1).retries(u32::MAX),
    ] {
        call.spawn().get().unwrap();
    }
    assert_eq!(
        retries(&rt),
        [None, Some(1), Some(7), Some(0), Some(u32::MAX)]
    );
}

#[test]
fn the_registry_knows_what_each_function_is() {
    let registry = Registry::get().unwrap();
    let role = |wanted: &str| {
        let functions = (0..registry.len()).map(|n| mobula_protocol::FunctionIndex(n as u32));
        let found: Vec<_> = functions
            .filter_map(|index| registry.function(index))
            .filter(|function| {
                function.name == wanted && function.module.ends_with("control_of_actors")
            })
            .collect();
        assert_eq!(found.len(), 1, "{wanted}");
        (found[0].role, found[0].asynchronous)
    };
    let method = |exclusive, group| Role::Method { exclusive, group };
    assert_eq!(
        role("Tally::new"),
        (Role::Constructor { bound: false }, false)
    );
    assert_eq!(role("Tally::add"), (method(true, None), false));
    assert_eq!(role("Tally::read"), (method(false, Some("io")), false));
    assert_eq!(role("Tally::work"), (method(false, Some("cpu")), true));
}

#[test]
fn calls_wait_for_the_constructor() {
    let rt = Rt::start();
    rt.hold();
    let tally = rt.spawn_actor(Tally::remote(3));
    let sum = tally.add(1).spawn();
    assert!(!ActorRef::is_ready(&tally) && !sum.is_ready());
    let error = ActorRef::ready_timeout(&tally, Duration::from_millis(1)).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    rt.run_held();
    ActorRef::ready(&tally).unwrap();
    assert_eq!(sum.get().unwrap(), 4);
}

#[test]
fn an_actor_lives_until_its_last_call_has_run() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);

    struct Dropped(u64);

    impl Drop for Dropped {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[remote]
    impl Dropped {
        fn new() -> Self {
            Dropped(7)
        }

        fn value(&self) -> u64 {
            self.0
        }
    }

    let rt = Rt::start();
    let actor = rt.spawn_actor(Dropped::remote());
    let copy = actor.clone();
    rt.hold();
    let value = actor.value().spawn();
    drop((actor, copy));
    assert_eq!(DROPS.load(Ordering::SeqCst), 0);
    rt.run_held();
    assert_eq!(value.get().unwrap(), 7);
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
    drop(value);
    assert_eq!(rt.object_count(), 0);
}

#[test]
fn a_kill_fails_calls_that_wait() {
    let rt = Rt::start();
    let tally = rt.spawn_actor(Tally::remote(3));
    rt.hold();
    let waiting = tally.add(1).spawn();
    ActorRef::kill(&tally);
    rt.run_held();
    assert!(waiting.get().unwrap_err().is_actor_dead());
}

#[test]
fn actors_of_two_runtimes_do_not_mix() {
    let (one, two) = (Rt::start(), Rt::aside());
    let tally = two.spawn_actor(Tally::remote(1));
    // The calls of an actor run on the actor's runtime.
    assert_eq!(tally.add(1).spawn().get().unwrap(), 2);
    let error = one.spawn(tally.add(1)).get().unwrap_err();
    assert!(error.is_usage(), "{error:?}");
    let number = one.put(&1_u64).unwrap();
    let error = tally.add(&number).spawn().get().unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("two runtimes"),
        "{error}"
    );
    let other = two.spawn_actor(Tally::remote(&number));
    assert!(ActorRef::ready(&other).unwrap_err().is_usage());
    assert!(one.put(&tally).unwrap_err().is_usage());
}

#[test]
fn a_handle_outlives_its_runtime() {
    let rt = Rt::start();
    let tally = rt.spawn_actor(Tally::remote(1));
    drop(rt);
    assert!(tally.add(1).spawn().get().unwrap_err().is_shutdown());
    ActorRef::kill(&tally);
    let nowhere = Tally::remote(1).spawn();
    assert!(ActorRef::ready(&nowhere).unwrap_err().is_usage());
    assert!(nowhere.read().spawn().get().unwrap_err().is_actor_dead());
}

#[test]
fn calls_of_actors_go_one_by_one_through_a_map() {
    let rt = Rt::start();
    let tally = rt.spawn_actor(Tally::remote(0));
    let calls = (0..200).map(|n| tally.add(n));
    let sums = Map::new(rt.engine(), calls).get().unwrap();
    assert_eq!(sums.last(), Some(&(199 * 200 / 2)));
    assert_eq!(retries(&rt), [None; 200]);
}

#[test]
fn a_pool_gives_each_actor_one_call_at_a_time() {
    let rt = Rt::start();
    let actors: Vec<_> = (0..3).map(|_| rt.spawn_actor(Tally::remote(0))).collect();
    retries(&rt);
    let mut pool = ActorPool::new(actors);
    rt.hold();
    for n in 0..10 {
        pool.submit(|actor, n| actor.add(n), n);
    }
    assert_eq!(retries(&rt).len(), 3);
    assert!(!pool.has_idle());
    let late = pool.get_next_timeout(Duration::from_millis(1));
    assert!(late.unwrap().unwrap_err().is_timeout());
    let late = pool.get_next_unordered_timeout(Duration::ZERO);
    assert!(late.unwrap().unwrap_err().is_timeout());
    rt.run_held();
    let mut results = Vec::new();
    while let Some(result) = pool.get_next() {
        results.push(result.unwrap());
    }
    assert_eq!(results.len(), 10);
    assert_eq!(results[0], 0);
}

#[test]
fn a_map_that_is_dropped_leaves_its_actors_to_others() {
    let rt = Rt::start();
    let mut pool = ActorPool::new([rt.spawn_actor(Tally::remote(0))]);
    pool.submit(|actor, n| actor.add(n), 5);
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = taken.clone();
    let items = (1..).inspect(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let mut map = pool.map(|actor, n| actor.add(n), items);
    assert_eq!(map.next().unwrap().unwrap(), 6);
    drop(map);
    assert!(
        taken.load(Ordering::SeqCst) <= 65,
        "items are taken as they are needed"
    );
    assert_eq!(pool.get_next().unwrap().unwrap(), 5);
    assert!(pool.get_next().is_none());
    assert!(pool.has_idle());
}
