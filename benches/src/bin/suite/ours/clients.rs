//! The remaining rows of Ray's microbenchmark: small objects, tasks that put objects, and refs in
//! objects.

use std::{hint::black_box, sync::Arc};

use mobula::prelude::*;
use mobula_benches::sampling::{measure as sample, timed};

use super::{Out, nothing, per_second, runtime, runtime_for};
use crate::Result;

/// The number of calls in one sample. One call takes less than a microsecond.
const CALLS: usize = 1000;

/// The words of a handle beside its two counts. A decoded ref has a handle.
const HANDLE: usize = 12;

#[remote]
fn puts_small(count: usize) -> mobula::Result<()> {
    let rt = Runtime::current()?;
    for _ in 0..count {
        drop(rt.put(&0_i64)?);
    }
    Ok(())
}

#[remote]
fn puts_large(count: usize, len: usize) -> mobula::Result<()> {
    let rt = Runtime::current()?;
    let zeros = vec![0_i64; len];
    for _ in 0..count {
        drop(rt.put(&zeros)?);
    }
    Ok(())
}

#[remote]
fn many_refs(count: usize) -> mobula::Result<Vec<ObjectRef<i64>>> {
    let rt = Runtime::current()?;
    (0..count).map(|_| rt.put(&1_i64)).collect()
}

pub(crate) fn measure(out: &Out) -> Result<()> {
    let rt = runtime()?;
    let object = rt.put(&0_i64)?;
    out.rate("get_calls", CALLS as f64, out.slow(20, 1.0), || {
        for _ in 0..CALLS {
            black_box(object.get()?);
        }
        Ok(())
    });
    out.rate("put_calls", CALLS as f64, out.slow(20, 1.0), || {
        for _ in 0..CALLS {
            drop(black_box(rt.put(&0_i64)?));
        }
        Ok(())
    });
    out.rate("multi_put_calls", 1000.0, out.slow(10, 1.0), || {
        rt.get(rt.spawn_all((0..10).map(|_| puts_small::remote(100))))
            .map(drop)
    });
    out.rate("wait_1k", 1.0, out.slow(10, 1.0), || {
        let refs = rt.spawn_all((0..1000).map(|_| nothing::remote()));
        rt.as_completed(refs).try_for_each(|done| done.wait())
    });
    let outer = rt.spawn(many_refs::remote(10_000));
    outer.wait()?;
    out.rate("get_10k_refs_object", 1.0, out.slow(10, 1.0), || {
        outer.get().map(drop)
    });
    // The handle has not read the value yet, so it must make the inner handles.
    let first = sample(out.slow(10, 1.0), || {
        let outer = rt.spawn(many_refs::remote(10_000));
        outer.wait()?;
        Ok::<_, mobula::Error>(timed(|| drop(black_box(outer.get()))))
    })?;
    out.row("get_10k_refs_first", per_second(1.0, first));
    drop((outer, object, rt));
    let handles = sample(out.slow(10, 1.0), || {
        Ok::<_, mobula::Error>(timed(|| {
            let blocks: Vec<_> = (0..10_000).map(|_| Arc::new([0_u64; HANDLE])).collect();
            drop(black_box(blocks.clone()));
            drop(black_box(blocks));
        }))
    })?;
    out.floor("handles_10k", per_second(1.0, handles));

    let len = (80 << 20) / size_of::<i64>();
    let rt = runtime_for(1 << 30)?;
    out.rate("multi_put_gigabytes", 8e9, out.slow(3, 2.0), || {
        rt.get(rt.spawn_all((0..10).map(|_| puts_large::remote(10, len))))
            .map(drop)
    });
    Ok(())
}
