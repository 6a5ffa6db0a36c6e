//! Tests of decoded values that are kept for the next call.

use std::{cell::Cell, rc::Rc};

use mobula_protocol::{Input, ObjectId, Payload, WorkerId};
use serde::{Deserialize, Deserializer, Serialize};

use super::Rt;
use crate::{
    __private::{Level3, Probe},
    Array, remote,
    typed::{
        codecs::{Codec, encode_value},
        place::Place,
    },
};

thread_local! {
    static DECODED: Cell<usize> = const { Cell::new(0) };
}

/// Counts how often it is decoded on this thread.
#[derive(Serialize)]
struct Counting(u32);

impl<'de> Deserialize<'de> for Counting {
    fn deserialize<D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Counting, D::Error> {
        DECODED.set(DECODED.get() + 1);
        u32::deserialize(deserializer).map(Counting)
    }
}

/// A `Counting` that threads cannot share.
#[derive(Serialize, Deserialize)]
struct Lonely(Rc<Counting>);

#[remote]
fn count(value: &Counting) -> u32 {
    value.0
}

#[remote]
fn count_lonely(value: &Lonely) -> u32 {
    value.0.0
}

#[remote]
fn count_all(values: &[Counting]) -> usize {
    values.len()
}

#[remote]
fn owned(value: Counting) -> u32 {
    value.0
}

fn decoded_by(f: impl FnOnce()) -> usize {
    let before = DECODED.get();
    f();
    DECODED.get() - before
}

#[test]
fn what_is_borrowed_is_decoded_once_per_object() {
    let rt = Rt::start();
    let (a, b) = (rt.put(&Counting(1)).unwrap(), rt.put(&Counting(2)).unwrap());
    let calls = |object: &crate::ObjectRef<Counting>, times: usize| {
        decoded_by(|| (0..times).for_each(|_| count::remote(object).spawn().wait().unwrap()))
    };
    assert_eq!((calls(&a, 3), calls(&b, 2), calls(&a, 2)), (1, 1, 0));
    let list = rt.put(&vec![Counting(1), Counting(2)]).unwrap();
    assert_eq!(
        decoded_by(|| (0..3).for_each(|_| count_all::remote(&list).spawn().wait().unwrap())),
        2
    );
    // Arguments by value and owned parameters are not cached.
    assert_eq!(
        decoded_by(|| (0..2).for_each(|_| count::remote(Counting(1)).spawn().wait().unwrap())),
        2
    );
    assert_eq!(
        decoded_by(|| (0..2).for_each(|_| owned::remote(&a).spawn().wait().unwrap())),
        2
    );
    // Another engine uses the same ids for other objects.
    drop((a, b, list, rt));
    let rt = Rt::start();
    let other = rt.put(&Counting(9)).unwrap();
    assert_eq!(count::remote(&other).spawn().get().unwrap(), 9);
    assert_eq!(calls(&other, 2), 0);
}

#[test]
fn what_threads_cannot_share_is_decoded_once_per_thread() {
    let rt = Rt::start();
    let lonely = |n| rt.put(&Lonely(Rc::new(Counting(n)))).unwrap();
    let calls = |object: &crate::ObjectRef<Lonely>, times: usize| {
        decoded_by(|| (0..times).for_each(|_| count_lonely::remote(object).spawn().wait().unwrap()))
    };
    let a = lonely(1);
    assert_eq!((calls(&a, 3), calls(&a, 2)), (1, 0));
    // The cache keeps a limited number of values, and drops the oldest.
    let many: Vec<_> = (0..40).map(lonely).collect();
    assert_eq!(
        many.iter().map(|object| calls(object, 2)).sum::<usize>(),
        40
    );
    assert_eq!(
        (calls(&a, 1), calls(&many[39], 1), calls(&many[0], 1)),
        (1, 0, 1)
    );
    drop((a, many, rt));
    let rt = Rt::start();
    let other = rt.put(&Lonely(Rc::new(Counting(9)))).unwrap();
    assert_eq!(count_lonely::remote(&other).spawn().get().unwrap(), 9);
    assert_eq!(calls(&other, 2), 0);
}

#[derive(Serialize, Deserialize)]
struct WithArray {
    n: Counting,
    array: Array<f64>,
}

#[remote]
fn with_array(value: &WithArray) -> usize {
    value.array.len() + value.n.0 as usize
}

#[test]
fn kept_values_with_arrays_end_with_their_object() {
    let rt = Rt::start();
    let array = rt
        .put_with(10_000, |_: &mut [f64]| ())
        .unwrap()
        .get()
        .unwrap();
    let n = Counting(1);
    let object = rt.put(&WithArray { n, array }).unwrap();
    let call = || assert_eq!(with_array::remote(&object).spawn().get().unwrap(), 10_001);
    assert_eq!(decoded_by(|| (0..3).for_each(|_| call())), 1);
    drop(object);
    assert_eq!((rt.object_count(), rt.used_bytes()), (0, 0));
}

#[test]
fn a_cached_value_may_decode_others_while_it_is_decoded() {
    let rt = Rt::start();
    CURRENT.set(Some(rt.put(&Counting(5)).unwrap()));
    let outer = rt.put(&Nested(0)).unwrap();
    assert_eq!(nested::remote(&outer).spawn().get().unwrap(), 5);
    CURRENT.set(None);
}

thread_local! {
    static CURRENT: Cell<Option<crate::ObjectRef<Counting>>> = const { Cell::new(None) };
}

/// Runs a task while it is decoded.
#[derive(Serialize)]
struct Nested(u32);

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Nested, D::Error> {
        u32::deserialize(deserializer)?;
        let object = CURRENT.take().expect("the test has set it");
        count::remote(&object)
            .spawn()
            .get()
            .map(Nested)
            .map_err(serde::de::Error::custom)
    }
}

#[remote]
fn nested(value: &Nested) -> u32 {
    value.0
}

#[derive(Serialize, Deserialize)]
struct Known(u32);

fn payload<T: crate::Value>(value: T) -> Payload {
    encode_value(&value, Place::Current).unwrap()
}

#[test]
fn ids_alone_do_not_make_a_value_cached() {
    // Without an engine on this thread, no value is kept for any id.
    let id = ObjectId {
        origin: WorkerId(7),
        seq: 7,
    };
    let codec = (&&&&&&&Probe::<Known>::NEW).codec();
    let first = codec
        .lend(Input::Value(payload(Known(1)), Some(id)))
        .unwrap();
    let second = codec
        .lend(Input::Value(payload(Known(2)), Some(id)))
        .unwrap();
    assert_eq!((first.0, second.0), (1, 2));
}
