//! Actors: their methods, their handles, their names.

use std::{
    collections::{HashMap, HashSet},
    future::ready,
    time::Duration,
};

use mobula::{Array, prelude::*};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Rt;

pub(crate) fn all(rt: &Rt) {
    methods_change_and_read_the_value(rt);
    the_type_stays_an_ordinary_one();
    arguments_are_those_of_remote_functions(rt);
    results_are_those_of_remote_functions(rt);
    a_constructor_may_fail_or_wait(rt);
    calls_of_an_actor_that_could_not_be_made_tell_why(rt);
    a_panic_leaves_the_actor_alive(rt);
    handles_travel(rt);
    handles_are_equal_if_they_are_of_one_actor(rt);
    a_handle_of_another_type_does_not_arrive(rt);
    names_find_actors(rt);
    a_killed_actor_tells_that(rt);
    options_that_cannot_be_are_errors(rt);
    modules_and_visibilities_are_those_of_the_methods(rt);
    local_types_can_be_actors(rt);
    parameters_may_stand_under_a_condition(rt);
}

pub(crate) async fn all_async(rt: &Rt) -> mobula::Result<()> {
    let counter = rt.spawn_actor(Counter::remote(1));
    ActorRef::when_ready(&counter).await?;
    assert_eq!(counter.add(2).spawn().await?, 3);
    let bad = rt.spawn_actor(Checked::remote(-1));
    let error = ActorRef::when_ready(&bad).await.unwrap_err();
    assert_eq!(error.application::<Refused>(), Some(Refused { n: -1 }));
    Ok(())
}

pub(super) struct Counter {
    n: u64,
    seen: Vec<Array<f64>>,
    friend: Option<ActorRef<Counter>>,
}

/// Attributes between `#[remote]` and the block stay.
#[remote(max_restarts = 2, max_concurrency = 1 + 3, groups = [("io", 2)], grace = Duration::from_secs(Self::GRACE))]
#[allow(clippy::needless_arbitrary_self_type)]
impl Counter {
    /// Docs and other attributes stay.
    pub(super) fn new(start: u64) -> Self {
        Counter {
            n: start,
            seen: Vec::new(),
            friend: None,
        }
    }

    /// Docs of a method.
    pub(super) fn add(&mut self, n: u64) -> u64 {
        self.n += n;
        self.n
    }

    pub(super) fn peek(&self) -> u64 {
        self.n
    }

    fn over(&self, data: &[f64], text: &str) -> f64 {
        data.iter().sum::<f64>() + text.len() as f64
    }

    /// Where the borrowed elements lie.
    fn address(&self, data: &[f64]) -> usize {
        data.as_ptr() as usize
    }

    fn keep(&mut self, array: Array<f64>) -> usize {
        self.seen.push(array);
        self.seen.len()
    }

    fn seen(&self) -> Vec<Array<f64>> {
        self.seen.clone()
    }

    async fn slow(&self, n: u64) -> u64 {
        ready(()).await;
        self.n + n
    }

    async fn slow_add(&mut self, n: u64) -> u64 {
        self.n += n;
        ready(()).await;
        self.n
    }

    #[remote(group = "io", retries = Self::TRIES)]
    fn save(&self, allow: bool) -> Result<u64, Refused> {
        match allow {
            true => Ok(self.n),
            false => Err(Refused { n: self.n as i64 }),
        }
    }

    #[remote]
    fn panics(&mut self) {
        self.n += 1;
        panic!("in the middle");
    }

    fn snapshot(self: &Self, _: ()) -> Snapshot {
        Snapshot { n: self.n }
    }

    fn set(&mut self, snapshot: &Snapshot) {
        self.n = snapshot.n;
    }

    fn befriend(&mut self, friend: ActorRef<Self>) {
        self.friend = Some(friend);
    }

    fn friend(&self) -> Option<ActorRef<Counter>> {
        self.friend.clone()
    }

    fn add_at_friend(&self, n: u64) -> mobula::Result<u64> {
        match &self.friend {
            Some(friend) => friend.add(n).spawn().get(),
            None => Ok(0),
        }
    }

    #[cfg(any())]
    fn not_there(&self, never: NoType) {}

    #[deprecated = "for the sake of the test"]
    fn r#type<'a>(&'a self, r#fn: &'a str) -> String {
        r#fn.to_owned()
    }

    // Methods may have the names of associated functions of refs.
    fn name(&self) -> String {
        "mine".to_owned()
    }
    fn kill(&mut self) {}
    fn get(&self) -> u64 {
        self.n
    }
    fn handle(&self) -> u64 {
        self.n
    }
    fn of(&self) -> u64 {
        self.n
    }
}

/// Items that are no remote methods stand in a block of their own.
impl Counter {
    const GRACE: u64 = 7;
    const TRIES: u32 = 3;

    fn zero() -> Counter {
        Counter::new(0)
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    n: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{n} is refused")]
pub(super) struct Refused {
    n: i64,
}

struct Checked(u64);

#[remote]
impl Checked {
    async fn new(n: i64) -> Result<Self, Refused> {
        ready(()).await;
        match u64::try_from(n) {
            Ok(n) => Ok(Checked(n)),
            Err(_) => Err(Refused { n }),
        }
    }

    fn value(&self) -> u64 {
        self.0
    }
}

struct PanicsAtOnce;

#[remote]
impl PanicsAtOnce {
    fn new() -> PanicsAtOnce {
        panic!("no such actor")
    }

    fn method(&self) {}
}

#[remote]
fn use_counter(counter: ActorRef<Counter>, n: u64) -> mobula::Result<u64> {
    counter.add(n).spawn().get()
}

#[remote]
fn use_counters(counters: &HashMap<String, ActorRef<Counter>>) -> mobula::Result<u64> {
    let calls = counters.values().map(|counter| counter.peek().spawn());
    calls.map(|n| n.get()).sum()
}

#[remote]
fn make_counter(start: u64) -> ActorRef<Counter> {
    Counter::remote(start).name("made in a task").spawn()
}

fn methods_change_and_read_the_value(rt: &Rt) {
    let counter = rt.spawn_actor(Counter::remote(5));
    ActorRef::ready(&counter).unwrap();
    ActorRef::ready_timeout(&counter, Duration::ZERO).unwrap();
    assert!(ActorRef::is_ready(&counter));
    let sum: ObjectRef<u64> = counter.add(2).spawn();
    assert_eq!(sum.get().unwrap(), 7);
    let call: UnspawnedCall<u64> = counter.add(3);
    assert_eq!(counter.peek().spawn().get().unwrap(), 7);
    assert_eq!(rt.spawn(call).get().unwrap(), 10);
    assert_eq!(counter.slow(1).spawn().get().unwrap(), 11);
    assert_eq!(counter.slow_add(1).spawn().get().unwrap(), 11);
    let sums = rt.spawn_all((0..3).map(|n| counter.add(n)));
    assert_eq!(rt.get(&sums).unwrap(), [11, 12, 14]);
    // Another actor of the type has a value of its own.
    let other = Counter::remote(0).spawn();
    assert_eq!(other.add(1).spawn().get().unwrap(), 1);
    assert_eq!(counter.peek().spawn().get().unwrap(), 14);
}

fn the_type_stays_an_ordinary_one() {
    let mut counter = Counter::zero();
    assert_eq!(counter.add(2) + counter.peek(), 4);
    let method: fn(&mut Counter, u64) -> u64 = Counter::add;
    assert_eq!(method(&mut counter, 1), 3);
}

fn arguments_are_those_of_remote_functions(rt: &Rt) {
    let counter = rt.spawn_actor(Counter::remote(rt.put(&1_u64).unwrap()));
    let data = rt.put(&vec![1.0; 10_000]).unwrap();
    assert_eq!(counter.over(&data, "abc").spawn().get().unwrap(), 10_003.0);
    assert_eq!(
        counter
            .over(vec![1.0, 2.0], String::from("a"))
            .spawn()
            .get()
            .unwrap(),
        4.0
    );
    assert_ne!(counter.address(&data).spawn().get().unwrap(), 0);
    // A result of one method is an argument of the next, without a wait in between.
    let first = counter.add(1).spawn();
    assert_eq!(counter.add(&first).spawn().get().unwrap(), 4);
    assert_eq!(counter.keep(&data).spawn().get().unwrap(), 1);
    drop(data);
    let seen = counter.seen().spawn().get().unwrap();
    assert_eq!(seen[0].len(), 10_000);
    assert_eq!(
        counter.snapshot(()).spawn().get().unwrap(),
        Snapshot { n: 4 }
    );
    counter.set(Snapshot { n: 9 }).spawn().wait().unwrap();
    assert_eq!(counter.peek().spawn().get().unwrap(), 9);
    #[allow(deprecated)]
    let text = counter.r#type("raw").spawn().get().unwrap();
    assert_eq!(text, "raw");
    assert_eq!(counter.name().spawn().get().unwrap(), "mine");
    counter.kill().spawn().wait().unwrap();
    let numbers = [counter.get(), counter.handle(), counter.of()];
    assert_eq!(rt.get(rt.spawn_all(numbers)).unwrap(), [9, 9, 9]);
    assert_eq!(ActorRef::name(&counter), None);
}

fn results_are_those_of_remote_functions(rt: &Rt) {
    let counter = rt.spawn_actor(Counter::remote(1));
    assert_eq!(counter.save(true).spawn().get().unwrap(), 1);
    let error = counter.save(false).spawn().get().unwrap_err();
    assert!(error.is_application(), "{error:?}");
    assert_eq!(error.application::<Refused>(), Some(Refused { n: 1 }));
    assert!(error.to_string().contains("Counter::save"), "{error}");
}

fn a_constructor_may_fail_or_wait(rt: &Rt) {
    let good = rt.spawn_actor(Checked::remote(3));
    assert_eq!(good.value().spawn().get().unwrap(), 3);
    let bad = rt.spawn_actor(Checked::remote(-3));
    let error = ActorRef::ready(&bad).unwrap_err();
    assert!(error.is_application(), "{error:?}");
    let error = bad.value().spawn().get().unwrap_err();
    assert!(error.is_actor_dead(), "{error:?}");
    assert_eq!(error.application::<Refused>(), Some(Refused { n: -3 }));
    assert!(error.to_string().contains("-3 is refused"), "{error}");
    let error = PanicsAtOnce::remote()
        .spawn()
        .method()
        .spawn()
        .get()
        .unwrap_err();
    assert!(
        error.is_actor_dead() && error.root().is_panic(),
        "{error:?}"
    );
}

fn calls_of_an_actor_that_could_not_be_made_tell_why(rt: &Rt) {
    let counter = rt.spawn_actor(Counter::remote(rt.spawn(no_number::remote())));
    let error = counter.peek().spawn().get().unwrap_err();
    assert!(error.is_actor_dead(), "{error:?}");
    assert!(error.root().to_string().contains("no number"), "{error:?}");
}

#[remote]
fn no_number() -> Result<u64, String> {
    Err("no number".to_owned())
}

fn a_panic_leaves_the_actor_alive(rt: &Rt) {
    let counter = rt.spawn_actor(Counter::remote(1));
    let error = counter.panics().spawn().get().unwrap_err();
    assert!(error.is_panic() && !error.is_actor_dead(), "{error:?}");
    assert_eq!(counter.peek().spawn().get().unwrap(), 2);
}

fn handles_travel(rt: &Rt) {
    let counter = rt.spawn_actor(Counter::remote(1));
    assert_eq!(use_counter::remote(&counter, 2).spawn().get().unwrap(), 3);
    assert_eq!(
        use_counter::remote(counter.clone(), 2)
            .spawn()
            .get()
            .unwrap(),
        5
    );
    let other = rt.spawn_actor(Counter::remote(100));
    let map = HashMap::from([("a".to_owned(), counter.clone()), ("b".to_owned(), other)]);
    assert_eq!(use_counters::remote(&map).spawn().get().unwrap(), 105);
    let stored = rt.put(&map).unwrap();
    drop(map);
    let back = stored.get().unwrap();
    assert_eq!(back["a"], counter);
    assert_eq!(back["b"].peek().spawn().get().unwrap(), 100);

    let made = rt.spawn(make_counter::remote(7)).get().unwrap();
    assert_eq!(ActorRef::name(&made), Some("made in a task"));
    assert_eq!(made.peek().spawn().get().unwrap(), 7);

    counter.befriend(&made).spawn().wait().unwrap();
    assert_eq!(counter.friend().spawn().get().unwrap(), Some(made.clone()));
    assert_eq!(counter.add_at_friend(1).spawn().get().unwrap(), 8);
    assert_eq!(made.peek().spawn().get().unwrap(), 8);
}

fn handles_are_equal_if_they_are_of_one_actor(rt: &Rt) {
    fn can_be_sent<T: Send + Sync + 'static>(_: &T) {}
    let (one, two) = (
        rt.spawn_actor(Counter::remote(1)),
        rt.spawn_actor(Counter::remote(1)),
    );
    can_be_sent(&one);
    can_be_sent(&Counter::remote(1));
    can_be_sent(&ActorRef::when_ready(&one));
    assert!(one == one.clone() && one != two);
    assert!(ActorRef::id(&one) == ActorRef::id(&one.clone()));
    assert!(ActorRef::id(&one) != ActorRef::id(&two));
    assert_eq!(
        HashSet::from([one.clone(), two.clone(), one.clone()]).len(),
        2
    );
    let text = format!("{one:?}");
    assert!(text.contains("Counter"), "{text}");
    let call = format!("{:?} {:?}", one.add(1), one.add(1).retries(2));
    assert!(
        call.contains("Counter::add") && call.contains("retries: Some(2)"),
        "{call}"
    );
    let call = format!("{:?}", Counter::remote(1).name("x"));
    for part in [
        "Counter::new",
        "max_restarts: 2",
        "max_concurrency: 4",
        "7s",
        "\"x\"",
    ] {
        assert!(call.contains(part), "{part}: {call}");
    }
}

/// Writes a handle of one type and reads one of another.
enum Lies {
    Counter(ActorRef<Counter>),
    Checked,
}

impl Serialize for Lies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Lies::Counter(counter) => counter.serialize(serializer),
            Lies::Checked => serializer.serialize_none(),
        }
    }
}

impl<'de> Deserialize<'de> for Lies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Lies, D::Error> {
        <ActorRef<Checked>>::deserialize(deserializer).map(|_| Lies::Checked)
    }
}

fn a_handle_of_another_type_does_not_arrive(rt: &Rt) {
    let counter = rt.spawn_actor(Counter::remote(1));
    let stored = rt.put(&Lies::Counter(counter)).unwrap();
    assert!(stored.get().err().unwrap().is_codec());
}

#[remote]
fn peeks_by_name(name: &str) -> mobula::Result<u64> {
    let rt = Runtime::current()?;
    let found = rt.actor::<Counter>(name)?;
    let same = rt.get_or_create_actor(Counter::remote(99).name(name))?;
    assert_eq!(found, same);
    found.peek().spawn().get()
}

fn names_find_actors(rt: &Rt) {
    assert!(rt.actor::<Counter>("nobody").unwrap_err().is_usage());
    let counter = rt.spawn_actor(Counter::remote(1).name("somebody"));
    assert_eq!(ActorRef::name(&counter), Some("somebody"));
    let found = rt.actor::<Counter>("somebody").unwrap();
    assert_eq!(found, counter);
    assert_eq!(ActorRef::name(&found), Some("somebody"));
    assert_eq!(
        rt.spawn(peeks_by_name::remote("somebody")).get().unwrap(),
        1
    );
    let error = rt.actor::<Checked>("somebody").unwrap_err();
    assert!(error.is_type_mismatch(), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("Counter") && text.contains("Checked"),
        "{text}"
    );

    let second = rt.spawn_actor(Counter::remote(2).name("somebody"));
    let error = second.peek().spawn().get().unwrap_err();
    assert!(
        error.is_actor_dead() && error.root().is_usage(),
        "{error:?}"
    );
    let same = rt
        .get_or_create_actor(Counter::remote(3).name("somebody"))
        .unwrap();
    assert_eq!(same, counter);
    let new = Counter::remote(3)
        .name("somebody else")
        .get_or_create()
        .unwrap();
    assert_eq!(new.peek().spawn().get().unwrap(), 3);
    assert!(
        rt.get_or_create_actor(Checked::remote(1))
            .unwrap_err()
            .is_usage()
    );
    let error = rt
        .get_or_create_actor(Checked::remote(-1).name("refused"))
        .unwrap_err();
    assert!(error.is_application(), "{error:?}");
    assert!(rt.actor::<Checked>("refused").unwrap_err().is_usage());

    drop((counter, found, same));
    assert!(rt.actor::<Counter>("somebody").unwrap_err().is_usage());
    let _other = rt
        .get_or_create_actor(Checked::remote(1).name("somebody"))
        .unwrap();
}

fn a_killed_actor_tells_that(rt: &Rt) {
    let counter = rt.spawn_actor(Counter::remote(1).name("victim"));
    assert_eq!(counter.add(1).spawn().get().unwrap(), 2);
    ActorRef::kill(&counter);
    ActorRef::kill(&counter);
    let error = counter.add(1).spawn().get().unwrap_err();
    assert!(error.is_actor_dead(), "{error:?}");
    assert!(error.to_string().contains("killed"), "{error}");
    assert!(rt.actor::<Counter>("victim").unwrap_err().is_usage());
}

fn options_that_cannot_be_are_errors(rt: &Rt) {
    for (call, part) in [
        (Counter::remote(1).max_concurrency(0), "max_concurrency"),
        (Counter::remote(1).max_pending_calls(0), "max_pending_calls"),
        (Counter::remote(1).group("io", 0), "io"),
        (Counter::remote(1).group("oi", 1), "\"oi\""),
        (Counter::remote(1).name(""), "name"),
    ] {
        let actor = rt.spawn_actor(call);
        let error = ActorRef::ready(&actor).unwrap_err();
        assert!(
            error.is_usage() && error.to_string().contains(part),
            "{error}"
        );
        let error = actor.peek().spawn().get().unwrap_err();
        assert!(error.is_actor_dead(), "{error:?}");
        ActorRef::kill(&actor);
    }
    let error = Counter::remote(1).name("").get_or_create().unwrap_err();
    assert!(error.is_usage(), "{error}");
}

mod inner {
    //! A module of its own.

    use mobula::prelude::*;

    pub(in super::super) mod deep {
        //! Where the type is.
        #[allow(unreachable_pub)]
        pub struct Elsewhere(pub(super) u32);
    }

    #[remote]
    impl deep::Elsewhere {
        pub(in super::super) fn new(n: u32) -> deep::Elsewhere {
            deep::Elsewhere(n)
        }

        pub(super) fn visible(&self) -> u32 {
            self.hidden_locally()
        }

        fn only_here(&self) -> u32 {
            self.0 + 1
        }
    }

    impl deep::Elsewhere {
        fn hidden_locally(&self) -> u32 {
            self.0
        }
    }

    pub(super) fn call(actor: &ActorRef<deep::Elsewhere>) -> mobula::Result<u32> {
        actor.only_here().spawn().get()
    }
}

fn modules_and_visibilities_are_those_of_the_methods(rt: &Rt) {
    let actor = rt.spawn_actor(inner::deep::Elsewhere::remote(4));
    assert_eq!(actor.visible().spawn().get().unwrap(), 4);
    assert_eq!(inner::call(&actor).unwrap(), 5);
}

macro_rules! make {
    ($name:ident, $element:ty, $method:ident) => {
        struct $name($element);

        #[remote]
        impl $name {
            fn new(x: $element) -> Result<$name, String> {
                Ok($name(x))
            }

            fn $method(&mut self, x: &[$element]) -> Vec<$element> {
                let first = std::mem::replace(&mut self.0, x[0]);
                vec![first]
            }
        }
    };
}

make!(Floats, f64, swap);

fn local_types_can_be_actors(rt: &Rt) {
    struct Local {
        word: String,
    }

    #[remote]
    impl Local {
        fn new(word: &str) -> Self {
            Self {
                word: word.to_owned(),
            }
        }

        fn word(&self) -> String {
            self.word.clone()
        }
    }

    let local = rt.spawn_actor(Local::remote("here"));
    assert_eq!(local.word().spawn().get().unwrap(), "here");
    let floats = rt.spawn_actor(Floats::remote(1.5));
    assert_eq!(floats.swap(&[2.5]).spawn().get().unwrap(), [1.5]);
    assert_eq!(floats.swap([3.5].as_slice()).spawn().get().unwrap(), [2.5]);
}

fn parameters_may_stand_under_a_condition(rt: &Rt) {
    struct OfThisPlatform(u32);

    #[remote]
    impl OfThisPlatform {
        fn new(#[cfg(windows)] _handle: usize, #[cfg(target_os = "linux")] start: u32) -> Self {
            OfThisPlatform(start)
        }

        #[cfg_attr(target_os = "linux", remote(retries = 1))]
        fn times(&self, #[cfg(windows)] _handle: usize, n: u32) -> u32 {
            self.0 * n
        }

        #[cfg_attr(windows, deprecated)]
        fn add(&mut self, n: u32, #[cfg(target_os = "linux")] m: u32) -> u32 {
            self.0 += n + m;
            self.0
        }
    }

    let actor = rt.spawn_actor(OfThisPlatform::remote(3));
    assert_eq!(actor.times(4).spawn().get().unwrap(), 12);
    assert_eq!(actor.add(1, 2).spawn().get().unwrap(), 6);
}
