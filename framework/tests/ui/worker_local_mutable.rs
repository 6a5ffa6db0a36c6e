#[mobula::worker_local]
static mut MODEL: u32 = 7;

fn main() {
    MODEL.with(|model| *model += 1);
}
