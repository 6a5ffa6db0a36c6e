use mobula::prelude::*;

use std::borrow::Cow;

#[remote]
fn f(x: Cow<'_, str>) -> usize {
    x.len()
}

fn main() {}
