//! A stray write to anything that is sealed ends one process and harms no data.

use mobula::{Array, prelude::*};

use crate::support::{nothing_is_left, runtime};

/// Writes to memory that is read-only.
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

/// Writes 64 elements more than there are, as native code with a wrong length would.
#[remote]
fn overruns() -> mobula::Result<u64> {
    let before = Array::build(20_000, |numbers: &mut [u64]| numbers.fill(1))?;
    let mut after = None;
    let built = Array::build(20_000, |numbers: &mut [u64]| {
        after = Array::build(20_000, |numbers: &mut [u64]| numbers.fill(1)).ok();
        let end = numbers.as_mut_ptr_range().end;
        // SAFETY: none; this is the bug that the test is about.
        unsafe { std::slice::from_raw_parts_mut(end, 64) }.fill(9);
        let others = before
            .iter()
            .chain(after.iter().flat_map(|array| array.iter()));
        assert_eq!(others.sum::<u64>(), 40_000, "a neighbour has changed");
    })?;
    Ok(built[0])
}

#[mobula::test]
fn a_write_beyond_the_end_of_an_array_under_construction() {
    let rt = runtime(1);
    let error = overruns::remote().spawn().get().unwrap_err();
    assert!(error.is_panic(), "{error:?}");
    assert!(
        error.to_string().contains("beyond the end of an array"),
        "{error}"
    );
    nothing_is_left(&rt);
}
