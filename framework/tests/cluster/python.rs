//! Calls of Python functions.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use mobula::{prelude::*, ray};
use serde::{Deserialize, Serialize};

use crate::{
    sum,
    support::{Folder, LONG, start},
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Plain,
    Sized(u32),
    Named { text: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    kinds: Vec<Kind>,
    bytes: Vec<u8>,
    none: Option<u8>,
    some: Option<(i64, f64)>,
    map: BTreeMap<u32, bool>,
    letter: char,
}

#[remote]
fn length(text: &str) -> usize {
    text.len()
}

#[remote]
fn kinds(record: &Record) -> usize {
    record.kinds.len()
}

#[remote]
fn through_python(n: f64) -> mobula::Result<f64> {
    ray::python("math", "sqrt").call((n,)).spawn().get()
}

#[mobula::test]
fn values_go_to_python_and_back() {
    let Some(rt) = start() else { return };
    let hypot = ray::python("math", "hypot");
    let value = rt.spawn(hypot.call::<f64>((3.0, 4))).get_timeout(LONG);
    assert_eq!(value.unwrap(), 5.0);
    let record = Record {
        kinds: vec![
            Kind::Plain,
            Kind::Sized(7),
            Kind::Named {
                text: "a".to_owned(),
            },
        ],
        bytes: vec![0, 255],
        none: None,
        some: Some((i64::MIN, 0.5)),
        map: BTreeMap::from([(1, true)]),
        letter: 'ü',
    };
    let copied = rt.spawn(ray::python("copy", "deepcopy").call::<Record>((&record,)));
    assert_eq!(copied.get().unwrap(), record);
    assert_eq!(rt.spawn(kinds::remote(&copied)).get().unwrap(), 3);
    let sum_of_bytes = ray::python("builtins", "sum").call::<u32>((record.bytes,));
    assert_eq!(rt.spawn(sum_of_bytes).get().unwrap(), 255);
    let nothing = ray::python("time", "sleep").call::<()>((0,));
    rt.spawn(nothing).get().unwrap();
    let pid = ray::python("os", "getpid").call::<u32>(());
    assert!(rt.spawn(pid).get().unwrap() > 0);
}

#[mobula::test]
fn results_of_python_are_arguments_of_remote_functions() {
    let Some(rt) = start() else { return };
    let numbers: Vec<f64> = (0..100_000).map(f64::from).collect();
    // Both the arguments and the result lie in Ray's store.
    let list = rt.spawn(ray::python("builtins", "list").call::<Vec<f64>>((&numbers,)));
    let total = rt.spawn(sum::remote(&list)).get_timeout(LONG).unwrap();
    assert_eq!(total, 4_999_950_000.0);
    assert_eq!(list.get().unwrap(), numbers);
    let text = rt.spawn(ray::python("builtins", "str.upper").call::<String>(("abc",)));
    assert_eq!(rt.spawn(length::remote(&text)).get().unwrap(), 3);
    assert_eq!(text.get().unwrap(), "ABC");
}

#[mobula::test]
fn maps_and_tasks_call_python() {
    let Some(rt) = start() else { return };
    let factorial = ray::python("math", "factorial");
    let values = rt.map((0..6).map(|n| factorial.call::<u64>((n,)))).get();
    assert_eq!(values.unwrap(), [1, 1, 2, 6, 24, 120]);
    let root = rt.spawn(through_python::remote(9.0)).get_timeout(LONG);
    assert_eq!(root.unwrap(), 3.0);
}

#[mobula::test]
fn a_failure_of_python_names_the_function() {
    let Some(rt) = start() else { return };
    for node in rt.nodes().unwrap() {
        let ratio = ray::python("operator", "truediv").call::<f64>((1, 0));
        let error = rt.spawn(ratio.node(node.name())).get_timeout(LONG);
        let error = error.unwrap_err();
        let text = error.to_string();
        assert!(error.is_application(), "{text}");
        assert!(
            text.starts_with("`operator.truediv` failed (pid "),
            "{text}"
        );
        let end = format!(
            " on node {}): ZeroDivisionError: division by zero",
            node.name()
        );
        assert!(text.ends_with(&end), "{text}");
        assert!(error.backtrace().unwrap().contains("ZeroDivisionError"));
    }
    let error = |module: &str, function: &str, arguments: &[u32]| {
        let call = ray::python(module, function).call::<f64>(arguments);
        rt.spawn(call).get_timeout(LONG).unwrap_err()
    };
    for (error, name) in [
        (
            error("no_such_package.it", "f", &[]),
            "`no_such_package.it.f`",
        ),
        (error("math", "no_such_function", &[]), "`no_such_function`"),
    ] {
        assert!(
            error.is_usage() && error.to_string().contains(name),
            "{error}"
        );
    }
    for (error, name) in [
        (
            error("builtins", "set", &[]),
            "`builtins.set` returned a Python `set`",
        ),
        (
            error("builtins", "str", &[1]),
            "`builtins.str` does not fit `f64`",
        ),
    ] {
        assert!(
            error.is_codec() && error.to_string().contains(name),
            "{error}"
        );
    }
    let limited = ray::python("math", "sqrt").call::<f64>((1,)).timeout(LONG);
    let error = rt.spawn(limited).get().unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("`deadline`"));
}

#[mobula::test]
fn arguments_that_python_cannot_get_are_errors_at_once() {
    let Some(rt) = start() else { return };
    let f = ray::python("math", "sqrt");
    let stored = rt.put(&4.0).unwrap();
    for call in [f.call::<f64>(4.0), f.call(("a", &stored))] {
        let error = rt.spawn(call).get().unwrap_err();
        let text = error.to_string();
        assert!(error.is_codec() && text.contains("`math.sqrt`"), "{text}");
    }
}

#[mobula::test]
fn a_python_function_that_is_given_up_fails_at_once() {
    let Some(rt) = start() else { return };
    let sleep = ray::python("time", "sleep");
    let late = sleep.call::<()>((5,)).deadline(Duration::from_millis(300));
    assert!(
        rt.spawn(late)
            .get_timeout(LONG)
            .unwrap_err()
            .is_task_timeout()
    );
    let call = rt.spawn(sleep.call::<()>((5,)));
    std::thread::sleep(Duration::from_millis(300));
    call.cancel();
    assert!(call.get_timeout(LONG).unwrap_err().is_cancelled());
}

/// Makes this directory the current one, and the former one again when it is dropped.
struct Inside(PathBuf);

impl Inside {
    fn of(folder: &Folder) -> Inside {
        let before = std::env::current_dir().unwrap();
        std::env::set_current_dir(&folder.0).unwrap();
        Inside(before)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        std::env::set_current_dir(&self.0).unwrap();
    }
}

const MODULE: &str = "
import os


class Refused(Exception):
    pass


def refuses(why):
    raise Refused(why)


def dies():
    os.abort()


def dies_at_first(file):
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return 7
    os.abort()


def fails_at_first(file):
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return 8
    raise Refused(file)
";

#[mobula::test]
fn modules_of_the_current_directory_are_there_and_deaths_are_crashes() {
    let folder = Folder::new("python");
    let name = format!("mobula_test_{}", std::process::id());
    fs::write(folder.0.join(format!("{name}.py")), MODULE).unwrap();
    let rt = {
        let _inside = Inside::of(&folder);
        let Some(rt) = start() else { return };
        rt
    };
    let call =
        |function: &str, arguments: &[&str]| ray::python(&*name, function).call::<u32>(arguments);
    let error = rt.spawn(call("refuses", &["no data"])).get_timeout(LONG);
    let error = error.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("{name}.Refused: no data")), "{text}");
    assert!(
        error.backtrace().unwrap().contains("in refuses"),
        "{error:?}"
    );

    let error = rt.spawn(call("dies", &[])).get_timeout(LONG).unwrap_err();
    assert!(
        error.is_crash() && error.to_string().contains(&format!("`{name}.dies`")),
        "{error}"
    );
    let first = |file: &str| folder.0.join(file).to_str().unwrap().to_owned();
    let again = call("dies_at_first", &[&first("a")]).retries(1);
    assert_eq!(rt.spawn(again).get_timeout(LONG).unwrap(), 7);
    let again = call("fails_at_first", &[&first("b")]).retries(1);
    let error = rt.spawn(again).get_timeout(LONG).unwrap_err();
    assert!(error.is_application(), "{error}");
    let again = call("fails_at_first", &[&first("c")]).retries(1);
    let again = rt.spawn(again.retry_errors(true)).get_timeout(LONG);
    assert_eq!(again.unwrap(), 8);
}
