//! Rows of writes to shared memory, beside writes to private memory.

use std::hint::black_box;

use mobula::prelude::*;
use mobula_benches::sampling::{Summary, timed};

use super::super::{Out, per_second, runtime_for};
use crate::Result;

const BYTES: usize = 64 << 20;

/// Fills the part and private memory of the same length in turn, `times` times. Returns the seconds
/// of both.
#[remote]
fn fills(part: &mut [f64], times: usize) -> (Vec<f64>, Vec<f64>) {
    let mut private = vec![1.0; part.len()];
    part.fill(1.0);
    let fill = |memory: &mut [f64], n: usize| timed(|| black_box(memory).fill(black_box(n as f64)));
    (0..times)
        .map(|n| (fill(part, n), fill(&mut private, n)))
        .unzip()
}

pub(super) fn fill(out: &Out) -> Result<()> {
    let rt = runtime_for(BYTES)?;
    let len = BYTES / size_of::<f64>();
    let array = rt.shared_array(len, 0.0)?;
    let times = out.size(60, 6);
    let (part, private) = fills::remote(array.part_mut(0..len)?, times)
        .spawn()
        .get()?;
    if array.with(|all| all.iter().any(|element| *element != (times - 1) as f64))? {
        return Err("the array is not filled".into());
    }
    out.row("part_fill", per_second(BYTES as f64, Summary::of(part)));
    out.floor("fill_64m", per_second(BYTES as f64, Summary::of(private)));
    Ok(())
}
