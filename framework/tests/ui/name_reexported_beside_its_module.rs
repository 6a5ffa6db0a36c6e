mod resize {
    #[mobula::remote]
    pub fn resize(x: f64) -> f64 {
        x
    }
}

pub use resize::resize;

fn main() {}
