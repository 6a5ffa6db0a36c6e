//! Tests of the typed API on the inline engine.

#[path = "../../../tests/typed/cases/mod.rs"]
mod cases;

mod cache;
mod codecs;
mod control;
mod control_of_actors;
mod turns;
mod wakers;

use super::testing::TestRuntime as Rt;

#[test]
fn the_whole_surface_works() {
    let rt = Rt::start();
    cases::arguments::all(&rt);
    cases::borrowing::all(&rt);
    cases::calls::all(&rt);
    cases::collecting::all(&rt);
    cases::contexts::all(&rt);
    cases::errors::all(&rt);
    cases::locals::all(&rt);
    #[cfg(feature = "ndarray-0_16")]
    cases::ndarray_0_16::all(&rt);
    #[cfg(feature = "ndarray-0_17")]
    cases::ndarray_0_17::all(&rt);
    #[cfg(all(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
    cases::ndarray_versions::all(&rt);
    cases::objects::all(&rt);
    cases::reducing::all(&rt);
    cases::results::all(&rt);
    cases::shapes::all(&rt);
    cases::slices::all(&rt);
    cases::splitting::all(&rt);
    cases::streams::all(&rt);
    assert_eq!(
        (rt.object_count(), rt.used_bytes()),
        (0, 0),
        "objects are left"
    );
}

#[test]
fn results_are_futures() {
    let rt = Rt::start();
    futures::executor::block_on(cases::futures::all_async(&rt)).unwrap();
    futures::executor::block_on(cases::reducing::all_async(&rt)).unwrap();
    futures::executor::block_on(cases::streams::all_async(&rt)).unwrap();
    #[cfg(feature = "stream")]
    futures::executor::block_on(cases::collecting::all_async(&rt)).unwrap();
}

#[test]
fn actors_work() {
    let rt = Rt::start();
    cases::actors::all(&rt);
    cases::pools::all(&rt);
    cases::queues::all(&rt);
    cases::resources::all(&rt);
    assert_eq!(
        (rt.object_count(), rt.used_bytes()),
        (0, 0),
        "objects are left"
    );
}

#[test]
fn actors_can_be_awaited() {
    let rt = Rt::start();
    futures::executor::block_on(cases::actors::all_async(&rt)).unwrap();
    futures::executor::block_on(cases::queues::all_async(&rt)).unwrap();
}
