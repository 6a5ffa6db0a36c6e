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

/// The cases on one engine, each a test: `cargo test --test typed inline::errors`.
macro_rules! conformance {
    ($engine:ident: $($(#[$condition:meta])* $case:ident),*; async: $($(#[$when:meta])* $name:ident = $future:ident),*) => {
        mod $engine {
            use super::{EngineKind, cases, start};

            $(
                $(#[$condition])*
                #[mobula::test]
                fn $case() {
                    cases::$case::all(&start(EngineKind::$engine()));
                }
            )*

            $(
                $(#[$when])*
                #[mobula::test]
                async fn $name() -> mobula::Result<()> {
                    cases::$future::all_async(&start(EngineKind::$engine())).await
                }
            )*
        }
    };
}

macro_rules! on_each_engine {
    ($($engine:ident),*) => {
        $(conformance!(
            $engine:
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

on_each_engine!(processes, threads, inline);
