//! Folds and trees of results over workers.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use mobula::prelude::*;

use crate::support::{Marks, eventually, mark, nothing_is_left, runtime};

#[remote]
fn large(n: u64) -> Vec<u64> {
    vec![n; 1 << 17]
}

#[remote]
fn add(a: &[u64], b: &[u64]) -> Vec<u64> {
    vec![a[0] + b[0]; a.len()]
}

#[remote]
fn number(n: u64) -> u64 {
    n
}

#[remote]
fn sum(a: u64, b: u64) -> u64 {
    a + b
}

#[remote]
fn marks_and_sleeps(path: &str, n: u64) -> u64 {
    mark(path);
    std::thread::sleep(Duration::from_millis(20));
    n
}

/// Dies at its first run.
#[remote]
fn dies_once(path: &str, n: u64) -> u64 {
    if mark(path) == 1 {
        std::process::abort();
    }
    n
}

#[remote]
fn fails_at(n: u64, bad: u64) -> Result<u64, String> {
    match n == bad {
        true => Err("this one".to_owned()),
        false => Ok(n),
    }
}

#[remote]
fn nested(n: u64) -> mobula::Result<Option<u64>> {
    let rt = Runtime::current()?;
    rt.map_fn(number::remote, 0..n)
        .tree_reduce(sum::remote)
        .get()
}

#[mobula::test]
fn partial_results_are_freed_as_they_are_combined() {
    // All of them are 600 MiB, and the store has 256.
    let rt = runtime(2);
    let all = rt
        .map_fn(large::remote, 0..600)
        .tree_reduce(add::remote)
        .get_ref();
    let all = all.unwrap().unwrap();
    assert_eq!(rt.store().object_count(), 1);
    assert_eq!(all.view().unwrap()[7], (0..600).sum());
    drop(all);
    nothing_is_left(&rt);
}

#[mobula::test]
fn trees_and_folds_of_many_calls() {
    let rt = runtime(2);
    let expected = (0..5_000).sum();
    let map = || rt.map_fn(number::remote, 0..5_000);
    assert_eq!(
        map().tree_reduce(sum::remote).get().unwrap(),
        Some(expected)
    );
    assert_eq!(map().reduce(|a, b| a + b).get().unwrap(), Some(expected));
    let refs = rt.spawn_all((0..5_000).map(number::remote));
    let all = rt.tree_reduce(refs, sum::remote).unwrap();
    assert_eq!(all.get().unwrap(), expected);
    drop(all);
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_task_can_reduce() {
    // The one worker runs what its own task waits for.
    let rt = runtime(1);
    assert_eq!(rt.spawn(nested::remote(300)).get().unwrap(), Some(44_850));
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_failure_ends_a_tree_and_what_is_on_its_way() {
    let rt = runtime(2);
    let begun = Marks::new();
    let calls = (0..1_000).map(|n| match n {
        3 => fails_at::remote(n, 3),
        n => marks_and_sleeps::remote(begun.path(), n),
    });
    let error = rt.map(calls).tree_reduce(sum::remote).get().unwrap_err();
    assert!(error.to_string().contains("call 3 of a map"), "{error}");
    let calls = (0..1_000).map(|n| match n {
        3 => fails_at::remote(n, 3),
        n => marks_and_sleeps::remote(begun.path(), n),
    });
    let error = rt.map(calls).fold(0, |a, b| a + b).get().unwrap_err();
    assert!(error.to_string().contains("call 3 of a map"), "{error}");
    assert_eq!(rt.spawn(number::remote(1)).get().unwrap(), 1);
    assert!(begun.count() < 400, "{} of 2000 have begun", begun.count());
    nothing_is_left(&rt);
}

#[mobula::test]
fn leaving_a_tree_or_a_fold_stops_the_rest() {
    let rt = runtime(2);
    let begun = Marks::new();
    let calls = || (0..1_000).map(|n| marks_and_sleeps::remote(begun.path(), n));
    let mut context = Context::from_waker(Waker::noop());
    {
        let mut tree = pin!(rt.map(calls()).tree_reduce(sum::remote));
        let mut fold = pin!(rt.map(calls()).fold(0, |a, b| a + b));
        eventually("two calls have begun", || {
            assert!(matches!(tree.as_mut().poll(&mut context), Poll::Pending));
            assert!(matches!(fold.as_mut().poll(&mut context), Poll::Pending));
            begun.count() > 1
        });
    }
    assert_eq!(rt.spawn(number::remote(1)).get().unwrap(), 1);
    assert!(begun.count() < 400, "{} of 2000 have begun", begun.count());
    nothing_is_left(&rt);
}

#[mobula::test]
fn calls_and_combinations_have_their_retries() {
    let rt = runtime(2);
    let (leaf, inner) = (Marks::new(), Marks::new());
    #[remote]
    fn sum_after_a_death(a: u64, b: u64, path: &str) -> u64 {
        if mark(path) == 1 {
            std::process::abort();
        }
        a + b
    }
    let calls = (0..20).map(|n| dies_once::remote(leaf.path(), n).retries(3));
    let all = rt
        .map(calls)
        .tree_reduce(|a, b| sum_after_a_death::remote(a, b, inner.path()).retries(3));
    assert_eq!(all.get().unwrap(), Some(190));
    let dying = Marks::new();
    let calls = (0..20).map(|n| match n {
        11 => dies_once::remote(dying.path(), n),
        n => number::remote(n).retries(3),
    });
    let error = rt
        .map(calls)
        .tree_reduce(|a, b| sum::remote(a, b).retries(3))
        .get();
    let error = error.unwrap_err();
    assert!(error.is_crash(), "{error}");
    assert!(error.to_string().contains("call 11 of a map"), "{error}");
    nothing_is_left(&rt);
}

#[mobula::test]
fn refs_of_another_runtime_are_refused() {
    let (rt, other) = (runtime(1), runtime(1));
    let there = other.put(&7_u64).unwrap();
    let error = rt
        .map([sum::remote(&there, 1)])
        .tree_reduce(sum::remote)
        .get()
        .unwrap_err();
    assert!(error.is_usage(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("call 0 of a map") && text.contains("two runtimes"),
        "{text}"
    );
    // The combination is what has the ref.
    let calls = (0..2).map(number::remote);
    let error = rt
        .map(calls)
        .tree_reduce(|a, _| sum::remote(a, &there))
        .get()
        .unwrap_err();
    assert!(error.is_usage(), "{error}");
    assert!(
        error.to_string().contains("calls 0 to 1 of a map"),
        "{error}"
    );
    let here = rt.put(&1_u64).unwrap();
    let error = rt
        .tree_reduce([here, there], sum::remote)
        .unwrap()
        .get()
        .unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("two runtimes"),
        "{error}"
    );
}

#[mobula::test]
fn after_the_end_of_the_runtime_all_of_them_fail() {
    let rt = runtime(1);
    let again = rt.clone();
    let refs = rt.spawn_all((0..2).map(number::remote));
    rt.get(&refs).unwrap();
    rt.shutdown();
    let map = || again.map((0..3).map(number::remote));
    for error in [
        map().fold(0, |a, b| a + b).get().unwrap_err(),
        map().tree_reduce(sum::remote).get().unwrap_err(),
        again
            .tree_reduce(refs, sum::remote)
            .unwrap()
            .get()
            .unwrap_err(),
    ] {
        assert!(error.is_shutdown(), "{error}");
    }
}

#[mobula::test]
fn a_panic_of_the_function_or_the_iterator_cancels_the_rest() {
    let rt = runtime(1);
    let panics = |run: &dyn Fn()| {
        let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"mine"));
    };
    panics(&|| {
        let map = rt.map((0..100).map(number::remote));
        let _ = map.fold(0, |_, _| panic!("mine")).get();
    });
    panics(&|| {
        let map = rt.map((0..100).map(number::remote));
        let _ = map.tree_reduce(|_, _| panic!("mine")).get();
    });
    panics(&|| {
        let calls = (0..100).map(|n| match n {
            50 => panic!("mine"),
            n => number::remote(n),
        });
        let _ = rt.map(calls).tree_reduce(sum::remote).get();
    });
    nothing_is_left(&rt);
}

#[remote]
fn sum_of(numbers: &[u64]) -> u64 {
    numbers.iter().sum()
}

#[mobula::test]
fn calls_with_slices_of_one_array_put_nothing_into_the_store() {
    let rt = runtime(2);
    let numbers = rt.put(&(0..1 << 20).collect::<Vec<u64>>()).unwrap();
    let before = rt.store().used_bytes();
    // All of them wait for the first one, so all arguments exist at the same time.
    let calls = numbers.chunks(1 << 14).unwrap().map(sum_of::remote);
    let sums = rt.spawn_all(calls);
    assert_eq!((sums.len(), rt.store().used_bytes()), (64, before));
    let all = rt.tree_reduce(sums, sum::remote).unwrap();
    // A slice keeps the array.
    let slice = numbers.slice(7..9).unwrap();
    drop(numbers);
    assert_eq!(all.get().unwrap(), (0..1 << 20).sum());
    assert_eq!(slice[..], [7, 8]);
    drop((all, slice));
    nothing_is_left(&rt);
}

#[mobula::test]
fn slices_of_another_runtime_are_copied() {
    let (rt, other) = (runtime(1), runtime(1));
    let numbers = other.put(&(0..1 << 14).collect::<Vec<u64>>()).unwrap();
    let slice = numbers.slice(1..).unwrap();
    let sum = rt.spawn(sum_of::remote(&slice));
    assert_eq!(sum.get().unwrap(), (0..1 << 14).sum());
    other.shutdown();
    let sum = rt.spawn(sum_of::remote(&slice));
    assert_eq!(sum.get().unwrap(), (0..1 << 14).sum());
}
