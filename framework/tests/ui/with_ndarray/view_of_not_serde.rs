use mobula::prelude::*;
use ndarray::ArrayView1;

struct Model;

#[remote]
fn f(models: ArrayView1<Model>) -> usize {
    models.len()
}

fn main() {}
