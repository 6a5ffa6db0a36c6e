//! The conformance suite: what the surface promises, on each engine. One test for each case and
//! engine. A further engine passes all of it, but for what it lists as missing. The cases run as
//! unit tests too, on the inline engine, where calls can be held back.

#![forbid(unsafe_code)]
#![deny(missing_docs, unreachable_pub, rust_2018_idioms, warnings)]

mod cases;
mod inline_engine;
mod missing;
mod workers;

use mobula::{EngineKind, Runtime as Rt};

fn start(engine: EngineKind) -> Rt {
    Rt::builder().engine(engine).workers(2).start().unwrap()
}

/// Where a Ray cluster is for these tests: an address as [`EngineKind::ray`] takes it.
const CLUSTER: &str = "MOBULA_TEST_RAY";

/// A runtime on the cluster, if there is one.
fn start_ray() -> Option<Rt> {
    match std::env::var(CLUSTER) {
        Ok(address) => Some(start(EngineKind::ray(&address).unwrap())),
        Err(_) => {
            eprintln!(
                "skipped: ${CLUSTER} names no Ray cluster; CONTRIBUTING.md says how to start one"
            );
            None
        }
    }
}

/// The cases on one engine, each a test: `cargo test --test typed inline::errors`.
macro_rules! conformance {
    ($engine:ident, $start:expr; $($(#[$condition:meta])* $case:ident),*; async: $($(#[$when:meta])* $name:ident = $future:ident),*) => {
        mod $engine {
            use super::*;

            $(
                $(#[$condition])*
                #[mobula::test]
                fn $case() {
                    if let Some(rt) = $start {
                        cases::$case::all(&rt);
                    }
                }
            )*

            $(
                $(#[$when])*
                #[mobula::test]
                async fn $name() -> mobula::Result<()> {
                    match $start {
                        Some(rt) => cases::$future::all_async(&rt).await,
                        None => Ok(()),
                    }
                }
            )*
        }
    };
}

macro_rules! on_each_engine {
    ($($engine:ident: $start:expr),*) => {
        $(conformance!(
            $engine, $start;
            actors, arguments, borrowing, calls, collecting, contexts, errors, locals, objects, pools, queues, reducing, resources, results, shapes, slices, splitting, streams,
            #[cfg(feature = "ndarray-0_16")]
            ndarray_0_16,
            #[cfg(feature = "ndarray-0_17")]
            ndarray_0_17,
            #[cfg(all(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
            ndarray_versions;
            async: awaited_results = futures, awaited_reductions = reducing, awaited_actors = actors, awaited_queues = queues, awaited_streams = streams,
            #[cfg(feature = "stream")]
            polled_results = collecting
        );)*
    };
}

on_each_engine!(
    processes: Some(start(EngineKind::processes())),
    threads: Some(start(EngineKind::threads())),
    inline: Some(start(EngineKind::inline())),
    ray: start_ray()
);
