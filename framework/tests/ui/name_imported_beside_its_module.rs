mod resize {
    #[mobula::remote]
    pub fn resize(x: f64) -> f64 {
        x
    }
}

use resize::*;

fn main() {
    resize(1.0);
    resize::remote(1.0).spawn().detach();
}
