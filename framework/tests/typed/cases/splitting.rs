//! Calls whose results are split into objects.

use mobula::{Array, prelude::*};

use super::{Rt, functions::*};

#[remote]
fn pair(n: u32) -> (u32, String) {
    (n, n.to_string())
}

#[remote]
fn blocks(len: usize) -> (Vec<f64>, Array<f64>, Option<Array<f64>>) {
    let block = Array::from(vec![2.0; len]);
    (vec![1.0; len], block.clone(), Some(block))
}

#[remote]
fn halves(text: &str) -> Result<(String, String), String> {
    let (a, b) = text.split_once(' ').ok_or("there is no space")?;
    Ok((a.to_owned(), b.to_owned()))
}

type Named = (u32, u32);

#[remote]
async fn named(n: u32) -> Named {
    (n, n + 1)
}

#[remote]
fn refs(object: ObjectRef<f64>) -> (ObjectRef<f64>, Vec<ObjectRef<f64>>) {
    (object.clone(), vec![object])
}

#[remote]
fn many() -> (u8, u16, u32, u64, i8, i16, i32, i64) {
    (1, 2, 3, 4, 5, 6, 7, 8)
}

#[remote]
fn total(block: &[f64]) -> f64 {
    block.iter().sum()
}

struct Splitter;

#[remote]
impl Splitter {
    fn new() -> Splitter {
        Splitter
    }

    fn split(&self, n: u32) -> (u32, u32) {
        (n / 2, n - n / 2)
    }
}

pub(crate) fn all(rt: &Rt) {
    each_element_is_an_object(rt);
    elements_can_be_passed_on_before_they_are_there(rt);
    elements_fail_with_their_call(rt);
    elements_may_have_refs(rt);
    methods_are_split(rt);
}

fn each_element_is_an_object(rt: &Rt) {
    let (number, text) = pair::remote(7).spawn_split();
    assert_eq!(text.get().unwrap(), "7");
    drop(text);
    assert_eq!(number.get().unwrap(), 7);
    assert_eq!(number.get().unwrap(), 7);
    let (a, b) = named::remote(1).spawn_split();
    assert_eq!(rt.get((a, b)).unwrap(), (1, 2));
    let (.., last) = many::remote().spawn_split();
    assert_eq!(last.get().unwrap(), 8);
    for len in [3, 10_000] {
        let (vec, array, inside) = blocks::remote(len).spawn_split();
        assert_eq!(vec.view().unwrap()[len - 1], 1.0);
        assert_eq!(array.view().unwrap()[len - 1], 2.0);
        assert_eq!(inside.get().unwrap().unwrap()[len - 1], 2.0);
    }
    // The call itself is as it was.
    assert_eq!(pair::remote(7).spawn().get().unwrap(), (7, "7".to_owned()));
}

fn elements_can_be_passed_on_before_they_are_there(_: &Rt) {
    for len in [3, 10_000] {
        let (vec, array, _) = blocks::remote(len).spawn_split();
        let totals = [total::remote(&vec), total::remote(array)].map(UnspawnedCall::spawn);
        drop(vec);
        let [one, two] = totals.map(|total| total.get().unwrap());
        assert_eq!((one, two), (len as f64, 2.0 * len as f64));
    }
    let (left, right) = halves::remote("one three").spawn_split();
    assert_eq!(text_len::remote(left).spawn().get().unwrap(), 3);
    assert_eq!(text_len::remote(right).spawn().get().unwrap(), 5);
}

fn elements_fail_with_their_call(_: &Rt) {
    let (left, right) = halves::remote("one").spawn_split();
    for half in [&left, &right] {
        let error = half.get().unwrap_err();
        assert!(error.is_application(), "{error}");
        assert!(error.to_string().contains("there is no space"), "{error}");
    }
    let error = text_len::remote(left).spawn().get().unwrap_err();
    assert!(error.is_dependency(), "{error}");
    // It fails before it begins.
    let (left, _) = halves::remote(&right).spawn_split();
    assert!(left.get().unwrap_err().is_dependency());
}

fn elements_may_have_refs(rt: &Rt) {
    let object = rt.put(&7.0).unwrap();
    let (one, several) = refs::remote(rt.put(&object).unwrap()).spawn_split();
    drop(object);
    assert_eq!(one.get().unwrap().get().unwrap(), 7.0);
    drop(one);
    assert_eq!(several.get().unwrap()[0].get().unwrap(), 7.0);
}

fn methods_are_split(rt: &Rt) {
    let splitter = rt.spawn_actor(Splitter::remote());
    let (low, high) = splitter.split(7).spawn_split();
    assert_eq!(rt.get((low, high)).unwrap(), (3, 4));
}
