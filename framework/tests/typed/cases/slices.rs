//! Slices of stored arrays as arguments.

use mobula::{Array, ArraySlice};

use super::{Rt, functions::*};

pub(crate) fn all(rt: &Rt) {
    a_map_over_chunks_sees_each_element_once(rt);
    slices_are_read_by_every_kind_of_parameter(rt);
    slices_of_slices_refer_to_the_same_elements(rt);
    slices_travel_inside_values(rt);
    ranges_that_do_not_fit_are_refused(rt);
    elements_that_serde_does_not_know_have_slices(rt);
}

/// More than what travels inside of messages, in each chunk.
const LARGE: usize = 1_000;

#[mobula::remote]
fn bounds(numbers: &[u64]) -> (u64, u64, usize) {
    let (first, last) = (numbers.first(), numbers.last());
    (*first.unwrap(), *last.unwrap(), numbers.len())
}

#[mobula::remote]
fn sum_of_owned(numbers: Vec<u64>) -> u64 {
    numbers.iter().sum()
}

#[mobula::remote]
fn sum_of_borrowed(numbers: &Vec<u64>) -> u64 {
    numbers.iter().sum()
}

#[mobula::remote]
fn sum_of_array(numbers: Array<u64>) -> u64 {
    numbers.iter().sum()
}

#[mobula::remote]
fn halves(slice: ArraySlice<u64>) -> mobula::Result<Vec<ArraySlice<u64>>> {
    let middle = slice.len() / 2;
    Ok(vec![slice.slice(..middle)?, slice.slice(middle..)?])
}

#[mobula::remote]
fn of_pair(pair: &(ArraySlice<u64>, Option<ArraySlice<u64>>)) -> u64 {
    let rest = pair.1.iter().flat_map(|slice| slice.iter());
    pair.0.iter().chain(rest).sum()
}

fn a_map_over_chunks_sees_each_element_once(rt: &Rt) {
    for len in [0, 1, 7, 999, 1_000, 1_001, 10_500] {
        let numbers: Vec<u64> = (0..len).collect();
        let vec = rt.put(&numbers).unwrap();
        let array = rt.put(&Array::from(numbers.clone())).unwrap();
        for size in [1_000, 3_333, usize::MAX] {
            let expected: Vec<_> = numbers.chunks(size).map(bounds).collect();
            let of_vec = vec.chunks(size).unwrap();
            assert_eq!(of_vec.len(), expected.len());
            assert_eq!(rt.map_fn(bounds::remote, of_vec).get().unwrap(), expected);
            let of_array = array.chunks(size).unwrap();
            assert_eq!(rt.map_fn(bounds::remote, of_array).get().unwrap(), expected);
        }
    }
}

fn slices_are_read_by_every_kind_of_parameter(rt: &Rt) {
    let numbers = rt.put(&(0..10_000).collect::<Vec<u64>>()).unwrap();
    for range in [0..10_000, 1..10_000, 77..77 + LARGE, 5..8, 5..5] {
        let expected: u64 = range.clone().map(|n| n as u64).sum();
        let slice = numbers.slice(range).unwrap();
        assert_eq!(slice.iter().sum::<u64>(), expected);
        for sum in [
            rt.spawn(sum_of_owned::remote(&slice)),
            rt.spawn(sum_of_owned::remote(slice.clone())),
            rt.spawn(sum_of_borrowed::remote(&slice)),
            rt.spawn(sum_of_array::remote(&slice)),
            rt.spawn(sum_of_array::remote(slice.clone())),
        ] {
            assert_eq!(sum.get().unwrap(), expected);
        }
    }
}

fn slices_of_slices_refer_to_the_same_elements(rt: &Rt) {
    let numbers = rt.put(&(0..10_000).collect::<Vec<u64>>()).unwrap();
    let slice = numbers.slice(1_000..9_000).unwrap();
    let inner = slice.slice(1_000..=1_999).unwrap();
    assert_eq!((inner[0], inner.len()), (2_000, 1_000));
    let ends: Vec<_> = slice
        .chunks(3_000)
        .unwrap()
        .map(|c| (c[0], c.len()))
        .collect();
    assert_eq!(ends, [(1_000, 3_000), (4_000, 3_000), (7_000, 2_000)]);
    // A task passes on parts of its own part.
    let halves = rt.spawn(halves::remote(slice)).get().unwrap();
    assert_eq!((halves[0][0], halves[1][0]), (1_000, 5_000));
    assert_eq!((halves[0].len(), halves[1].len()), (4_000, 4_000));
}

fn slices_travel_inside_values(rt: &Rt) {
    let numbers = rt.put(&(0..10_000).collect::<Vec<u64>>()).unwrap();
    let (low, high) = (
        numbers.slice(..2_000).unwrap(),
        numbers.slice(9_990..).unwrap(),
    );
    let expected = (0..2_000).chain(9_990..10_000).sum::<u64>();
    let pair = (low.clone(), Some(high));
    assert_eq!(rt.spawn(of_pair::remote(&pair)).get().unwrap(), expected);
    let stored = rt.put(&low).unwrap();
    drop((numbers, low, pair));
    // It keeps the array.
    assert_eq!(stored.get().unwrap()[..], (0..2_000).collect::<Vec<u64>>());
}

fn ranges_that_do_not_fit_are_refused(rt: &Rt) {
    let numbers = rt.put(&vec![1_u64, 2, 3]).unwrap();
    assert_eq!(numbers.slice(..).unwrap()[..], [1, 2, 3]);
    assert_eq!(numbers.slice(..=1).unwrap()[..], [1, 2]);
    assert!(numbers.slice(3..).unwrap().is_empty());
    #[expect(clippy::reversed_empty_ranges, reason = "a mistake that users make")]
    let reversed = numbers.slice(2..1);
    for wrong in [
        numbers.slice(..4),
        numbers.slice(4..),
        reversed,
        numbers.slice(..=usize::MAX),
        numbers.slice(..2).unwrap().slice(..3),
    ] {
        let error = wrong.unwrap_err();
        assert!(error.is_usage(), "{error}");
        assert!(error.to_string().contains("elements"), "{error}");
    }
    let error = numbers.chunks(0).unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("0 elements"),
        "{error}"
    );
}

fn elements_that_serde_does_not_know_have_slices(rt: &Rt) {
    let bare: Vec<Bare> = (0..1_000)
        .map(|n| Bare {
            x: n as f32,
            y: 1.0,
        })
        .collect();
    let bare = rt.put(&bare[..]).unwrap();
    let sums = rt
        .map_fn(bare_sum::remote, bare.chunks(300).unwrap())
        .get()
        .unwrap();
    assert_eq!(sums, [45_150.0, 135_150.0, 225_150.0, 95_050.0]);
    let taken = rt
        .map_fn(bare_take::remote, bare.chunks(300).unwrap())
        .get()
        .unwrap();
    assert_eq!(taken, [300, 300, 300, 100]);
}
