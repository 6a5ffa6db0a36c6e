//! Arguments and results of every kind, through real processes.

use std::collections::{BTreeMap, HashMap};

use mobula::{Array, prelude::*};
use serde::{Deserialize, Serialize};

use crate::support::{nothing_is_left, runtime};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Model {
    weights: Vec<f64>,
    name: String,
    next: Option<Box<Model>>,
}

#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Particle {
    x: f64,
    weight: f64,
}

#[remote]
fn total(numbers: &[f64]) -> f64 {
    numbers.iter().sum()
}

#[remote]
fn add(a: f64, b: f64) -> f64 {
    a + b
}

#[remote]
fn scaled(numbers: &[f64], by: f64) -> Vec<f64> {
    numbers.iter().map(|x| x * by).collect()
}

#[remote]
fn shared(numbers: &[f64]) -> Array<f64> {
    numbers.iter().copied().collect()
}

#[remote]
fn greet(name: &str, times: u8) -> String {
    name.repeat(times.into())
}

#[remote]
fn train(model: Model, by: &Model) -> Model {
    Model {
        weights: by.weights.clone(),
        next: Some(Box::new(model)),
        name: by.name.clone(),
    }
}

#[remote]
fn weight(particles: &[Particle]) -> f64 {
    particles.iter().map(|p| p.weight).sum()
}

#[remote]
fn count(flags: &[bool]) -> usize {
    flags.iter().filter(|flag| **flag).count()
}

#[remote]
fn rows(rows: &[[u32; 3]]) -> Vec<[u32; 3]> {
    rows.iter().rev().copied().collect()
}

#[remote]
fn words(words: &[String]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for word in words {
        *counts.entry(word.clone()).or_default() += 1;
    }
    counts
}

#[remote]
fn sums(parts: BTreeMap<u32, Array<f64>>) -> Vec<f64> {
    parts.values().map(|part| part.iter().sum()).collect()
}

#[remote]
fn split(numbers: &[f64]) -> BTreeMap<u32, Array<f64>> {
    numbers
        .chunks(50_000)
        .enumerate()
        .map(|(n, part)| (n as u32, Array::from(part)))
        .collect()
}

#[remote]
fn pair(n: u64) -> (u64, String) {
    (n, n.to_string())
}

#[remote]
fn nothing() {}

#[remote]
fn all(parts: Vec<f64>) -> f64 {
    parts.iter().sum()
}

#[remote]
fn concat(parts: Vec<Array<f64>>) -> Array<f64> {
    parts.iter().flat_map(|part| part.iter().copied()).collect()
}

#[remote]
async fn later(n: u64) -> u64 {
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    n + 1
}

#[remote]
async fn sum_of_children(n: u64) -> mobula::Result<u64> {
    let children: Vec<_> = (0..n).map(|k| later::remote(k).spawn()).collect();
    let mut sum = 0;
    for child in children {
        sum += child.await?;
    }
    Ok(sum)
}

#[remote]
fn built(len: usize) -> mobula::Result<Array<u32>> {
    Array::build(len, |numbers| {
        for (n, number) in numbers.iter_mut().enumerate() {
            *number = n as u32;
        }
    })
}

#[remote]
fn fib(n: u64) -> mobula::Result<u64> {
    if n < 2 {
        return Ok(n);
    }
    let (a, b) = (fib::remote(n - 1).spawn(), fib::remote(n - 2).spawn());
    Ok(a.get()? + b.get()?)
}

#[remote]
fn address(numbers: &[f64]) -> usize {
    numbers.as_ptr() as usize % 64
}

#[mobula::test]
fn borrowed_slices_fit_all_their_sources() -> mobula::Result<()> {
    let rt = runtime(2);
    let samples: Vec<f64> = (0..100_000).map(f64::from).collect();
    let expected: f64 = samples.iter().sum();
    let stored = rt.put(&samples)?;
    let array = Array::from(samples.clone());
    let array_ref = rt.put(&array)?;
    for call in [
        total::remote(&samples),
        total::remote(&samples[..]),
        total::remote(samples.clone()),
        total::remote(&stored),
        total::remote(stored.clone()),
        total::remote(&array),
        total::remote(array.clone()),
        total::remote(&array_ref),
        total::remote(rt.spawn(scaled::remote(&stored, 1.0))),
        total::remote(rt.spawn(shared::remote(&stored))),
    ] {
        assert_eq!(rt.spawn(call).get()?, expected);
    }
    assert_eq!(rt.spawn(address::remote(&stored)).get()?, 0);
    assert_eq!(rt.spawn(address::remote(&[1.0])).get()?, 0);
    drop((stored, array_ref, array));
    nothing_is_left(&rt);
    Ok(())
}

#[mobula::test]
fn values_of_every_kind_arrive_as_they_left() -> mobula::Result<()> {
    let rt = runtime(2);
    assert_eq!(rt.spawn(greet::remote("ab", 3)).get()?, "ababab");
    assert_eq!(rt.spawn(greet::remote(&rt.put("x")?, 2)).get()?, "xx");
    let inner = Model {
        weights: vec![1.5],
        name: "inner".into(),
        next: None,
    };
    let outer = Model {
        weights: vec![f64::NAN, -0.0],
        name: "outer".into(),
        next: None,
    };
    let trained = rt
        .spawn(train::remote(inner.clone(), &rt.put(&outer)?))
        .get()?;
    assert_eq!(trained.next.as_deref(), Some(&inner));
    assert!(trained.weights[0].is_nan() && trained.weights[1].is_sign_negative());
    let particles = vec![
        Particle {
            x: 0.0,
            weight: 0.5
        };
        3000
    ];
    assert_eq!(
        rt.spawn(weight::remote(&rt.put(&particles[..])?)).get()?,
        1500.0
    );
    assert_eq!(rt.spawn(weight::remote(&particles)).get()?, 1500.0);
    assert_eq!(rt.spawn(count::remote(&[true, false, true])).get()?, 2);
    assert_eq!(
        rt.spawn(rows::remote(&[[1, 2, 3], [4, 5, 6]])).get()?,
        [[4, 5, 6], [1, 2, 3]]
    );
    let text: Vec<String> = ["a", "b", "a"].map(String::from).to_vec();
    assert_eq!(rt.spawn(words::remote(&text)).get()?["a"], 2);
    assert_eq!(rt.spawn(pair::remote(7)).get()?, (7, "7".to_owned()));
    rt.spawn(nothing::remote()).get()?;
    nothing_is_left(&rt);
    Ok(())
}

#[mobula::test]
fn arrays_inside_values_are_not_copied() -> mobula::Result<()> {
    let rt = runtime(2);
    let numbers: Vec<f64> = (0..200_000).map(f64::from).collect();
    let parts = rt.spawn(split::remote(&numbers));
    let sums_of_parts = rt.spawn(sums::remote(&parts)).get()?;
    assert_eq!(sums_of_parts.len(), 4);
    assert_eq!(
        sums_of_parts.iter().sum::<f64>(),
        numbers.iter().sum::<f64>()
    );
    let (first, second) = (parts.get()?, parts.get()?);
    assert!(first[&0].same_memory(&second[&0]));
    assert_eq!(first[&3][49_999], 199_999.0);
    // The arrays outlive the map that brought them.
    drop((parts, second));
    let kept = first[&1].clone();
    drop(first);
    assert_eq!(kept[0], 50_000.0);
    let again = rt.put(&kept)?;
    assert!(again.view()?.same_memory(&kept));
    drop((kept, again));
    nothing_is_left(&rt);
    Ok(())
}

#[mobula::test]
fn a_pending_ref_is_a_dependency() -> mobula::Result<()> {
    let rt = runtime(2);
    let mut state = rt.put(&vec![1.0; 1000])?;
    for _ in 0..20 {
        state = rt.spawn(scaled::remote(&state, 2.0));
    }
    let total = rt.spawn(total::remote(&state));
    let more = rt.spawn(add::remote(&total, 0.5));
    assert_eq!(more.get()?, 1000.0 * 2f64.powi(20) + 0.5);
    drop((state, total, more));
    nothing_is_left(&rt);
    Ok(())
}

#[mobula::test]
fn many_refs_fan_in() -> mobula::Result<()> {
    let rt = runtime(2);
    let refs = rt.spawn_all((0..200).map(|n| add::remote(f64::from(n), 1.0)));
    let expected: f64 = (0..200).map(|n| f64::from(n) + 1.0).sum();
    assert_eq!(rt.spawn(all::remote(&refs)).get()?, expected);
    assert_eq!(rt.get(&refs)?.iter().sum::<f64>(), expected);
    let arrays = rt.spawn_all((0..5).map(|n| shared::remote(vec![f64::from(n); 10_000])));
    assert_eq!(rt.spawn(concat::remote(&arrays)).get()?.len(), 50_000);
    drop((refs, arrays));
    nothing_is_left(&rt);
    Ok(())
}

#[mobula::test]
fn async_functions_run_and_may_wait_for_their_children_on_one_worker() -> mobula::Result<()> {
    let rt = runtime(1);
    assert_eq!(rt.spawn(later::remote(1)).get()?, 2);
    assert_eq!(rt.spawn(sum_of_children::remote(10)).get()?, 55);
    nothing_is_left(&rt);
    Ok(())
}

#[mobula::test]
fn arrays_are_built_in_place_in_driver_and_task() -> mobula::Result<()> {
    let rt = runtime(2);
    let here = rt.put_with(100_000, |numbers: &mut [f64]| numbers.fill(2.0))?;
    assert_eq!(rt.spawn(total::remote(&here)).get()?, 200_000.0);
    let there = rt.spawn(built::remote(100_000));
    assert_eq!(there.get()?[99_999], 99_999);
    let local: Array<f64> = Array::build(100_000, |numbers: &mut [f64]| numbers.fill(1.0))?;
    let stored = rt.put(&local)?;
    assert!(
        stored.view()?.same_memory(&local),
        "built in the store, so the put copies nothing"
    );
    drop((here, there, local, stored));
    nothing_is_left(&rt);
    Ok(())
}

#[mobula::test]
fn recursive_tasks_end_on_one_worker_and_on_two() -> mobula::Result<()> {
    for workers in [1, 2] {
        let rt = runtime(workers);
        assert_eq!(rt.spawn(fib::remote(10)).get()?, 55);
        nothing_is_left(&rt);
    }
    Ok(())
}

#[mobula::test]
fn refs_and_arrays_live_longer_than_their_runtime() -> mobula::Result<()> {
    let rt = runtime(1);
    let stored = rt.put(&vec![3.0; 100_000])?;
    let view = stored.view()?;
    let pending = rt.spawn(total::remote(&stored));
    rt.shutdown();
    assert_eq!(view[99_999], 3.0);
    match pending.get() {
        Ok(sum) => assert_eq!(sum, 300_000.0),
        Err(error) => assert!(error.is_shutdown(), "{error}"),
    }
    drop((stored, pending, view));
    Ok(())
}

#[mobula::test]
fn several_runtimes_live_side_by_side() -> mobula::Result<()> {
    let (one, two) = (runtime(1), runtime(1));
    let (a, b) = (one.put(&vec![1.0; 5000])?, two.put(&vec![2.0; 5000])?);
    // Refs say which runtime is meant.
    let (x, y) = (total::remote(&a).spawn(), total::remote(&b).spawn());
    assert_eq!((x.get()?, y.get()?), (5000.0, 10_000.0));
    let error = add::remote(&x, &y).spawn().get().unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("runtime"),
        "{error}"
    );
    let error = one.spawn(total::remote(&b)).get().unwrap_err();
    assert!(error.is_usage(), "{error}");
    drop((a, b, x, y));
    nothing_is_left(&one);
    nothing_is_left(&two);
    Ok(())
}

#[mobula::test]
fn many_threads_share_a_runtime() -> mobula::Result<()> {
    let rt = runtime(2);
    let numbers = rt.put(&vec![1.0; 4000])?;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (rt, numbers) = (&rt, &numbers);
            scope.spawn(move || {
                for n in 0..100 {
                    let sum = rt.spawn(total::remote(numbers));
                    let sum = rt.spawn(add::remote(&sum, f64::from(thread * 1000 + n)));
                    assert_eq!(sum.get().unwrap(), 4000.0 + f64::from(thread * 1000 + n));
                }
            });
        }
    });
    drop(numbers);
    nothing_is_left(&rt);
    Ok(())
}

#[remote]
fn deep(n: u32) -> mobula::Result<u32> {
    if n == 0 {
        return Ok(0);
    }
    Ok(deep::remote(n - 1).spawn().get()? + 1)
}

/// Has calls that may run again, so each is a task of the driver's.
#[remote(retries = 1)]
fn deep_tasks(n: u32) -> mobula::Result<u32> {
    if n == 0 {
        return Ok(0);
    }
    Ok(deep_tasks::remote(n - 1).spawn().get()? + 1)
}

#[mobula::test]
fn a_recursion_that_is_too_deep_is_an_error_not_a_hang() {
    let rt = runtime(1);
    assert_eq!(rt.spawn(deep::remote(3000)).get().unwrap(), 3000);
    assert_eq!(rt.spawn(deep_tasks::remote(300)).get().unwrap(), 300);
    let error = rt.spawn(deep_tasks::remote(3000)).get().unwrap_err();
    assert!(
        format!("{error:?}").contains("recurse less deeply"),
        "{error:?}"
    );
    assert_eq!(rt.spawn(deep_tasks::remote(3)).get().unwrap(), 3);
    nothing_is_left(&rt);
}

#[remote]
async fn through_another_thread(n: u64) -> mobula::Result<u64> {
    tokio::spawn(async move { later::remote(n).spawn().await })
        .await
        .unwrap()
}

#[mobula::test]
fn an_async_function_may_wait_through_a_spawned_task_on_one_worker() {
    let rt = runtime(1);
    assert_eq!(
        rt.spawn(through_another_thread::remote(1)).get().unwrap(),
        2
    );
}

#[mobula::test]
fn memory_that_is_still_read_survives_the_end_of_the_runtime() -> mobula::Result<()> {
    let rt = runtime(1);
    let array = Array::build(100_000, |numbers: &mut [f64]| numbers.fill(1.0))?;
    rt.clone().shutdown();
    assert!(
        rt.spawn(total::remote(&array))
            .get()
            .unwrap_err()
            .is_shutdown()
    );
    assert!(rt.put(&array).unwrap_err().is_shutdown());
    assert!(
        rt.put_with(100_000, |numbers: &mut [f64]| numbers.fill(7.0))
            .is_err()
    );
    assert!(array.iter().all(|x| *x == 1.0));
    Ok(())
}
