//! The driver's record of one worker.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    os::fd::OwnedFd,
    sync::{Arc, atomic::AtomicBool},
};

use mobula_protocol::{SharedKind, mailbox::DriverEnd, message::ToWorker, sync::ProcessSlot};
use mobula_store::{Loc, SegmentId};

/// The kind of a descriptor of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engines::processes) enum Access {
    Read,
    Write,
}

/// The record of one worker, for the thread that holds the driver's lock.
#[derive(Debug)]
pub(in crate::engines::processes) struct Peer {
    pub(in crate::engines::processes) end: DriverEnd,
    pub(in crate::engines::processes) pid: u32,
    pub(in crate::engines::processes) socket: Arc<OwnedFd>,
    /// See [`OwnLife`](crate::engines::processes::workers::life::OwnLife).
    _own_life: Option<OwnedFd>,
    /// The worker reads segments through the driver's mappings.
    pub(in crate::engines::processes) shares_mappings: bool,
    /// Segments whose descriptor the worker has.
    pub(in crate::engines::processes) known: Vec<SegmentId>,
    /// Segments whose writable descriptor the worker has, for shared memory in them.
    pub(in crate::engines::processes) writable: Vec<SegmentId>,
    /// Shared memory with pages of its own that the worker may have made writable.
    pub(in crate::engines::processes) writes: HashSet<Loc>,
    /// Locks that the worker can reach.
    pub(in crate::engines::processes) locks: HashMap<Loc, SharedKind>,
    /// The worker's slot among the living processes.
    pub(in crate::engines::processes) process_slot: ProcessSlot,
    /// Descriptors that are still to be sent.
    pub(in crate::engines::processes) unsent: Vec<(SegmentId, Access)>,
    /// The bodies of objects in the worker's segment: first byte to end.
    pub(in crate::engines::processes) bodies: BTreeMap<u64, u64>,
    /// Freed extents of the worker's segment of which the worker was not told.
    pub(in crate::engines::processes) frees: Vec<Loc>,
    /// Whether the peer is in the list for the next flush.
    pub(in crate::engines::processes) listed: bool,
    /// Whether the worker has registered. The monitor shares the flag, and ends workers that do not
    /// register.
    pub(in crate::engines::processes) registered: Arc<AtomicBool>,
    /// The bytes of the budget that the worker has.
    pub(in crate::engines::processes) granted: u64,
    /// The worker was asked to trim and has not answered.
    pub(in crate::engines::processes) trimming: bool,
    /// The error of a write to the mailbox. The next flush marks the worker for the kill.
    pub(in crate::engines::processes) fault: Option<String>,
    /// The worker has reported that it exits with code 0.
    pub(in crate::engines::processes) exits: bool,
    /// The driver kills the worker and reads no further messages of it.
    pub(in crate::engines::processes) broken: bool,
}

impl Peer {
    pub(in crate::engines::processes) fn new(
        end: DriverEnd,
        pid: u32,
        socket: Arc<OwnedFd>,
        own_life: Option<OwnedFd>,
        (own, process_slot): (SegmentId, ProcessSlot),
        registered: Arc<AtomicBool>,
    ) -> Peer {
        Peer {
            end,
            pid,
            socket,
            _own_life: own_life,
            shares_mappings: false,
            known: vec![own],
            writable: Vec::new(),
            writes: HashSet::new(),
            locks: HashMap::new(),
            process_slot,
            unsent: Vec::new(),
            bodies: BTreeMap::new(),
            frees: Vec::new(),
            listed: false,
            registered,
            granted: 0,
            trimming: false,
            fault: None,
            exits: false,
            broken: false,
        }
    }

    /// Sends a message through the control lane, after the pending frees.
    pub(in crate::engines::processes) fn send(&mut self, message: &ToWorker) {
        self.send_frees();
        self.push(message);
    }

    /// Sends the pending frees to an idle worker, through its task lane.
    pub(in crate::engines::processes) fn send_frees_with_task(&mut self) {
        if !self.frees.is_empty() {
            let frees = std::mem::take(&mut self.frees);
            if let Err(error) = self.end.task.send(&ToWorker::Free(frees)) {
                self.fault = Some(format!("its mailbox does not take messages: {error}"));
            }
        }
    }

    pub(in crate::engines::processes) fn send_frees(&mut self) {
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
