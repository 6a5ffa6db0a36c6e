//! The typed surface on worker processes. The same cases run without processes as unit tests.

#![forbid(unsafe_code)]
#![deny(missing_docs, unreachable_pub, rust_2018_idioms, warnings)]

mod cases;

use mobula::Runtime as Rt;

#[mobula::test]
fn the_whole_surface_works_on_worker_processes() {
    let rt = mobula::Runtime::builder().workers(2).start().unwrap();
    cases::all(&rt);
}

#[mobula::test]
async fn results_are_futures_on_worker_processes() -> mobula::Result<()> {
    let rt = mobula::Runtime::builder().workers(2).start()?;
    cases::all_async(&rt).await
}
