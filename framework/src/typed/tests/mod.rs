//! The surface on an engine without processes.

#[path = "../../../tests/typed/cases/mod.rs"]
mod cases;

mod cache;
mod codecs;
mod control;

use super::testing::TestRuntime as Rt;

#[test]
fn the_whole_surface_works() {
    let rt = Rt::start();
    cases::all(&rt);
    assert_eq!(
        (rt.object_count(), rt.used_bytes()),
        (0, 0),
        "objects are left"
    );
}

#[test]
fn results_are_futures() {
    let rt = Rt::start();
    futures::executor::block_on(cases::all_async(&rt)).unwrap();
}
