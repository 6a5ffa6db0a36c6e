use mobula::prelude::*;

struct Model<T>(T);

#[remote]
impl<T: Send + Sync + 'static> Model<T> {
    fn new(value: T) -> Self {
        Model(value)
    }
}

fn main() {}
