//! The types that functions may return.

use super::{Rt, functions::*};

pub(crate) fn all(rt: &Rt) {
    values_tuples_and_nothing();
    flat_results_are_views_without_a_copy(rt);
    an_array_passes_through_a_function(rt);
    async_functions_return_what_they_await();
}

fn values_tuples_and_nothing() {
    nothing::remote().spawn().get().unwrap();
    let (ones, text) = pair::remote(2).spawn().get().unwrap();
    assert_eq!((ones, text.as_str()), (vec![1.0, 1.0], "2"));
    assert_eq!(exclaim::remote("x").spawn().get().unwrap(), "x!");
}

fn flat_results_are_views_without_a_copy(rt: &Rt) {
    let state = rt.put(&vec![1.0; 50_000]).unwrap();
    let next = step::remote(&state).spawn();
    let view = next.view().unwrap();
    assert!(view.len() == 50_000 && view.iter().all(|x| *x == 2.0));
    assert!(view.same_memory(&next.view().unwrap()));
    // The view outlives the ref.
    drop(next);
    assert_eq!(view[49_999], 2.0);
    assert_eq!(step_array::remote(&view).spawn().get().unwrap()[0], 3.0);
}

fn an_array_passes_through_a_function(rt: &Rt) {
    let array = rt
        .put_with(50_000, |out| {
            out.fill(0.0);
            out[1] = 1.0;
        })
        .unwrap();
    let same = same_array::remote(&array).spawn();
    let view = same.view().unwrap();
    drop(array);
    assert_eq!(view[..3], [0.0, 1.0, 0.0]);
    assert_eq!(
        same_array::remote(vec![1.0, 2.0]).spawn().get().unwrap(),
        [1.0, 2.0]
    );
}

fn async_functions_return_what_they_await() {
    assert_eq!(fetch::remote("u", 3).spawn().get().unwrap(), "u3");
}
