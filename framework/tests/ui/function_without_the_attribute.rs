fn plain(x: f64) -> f64 {
    x
}

fn main() {
    plain::remote(1.0).spawn().detach();
}
