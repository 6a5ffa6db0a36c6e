//! Refs and what they stand for.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use mobula::Array;

use super::{Rt, functions::*};

pub(crate) fn all(rt: &Rt) {
    every_kind_of_value_comes_back(rt);
    refs_are_equal_if_they_stand_for_one_object(rt);
    refs_travel_inside_values(rt);
    waiting_has_a_limit(rt);
    a_detached_task_needs_no_ref();
    refs_show_their_type(rt);
}

fn every_kind_of_value_comes_back(rt: &Rt) {
    fn back<T: mobula::Value + PartialEq + std::fmt::Debug>(rt: &Rt, value: T) {
        assert_eq!(rt.put(&value).unwrap().get().unwrap(), value);
    }
    back(rt, ());
    back(rt, 7_u8);
    back(rt, -7_i128);
    back(rt, 0.5_f32);
    back(rt, 'x');
    back(rt, true);
    back(rt, String::from("text"));
    back(rt, vec![1_u16, 2]);
    back(rt, vec![true, false]);
    back(rt, vec!['a', 'ß']);
    back(rt, vec![(), ()]);
    back(rt, vec![[1.0, 2.0]; 3]);
    back(rt, Vec::<f64>::new());
    back(rt, vec![String::from("a")]);
    back(rt, vec![vec![1_u8], vec![]]);
    back(rt, [1.0, 2.0, 3.0]);
    back(rt, (1_u8, "two".to_owned(), vec![3.0]));
    back(rt, Some(Some(None::<()>)));
    back(rt, vec![Some(()), None]);
    back(rt, BTreeMap::from([((1, 'a'), "x".to_owned())]));
    back(rt, HashMap::from([(1, Array::from(vec![1.0]))]));
    back(rt, Array::from(vec![1.0, 2.0]));
    back(rt, Array::<u32>::default());
    back(rt, vec![Particle { x: 1.0, y: 2.0 }]);
    back(rt, Array::from(vec![Particle { x: 1.0, y: 2.0 }]));
    back(
        rt,
        Model {
            weights: vec![1.0; 5_000],
            name: "large".repeat(5_000),
        },
    );
    back(rt, "long text ".repeat(10_000));
    back(rt, Some(Array::from(vec![1_u64])));
}

fn refs_are_equal_if_they_stand_for_one_object(rt: &Rt) {
    let (a, b) = (rt.put(&1).unwrap(), rt.put(&1).unwrap());
    assert!(a == a.clone() && a != b);
    assert_eq!(HashSet::from([a.clone(), b, a]).len(), 2);
}

fn refs_travel_inside_values(rt: &Rt) {
    let value = rt.put(&42.0).unwrap();
    assert_eq!(later::remote(&value, 2.0).spawn().get().unwrap(), 84.0);
    assert_eq!(
        later::remote(value.clone(), 2.0).spawn().get().unwrap(),
        84.0
    );
    assert_eq!(
        see::remote(rt.put(&vec![1.0; 3]).unwrap())
            .spawn()
            .get()
            .unwrap(),
        3
    );
    let bundle_value = Bundle {
        parts: [(1, Array::from(vec![1.0, 2.0]))].into(),
        next: Some(square::remote(3.0).spawn()),
        extra: None,
    };
    assert_eq!(bundle::remote(&bundle_value).spawn().get().unwrap(), 12.0);
    let stored = rt.put(&bundle_value).unwrap();
    drop(bundle_value);
    let back = stored.get().unwrap();
    drop(stored);
    assert_eq!(back.next.unwrap().get().unwrap(), 9.0);
    // A ref to a ref: the task gives the inner one.
    let outer = rt.put(&vec![value.clone()]).unwrap();
    let inner = outer.get().unwrap();
    assert_eq!(inner, [value]);
}

fn waiting_has_a_limit(rt: &Rt) {
    let value = rt.put(&5).unwrap();
    assert!(value.is_ready());
    value.wait().unwrap();
    value.wait_timeout(Duration::ZERO).unwrap();
    assert_eq!(value.get_timeout(Duration::ZERO).unwrap(), 5);
    assert_eq!(
        square::remote(2.0)
            .spawn()
            .get_timeout(Duration::MAX)
            .unwrap(),
        4.0
    );
    let failed = super::errors::fails::remote("no").spawn();
    assert!(failed.wait().unwrap_err().is_application());
    assert!(
        failed
            .wait_timeout(Duration::MAX)
            .unwrap_err()
            .is_application()
    );
    assert!(failed.is_ready());
}

fn a_detached_task_needs_no_ref() {
    square::remote(2.0).spawn().detach();
}

fn refs_show_their_type(rt: &Rt) {
    let text = format!("{:?}", rt.put(&7_u64).unwrap());
    assert!(text.contains("u64") && text.contains("ready"), "{text}");
}
