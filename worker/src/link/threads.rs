//! The link of a worker in threads: a mailbox whose out lane can be cut.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use mobula_protocol::{
    mailbox::{LaneReader, WorkerState},
    message::FromWorker,
};

use super::{
    Link, Out,
    mailbox::{OutLane, Socket},
};

/// The link of a worker whose threads are threads of its driver's program.
#[derive(Debug)]
pub(crate) struct Threads;

impl Link for Threads {
    type Out = CutLane;
    type Lane = LaneReader;
    type Claims = WorkerState;
    type Files = Socket;
}

/// A lane that nobody reads once it is cut. A thread that outlives its runtime must not wait for
/// room in the lane.
#[derive(Debug)]
pub(crate) struct CutLane {
    lane: OutLane,
    cut: Arc<AtomicBool>,
}

impl CutLane {
    pub(crate) fn new(lane: OutLane, cut: Arc<AtomicBool>) -> CutLane {
        CutLane { lane, cut }
    }
}

impl Out for CutLane {
    fn push(&mut self, message: &FromWorker) {
        if !self.cut.load(Ordering::SeqCst) {
            self.lane.push(message);
        }
    }
}
