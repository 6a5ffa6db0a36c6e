use mobula::prelude::*;

mod ndarray_0_1 {
    pub struct ArrayView2<'a, T>(pub &'a [T]);
    pub struct ArrayViewMut2<'a, T>(pub &'a mut [T]);
}

#[remote]
fn sum(grid: ndarray_0_1::ArrayView2<'_, f64>) -> f64 {
    grid.0.iter().sum()
}

#[remote]
fn fill(grid: ndarray_0_1::ArrayViewMut2<'_, f64>) {
    grid.0.fill(0.0);
}

fn main() {}
