//! The arguments that each kind of parameter takes.

use std::{
    borrow::Cow,
    collections::HashMap,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use mobula::{Array, prelude::*};

use super::{Rt, functions::*};

pub(crate) fn all(rt: &Rt) {
    a_slice_of_numbers(rt);
    a_number(rt);
    text(rt);
    serde_values(rt);
    paths(rt);
    plain_structs(rt);
    shared_arrays(rt);
    vectors(rt);
    many_refs_as_a_vector(rt);
    options_and_odd_parameters();
    parameters_under_a_condition(rt);
}

fn check<T: mobula::Value + PartialEq + std::fmt::Debug>(
    calls: impl IntoIterator<Item = UnspawnedCall<T>>,
    expected: impl IntoIterator<Item = T>,
) {
    let values: Vec<T> = calls
        .into_iter()
        .map(|call| call.spawn().get().unwrap())
        .collect();
    let expected: Vec<T> = expected.into_iter().collect();
    assert_eq!(values, expected);
}

fn a_slice_of_numbers(rt: &Rt) {
    let samples = vec![1.0, 2.0, 3.0];
    let vec = rt.put(&samples).unwrap();
    let slice = rt.put(&samples[..]).unwrap();
    let fixed = rt.put(&[1.0, 2.0, 3.0]).unwrap();
    let array: Array<f64> = Array::from(samples.clone());
    let array_ref = rt.put(&array).unwrap();
    let _: (&ObjectRef<Vec<f64>>, &ObjectRef<Vec<f64>>) = (&vec, &slice);
    let _: (&ObjectRef<[f64; 3]>, &ObjectRef<Array<f64>>) = (&fixed, &array_ref);
    assert_eq!(score(&samples, 7), 42.0);
    let boxed: Box<[f64]> = samples.clone().into();
    let rc: Rc<[f64]> = samples.clone().into();
    let arc: Arc<[f64]> = samples.clone().into();
    let pending = step::remote(&vec).spawn();
    check(
        [
            score::remote(&vec, 7),
            score::remote(vec.clone(), 7),
            score::remote(&slice, 7),
            score::remote(&fixed, 7),
            score::remote(&array_ref, 7),
            score::remote(&samples, 7),
            score::remote(samples.clone(), 7),
            score::remote(&samples[..], 7),
            score::remote(&array, 7),
            score::remote(array.clone(), 7),
            score::remote(&*array, 7),
            score::remote(&boxed, 7),
            score::remote(&rc, 7),
            score::remote(&arc, 7),
            score::remote(boxed, 7),
            score::remote(rc, 7),
            score::remote(arc, 7),
            score::remote(Cow::from(&samples), 7),
        ],
        [42.0; 18],
    );
    check(
        [
            score::remote(&samples[1..], 1),
            score::remote(&array[1..], 1),
            score::remote(&[1.0, 2.0], 1),
            score::remote(vec![1.5], 1),
            score::remote(vec![], 1),
            score::remote(&pending, 1),
            score::remote(step::remote(&pending).spawn(), 1),
        ],
        [5.0, 5.0, 3.0, 1.5, 0.0, 9.0, 12.0],
    );
    for chunk in samples.chunks(2).collect::<Vec<_>>().iter() {
        check([score::remote(chunk, 1)], [chunk.iter().sum()]);
    }
}

fn a_number(rt: &Rt) {
    let array = rt.put(&vec![1.0, 2.0]).unwrap();
    let seven: u64 = 7;
    let put = rt.put(&seven).unwrap();
    let three = 3;
    check(
        [
            score::remote(&array, 7),
            score::remote(&array, seven),
            score::remote(&array, &seven),
            score::remote(&array, &put),
            score::remote(&array, put.clone()),
            score::remote(&array, three),
        ],
        [21.0, 21.0, 21.0, 21.0, 21.0, 9.0],
    );
    let a = score::remote(&array, 7).spawn();
    let total = add::remote(&a, &a).spawn();
    check(
        [add::remote(&total, 1.5), add::remote(total, a)],
        [43.5, 63.0],
    );
}

fn text(rt: &Rt) {
    let (text, string) = (
        rt.put("hello").unwrap(),
        rt.put(&String::from("hi")).unwrap(),
    );
    let _: (&ObjectRef<String>, &ObjectRef<String>) = (&text, &string);
    let owned = String::from("abc");
    check(
        [
            text_len::remote("x"),
            text_len::remote(&text),
            text_len::remote(string.clone()),
            text_len::remote(String::new()),
            text_len::remote(&owned),
            text_len::remote(Cow::from("äö")),
            text_len::remote(format!("{}", 12)),
        ],
        [1, 5, 2, 0, 3, 4, 2],
    );
    for word in ["a", "bc"].iter() {
        check([text_len::remote(word)], [word.len()]);
    }
    check(
        [
            exclaim::remote("x"),
            exclaim::remote(&string),
            exclaim::remote(owned.clone()),
            exclaim::remote(&owned),
        ],
        ["x!", "hi!", "abc!", "abc!"].map(String::from),
    );
    check(
        [
            borrowed_string::remote(&string),
            borrowed_string::remote("four"),
        ],
        [2, 4],
    );
}

fn serde_values(rt: &Rt) {
    let words = vec![String::from("ab"), String::from("c")];
    let words_ref = rt.put(&words).unwrap();
    check(
        [
            letters::remote(&words),
            letters::remote(&words[..1]),
            letters::remote(&words_ref),
            letters::remote(words.clone()),
            letters::remote(&[String::new()]),
            letters::remote(&rt.put(&[String::from("fixed")]).unwrap()),
        ],
        [3, 2, 3, 3, 0, 5],
    );
    let table: HashMap<String, f64> = [("a".to_owned(), 1.0)].into();
    let table_ref = rt.put(&table).unwrap();
    check(
        [
            lookup::remote(&table, "a"),
            lookup::remote(table, "b"),
            lookup::remote(&table_ref, "a"),
        ],
        [Some(1.0), None, Some(1.0)],
    );
    let model = Model {
        weights: vec![1.0, 2.0],
        name: "m".into(),
    };
    let model_ref = rt.put(&model).unwrap();
    check(
        [
            same_model::remote(&model),
            same_model::remote(model.clone()),
            same_model::remote(&model_ref),
            same_model::remote(same_model::remote(&model_ref).spawn()),
        ],
        std::iter::repeat_n(model.clone(), 4),
    );
    check(
        [take_model::remote(&model_ref), take_model::remote(model)],
        ["m", "m"].map(String::from),
    );
    check(
        [
            path_len::remote("/a/b"),
            path_len::remote(PathBuf::from("/a")),
        ],
        [4, 2],
    );
}

/// A path that is borrowed.
fn paths(rt: &Rt) {
    let path = PathBuf::from("/a");
    let stored = rt.put(&path).unwrap();
    check(
        [
            borrowed_len::remote(&stored),
            borrowed_len::remote(stored.clone()),
            borrowed_len::remote(path_of::remote("/a").spawn()),
            borrowed_len::remote(path.as_path()),
            borrowed_len::remote(&path),
            borrowed_len::remote(path),
            borrowed_len::remote("/a"),
            borrowed_len::remote(String::from("/a")),
            borrowed_len::remote(&String::from("/a")),
        ],
        [2; 9],
    );
}

#[remote]
fn borrowed_len(path: &Path) -> usize {
    path.as_os_str().len()
}

#[remote]
fn path_of(path: String) -> PathBuf {
    path.into()
}

#[remote]
fn path_len(path: PathBuf) -> usize {
    path.as_os_str().len()
}

fn plain_structs(rt: &Rt) {
    let particles = vec![Particle { x: 1.0, y: 2.0 }];
    let put = rt.put(&particles).unwrap();
    let shifted = shift::remote(&put).spawn();
    assert_eq!(shifted.get().unwrap()[0].x, 2.0);
    assert_eq!(shift::remote(&shifted).spawn().view().unwrap()[0].x, 3.0);
    assert_eq!(shift::remote(&particles).spawn().view().unwrap()[0].x, 2.0);
    let bare = [Bare { x: 1.0, y: 2.0 }];
    let made = bare_make::remote(4).spawn();
    assert_eq!(made.view().unwrap()[3].x, 3.0);
    check(
        [
            bare_sum::remote(&bare),
            bare_sum::remote(&rt.put(&bare[..]).unwrap()),
            bare_sum::remote(&made),
        ],
        [3.0, 3.0, 6.0],
    );
    check(
        [
            bare_take::remote(&made),
            bare_take::remote(vec![bare[0]; 2]),
        ],
        [4, 2],
    );
    let rows = rt.put(&vec![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).unwrap();
    check(
        [
            first_column::remote(&rows),
            first_column::remote(&[[7.0, 0.0, 0.0]]),
        ],
        [5.0, 7.0],
    );
    check(
        [
            truths::remote(&[true, false, true]),
            truths::remote(&rt.put(&vec![true]).unwrap()),
        ],
        [2, 1],
    );
    check([initials::remote(&['a', 'ß'])], ["aß".to_owned()]);
    check(
        [
            units::remote(&[(), ()]),
            units::remote(&rt.put(&vec![(); 3]).unwrap()),
        ],
        [2, 3],
    );
}

fn shared_arrays(rt: &Rt) {
    let array: Array<f64> = Array::from(vec![1.0, 2.0]);
    let (array_ref, vec_ref) = (rt.put(&array).unwrap(), rt.put(&vec![1.0, 2.0]).unwrap());
    check(
        [
            takes_array::remote(&array_ref),
            takes_array::remote(&vec_ref),
            takes_array::remote(array.clone()),
            takes_array::remote(&array),
            takes_array::remote(vec![3.0]),
            takes_array::remote(&vec![1.0, 2.0]),
            takes_array::remote(&[1.0, 2.0]),
            takes_array::remote([1.0, 2.0]),
            takes_array::remote(step::remote(&vec_ref).spawn()),
            borrows_array::remote(&array_ref),
            borrows_array::remote(&array),
        ],
        [3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 5.0, 3.0, 3.0],
    );
}

fn vectors(rt: &Rt) {
    let (vec, array) = (
        rt.put(&vec![1.0, 2.0]).unwrap(),
        rt.put(&Array::from(vec![1.0, 2.0])).unwrap(),
    );
    let local = vec![1.0, 2.0];
    check(
        [
            takes_vec::remote(&vec),
            takes_vec::remote(&array),
            takes_vec::remote(local.clone()),
            takes_vec::remote(&local),
            takes_vec::remote(&local[..]),
            takes_vec::remote([1.0, 2.0]),
            takes_vec::remote(&[1.0, 2.0]),
            takes_vec::remote(vec![]),
            borrows_vec::remote(&vec),
            borrows_vec::remote(&local),
        ],
        [3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 0.0, 3.0, 3.0],
    );
}

fn many_refs_as_a_vector(rt: &Rt) {
    let refs = rt.spawn_all((0..4).map(|n| square::remote(f64::from(n))));
    check(
        [
            sum_all::remote(&refs),
            sum_all::remote(&refs[..3]),
            sum_all::remote(&[refs[3].clone(), refs[3].clone()]),
            sum_all::remote(vec![1.0, 2.0]),
        ],
        [14.0, 5.0, 18.0, 3.0],
    );
    let none: Vec<ObjectRef<f64>> = Vec::new();
    check([sum_all::remote(&none)], [0.0]);
    let words = ["to", "be"].map(|word| rt.put(word).unwrap());
    check([join_words::remote(&words)], ["to be".to_owned()]);
    let chunks: Vec<ObjectRef<Array<f64>>> = (0..3)
        .map(|n| step_array::remote(&[f64::from(n), 0.5]).spawn())
        .collect();
    let all = concat::remote(&chunks).spawn();
    assert_eq!(all.view().unwrap(), [1.0, 1.5, 2.0, 1.5, 3.0, 1.5]);
}

fn options_and_odd_parameters() {
    let array: Array<f64> = Array::from(vec![1.0, 2.0]);
    check(
        [
            maybe::remote(None, None),
            maybe::remote(Some(array), Some(1.0)),
        ],
        [0.5, 4.0],
    );
    check([raw::remote(1, 2, true)], [3]);
    check([nine::remote(1, 2, 3, 4, 5, 6, 7, 8, 9)], [45]);
}

fn parameters_under_a_condition(rt: &Rt) {
    assert_eq!(of_this_platform(2, 3, &[1]), 7);
    let numbers = rt.put(&vec![1, 2]).unwrap();
    let call = of_this_platform::remote(2, 5, &numbers);
    assert_eq!(rt.spawn(call).get().unwrap(), 13);
}
