//! The surface on an engine without processes.

#[path = "../../../tests/typed/cases/mod.rs"]
mod cases;

// On worker processes these need an engine that has actors.
#[path = "../../../tests/typed/cases/actors.rs"]
mod actors;
#[path = "../../../tests/typed/cases/pools.rs"]
mod pools;
#[path = "../../../tests/typed/cases/queues.rs"]
mod queues;

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

#[test]
fn actors_work() {
    let rt = Rt::start();
    actors::all(&rt);
    pools::all(&rt);
    queues::all(&rt);
    assert_eq!(
        (rt.object_count(), rt.used_bytes()),
        (0, 0),
        "objects are left"
    );
}

#[test]
fn actors_can_be_awaited() {
    let rt = Rt::start();
    futures::executor::block_on(actors::all_async(&rt)).unwrap();
    futures::executor::block_on(queues::all_async(&rt)).unwrap();
}
