#[mobula::worker_local(lazy)]
static MODEL: u32 = 7;

#[mobula::worker_local(eager = true)]
static OTHER: u32 = 7;

fn main() {
    MODEL.with(|model| *model += 1);
}
