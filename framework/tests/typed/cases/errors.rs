//! The way of a function's `Err` to its caller.

use std::{collections::HashSet, error::Error as StdError, fmt};

use mobula::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Rt, functions::*};

pub(crate) fn all(rt: &Rt) {
    an_error_arrives_with_chain_and_value();
    errors_of_all_kinds_arrive_as_text();
    an_error_of_ours_stays_what_it_was();
    dependents_are_not_run(rt);
    panics_are_told();
    refs_of_failed_calls_work_as_keys();
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("bad value {0}")]
pub(super) struct Bad(i64);

#[remote]
fn typed(x: i64) -> Result<i64, Bad> {
    if x < 0 { Err(Bad(x)) } else { Ok(x) }
}

#[remote]
fn chained(x: i64) -> anyhow::Result<i64> {
    use anyhow::Context;
    typed(x).context("inner").context("outer")
}

#[remote]
pub(super) fn fails(message: &str) -> Result<f64, String> {
    Err(message.to_owned())
}

#[remote]
fn boxed(message: &str) -> Result<(), Box<dyn StdError>> {
    Err(message)?
}

#[remote]
fn boxed_send(message: &str) -> Result<(), Box<dyn StdError + Send + Sync>> {
    Err(message)?
}

#[remote]
fn unit_error() -> Result<u8, ()> {
    Err(())
}

#[remote]
fn read(path: &str) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}

#[remote]
fn format_error() -> fmt::Result {
    Err(fmt::Error)
}

struct Silent;

#[remote]
fn silent() -> Result<(), Silent> {
    Err(Silent)
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wordless {
    code: u32,
}

#[remote]
fn wordless() -> Result<(), Wordless> {
    Err(Wordless { code: 7 })
}

#[remote]
fn own(x: f64) -> mobula::Result<f64> {
    fails::remote("deep").spawn().get()?;
    Ok(x)
}

#[remote]
fn own_boxed() -> Result<f64, Box<dyn StdError>> {
    Ok(fails::remote("deep").spawn().get()?)
}

#[remote]
fn panics(message: &str) -> u8 {
    panic!("{message}")
}

fn an_error_arrives_with_chain_and_value() {
    assert_eq!(typed::remote(5).spawn().get().unwrap(), 5);
    let error = typed::remote(-1).spawn().get().unwrap_err();
    assert!(error.is_application());
    assert!(error.to_string().ends_with("bad value -1"), "{error}");
    assert!(error.to_string().contains("`typed`"), "{error}");
    assert_eq!(error.application::<Bad>(), Some(Bad(-1)));
    assert_eq!(error.application::<String>(), None);

    let error = chained::remote(-2).spawn().get().unwrap_err();
    let text = format!("{error:#}");
    assert!(text.ends_with("outer: inner: bad value -2"), "{text}");
    assert_eq!(error.root().to_string(), "bad value -2");
    assert_eq!(error.application::<Bad>(), None);
}

fn errors_of_all_kinds_arrive_as_text() {
    let error = fails::remote("plain").spawn().get().unwrap_err();
    assert!(error.to_string().ends_with("plain"), "{error}");
    assert_eq!(error.application::<String>().as_deref(), Some("plain"));
    for (error, text) in [
        (boxed::remote("boxed").spawn().get().unwrap_err(), "boxed"),
        (
            boxed_send::remote("send").spawn().get().unwrap_err(),
            "send",
        ),
        (unit_error::remote().spawn().get().unwrap_err(), "()"),
        (
            read::remote("/there/is/no/such/file")
                .spawn()
                .get()
                .unwrap_err(),
            "(os error 2)",
        ),
        (
            format_error::remote().spawn().get().unwrap_err(),
            &fmt::Error.to_string(),
        ),
        (
            wordless::remote().spawn().get().unwrap_err(),
            "Wordless { code: 7 }",
        ),
    ] {
        assert!(
            error.is_application() && error.to_string().ends_with(text),
            "{error}"
        );
    }
    let error = silent::remote().spawn().get().unwrap_err();
    assert!(error.to_string().contains("Silent"), "{error}");
    let error = wordless::remote().spawn().get().unwrap_err();
    assert_eq!(error.application::<Wordless>(), Some(Wordless { code: 7 }));
    assert!(
        unit_error::remote()
            .spawn()
            .get()
            .unwrap_err()
            .application::<()>()
            .is_some()
    );
}

fn an_error_of_ours_stays_what_it_was() {
    for error in [
        own::remote(1.0).spawn().get().unwrap_err(),
        own_boxed::remote().spawn().get().unwrap_err(),
    ] {
        assert!(error.is_application(), "{error:?}");
        assert!(error.root().to_string().ends_with("deep"), "{error:?}");
        assert_eq!(error.application::<String>().as_deref(), Some("deep"));
    }
}

fn dependents_are_not_run(rt: &Rt) {
    let bad = fails::remote("the first").spawn();
    let sum = rt.spawn(add::remote(&bad, 1.0));
    let again = rt.spawn(add::remote(&sum, &sum));
    for result in [&sum, &again] {
        let error = result.get().unwrap_err();
        assert!(
            error.is_dependency() && !error.is_application(),
            "{error:?}"
        );
        assert!(error.root().to_string().ends_with("the first"), "{error:?}");
    }
    assert!(
        sum_all::remote(&[sum, again])
            .spawn()
            .get()
            .unwrap_err()
            .is_dependency()
    );
    // The chain of causes does not grow with the chain of calls.
    let mut last = bad;
    for _ in 0..200 {
        last = rt.spawn(add::remote(&last, 1.0));
    }
    let error = last.get().unwrap_err();
    assert!(error.is_dependency(), "{error:?}");
    assert!(error.root().to_string().ends_with("the first"), "{error:?}");
    assert!(error.to_string().len() < 1000, "{error}");
}

fn panics_are_told() {
    let error = panics::remote("on purpose").spawn().get().unwrap_err();
    assert!(error.is_panic(), "{error:?}");
}

fn refs_of_failed_calls_work_as_keys() {
    let (a, b) = (fails::remote("a").spawn(), fails::remote("b").spawn());
    assert_eq!(HashSet::from([a.clone(), b, a]).len(), 2);
}
