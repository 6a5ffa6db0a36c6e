//! Arguments that are read in place, and arguments that are copied.

use mobula::{Array, prelude::*};

use super::{Rt, functions::*};

pub(crate) fn all(rt: &Rt) {
    large_arrays_are_not_copied_on_their_way(rt);
    arrays_inside_values_are_not_copied(rt);
    decoded_values_are_the_callers_own(rt);
}

/// Elements enough to lie in the store.
const LARGE: usize = 100_000;

#[remote]
fn seen(array: &[f64], n: usize) -> (usize, f64) {
    // Shared memory begins at a cache line.
    (array.as_ptr() as usize % 64, array[n])
}

fn large_arrays_are_not_copied_on_their_way(rt: &Rt) {
    let samples: Vec<f64> = (0..LARGE).map(|n| n as f64).collect();
    let put = rt.put(&samples).unwrap();
    for n in [0, 1, LARGE - 1] {
        assert_eq!(seen::remote(&put, n).spawn().get().unwrap(), (0, n as f64));
        assert_eq!(
            seen::remote(&samples, n).spawn().get().unwrap(),
            (0, n as f64)
        );
    }
    // Views in this process are of one memory, whichever type the ref has.
    let view = put.view().unwrap();
    assert!(view.same_memory(&put.as_array().get().unwrap()));
    assert!(view.same_memory(&put.view().unwrap()));
    // Putting what lies in the store is no copy, nor is passing it through a function.
    let again = rt.put(&view).unwrap();
    assert!(again.view().unwrap().same_memory(&view));
    let built = rt
        .put_with(LARGE, |out| {
            out.fill(0.0);
            out[7] = 1.0;
        })
        .unwrap();
    assert_eq!(built.view().unwrap()[6..9], [0.0, 1.0, 0.0]);
    let returned = build_array::remote(LARGE).spawn();
    assert_eq!(returned.view().unwrap()[LARGE - 1], (LARGE - 1) as f64);
}

fn arrays_inside_values_are_not_copied(rt: &Rt) {
    let array = rt
        .put_with(LARGE, |out: &mut [f64]| {
            out.fill(0.0);
            out[0] = 3.0;
        })
        .unwrap()
        .get()
        .unwrap();
    let bundle_ref = rt
        .put(&Bundle {
            parts: [(1, array.clone()), (2, array.clone())].into(),
            next: None,
            extra: Some(array.clone()),
        })
        .unwrap();
    let back = bundle_ref.get().unwrap();
    assert!(
        back.parts
            .values()
            .chain(&back.extra)
            .all(|part| part.same_memory(&array))
    );
    assert_eq!(bundle::remote(&bundle_ref).spawn().get().unwrap(), 9.0);
    let list = rt.put(&vec![array.clone(); 3]).unwrap();
    assert!(
        list.get()
            .unwrap()
            .iter()
            .all(|part| part.same_memory(&array))
    );
    let wrapped: ObjectRef<Option<Array<f64>>> = rt.put(&Some(array.clone())).unwrap();
    assert!(wrapped.get().unwrap().unwrap().same_memory(&array));
}

fn decoded_values_are_the_callers_own(rt: &Rt) {
    let model = rt
        .put(&Model {
            weights: vec![1.0],
            name: "one".into(),
        })
        .unwrap();
    let mut mine = model.get().unwrap();
    mine.name.push('!');
    assert_eq!(model.get().unwrap().name, "one");
    for _ in 0..3 {
        assert_eq!(
            same_model::remote(&model).spawn().get().unwrap().name,
            "one"
        );
    }
}
