use mobula::prelude::*;

#[remote]
fn serde(x: f64) -> f64 {
    x
}

fn main() {
    let _ = serde::de::value::UnitDeserializer::<serde::de::value::Error>::new();
}
