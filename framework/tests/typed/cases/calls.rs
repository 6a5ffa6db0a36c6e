//! Calls: options, chains, recursion.

use mobula::{Error, prelude::*};

use super::{Rt, functions::*};

pub(crate) fn all(rt: &Rt) {
    a_call_is_inert_and_shows_what_it_is();
    a_loop_keeps_one_type(rt);
    tasks_call_tasks();
    groups_of_refs_are_fetched_together(rt);
    the_function_itself_stays(rt);
    a_call_can_be_sent_to_another_thread(rt);
    a_limit_of_calls_changes_no_result(rt);
    a_call_that_may_not_wait_starts(rt);
}

fn a_call_is_inert_and_shows_what_it_is() {
    let call = score::remote(&[1.0], 7);
    let text = format!("{call:?}");
    assert!(
        text.contains("score") && text.contains("retries: Some(2)"),
        "{text}"
    );
    assert!(format!("{:?}", call.retries(5)).contains("retries: Some(5)"));
    assert!(format!("{:?}", add::remote(1.0, 2.0)).contains("retries: None"));
}

fn a_loop_keeps_one_type(rt: &Rt) {
    let mut state = rt.put(&vec![1.0, 2.0]).unwrap();
    for _ in 0..3 {
        state = step::remote(&state).spawn();
    }
    for _ in 0..3 {
        state = step_alias::remote(&state).spawn();
    }
    assert_eq!(state.get().unwrap(), [7.0, 8.0]);
    let mut array = rt.put(&mobula::Array::from(vec![1.0])).unwrap();
    for _ in 0..3 {
        array = step_array::remote(&array).spawn();
    }
    assert_eq!(array.get().unwrap(), [4.0]);
    state = array.clone().into();
    assert_eq!(state.get().unwrap(), [4.0]);
    let back: ObjectRef<mobula::Array<f64>> = state.into();
    assert_eq!(back, array);
}

fn tasks_call_tasks() {
    assert_eq!(fib::remote(8).spawn().get().unwrap(), 21);
}

fn groups_of_refs_are_fetched_together(rt: &Rt) {
    let refs = rt.spawn_all((0..20).map(|n| square::remote(f64::from(n))));
    let values: Vec<f64> = (0..20).map(|n| f64::from(n * n)).collect();
    assert_eq!(rt.get(&refs).unwrap(), values);
    assert_eq!(rt.get(&refs[..2]).unwrap(), values[..2]);
    assert_eq!(
        rt.get([refs[3].clone(), refs[1].clone(), refs[3].clone()])
            .unwrap(),
        [9.0, 1.0, 9.0]
    );
    let word = rt.put("word").unwrap();
    let (a, b, c) = rt
        .get((&refs[2], &word, nothing::remote().spawn()))
        .unwrap();
    assert_eq!((a, b.as_str(), c), (4.0, "word", ()));
    assert_eq!(rt.get(refs).unwrap(), values);
    let none: Vec<ObjectRef<f64>> = Vec::new();
    assert_eq!(rt.get(none).unwrap(), Vec::<f64>::new());
    let bad = rt.spawn(later::remote(
        rt.spawn(super::errors::fails::remote("bad")),
        1.0,
    ));
    let error: Error = rt.get((&word, &bad)).unwrap_err();
    assert!(error.is_application(), "{error:?}");
}

fn the_function_itself_stays(rt: &Rt) {
    let function: fn(f64, f64) -> f64 = add;
    assert_eq!(function(1.0, 2.0), 3.0);
    // A variable of the name does not hide the remote form.
    let square = square(3.0);
    assert_eq!(square::remote(square).spawn().get().unwrap(), 81.0);
    assert_eq!(rt.spawn(add::remote(1.0, 2.0)).get().unwrap(), 3.0);
    let call = add::remote;
    assert_eq!(call(1.0, 2.0).spawn().get().unwrap(), 3.0);
}

fn a_call_can_be_sent_to_another_thread(rt: &Rt) {
    fn can_be_sent<T: Send + Sync + 'static>(value: T) -> T {
        value
    }
    let call = can_be_sent(add::remote(1.0, 2.0));
    let call = std::thread::spawn(move || call).join().unwrap();
    let result = can_be_sent(rt.spawn(call));
    assert_eq!(
        std::thread::spawn(move || result.get())
            .join()
            .unwrap()
            .unwrap(),
        3.0
    );
}

/// An engine without workers has none to replace.
fn a_limit_of_calls_changes_no_result(rt: &Rt) {
    let calls = (0..8).map(|n| square::remote(f64::from(n)).max_calls(2));
    let refs = rt.spawn_all(calls);
    let values: Vec<f64> = (0..8).map(|n| f64::from(n * n)).collect();
    assert_eq!(rt.get(&refs).unwrap(), values);
    let error = rt
        .spawn(square::remote(1.0).max_calls(0))
        .get()
        .unwrap_err();
    assert!(error.is_usage(), "{error}");
    assert!(error.to_string().contains("`max_calls`"), "{error}");
}

/// Without a limit there is always a place.
fn a_call_that_may_not_wait_starts(rt: &Rt) {
    let refs: Vec<_> = (0..20)
        .map(|n| rt.try_spawn(square::remote(f64::from(n))).unwrap())
        .collect();
    assert_eq!(rt.get(&refs).unwrap()[4], 16.0);
    let wrong = rt.try_spawn(square::remote(1.0).max_calls(0));
    assert!(wrong.unwrap_err().is_usage());
}
