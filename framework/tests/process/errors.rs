//! Errors say what has failed, where and why. A failed call leaves nothing behind.

use std::{error::Error as _, time::Duration};

use mobula::prelude::*;
use serde::{Deserialize, Serialize};

use crate::support::{nothing_is_left, runtime, whole};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
enum Typed {
    #[error("bad value {0}")]
    Bad(i64),
}

#[remote]
fn typed(n: i64) -> Result<i64, Typed> {
    if n < 0 { Err(Typed::Bad(n)) } else { Ok(n) }
}

#[remote]
fn chained(path: &str) -> anyhow::Result<String> {
    use anyhow::Context;
    std::fs::read_to_string(path).with_context(|| format!("reading the settings in {path}"))
}

#[remote]
fn texts() -> Result<(), String> {
    Err("only text".into())
}

#[remote]
fn panics(n: usize) -> usize {
    let numbers = [1, 2, 3];
    numbers[n]
}

#[remote]
fn plus_one(n: i64) -> i64 {
    n + 1
}

#[remote]
fn passes_on(n: i64) -> mobula::Result<i64> {
    plus_one::remote(typed::remote(n).spawn()).spawn().get()
}

#[remote]
fn slow(ms: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(ms));
    ms
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[remote]
fn drops_a_bomb() {
    let _bomb = Bomb;
}

#[remote]
fn panics_with_a_bomb() {
    std::panic::panic_any(Bomb);
}

/// Encodes, but refuses to be decoded.
#[derive(Debug)]
struct OneWay;

impl Serialize for OneWay {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for OneWay {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<OneWay, D::Error> {
        Err(serde::de::Error::custom("this never comes back"))
    }
}

#[remote]
fn takes_one_way(_value: OneWay) -> u8 {
    1
}

#[remote]
fn makes_one_way() -> OneWay {
    OneWay
}

/// Refuses to be encoded.
#[derive(Debug)]
struct NoWay;

impl Serialize for NoWay {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("this does not leave"))
    }
}

impl<'de> Deserialize<'de> for NoWay {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<NoWay, D::Error> {
        Ok(NoWay)
    }
}

#[remote]
fn makes_no_way() -> NoWay {
    NoWay
}

#[remote]
fn nested(value: Option<Option<u8>>, unit: Option<()>) -> (Option<Option<u8>>, Option<()>) {
    (value, unit)
}

#[mobula::test]
fn an_application_error_keeps_text_value_and_chain() {
    let rt = runtime(1);
    let error = rt.spawn(typed::remote(-7)).get().unwrap_err();
    assert!(error.is_application(), "{error}");
    assert!(
        error.to_string().contains("`typed`") && error.to_string().contains("bad value -7"),
        "{error}"
    );
    assert_eq!(error.application::<Typed>(), Some(Typed::Bad(-7)));

    let error = rt
        .spawn(chained::remote("/nowhere/at/all"))
        .get()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("reading the settings in /nowhere/at/all"),
        "{error}"
    );
    assert!(
        error.source().unwrap().to_string().contains("No such file"),
        "{error:?}"
    );

    let error = rt.spawn(texts::remote()).get().unwrap_err();
    assert!(error.to_string().contains("only text"), "{error}");
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_panic_tells_message_place_function_and_process() {
    let rt = runtime(1);
    let error = rt.spawn(panics::remote(5)).get().unwrap_err();
    assert!(error.is_panic());
    let text = error.to_string();
    for part in ["`panics`", "errors.rs:", "index out of bounds", "pid "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(
        rt.spawn(plus_one::remote(1)).get().unwrap(),
        2,
        "the worker goes on"
    );
    nothing_is_left(&rt);
}

#[mobula::test]
fn panics_in_drop_are_errors_too() {
    let rt = runtime(1);
    let pids = rt.worker_pids();
    for call in [drops_a_bomb::remote(), panics_with_a_bomb::remote()] {
        let error = rt.spawn(call).get().unwrap_err();
        assert!(error.is_panic(), "{error}");
    }
    assert_eq!(rt.worker_pids(), pids);
}

#[mobula::test]
fn a_failed_input_fails_dependents_and_names_the_root() {
    let rt = runtime(2);
    let root = rt.spawn(typed::remote(-1));
    let mut last = rt.spawn(plus_one::remote(&root));
    for _ in 0..50 {
        last = rt.spawn(plus_one::remote(&last));
    }
    let error = last.get().unwrap_err();
    assert!(error.is_dependency(), "{error}");
    assert!(
        error.to_string().contains("`plus_one` was not run")
            && error.to_string().contains("`typed` failed")
    );
    assert!(error.root().is_application());
    assert_eq!(error.application::<Typed>(), Some(Typed::Bad(-1)));
    // A task gets the whole error, too.
    let error = rt.spawn(passes_on::remote(-1)).get().unwrap_err();
    assert!(whole(&error).contains("bad value -1"), "{error:?}");
    // And when the input has failed before the dependent is spawned.
    let error = rt.spawn(plus_one::remote(&root)).get().unwrap_err();
    assert!(error.is_dependency());
    drop((root, last));
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_timeout_is_an_error_and_the_result_comes_later() {
    let rt = runtime(1);
    let result = rt.spawn(slow::remote(300));
    assert!(result.get_timeout(Duration::ZERO).unwrap_err().is_timeout());
    assert!(
        result
            .get_timeout(Duration::from_millis(5))
            .unwrap_err()
            .is_timeout()
    );
    assert!(!result.is_ready());
    assert_eq!(result.get_timeout(Duration::MAX).unwrap(), 300);
    assert_eq!(result.get_timeout(Duration::ZERO).unwrap(), 300);
}

#[mobula::test]
fn values_that_do_not_travel_are_errors_not_hangs() {
    let rt = runtime(1);
    let error = rt.spawn(takes_one_way::remote(OneWay)).get().unwrap_err();
    assert!(
        error.to_string().contains("this never comes back"),
        "{error}"
    );
    let error = rt.spawn(makes_one_way::remote()).get().unwrap_err();
    assert!(
        error.is_codec() && error.to_string().contains("this never comes back"),
        "{error}"
    );
    let error = rt.spawn(makes_no_way::remote()).get().unwrap_err();
    assert!(error.to_string().contains("this does not leave"), "{error}");
    assert!(rt.put(&NoWay).unwrap_err().is_codec());
    nothing_is_left(&rt);
}

#[mobula::test]
fn nested_options_keep_their_levels() -> mobula::Result<()> {
    let rt = runtime(1);
    for value in [None, Some(None), Some(Some(3))] {
        for unit in [None, Some(())] {
            assert_eq!(rt.spawn(nested::remote(value, unit)).get()?, (value, unit));
        }
    }
    Ok(())
}

/// A list in which each element has the next one.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Chain(u32, Option<Box<Chain>>);

fn chain(length: u32) -> Chain {
    (1..length).fold(Chain(0, None), |next, n| Chain(n, Some(Box::new(next))))
}

#[remote]
fn makes_a_chain(length: u32) -> Chain {
    chain(length)
}

#[mobula::test]
fn a_value_that_nests_too_deep_is_an_error_with_the_limit() {
    let rt = runtime(1);
    // Each `Some` is a level, and each tuple.
    assert_eq!(rt.put(&chain(64)).unwrap().get().unwrap(), chain(64));
    assert_eq!(makes_a_chain::remote(64).spawn().get().unwrap(), chain(64));
    let errors = [
        rt.put(&chain(66)).unwrap_err(),
        makes_a_chain::remote(66).spawn().get().unwrap_err(),
    ];
    for error in errors {
        assert!(error.is_codec(), "{error:?}");
        let text = whole(&error);
        assert!(
            text.contains("more than 128 levels deep") && text.contains("`Vec`"),
            "{text}"
        );
    }
    nothing_is_left(&rt);
}
