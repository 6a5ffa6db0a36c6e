//! Tests that hold calls back, or that have two runtimes.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Rt;
use crate::{Array, ArrayBuild, ObjectRef, remote};

/// A number of elements that is too large for messages.
const LARGE: usize = 10_000;

#[remote]
fn half(x: f64) -> f64 {
    x / 2.0
}

#[remote]
fn first(array: &[f64]) -> f64 {
    array[0]
}

#[remote]
fn refuses(x: f64) -> Result<f64, String> {
    Err(format!("not {x}"))
}

#[remote]
fn inner(value: Option<ObjectRef<f64>>) -> bool {
    value.is_some()
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_pending_result_times_out_and_comes_later() {
    let rt = Rt::start();
    rt.hold();
    let result = half::remote(3.0).spawn();
    assert!(!result.is_ready());
    for limit in [Duration::ZERO, Duration::from_millis(1)] {
        let error = result.get_timeout(limit).unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert!(error.to_string().contains(&format!("{limit:?}")), "{error}");
        assert!(result.wait_timeout(limit).unwrap_err().is_timeout());
    }
    assert!(format!("{result:?}").contains("pending"), "{result:?}");
    rt.run_held();
    assert!(result.is_ready());
    assert_eq!(result.get_timeout(Duration::ZERO).unwrap(), 1.5);
}

#[test]
fn a_pending_future_wakes_its_task_once() {
    let rt = Rt::start();
    rt.hold();
    let result = half::remote(3.0).spawn();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(&result);
    assert!(future.as_mut().poll(&mut context).is_pending());
    assert!(future.as_mut().poll(&mut context).is_pending());
    assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
    rt.run_held();
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    let Poll::Ready(value) = future.poll(&mut context) else {
        panic!("woken, and not ready")
    };
    assert_eq!(value.unwrap(), 1.5);
}

#[test]
fn a_pending_ref_is_a_dependency() {
    let rt = Rt::start();
    rt.hold();
    let a = half::remote(8.0).spawn();
    let b = half::remote(&a).spawn();
    let c = half::remote(half::remote(&b).spawn()).spawn();
    drop((a, b));
    rt.run_held();
    assert_eq!(c.get().unwrap(), 0.5);
}

#[test]
fn the_result_of_a_detached_task_is_freed() {
    let rt = Rt::start();
    rt.hold();
    half::remote(1.0).spawn().detach();
    drop(half::remote(2.0).spawn());
    rt.run_held();
    assert_eq!(rt.object_count(), 0);
}

#[test]
fn a_known_failure_ends_a_get_of_many_at_once() {
    let rt = Rt::start();
    let failed = refuses::remote(1.0).spawn();
    rt.hold();
    let pending = half::remote(1.0).spawn();
    let error = rt.get(&[pending.clone(), failed.clone()]).unwrap_err();
    assert!(error.to_string().contains("not 1"), "{error}");
    assert!(rt.get((&pending, &pending, &failed)).is_err());
    rt.run_held();
    assert!(rt.get(vec![pending; 3]).is_ok());
}

#[test]
fn refs_of_two_runtimes_do_not_meet() {
    let (rt, other) = (Rt::start(), Rt::aside());
    let (here, there) = (rt.put(&vec![1.0]).unwrap(), other.put(&2.0).unwrap());
    // The call runs on the runtime of its ref.
    let result = half::remote(&there).spawn();
    assert_eq!(half::remote(&result).spawn().get().unwrap(), 0.5);
    assert_eq!(rt.object_count(), 1);

    #[remote]
    fn both(array: &[f64], x: f64) -> f64 {
        array[0] + x
    }
    for error in [
        both::remote(&here, &there).spawn().get().unwrap_err(),
        rt.spawn(half::remote(&there)).get().unwrap_err(),
        rt.spawn(inner::remote(Some(there.clone())))
            .get()
            .unwrap_err(),
        rt.put(&Some(there.clone())).unwrap_err(),
    ] {
        assert!(error.is_usage(), "{error:?}");
    }
    let error = both::remote(&here, &there).spawn().get().unwrap_err();
    assert!(error.to_string().contains("`both`"), "{error}");
    assert!(inner::remote(Some(there)).spawn().get().unwrap());
}

#[test]
fn refs_of_a_runtime_that_is_gone_say_so() {
    let rt = Rt::start();
    let other = Rt::aside();
    let there = other.put(&2.0).unwrap();
    other.hold();
    let pending = other.spawn(half::remote(&there));
    drop(other);
    let result = half::remote(&there).spawn();
    assert_eq!(
        there.get().unwrap(),
        2.0,
        "a small value that is known here stays readable"
    );
    for error in [
        pending.get().unwrap_err(),
        futures::executor::block_on(&pending).unwrap_err(),
        result.get().unwrap_err(),
        rt.spawn(half::remote(&there)).get().unwrap_err(),
    ] {
        assert!(error.is_shutdown(), "{error:?}");
    }
}

#[test]
fn calls_with_the_refs_of_failed_calls_fail() {
    let rt = Rt::start();
    let broken = half::remote(Unwritable::as_f64()).spawn();
    let never = takes_unwritable::remote(&Unwritable).spawn();
    assert!(broken.get().is_ok());
    let error = never.get().unwrap_err();
    assert!(error.is_codec(), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("argument `value` of `takes_unwritable`") && text.contains("never"),
        "{text}"
    );
    for error in [
        half::remote(&never).spawn().get().unwrap_err(),
        rt.spawn(half::remote(&never)).get().unwrap_err(),
        inner::remote(Some(never.clone()))
            .spawn()
            .get()
            .unwrap_err(),
    ] {
        assert!(
            error.is_dependency() && error.root().is_codec(),
            "{error:?}"
        );
    }
    assert!(rt.put(&Unwritable).unwrap_err().is_codec());
    assert!(rt.put(&Some(never)).is_err());
}

struct Unwritable;

impl Unwritable {
    fn as_f64() -> f64 {
        0.0
    }
}

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("this is never written"))
    }
}

impl<'de> Deserialize<'de> for Unwritable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Unwritable, D::Error> {
        Ok(Unwritable)
    }
}

#[remote]
fn takes_unwritable(value: &Unwritable) -> f64 {
    let _ = value;
    0.0
}

#[remote]
fn returns_unwritable() -> Unwritable {
    Unwritable
}

#[test]
fn a_result_that_cannot_be_encoded_is_an_error_of_the_task() {
    let _rt = Rt::start();
    let error = returns_unwritable::remote().spawn().wait().unwrap_err();
    assert!(
        error.is_codec() && error.to_string().contains("`returns_unwritable`"),
        "{error}"
    );
}

#[test]
fn large_bytes_are_in_the_store_once() {
    let rt = Rt::start();
    let bytes = (LARGE * 8) as u64;
    let samples = vec![1.0; LARGE];
    let put = rt.put(&samples).unwrap();
    assert_eq!(rt.used_bytes(), bytes.next_multiple_of(64));
    // One call has the array as an argument by value, the other one as a ref.
    rt.hold();
    let calls = [first::remote(&samples), first::remote(&put)].map(|call| call.spawn());
    assert_eq!(rt.used_bytes(), 2 * bytes.next_multiple_of(64));
    rt.run_held();
    assert_eq!(rt.get(calls).unwrap(), [1.0, 1.0]);
    assert_eq!(rt.used_bytes(), bytes.next_multiple_of(64));
    // A put of a view copies nothing.
    let view = put.view().unwrap();
    let again = rt.put(&view).unwrap();
    let nested = rt.put(&vec![Some(view.clone()); 3]).unwrap();
    assert_eq!(rt.used_bytes(), bytes.next_multiple_of(64));
    drop((put, again, samples));
    assert_eq!(nested.get().unwrap()[1].as_ref().unwrap()[LARGE - 1], 1.0);
    drop(nested);
    assert_eq!(view[LARGE - 1], 1.0);
    drop(view);
    assert_eq!(rt.used_bytes(), 0);
}

#[test]
fn an_array_that_is_built_in_the_store_is_not_copied() {
    let rt = Rt::start();
    // The store leaves a gap of 4,096 bytes behind the elements that user code fills.
    let bytes = ((LARGE * 8) as u64).next_multiple_of(64) + 4096;
    let built = Array::build(LARGE, |out: &mut [f64]| {
        out.fill(0.0);
        out[1] = 1.0;
    })
    .unwrap();
    assert_eq!(
        (rt.used_bytes(), &built[..3]),
        (bytes, &[0.0, 1.0, 0.0][..])
    );
    let put = rt.put(&built).unwrap();
    assert!(put.view().unwrap().same_memory(&built));
    assert_eq!(first::remote(&built).spawn().get().unwrap(), 0.0);
    assert_eq!(rt.used_bytes(), bytes);
    drop(put);
    assert_eq!(built[1], 1.0);
    drop(built);
    assert_eq!(rt.used_bytes(), 0);
    // Used memory is given out without clearing, unless its bytes could be invalid elements.
    let again = rt
        .put_with(LARGE * 8, |out: &mut [bool]| {
            assert!(out.iter().all(|x| !x));
            out.fill(true);
        })
        .unwrap();
    assert!(again.view().unwrap().iter().all(|x| *x));
    let small = Array::build(3, |out: &mut [u8]| out.fill(7)).unwrap();
    assert_eq!(small, [7, 7, 7]);
    assert!(
        Array::<f64>::build(usize::MAX, |_| ())
            .unwrap_err()
            .is_usage()
    );
}

#[test]
fn a_full_store_is_an_error_with_numbers() {
    let rt = Rt::start();
    let samples = vec![0_u8; 65 << 20];
    let error = rt.put(&samples).unwrap_err();
    assert!(error.is_store_full(), "{error:?}");
    assert!(
        rt.put_with(65 << 20, |_: &mut [u8]| ())
            .unwrap_err()
            .is_store_full()
    );
    #[remote]
    fn len(bytes: &[u8]) -> usize {
        bytes.len()
    }
    assert!(
        len::remote(&samples)
            .spawn()
            .get()
            .unwrap_err()
            .is_store_full()
    );
    assert!(rt.put(&samples[..1 << 20]).is_ok());
}
