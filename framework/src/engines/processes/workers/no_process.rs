//! The driver's side of a worker that is no process.

use std::{
    fmt,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use mobula_protocol::{
    Error, Result, WorkerId, link,
    mailbox::{self, DriverEnd, WorkerEnd},
    sync::ProcessSlot,
};
use mobula_store::{Backing, SegmentFile, SegmentId, limits::Wanted};

use crate::engines::processes::{Driver, peers::peer::Peer, shared_words};

/// A process id that no worker has.
pub(in crate::engines::processes) const NO_PROCESS: u32 = 0;

/// The ends of a worker that is no process.
pub(super) struct Ends {
    pub(super) id: WorkerId,
    pub(super) process_slot: ProcessSlot,
    pub(super) segment: SegmentId,
    pub(super) mailbox: WorkerEnd,
    /// The worker's end of the socket that brings descriptors.
    pub(super) socket: OwnedFd,
}

/// Adds a worker to the peers and to the scheduler. Its segment has `len` bytes, of which it uses
/// `most`. `look` sees the segment before. `shares_mappings`: the worker reads other segments
/// through the driver's mappings.
///
/// # Errors
/// There is no memory, descriptor or number, or `look` fails.
pub(super) fn connect<T>(
    driver: &Driver,
    (len, most): (u64, u64),
    shares_mappings: bool,
    look: impl FnOnce(SegmentId, &SegmentFile) -> Result<T>,
) -> Result<(Ends, T)> {
    let number = driver.next_worker.fetch_add(1, Ordering::Relaxed);
    let id = u32::try_from(number)
        .map(WorkerId)
        .map_err(|_| Error::setup("this runtime has started as many workers as it can number"))?;
    let failed = |error: &dyn fmt::Display| Error::setup(error.to_string());
    let (_, memory) = shared_words(mailbox::bytes() as u64)?;
    let end = DriverEnd::create(&memory).map_err(|error| failed(&error))?;
    let mailbox = WorkerEnd::open(&memory, &driver.doorbell).map_err(|error| failed(&error))?;
    let (socket, own_socket) = link::pair().map_err(refused)?;
    let segment = SegmentId(id.0);
    let file = SegmentFile::create(len, most, Backing::Unnamed)?;
    let seen = look(segment, &file)?;
    let process_slot = driver.with(|_, peers| peers.process_slots.take());
    let process_slot = process_slot
        .ok_or_else(|| Error::setup("no further worker: there are as many as can share locks"))?;
    let registered = Arc::new(AtomicBool::new(false));
    let socket = Arc::new(socket);
    let mut peer = Peer::new(
        end,
        NO_PROCESS,
        socket,
        None,
        (segment, process_slot),
        registered,
    );
    peer.shares_mappings = shares_mappings;
    let started = driver.with(|scheduler, peers| {
        peers.add(id, peer, (segment, file));
        let started = scheduler.worker_starting(id);
        // The runtime may have ended in the meantime.
        if driver.is_closed() {
            scheduler.worker_stopping(id, peers);
        }
        started
    });
    started.map_err(|violation| Error::internal(violation.to_string()))?;
    let ends = Ends {
        id,
        process_slot,
        segment,
        mailbox,
        socket: own_socket,
    };
    Ok((ends, seen))
}

pub(super) fn refused(error: std::io::Error) -> Error {
    Error::refused("cannot start a worker", Wanted::Descriptor, error)
}
