use std::time::Duration;

use mobula::prelude::*;

#[remote(timeout = Duration::ZERO)]
fn f() {}

fn main() {}
