//! Rows of calls that tasks make and await.

use std::time::Instant;

use mobula::prelude::*;
use mobula_benches::sampling::{Summary, measure as sample};

use super::{Out, calls::blocking, nothing, runtime};
use crate::Result;

/// The number of turns. Each turn has calls by a task and calls by the driver.
const TURNS: usize = 21;

/// The number of calls that one task makes, one by one.
const CALLS: u32 = 1000;

/// The argument of `fib`, and the number of its calls.
const FIB: (u64, f64) = (20, 21_891.0);

/// Returns the seconds of one call. The task makes its calls one by one.
#[remote]
fn calls_one_by_one() -> mobula::Result<f64> {
    let start = Instant::now();
    for _ in 0..CALLS {
        nothing::remote().spawn().get()?;
    }
    Ok(start.elapsed().as_secs_f64() / f64::from(CALLS))
}

#[remote]
fn fib(n: u64) -> mobula::Result<u64> {
    if n < 2 {
        return Ok(n);
    }
    let (one, two) = (fib::remote(n - 1).spawn(), fib::remote(n - 2).spawn());
    Ok(one.get()? + two.get()?)
}

pub(crate) fn measure(out: &Out) -> Result<()> {
    let rt = runtime()?;
    out.attempt("nested_call", || {
        let turn = || -> Result<[Summary; 2]> {
            let call = || rt.spawn(calls_one_by_one::remote()).get();
            let calls = sample(out.fast(0.1), call)?;
            Ok([calls, sample(out.fast(0.1), || blocking(&rt))?])
        };
        let turns = (0..TURNS).map(|_| turn()).collect::<Result<_>>()?;
        let [calls, own] = Summary::middle_turn(turns);
        out.floor("driver_call", own);
        out.row("nested_call", calls);
        Ok(())
    });
    let (n, calls) = FIB;
    out.rate("fib", calls, out.fast(2.0), || {
        let result = rt.spawn(fib::remote(n)).get()?;
        assert_eq!(result, 6765, "a wrong number");
        Ok(())
    });
    Ok(())
}
