//! The parts of Mobula that run in a worker process: the task loop, the turn, the actor, batches of
//! calls.
//!
//! Users depend on the crate `mobula`, which re-exports what they need.

mod actor;
pub mod batch;
pub mod context;
mod end;
mod link;
mod local;
mod process;
mod promise;
mod teardown;

pub use actor::{ActorState, BorrowedHere};
pub use end::{CANNOT_GO_ON, SHORT};
pub use local::WorkerLocal;
pub use process::{
    EagerLocal, WorkerSetup, block_on, call, enter_if_worker, in_threads, over_stream, set_up_here,
    setup_count, tear_down_here, worker_engine,
};
pub use teardown::WorkerTeardown;
