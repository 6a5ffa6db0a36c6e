#[mobula::worker_local]
static MODEL: String = String::new();

fn main() {
    let text: &str = MODEL.with(|model| model.as_str());
    println!("{text}");
}
