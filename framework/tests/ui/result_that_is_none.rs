use mobula::prelude::*;

mod game {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Result(pub u8);
}

#[remote]
fn f() -> game::Result {
    game::Result(1)
}

fn main() {}
