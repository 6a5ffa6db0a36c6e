//! The remote functions of the cases.

use std::collections::{BTreeMap, HashMap};

use bytemuck::{Pod, Zeroable};
use mobula::{Array, prelude::*};
use serde::{Deserialize, Serialize};

/// Plain, and known to serde.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
pub(super) struct Particle {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// Plain, and unknown to serde.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Bare {
    pub(super) x: f32,
    pub(super) y: f32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Model {
    pub(super) weights: Vec<f64>,
    pub(super) name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Bundle {
    pub(super) parts: BTreeMap<u32, Array<f64>>,
    pub(super) next: Option<ObjectRef<f64>>,
    pub(super) extra: Option<Array<f64>>,
}

pub(super) type Samples = Vec<f64>;

/// Sums and multiplies.
#[remote(retries = 2)]
pub(super) fn score(array: &[f64], param: u64) -> f64 {
    array.iter().sum::<f64>() * param as f64
}

#[remote]
pub(super) fn add(a: f64, b: f64) -> f64 {
    a + b
}

#[remote]
pub(super) fn square(x: f64) -> f64 {
    x * x
}

#[remote]
pub(super) fn text_len(text: &str) -> usize {
    text.len()
}

#[remote]
pub(super) fn exclaim(text: String) -> String {
    text + "!"
}

#[remote]
pub(super) fn borrowed_string(text: &String) -> usize {
    text.len()
}

#[remote]
pub(super) fn letters(words: &[String]) -> usize {
    words.iter().map(String::len).sum()
}

#[remote]
pub(super) fn first_column(rows: &[[f64; 3]]) -> f64 {
    rows.iter().map(|row| row[0]).sum()
}

#[remote]
pub(super) fn shift(particles: &[Particle]) -> Vec<Particle> {
    particles
        .iter()
        .map(|p| Particle {
            x: p.x + 1.0,
            y: p.y,
        })
        .collect()
}

#[remote]
pub(super) fn bare_sum(values: &[Bare]) -> f32 {
    values.iter().map(|value| value.x + value.y).sum()
}

#[remote]
pub(super) fn bare_make(n: u32) -> Vec<Bare> {
    (0..n)
        .map(|n| Bare {
            x: n as f32,
            y: 0.0,
        })
        .collect()
}

#[remote]
pub(super) fn bare_take(values: Vec<Bare>) -> usize {
    values.len()
}

#[remote]
pub(super) fn truths(flags: &[bool]) -> usize {
    flags.iter().filter(|flag| **flag).count()
}

#[remote]
pub(super) fn initials(chars: &[char]) -> String {
    chars.iter().collect()
}

#[remote]
pub(super) fn units(units: &[()]) -> usize {
    units.len()
}

#[remote]
pub(super) fn lookup(table: &HashMap<String, f64>, key: &str) -> Option<f64> {
    table.get(key).copied()
}

#[remote]
pub(super) fn same_model(model: &Model) -> Model {
    model.clone()
}

#[remote]
pub(super) fn take_model(model: Model) -> String {
    model.name
}

#[remote]
pub(super) fn step(state: &[f64]) -> Vec<f64> {
    state.iter().map(|x| x + 1.0).collect()
}

#[remote]
pub(super) fn step_alias(state: &[f64]) -> Samples {
    state.iter().map(|x| x + 1.0).collect()
}

#[remote]
pub(super) fn step_array(state: &[f64]) -> Array<f64> {
    state.iter().map(|x| x + 1.0).collect()
}

#[remote]
pub(super) fn build_array(n: usize) -> mobula::Result<Array<f64>> {
    Array::build(n, |out| {
        out.iter_mut()
            .enumerate()
            .for_each(|(i, out)| *out = i as f64)
    })
}

#[remote]
pub(super) fn takes_array(array: Array<f64>) -> f64 {
    array.iter().sum()
}

#[remote]
pub(super) fn borrows_array(array: &Array<f64>) -> f64 {
    array.iter().sum()
}

#[remote]
pub(super) fn same_array(array: Array<f64>) -> Array<f64> {
    array
}

#[remote]
pub(super) fn takes_vec(values: Vec<f64>) -> f64 {
    values.iter().sum()
}

#[remote]
pub(super) fn borrows_vec(values: &Vec<f64>) -> f64 {
    values.iter().sum()
}

#[remote]
pub(super) fn maybe(array: Option<Array<f64>>, bias: Option<f64>) -> f64 {
    array.map_or(0.0, |array| array.iter().sum()) + bias.unwrap_or(0.5)
}

#[remote]
pub(super) fn later(value: ObjectRef<f64>, k: f64) -> mobula::Result<f64> {
    Ok(value.get()? * k)
}

#[remote]
pub(super) fn see(values: ObjectRef<Vec<f64>>) -> mobula::Result<usize> {
    Ok(values.view()?.len())
}

#[remote]
pub(super) fn bundle(bundle: Bundle) -> mobula::Result<f64> {
    let parts: f64 = bundle.parts.values().flat_map(|part| part.iter()).sum();
    let next = bundle.next.map_or(Ok(0.0), |next| next.get())?;
    Ok(parts + next + bundle.extra.map_or(0.0, |extra| extra[0]))
}

#[remote]
pub(super) fn sum_all(parts: Vec<f64>) -> f64 {
    parts.iter().sum()
}

#[remote]
pub(super) fn join_words(words: &Vec<String>) -> String {
    words.join(" ")
}

#[remote]
pub(super) fn concat(parts: Vec<Array<f64>>) -> Array<f64> {
    parts.iter().flat_map(|part| part.iter().copied()).collect()
}

#[remote]
pub(super) fn nothing() {}

#[remote]
pub(super) fn pair(n: u64) -> (Vec<f64>, String) {
    (vec![1.0; n as usize], n.to_string())
}

#[remote]
pub(super) fn raw(r#type: u8, mut n: u32, _: bool) -> u32 {
    n += u32::from(r#type);
    n
}

#[allow(clippy::too_many_arguments)]
#[remote]
pub(super) fn nine(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8) -> u32 {
    [a, b, c, d, e, f, g, h, i]
        .iter()
        .map(|n| u32::from(*n))
        .sum()
}

#[remote]
pub(super) async fn fetch(url: &str, n: u32) -> Result<String, String> {
    std::future::ready(()).await;
    Ok(format!("{url}{n}"))
}

#[remote]
pub(super) fn fib(n: u64) -> mobula::Result<u64> {
    if n < 2 {
        return Ok(n);
    }
    let (a, b) = (fib::remote(n - 1).spawn(), fib::remote(n - 2).spawn());
    Ok(a.get()? + b.get()?)
}

/// Has the parameters of this platform.
#[remote]
#[cfg_attr(windows, deprecated)]
pub(super) fn of_this_platform(
    #[cfg(windows)] _handle: usize,
    a: u32,
    #[cfg_attr(target_os = "linux", cfg(target_pointer_width = "64"))] b: u32,
    #[cfg(target_os = "linux")] numbers: &[u32],
    #[cfg(not(target_os = "linux"))] numbers: &str,
) -> u32 {
    numbers.iter().sum::<u32>() + a * b
}
