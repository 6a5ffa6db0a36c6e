//! `ndarray`'s arrays and views, of the version that the parent module names `nd`.

use mobula::{NdArray, prelude::*};

use super::{
    super::{Rt, functions::*},
    nd::{
        Array1, Array2, Array3, Array4, ArrayD, ArrayView, ArrayView1, ArrayView2, ArrayView3,
        ArrayView4, ArrayViewD, Axis, CowArray, Dimension, Ix2, Slice, array,
    },
};

pub(crate) fn all(rt: &Rt) {
    views_take_arrays_views_and_refs(rt);
    all_ranks_keep_their_shape(rt);
    one_dimension_is_one_thing(rt);
    other_layouts_become_row_major(rt);
    large_arrays_are_seen_in_place(rt);
    owned_and_borrowed_arrays(rt);
    code_may_be_generic_over_dimensions(rt);
    a_wrong_rank_is_an_error(rt);
}

#[remote]
fn trace(matrix: ArrayView2<'_, f64>) -> f64 {
    matrix.diag().sum()
}

#[remote]
fn total(vector: ArrayView1<'_, f64>) -> f64 {
    vector.sum()
}

#[remote]
fn outer<'a>(a: ArrayView1<'a, f64>, b: &'a [f64]) -> Array2<f64> {
    Array2::from_shape_fn((a.len(), b.len()), |(i, j)| a[i] * b[j])
}

#[remote]
fn ranks(a: ArrayView3<'_, u8>, b: ArrayView4<'_, f32>, c: ArrayViewD<'_, i64>) -> Vec<usize> {
    [a.shape(), b.shape(), c.shape()].concat()
}

#[remote]
fn generic_view(a: ArrayView<'_, f64, Ix2>) -> usize {
    a.ncols()
}

#[remote]
fn owned(a: Array2<f64>, k: f64) -> Array2<f64> {
    a * k
}

#[remote]
fn borrowed(a: &Array2<f64>) -> f64 {
    a[[0, 1]]
}

fn views_take_arrays_views_and_refs(rt: &Rt) {
    let grid: Array2<f64> = array![[1.0, 2.0], [3.0, 4.0]];
    let from_array = rt.put(&grid).unwrap();
    let from_view = rt.put(&grid.view()).unwrap();
    let _: (&ObjectRef<Array2<f64>>, &ObjectRef<Array2<f64>>) = (&from_array, &from_view);
    let mut written = grid.clone();
    let from_writable = rt.put(&written.view_mut()).unwrap();
    for call in [
        trace::remote(&grid),
        trace::remote(grid.clone()),
        trace::remote(grid.view()),
        trace::remote(&grid.view()),
        trace::remote(&grid.to_shared()),
        trace::remote(grid.to_shared()),
        trace::remote(&written.view_mut()),
        trace::remote(&CowArray::from(grid.view())),
        trace::remote(CowArray::from(&grid)),
        trace::remote(&from_array),
        trace::remote(from_view),
        trace::remote(&from_writable),
        trace::remote(array![[1.0, 2.0], [3.0, 4.0]]),
    ] {
        assert_eq!(call.spawn().get().unwrap(), 5.0);
    }
    assert_eq!(trace(grid.view()), 5.0);
    assert_eq!(generic_view::remote(&grid).spawn().get().unwrap(), 2);
    assert_eq!(from_array.get().unwrap(), grid);
}

fn all_ranks_keep_their_shape(rt: &Rt) {
    let (a, b) = (
        Array3::<u8>::zeros((1, 2, 3)),
        Array4::<f32>::zeros((4, 1, 1, 2)),
    );
    let c = ArrayD::<i64>::zeros(vec![2, 1, 1, 1, 1]);
    let expected = [1, 2, 3, 4, 1, 1, 2, 2, 1, 1, 1, 1];
    assert_eq!(ranks::remote(&a, &b, &c).spawn().get().unwrap(), expected);
    let refs = (
        rt.put(&a).unwrap(),
        rt.put(&b).unwrap(),
        rt.put(&c).unwrap(),
    );
    assert_eq!(
        ranks::remote(&refs.0, &refs.1, &refs.2)
            .spawn()
            .get()
            .unwrap(),
        expected
    );
    assert_eq!(refs.2.view().unwrap().shape(), c.shape());
    let empty = Array2::<f64>::zeros((3, 0));
    assert_eq!(rt.put(&empty).unwrap().view().unwrap().shape(), [3, 0]);
}

fn one_dimension_is_one_thing(rt: &Rt) {
    let vec = rt.put(&vec![1.0, 2.0]).unwrap();
    let vector = rt.put(&array![1.0, 2.0]).unwrap();
    assert_eq!(total::remote(&vec).spawn().get().unwrap(), 3.0);
    assert_eq!(total::remote(&vec.as_array()).spawn().get().unwrap(), 3.0);
    assert_eq!(score::remote(&vector, 1).spawn().get().unwrap(), 3.0);
    assert_eq!(takes_vec::remote(&vector).spawn().get().unwrap(), 3.0);
    assert_eq!(takes_array::remote(vector).spawn().get().unwrap(), 3.0);
    let product = outer::remote(array![1.0, 2.0], &vec).spawn();
    assert_eq!(trace::remote(&product).spawn().get().unwrap(), 5.0);
    assert_eq!(product.view().unwrap().view().row(1).to_vec(), [2.0, 4.0]);
    assert_eq!(
        outer::remote(&Array1::from(vec![3.0]), &[2.0])
            .spawn()
            .get()
            .unwrap(),
        array![[6.0]]
    );
}

fn other_layouts_become_row_major(rt: &Rt) {
    for size in [3, 200] {
        let grid = Array2::from_shape_fn((size, size), |(i, j)| (i * 1000 + j) as f64);
        let transposed = rt.put(&grid.t()).unwrap();
        assert_eq!(transposed.get().unwrap(), grid.t());
        assert_eq!(transposed.view().unwrap().as_array()[1], 1000.0);
        let columns = grid.slice_axis(Axis(1), Slice::from(..).step_by(2));
        assert_eq!(rt.put(&columns).unwrap().get().unwrap(), columns);
        let reversed = grid.slice_axis(Axis(0), Slice::new(0, None, -1));
        assert_eq!(rt.put(&reversed).unwrap().get().unwrap(), reversed);
        let row = grid.index_axis(Axis(1), 1);
        assert_eq!(total::remote(&row).spawn().get().unwrap(), row.sum());
        assert_eq!(
            trace::remote(grid.t()).spawn().get().unwrap(),
            grid.diag().sum()
        );
    }
}

fn large_arrays_are_seen_in_place(rt: &Rt) {
    let grid = rt.put(&Array2::<f64>::ones((300, 300))).unwrap();
    let view: NdArray<f64, _> = grid.view().unwrap();
    assert!(view.as_array().same_memory(grid.view().unwrap().as_array()));
    assert_eq!(view.clone().view().sum(), 90_000.0);
    assert_eq!(trace::remote(&grid).spawn().get().unwrap(), 300.0);
    drop(grid);
    assert_eq!(view.view()[[299, 299]], 1.0);
}

fn owned_and_borrowed_arrays(rt: &Rt) {
    let grid: Array2<f64> = array![[1.0, 2.0]];
    let put = rt.put(&grid).unwrap();
    assert_eq!(
        owned::remote(&put, 2.0).spawn().get().unwrap(),
        array![[2.0, 4.0]]
    );
    assert_eq!(
        owned::remote(grid.clone(), 2.0)
            .spawn()
            .view()
            .unwrap()
            .view(),
        array![[2.0, 4.0]]
    );
    assert_eq!(borrowed::remote(&put).spawn().get().unwrap(), 2.0);
    assert_eq!(borrowed::remote(&grid).spawn().get().unwrap(), 2.0);
}

fn code_may_be_generic_over_dimensions(rt: &Rt) {
    fn doubled<D: Dimension>(rt: &Rt, array: ArrayView<'_, f64, D>) -> f64 {
        let stored: NdArray<f64, D> = rt.put(&array).unwrap().view().unwrap();
        assert_eq!(stored.shape(), array.shape());
        2.0 * ArrayView::from(&stored).sum()
    }
    assert_eq!(doubled(rt, array![1.0, 2.0].view()), 6.0);
    assert_eq!(doubled(rt, array![[1.0], [3.0]].view()), 8.0);
}

fn a_wrong_rank_is_an_error(rt: &Rt) {
    let dynamic = rt.put(&ArrayD::<f64>::zeros(vec![2, 2])).unwrap();
    let text = format!("{:?}", dynamic.view().unwrap());
    assert!(text.contains("shape=[2, 2]"), "{text}");
}
