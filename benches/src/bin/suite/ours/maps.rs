//! Rows of maps of one function over many items.

use std::hint::black_box;

use mobula::prelude::*;
use mobula_benches::{
    busy::{bare, beside_work, busy},
    sampling::{Plan, Sampler, Summary, measure as sample, timed},
};

use super::{Out, WORKERS, per_second, runtime};
use crate::Result;

#[remote]
pub(crate) fn same(item: u64) -> u64 {
    item
}

#[remote]
pub(crate) fn work(nanoseconds: u64) -> u64 {
    busy(nanoseconds)
}

pub(crate) fn measure(out: &Out) -> Result<()> {
    let rt = runtime()?;
    out.attempt("map_trivial", || {
        let times = sample(out.slow(5, 3.0), || {
            sum_of(1_000_000, |items| {
                let results = rt.map_fn(same::remote, 0..items).get()?;
                Ok(results.into_iter().sum())
            })
        })?;
        out.row("map_trivial", per_second(1e6, times));
        Ok(())
    });
    out.attempt("map_single", || {
        let times = sample(out.slow(10, 1.0), || {
            sum_of(10_000, |items| {
                let map = rt.map_fn(same::remote, 0..items).chunk_size(1);
                Ok(map.get()?.into_iter().sum())
            })
        })?;
        out.row("map_single", per_second(1e4, times));
        Ok(())
    });
    out.attempt("map_unordered", || {
        let times = sample(out.slow(10, 1.0), || {
            sum_of(10_000, |items| {
                let map = rt.map_fn(same::remote, 0..items).chunk_size(1);
                map.unordered().map(|(_, result)| result).sum()
            })
        })?;
        out.row("map_unordered", per_second(1e4, times));
        Ok(())
    });
    for (row, nanoseconds, count) in [
        ("map_10us", 10_000, 100_000),
        ("map_100us", 100_000, 10_000),
        ("map_1ms", 1_000_000, 1_000),
    ] {
        out.attempt(row, || {
            let count = out.size(count, count / 10);
            let items = vec![nanoseconds; count];
            let efficiency = efficiency(
                out.slow(5, 12.0),
                || bare(&items, WORKERS),
                || busy_map(&rt, &items),
            )?;
            out.row_with(row, efficiency, format!("{count} items"));
            Ok(())
        });
    }
    out.attempt("map_100us_busy", || {
        // Three threads share two cores. The system changes their placement some ten times a
        // second. So a sample must take much longer than 0.1 s.
        let items = vec![100_000; out.size(30_000, 1_000)];
        let efficiency = efficiency(
            out.slow(5, 45.0),
            || beside_work(1, || bare(&items, WORKERS)),
            || beside_work(1, || busy_map(&rt, &items)),
        )?;
        let note = format!("{} items", items.len());
        out.row_with("map_100us_busy", efficiency, note);
        Ok(())
    });
    out.attempt("map_skewed", || skewed(&rt, out));
    Ok(())
}

/// Returns the seconds of one map over the numbers below `items`. The map adds up its results.
fn sum_of(items: u64, map: impl FnOnce(u64) -> mobula::Result<u64>) -> Result<f64> {
    let mut sum = Ok(0);
    let seconds = timed(|| sum = map(items));
    if sum? != items * (items - 1) / 2 {
        return Err("a map gave something else".into());
    }
    Ok(seconds)
}

/// Returns the seconds of one map over items of busy work.
fn busy_map(rt: &Runtime, items: &[u64]) -> Result<f64> {
    let mut results = Ok(Vec::new());
    let seconds = timed(|| results = rt.map_fn(work::remote, items.iter().copied()).get());
    if black_box(results?).len() != items.len() {
        return Err("a map lost items".into());
    }
    Ok(seconds)
}

/// Returns the time of bare threads divided by the time of the map. The threads run before and
/// after each map.
fn efficiency(
    plan: Plan,
    mut bare: impl FnMut() -> f64,
    mut map: impl FnMut() -> Result<f64>,
) -> Result<Summary> {
    let mut before = bare();
    sample(plan, || {
        let map = map()?;
        let after = bare();
        let bare = (before + after) / 2.0;
        before = after;
        Ok(bare / map)
    })
}

/// Measures the time that one long item in the middle adds to a map, in multiples of its own
/// length.
fn skewed(rt: &Runtime, out: &Out) -> Result<()> {
    let count = out.size(10_000, 1_000);
    let short = vec![100_000; count];
    let long = if out.quick {
        100_000_000
    } else {
        1_000_000_000
    };
    let mut with_long = short.clone();
    with_long.insert(count / 2, long);
    let mut sampler = Sampler::new(out.slow(3, 6.0));
    while sampler.more() {
        let even = busy_map(rt, &short)?;
        let alone = timed(|| busy(long));
        sampler.add((busy_map(rt, &with_long)? - even) / alone);
    }
    out.row_with(
        "map_skewed",
        sampler.summary(),
        format!("{count} short items"),
    );
    Ok(())
}
