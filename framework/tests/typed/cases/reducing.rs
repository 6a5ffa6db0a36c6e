//! Results that are combined: by the caller, and by tasks.

use mobula::prelude::*;

use super::{Rt, functions::*};

pub(crate) fn all(rt: &Rt) {
    folds_are_in_the_order_of_the_calls(rt);
    a_fold_names_the_call_that_failed(rt);
    a_tree_is_in_the_order_of_the_calls(rt);
    a_tree_of_floats_is_the_same_in_each_run(rt);
    a_tree_names_what_failed(rt);
    refs_are_combined(rt);
    a_combination_may_have_more_arguments(rt);
}

#[remote]
fn word(n: u32) -> String {
    format!("{n},")
}

#[remote]
fn join(a: &str, b: &str) -> String {
    format!("{a}{b}")
}

#[remote]
fn join_unless(a: &str, b: &str, bad: &str) -> Result<String, String> {
    match b.starts_with(bad) {
        true => Err(format!("{a} and {b}")),
        false => Ok(format!("{a}{b}")),
    }
}

#[remote]
fn word_unless(n: u32, bad: u32) -> Result<String, String> {
    match n == bad {
        true => Err(format!("no word for {n}")),
        false => Ok(format!("{n},")),
    }
}

#[remote]
fn row(n: u64) -> Vec<f64> {
    (0..3).map(|column| 1.0 / (n + column + 1) as f64).collect()
}

#[remote]
fn add_rows(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// The words of `0..len` in order.
fn words(len: u32) -> String {
    (0..len).map(|n| format!("{n},")).collect()
}

fn folds_are_in_the_order_of_the_calls(rt: &Rt) {
    for len in [0, 1, 2, 3, 100] {
        let all = rt
            .map_fn(word::remote, 0..len)
            .fold(String::new(), |all, word| all + &word);
        assert_eq!(all.get().unwrap(), words(len));
        let all = rt
            .map_fn(word::remote, 0..len)
            .reduce(|a, b| a + &b)
            .get()
            .unwrap();
        assert_eq!(all, (len > 0).then(|| words(len)));
    }
    let squares = rt.map((0..100).map(|n| square::remote(f64::from(n))));
    let below = squares.fold(0, |count, square| count + u32::from(square < 100.0));
    assert_eq!(below.get().unwrap(), 10);
}

fn a_fold_names_the_call_that_failed(rt: &Rt) {
    let calls = || (0..9).map(|n| word_unless::remote(n, 5));
    let mut folded = 0;
    let count = rt.map(calls()).fold((), |(), _| folded += 1).get();
    let joined = rt.map(calls()).reduce(|a, b| a + &b).get();
    for error in [count.unwrap_err(), joined.unwrap_err()] {
        assert!(error.is_application(), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("call 5 of a map") && text.contains("no word for 5"),
            "{text}"
        );
    }
    // Those before it, and none behind.
    assert_eq!(folded, 5);
}

fn a_tree_is_in_the_order_of_the_calls(rt: &Rt) {
    for len in (0..20).chain([64, 100]) {
        let map = || rt.map_fn(word::remote, 0..len);
        let expected = (len > 0).then(|| words(len));
        assert_eq!(map().tree_reduce(join::remote).get().unwrap(), expected);
        let object = map().tree_reduce(join::remote).get_ref().unwrap();
        assert_eq!(object.map(|object| object.get().unwrap()), expected);
    }
}

fn a_tree_of_floats_is_the_same_in_each_run(rt: &Rt) {
    let sum = || {
        rt.map_fn(row::remote, 0..21)
            .tree_reduce(add_rows::remote)
            .get()
    };
    let first = sum().unwrap().unwrap();
    // Neighbours of equal level are combined, and from right to left what is left.
    let mut rows: Vec<Vec<f64>> = (0..21).map(row).collect();
    let rest = rows.split_off(16);
    while rows.len() > 1 {
        rows = rows
            .chunks(2)
            .map(|pair| add_rows(&pair[0], &pair[1]))
            .collect();
    }
    let pairs = (add_rows(&rest[0], &rest[1]), add_rows(&rest[2], &rest[3]));
    let right = add_rows(&add_rows(&pairs.0, &pairs.1), &rest[4]);
    assert_eq!(first, add_rows(&rows[0], &right));
    for _ in 0..3 {
        assert_eq!(sum().unwrap().as_ref(), Some(&first));
    }
}

fn a_tree_names_what_failed(rt: &Rt) {
    let calls = (0..9).map(|n| word_unless::remote(n, 5));
    let error = rt.map(calls).tree_reduce(join::remote).get().unwrap_err();
    assert!(error.is_application(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("call 5 of a map") && text.contains("no word for 5"),
        "{text}"
    );

    let words = rt.map_fn(word::remote, 0..9);
    let error = words
        .tree_reduce(|a, b| join_unless::remote(a, b, "6,"))
        .get_ref()
        .unwrap_err();
    assert!(error.is_application(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("combining the results of calls 4 to 7 of a map")
            && text.contains("4,5, and 6,7,"),
        "{text}"
    );
}

fn refs_are_combined(rt: &Rt) {
    for len in 0..10 {
        let refs = rt.spawn_all((0..len).map(word::remote));
        let all = rt.tree_reduce(refs.clone(), join::remote);
        match len {
            0 => assert!(all.is_none()),
            1 => assert_eq!(all.as_ref(), refs.first()),
            _ => assert_eq!(all.unwrap().get().unwrap(), words(len)),
        }
    }
    let one = rt.put("x").unwrap();
    let twice = rt.tree_reduce([one.clone(), one], join::remote).unwrap();
    assert_eq!(twice.get().unwrap(), "xx");
    let refs = rt.spawn_all((0..9).map(|n| word_unless::remote(n, 5)));
    let error = rt
        .tree_reduce(refs, join::remote)
        .unwrap()
        .get()
        .unwrap_err();
    assert!(error.is_dependency(), "{error}");
    assert!(error.to_string().contains("word_unless"), "{error}");
}

fn a_combination_may_have_more_arguments(rt: &Rt) {
    let bad = rt.put("?").unwrap();
    let words = rt.map_fn(word::remote, 0..9);
    let all = words.tree_reduce(|a, b| join_unless::remote(a, b, &bad).retries(1));
    assert_eq!(all.get().unwrap(), Some(self::words(9)));
}

pub(crate) async fn all_async(rt: &Rt) -> mobula::Result<()> {
    let words = || rt.map_fn(word::remote, 0..30);
    assert_eq!(
        words().fold(String::new(), |a, b| a + &b).await?,
        self::words(30)
    );
    assert_eq!(words().reduce(|a, b| a + &b).await?, Some(self::words(30)));
    assert_eq!(
        words().tree_reduce(join::remote).await?,
        Some(self::words(30))
    );
    assert_eq!(
        rt.map_fn(word::remote, 0..0)
            .tree_reduce(join::remote)
            .await?,
        None
    );
    let calls = || rt.map((0..30).map(|n| word_unless::remote(n, 20)));
    for error in [
        calls().reduce(|a, b| a + &b).await.unwrap_err(),
        calls().tree_reduce(join::remote).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("call 20 of a map"), "{error}");
    }
    Ok(())
}
