struct Model(u32);

impl Model {
    fn evaluate(&self, x: u32) -> u32 {
        self.0 * x
    }
}

#[mobula::worker_local]
static MODEL: Model = Model(7);

fn main() {
    MODEL.evaluate(1);
}
