//! The number of workers is known on each engine, in the program and in its tasks.

use mobula::{EngineKind, prelude::*};

#[remote]
fn workers_here() -> mobula::Result<usize> {
    Ok(Runtime::current()?.workers())
}

#[mobula::test]
fn a_runtime_knows_its_number_of_workers_on_each_engine() {
    let engines = [
        (EngineKind::processes(), 2),
        (EngineKind::threads(), 2),
        (EngineKind::inline(), 1),
    ];
    for (engine, workers) in engines {
        let rt = super::start(engine.clone());
        assert_eq!(rt.workers(), workers, "{engine:?}");
        let here = rt.spawn(workers_here::remote()).get().unwrap();
        assert_eq!(here, workers, "in a task, {engine:?}");
    }
}
