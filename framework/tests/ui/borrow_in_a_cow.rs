use mobula::prelude::*;

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

#[remote]
fn text(x: Cow<'static, str>) -> usize {
    x.len()
}

#[remote]
fn elements(x: Cow<'_, [Vec<f64>]>) -> usize {
    x.len()
}

#[remote]
fn file(x: std::borrow::Cow<'_, Path>) -> PathBuf {
    x.into_owned()
}

#[remote]
fn result() -> Cow<'static, str> {
    "a".into()
}

fn main() {
    text::remote("a").spawn().detach();
    elements::remote(&[vec![1.0]]).spawn().detach();
    file::remote("/").spawn().detach();
    let _: String = result().into_owned();
    result::remote().spawn().detach();
}
