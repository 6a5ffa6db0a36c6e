//! Hands the versions of the peers, as `Cargo.lock` has them, to the programs.

use std::{env, fs, path::Path};

fn main() {
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let lock = Path::new(&folder).join("Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let text = fs::read_to_string(lock).unwrap_or_default();
    for name in ["rayon", "tokio", "procspawn"] {
        let line = format!("name = \"{name}\"");
        let version = text
            .lines()
            .skip_while(|found| *found != line)
            .nth(1)
            .and_then(|version| version.split('"').nth(1))
            .unwrap_or("unknown");
        println!("cargo::rustc-env=PEER_{}={version}", name.to_uppercase());
    }
}
