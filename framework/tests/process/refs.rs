//! Counts: what is needed stays, what is not goes, in every process.

use std::cell::RefCell;

use mobula::{Array, prelude::*};

use crate::support::{eventually, nothing_is_left, runtime};

#[remote]
fn total(numbers: &[f64]) -> f64 {
    numbers.iter().sum()
}

#[remote]
fn hands_back(value: ObjectRef<Vec<f64>>) -> ObjectRef<Vec<f64>> {
    value
}

#[remote]
fn puts(len: usize) -> mobula::Result<ObjectRef<Vec<f64>>> {
    Runtime::current()?.put(&vec![1.0; len])
}

#[remote]
fn deep(value: ObjectRef<Vec<f64>>, depth: u32) -> mobula::Result<f64> {
    if depth == 0 {
        return Ok(value.get()?.iter().sum());
    }
    deep::remote(value, depth - 1).spawn().get()
}

thread_local! {
    static KEPT: RefCell<Option<Array<f64>>> = const { RefCell::new(None) };
}

#[remote]
fn keep(numbers: Array<f64>) {
    KEPT.set(Some(numbers));
}

#[remote]
fn kept() -> f64 {
    KEPT.with_borrow(|kept| kept.as_ref().map_or(0.0, |numbers| numbers.iter().sum()))
}

#[remote]
fn forget() {
    KEPT.set(None);
}

#[remote]
fn ignores(_value: ObjectRef<Vec<f64>>) -> u8 {
    1
}

#[mobula::test]
fn dropping_the_last_ref_frees_the_object() {
    let rt = runtime(1);
    let numbers = rt.put(&vec![1.0; 100_000]).unwrap();
    assert_eq!(rt.store().used_bytes(), 800_000);
    let second = numbers.clone();
    assert!(numbers == second);
    drop(numbers);
    assert_eq!(rt.store().used_bytes(), 800_000);
    let view = second.view().unwrap();
    drop(second);
    assert_eq!(view[99_999], 1.0, "a view is as good as a ref");
    drop(view);
    nothing_is_left(&rt);
}

#[mobula::test]
fn arguments_of_a_pending_task_stay_when_the_caller_lets_go() {
    let rt = runtime(1);
    let result = {
        let numbers = rt.put(&vec![2.0; 100_000]).unwrap();
        rt.spawn(total::remote(&numbers))
    };
    assert_eq!(result.get().unwrap(), 200_000.0);
    drop(result);
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_dropped_pending_ref_lets_its_task_end_and_frees_then() {
    let rt = runtime(1);
    let numbers = rt.put(&vec![2.0; 100_000]).unwrap();
    for _ in 0..20 {
        drop(rt.spawn(total::remote(&numbers)));
        rt.spawn(total::remote(&numbers)).detach();
    }
    drop(numbers);
    nothing_is_left(&rt);
}

#[mobula::test]
fn refs_travel_in_values_and_back() {
    let rt = runtime(2);
    let numbers = rt.put(&vec![1.0; 50_000]).unwrap();
    let back = rt.spawn(hands_back::remote(numbers.clone())).get().unwrap();
    assert!(back == numbers);
    drop(numbers);
    assert_eq!(back.get().unwrap().len(), 50_000);
    drop(back);
    nothing_is_left(&rt);
}

#[mobula::test]
fn an_object_that_a_task_put_outlives_the_task() {
    let rt = runtime(2);
    let outer = rt.spawn(puts::remote(50_000));
    let inner = outer.get().unwrap();
    drop(outer);
    assert_eq!(rt.spawn(total::remote(&inner)).get().unwrap(), 50_000.0);
    drop(inner);
    nothing_is_left(&rt);
}

#[mobula::test]
fn refs_are_borrowed_five_deep() {
    for workers in [1, 2] {
        let rt = runtime(workers);
        let numbers = rt.put(&vec![1.0; 50_000]).unwrap();
        let sum = rt.spawn(deep::remote(numbers, 5));
        assert_eq!(sum.get().unwrap(), 50_000.0);
        drop(sum);
        nothing_is_left(&rt);
    }
}

#[mobula::test]
fn an_array_that_a_function_keeps_stays_until_it_lets_go() {
    let rt = runtime(1);
    let numbers = rt.put(&vec![1.0; 50_000]).unwrap();
    rt.spawn(keep::remote(&numbers)).get().unwrap();
    drop(numbers);
    // Memory that was free would be used for this.
    let other = rt.put(&vec![5.0; 50_000]).unwrap();
    assert_eq!(rt.spawn(kept::remote()).get().unwrap(), 50_000.0);
    drop(other);
    eventually("only the kept array is left", || {
        rt.store().used_bytes() == 400_000
    });
    rt.spawn(forget::remote()).get().unwrap();
    nothing_is_left(&rt);
}

#[mobula::test]
fn the_same_ref_may_be_passed_and_fetched_many_times() {
    let rt = runtime(2);
    let numbers = rt.put(&vec![1.0; 5_000]).unwrap();
    let refs = vec![numbers.clone(), numbers.clone(), numbers.clone()];
    assert_eq!(rt.get(&refs).unwrap().len(), 3);
    assert_eq!(rt.spawn(ignores::remote(numbers.clone())).get().unwrap(), 1);
    drop((numbers, refs));
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_hundred_megabytes_in_and_out_leave_nothing() {
    #[remote]
    fn doubled(bytes: &[u8]) -> Vec<u8> {
        bytes.iter().map(|byte| byte.wrapping_mul(2)).collect()
    }
    let rt = Runtime::builder()
        .workers(1)
        .store_capacity(1 << 30)
        .start()
        .unwrap();
    for _ in 0..3 {
        let result = rt.spawn(doubled::remote(vec![21_u8; 100 << 20]));
        let view = result.view().unwrap();
        assert!(view.len() == 100 << 20 && view.iter().all(|byte| *byte == 42));
        drop((result, view));
        nothing_is_left(&rt);
    }
}

#[remote]
fn sum_of_all(list: ObjectRef<Vec<ObjectRef<u64>>>) -> mobula::Result<u64> {
    // Twice: the second time with the handles of the first.
    let (first, second) = (list.get()?, list.get()?);
    drop(list);
    first.iter().chain(&second).map(|number| number.get()).sum()
}

/// A long value is read with handles that are kept beside its own. They are the caller's only as
/// long as that is.
#[mobula::test]
fn what_a_long_value_refers_to_goes_with_it() {
    let rt = runtime(2);
    let numbers: Vec<_> = (0..200_u64).map(|n| rt.put(&n).unwrap()).collect();
    let list = rt.put(&numbers).unwrap();
    drop(numbers);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let numbers = list.get().unwrap();
                    assert_eq!(numbers.len(), 200);
                    assert_eq!(numbers[199].get().unwrap(), 199);
                }
            });
        }
    });
    assert_eq!(rt.store().object_count(), 201);
    let sum = sum_of_all::remote(&list).spawn().get().unwrap();
    assert_eq!(sum, 2 * 199 * 100);

    let numbers = list.get().unwrap();
    drop(list);
    eventually("the list is gone", || rt.store().object_count() == 200);
    assert_eq!(
        numbers.iter().map(|n| n.get().unwrap()).sum::<u64>(),
        19_900
    );
    drop(numbers);
    nothing_is_left(&rt);
}
