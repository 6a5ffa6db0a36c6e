use mobula::prelude::*;

#[remote]
fn f() -> ! {
    loop {}
}

fn main() {}
