//! A stray write to anything that is sealed ends one process and harms no data.

use mobula::{__private::Source, Array, IntoArg, prelude::*};

use crate::support::{nothing_is_left, runtime};

/// Writes where nobody may.
fn scribble(numbers: &[f64]) {
    let place = numbers.as_ptr().cast_mut();
    // SAFETY: none; this is the bug that the test is about. The mapping is read-only, so the write
    // does not happen.
    unsafe { place.write_volatile(-1.0) };
}

#[remote]
fn scribbles(numbers: &[f64]) -> f64 {
    scribble(numbers);
    numbers[0]
}

#[remote]
fn makes(value: f64) -> Array<f64> {
    Array::from(vec![value; 20_000])
}

#[remote]
fn scribbles_over_its_own() -> mobula::Result<f64> {
    let array = Array::build(20_000, |numbers: &mut [f64]| numbers.fill(1.0))?;
    scribble(&array);
    Ok(array[0])
}

#[remote]
fn scribbles_over_its_own_put() -> mobula::Result<f64> {
    let stored = Runtime::current()?.put(&vec![1.0; 20_000])?;
    scribble(&stored.view()?);
    Ok(1.0)
}

#[track_caller]
fn is_a_fault(error: &mobula::Error) {
    assert!(
        error.is_crash() && error.to_string().contains("signal 11 (SIGSEGV)"),
        "{error}"
    );
}

#[mobula::test]
fn a_write_to_an_argument() {
    let rt = runtime(2);
    let numbers = rt.put(&vec![1.0; 20_000]).unwrap();
    is_a_fault(&rt.spawn(scribbles::remote(&numbers)).get().unwrap_err());
    assert!(numbers.get().unwrap().iter().all(|x| *x == 1.0));
    drop(numbers);
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_write_to_another_workers_result() {
    let rt = runtime(2);
    let result = rt.spawn(makes::remote(3.0));
    result.wait().unwrap();
    // Whichever of the two workers gets it, the second attempt meets the other one's segment or a
    // new worker.
    for _ in 0..2 {
        is_a_fault(&rt.spawn(scribbles::remote(&result)).get().unwrap_err());
    }
    assert!(result.view().unwrap().iter().all(|x| *x == 3.0));
    drop(result);
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_write_to_ones_own_sealed_result() {
    let rt = runtime(1);
    is_a_fault(
        &rt.spawn(scribbles_over_its_own::remote())
            .get()
            .unwrap_err(),
    );
    is_a_fault(
        &rt.spawn(scribbles_over_its_own_put::remote())
            .get()
            .unwrap_err(),
    );
    nothing_is_left(&rt);
}

/// Items that are hidden, since generated code needs them, give no way to write an object.
#[mobula::test]
fn an_object_cannot_be_opened_for_writing() {
    let rt = runtime(1);
    let object: ObjectRef<Vec<u64>> = rt.put(&vec![7_u64; 100_000]).unwrap();
    let atomics = rt.atomic_array::<std::sync::atomic::AtomicU64>(8).unwrap();
    let entry = IntoArg::<Vec<u64>>::with_source(&object, |source| match source {
        Source::Object(entry) => entry,
        _ => unreachable!("a ref is an object"),
    });
    let client = entry.client().unwrap();
    let error = client.region(&entry).unwrap_err();
    assert!(
        error.to_string().contains("expected shared memory"),
        "{error}"
    );
    // Neither where it lies in the heap: only what was made to be written is.
    let view = object.view().unwrap();
    let lease = || std::sync::Arc::new(());
    let loc = view.as_block().loc().unwrap();
    assert!(client.heap().region(loc, lease()).is_err());
    let writable = atomics.len();
    assert_eq!((view[0], writable), (7, 8));
}
