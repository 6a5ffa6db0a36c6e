//! A C function never returns for some inputs. The program sets a timeout, tries again, and
//! reports.
//!
//! The program measures each image of the digits. For some images the measurement calls `pause` of
//! the C library, which waits for a signal that never comes. No code of the program can interrupt
//! that. The call fails at its `timeout`. The runtime kills its worker and starts another. All
//! other images are measured nevertheless.
//!
//! `cargo run --release -p mobula-examples --example native_hang`

use std::time::Duration;

use anyhow::{Result, ensure};
use mobula::prelude::*;
use mobula_examples::{
    digits::{Digits, Image},
    timed,
};

/// In one of this many images, the measurement hangs in each attempt.
const HANGS: usize = 300;
/// In one of this many images, the measurement hangs in the first attempt only.
const HANGS_ONCE: usize = 450;

fn ink(image: &Image) -> u32 {
    image.iter().map(|pixel| u32::from(*pixel)).sum()
}

#[remote(
    timeout = Duration::from_millis(100),
    grace = Duration::from_millis(20),
    retries = 1,
    retry_timeouts
)]
fn measure(images: &[Image], place: usize) -> u32 {
    let first = mobula::context().attempt() == 1;
    if place % HANGS == 7 || (first && place % HANGS_ONCE == 8) {
        nix::unistd::pause();
    }
    ink(&images[place])
}

#[mobula::main]
fn main() -> Result<()> {
    let digits = Digits::load()?;
    let rt = Runtime::builder().workers(2).start()?;
    let images = rt.put(&digits.images[..])?;
    let calls = (0..digits.images.len()).map(|place| measure::remote(&images, place));
    let (results, time) = timed(|| rt.map(calls).iter().collect::<Vec<_>>());

    let mut hung = Vec::new();
    for (place, result) in results.into_iter().enumerate() {
        match result {
            Ok(measured) => ensure!(measured == ink(&digits.images[place]), "image {place}"),
            Err(error) if error.is_task_timeout() => hung.push((place, error)),
            Err(error) => return Err(error.into()),
        }
    }
    println!(
        "{} images were measured in {:.1} s; these could not be:",
        digits.images.len() - hung.len(),
        time.as_secs_f64()
    );
    for (place, error) in &hung {
        println!("  image {place}: {error}");
    }
    let expected: Vec<usize> = (7..digits.images.len()).step_by(HANGS).collect();
    let places: Vec<usize> = hung.iter().map(|(place, _)| *place).collect();
    ensure!(places == expected, "others than these hang: {expected:?}");
    ensure!(rt.spawn(measure::remote(&images, 0)).get()? == ink(&digits.images[0]));
    println!("Those that hung once were measured in their second attempt.");
    Ok(())
}
