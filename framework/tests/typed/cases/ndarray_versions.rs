//! Two versions of `ndarray` in one program.

use mobula::prelude::*;
use ndarray::array;

use super::Rt;

pub(crate) fn all(rt: &Rt) {
    each_function_takes_its_own_version(rt);
    one_function_takes_both(rt);
    vectors_stand_between_them(rt);
}

#[remote]
fn old_trace(matrix: ndarray::ArrayView2<'_, f64>) -> f64 {
    matrix.diag().sum()
}

#[remote]
fn new_trace(matrix: ndarray17::ArrayView2<'_, f64>) -> f64 {
    matrix.diag().sum()
}

#[remote]
fn to_new(
    old: ndarray::ArrayView1<'_, f64>,
    shape: ndarray17::ArrayView1<'_, usize>,
) -> ndarray17::Array2<f64> {
    ndarray17::Array2::from_shape_vec((shape[0], shape[1]), old.to_vec()).unwrap()
}

fn each_function_takes_its_own_version(rt: &Rt) {
    let old = array![[1.0, 2.0], [3.0, 4.0]];
    let new = ndarray17::array![[1.0, 2.0], [3.0, 5.0]];
    assert_eq!(old_trace::remote(&old).spawn().get().unwrap(), 5.0);
    assert_eq!(new_trace::remote(&new).spawn().get().unwrap(), 6.0);
    let (old, new) = (rt.put(&old).unwrap(), rt.put(&new.view()).unwrap());
    assert_eq!(old_trace::remote(&old).spawn().get().unwrap(), 5.0);
    assert_eq!(new_trace::remote(&new).spawn().get().unwrap(), 6.0);
    assert_eq!(old.view().unwrap().view().row(1).sum(), 7.0);
    assert_eq!(new.view().unwrap().view().row(1).sum(), 8.0);
}

fn one_function_takes_both(_: &Rt) {
    let result = to_new::remote(array![1.0, 2.0], ndarray17::array![1, 2]).spawn();
    assert_eq!(new_trace::remote(&result).spawn().get().unwrap(), 1.0);
    assert_eq!(result.get().unwrap(), ndarray17::array![[1.0, 2.0]]);
}

fn vectors_stand_between_them(rt: &Rt) {
    let old = rt.put(&array![1.0, 2.0]).unwrap();
    let elements = old.view().unwrap().as_array().clone();
    let shape = rt.put(&vec![2, 1]).unwrap();
    let result = to_new::remote(rt.put(&elements).unwrap(), &shape).spawn();
    assert_eq!(result.get().unwrap(), ndarray17::array![[1.0], [2.0]]);
}
