//! One worker's mailbox, as the lock holder sees it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    os::fd::OwnedFd,
    sync::{Arc, atomic::AtomicBool},
};

use mobula_protocol::{SharedKind, mailbox::DriverEnd, message::ToWorker, sync::Seat};
use mobula_store::{Loc, SegmentId};

/// Which descriptor of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// One worker, as the lock holder sees it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) end: DriverEnd,
    pub(super) pid: u32,
    pub(super) socket: Arc<OwnedFd>,
    /// See [`OwnLife`](super::life::OwnLife).
    _own_life: Option<OwnedFd>,
    /// Segments whose descriptor the worker has.
    pub(super) known: Vec<SegmentId>,
    /// Segments whose writable descriptor the worker has, for shared memory in them.
    pub(super) writable: Vec<SegmentId>,
    /// Shared memory with pages of its own that the worker may have made writable.
    pub(super) writes: HashSet<Loc>,
    /// Locks that the worker can reach.
    pub(super) locks: HashMap<Loc, SharedKind>,
    /// Its number among the processes that live.
    pub(super) seat: Seat,
    /// Descriptors that are still to be sent.
    pub(super) unsent: Vec<(SegmentId, Access)>,
    /// Where the bodies of objects lie in the worker's segment: first byte to end.
    pub(super) bodies: BTreeMap<u64, u64>,
    /// Extents of the worker's segment that it is to be told of.
    pub(super) frees: Vec<Loc>,
    /// Whether it is in the list of those to be flushed.
    pub(super) listed: bool,
    /// Whether it is in the list of those that are likely to have something to say.
    pub(super) busy: bool,
    /// Shared with the monitor, which ends workers that never get there.
    pub(super) registered: Arc<AtomicBool>,
    /// Bytes of the budget that the worker has.
    pub(super) granted: u64,
    /// The worker was asked to trim and has not answered.
    pub(super) trimming: bool,
    /// Why the lane cannot be written to any more; the next flush condemns the worker.
    pub(super) fault: Option<String>,
    /// The worker has said that it ends itself, with exit code 0.
    pub(super) exits: bool,
    /// The worker did what no worker does, and is being killed.
    pub(super) broken: bool,
}

impl Peer {
    pub(super) fn new(
        end: DriverEnd,
        pid: u32,
        socket: Arc<OwnedFd>,
        own_life: Option<OwnedFd>,
        (own, seat): (SegmentId, Seat),
        registered: Arc<AtomicBool>,
    ) -> Peer {
        Peer {
            end,
            pid,
            socket,
            _own_life: own_life,
            known: vec![own],
            writable: Vec::new(),
            writes: HashSet::new(),
            locks: HashMap::new(),
            seat,
            unsent: Vec::new(),
            bodies: BTreeMap::new(),
            frees: Vec::new(),
            listed: false,
            busy: false,
            registered,
            granted: 0,
            trimming: false,
            fault: None,
            exits: false,
            broken: false,
        }
    }

    /// Sends through the control lane, after what was freed before.
    pub(super) fn send(&mut self, message: &ToWorker) {
        self.send_frees();
        self.push(message);
    }

    /// Tells a worker that has nothing to do, in its task lane.
    pub(super) fn send_frees_with_task(&mut self) {
        if !self.frees.is_empty() {
            let frees = std::mem::take(&mut self.frees);
            if let Err(error) = self.end.task.send(&ToWorker::Free(frees)) {
                self.fault = Some(format!("its mailbox does not take messages: {error}"));
            }
        }
    }

    pub(super) fn send_frees(&mut self) {
        if !self.frees.is_empty() {
            let frees = std::mem::take(&mut self.frees);
            self.push(&ToWorker::Free(frees));
        }
    }

    fn push(&mut self, message: &ToWorker) {
        if let Err(error) = self.end.send(message) {
            self.fault = Some(format!("its mailbox does not take messages: {error}"));
        }
    }
}
