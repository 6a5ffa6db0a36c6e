//! Rows of functions that yield their results one by one, and of results that are split.

use mobula::prelude::*;
use mobula_benches::sampling::{Sampler, Summary, measure as sample, timed};

use super::{Out, many::batch, per_second, runtime, runtime_for};
use crate::Result;

const ITEMS: u32 = 10_000;
/// The bytes of an item, and the number of items.
const BLOCK: usize = 8 << 20;
const BLOCKS: u32 = 32;
/// The capacity of a store whose stream is ten times as large.
const BEYOND_STORE: u64 = 1 << 30;
const BEYOND_ITEM: usize = 100_000_000;
const BEYOND_ITEMS: u32 = 100;

#[remote]
fn numbers(count: u32) -> impl Iterator<Item = u32> {
    0..count
}

/// Yields copies of one block. So the row measures the transport and not the making of the items.
#[remote]
fn blocks(count: u32, bytes: usize) -> impl Iterator<Item = Vec<u8>> {
    let block = vec![1; bytes];
    (0..count).map(move |_| block.clone())
}

/// Reads a stream of this many blocks. Returns the seconds.
fn read_blocks(rt: &Runtime, items: u32, bytes: usize) -> Result<f64> {
    let mut read = 0;
    let mut failed = None;
    let seconds = timed(|| {
        for item in rt.spawn_stream(blocks::remote(items, bytes)).refs() {
            match item.and_then(|item| item.view()) {
                Ok(block) => read += block.len(),
                Err(error) => failed = Some(error),
            }
        }
    });
    match failed {
        Some(error) => Err(error.into()),
        None if read != bytes * items as usize => Err("bytes are missing".into()),
        None => Ok(seconds),
    }
}

#[remote]
fn pair() -> (u32, u32) {
    (1, 2)
}

pub(crate) fn measure(out: &Out) -> Result<()> {
    for (row, buffer) in [("stream_items", 1000), ("stream_items_4", 4)] {
        out.attempt(row, || {
            let rt = runtime()?;
            batch(&rt, 1000)?;
            let times = sample(out.slow(20, 2.0), || -> Result<f64> {
                let (mut sum, mut failed) = (0, None);
                let seconds = timed(|| {
                    for item in rt.spawn_stream(numbers::remote(ITEMS).buffer(buffer)) {
                        match item {
                            Ok(item) => sum += u64::from(item),
                            Err(error) => failed = Some(error),
                        }
                    }
                });
                match failed {
                    Some(error) => Err(error.into()),
                    None if sum != u64::from(ITEMS) * u64::from(ITEMS - 1) / 2 => {
                        Err("items are missing".into())
                    }
                    None => Ok(seconds),
                }
            })?;
            out.row(row, per_second(f64::from(ITEMS), times));
            Ok(())
        });
    }
    out.attempt("stream_bytes", || {
        let rt = runtime_for(BLOCK)?;
        let times = sample(out.slow(10, 3.0), || read_blocks(&rt, BLOCKS, BLOCK))?;
        out.row(
            "stream_bytes",
            per_second((BLOCK * BLOCKS as usize) as f64, times),
        );
        Ok(())
    });
    out.attempt("stream_beyond", || {
        let rt = Runtime::builder()
            .workers(1)
            .store_capacity(BEYOND_STORE)
            .start()?;
        let seconds = read_blocks(&rt, BEYOND_ITEMS, BEYOND_ITEM)?;
        let bytes = f64::from(BEYOND_ITEMS) * BEYOND_ITEM as f64;
        out.row("stream_beyond", Summary::single(bytes / seconds));
        Ok(())
    });
    // The calls with a split result take turns with plain calls.
    out.attempt("split", || {
        let rt = runtime()?;
        batch(&rt, 1000)?;
        let plan = out.fast(1.0);
        let (mut whole, mut split) = (Sampler::new(plan), Sampler::new(plan));
        while whole.more() {
            let mut result = Ok((0, 0));
            whole.add(timed(|| result = rt.spawn(pair::remote()).get()));
            result?;
            let mut result = Ok((0, 0));
            split.add(timed(|| {
                let (one, two) = pair::remote().spawn_split();
                result = rt.get((one, two));
            }));
            result?;
        }
        out.floor("no_split", whole.summary());
        out.row("split", split.summary());
        Ok(())
    });
    Ok(())
}
