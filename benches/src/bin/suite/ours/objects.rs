//! Rows of many objects at once: as arguments, as results, and fetched.

use std::time::Instant;

use mobula::{Array, prelude::*};
use mobula_benches::sampling::measure as sample;

use super::{Out, runtime_for};
use crate::Result;

/// The number of elements in each object.
const INTEGERS: usize = 10_000;

type Object = ObjectRef<Array<i64>>;

#[remote]
fn lengths(arrays: Vec<Array<i64>>) -> usize {
    arrays.iter().map(|array| array.len()).sum()
}

#[remote]
fn arrays(count: usize) -> mobula::Result<Vec<Object>> {
    let rt = Runtime::current()?;
    objects(&rt, count)
}

fn objects(rt: &Runtime, count: usize) -> mobula::Result<Vec<Object>> {
    let one = |_| rt.put_with(INTEGERS, |numbers: &mut [i64]| numbers.fill(0));
    (0..count).map(one).collect()
}

pub(crate) fn measure(out: &Out) -> Result<()> {
    let count = out.size(10_000, 1_000);
    let rt = runtime_for(2 * count * INTEGERS * size_of::<i64>())?;
    let refs = objects(&rt, count)?;
    out.attempt("args_10k", || {
        let times = sample(out.slow(5, 1.0), || {
            let start = Instant::now();
            let seen = rt.spawn(lengths::remote(&refs)).get()?;
            let seconds = start.elapsed().as_secs_f64();
            if seen != count * INTEGERS {
                return Err("the task saw something else".into());
            }
            Ok::<_, Box<dyn std::error::Error>>(seconds)
        })?;
        out.row_with("args_10k", times, format!("{count} arguments"));
        Ok(())
    });
    out.attempt("get_10k", || {
        let times = sample(out.slow(5, 1.0), || {
            let start = Instant::now();
            let arrays = rt.get(&refs)?;
            let seconds = start.elapsed().as_secs_f64();
            drop(arrays);
            Ok::<_, mobula::Error>(seconds)
        })?;
        out.row_with("get_10k", times, format!("{count} refs"));
        Ok(())
    });
    drop(refs);
    out.attempt("returns_3k", || {
        let count = out.size(3_000, 300);
        let times = sample(out.slow(5, 1.0), || {
            let start = Instant::now();
            let inner = rt.spawn(arrays::remote(count)).get()?;
            let arrays = rt.get(&inner)?;
            let seconds = start.elapsed().as_secs_f64();
            drop((inner, arrays));
            Ok::<_, mobula::Error>(seconds)
        })?;
        out.row_with(
            "returns_3k",
            times,
            format!("{count} objects, as a vector of refs"),
        );
        Ok(())
    });
    Ok(())
}
