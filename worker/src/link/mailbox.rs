//! The link through rings in shared memory, with a socket for descriptors.

use std::{
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use mobula_protocol::{
    Attempt, Error, FunctionIndex, TaskSlot, doorbell, link,
    mailbox::{LaneReader, OutWriter, WorkerState},
    message::{FromWorker, ToWorker},
};
use mobula_store::{
    SegmentFile, SegmentId,
    descriptors::{self, Identity},
};
use rustix::io::Errno;

use super::{Claims, Doorbell, Files, Lane, Link, Out};
use crate::{
    end::{die, unusable},
    promise::ENGINE,
};

/// The message of a worker that ends because a task has closed its descriptors.
pub(crate) const LOST: &str =
    "its descriptors cannot be used any more: a task has closed descriptors that are not its own";

/// The link of a worker process.
#[derive(Debug)]
pub(crate) struct Mailbox;

impl Link for Mailbox {
    type Out = OutLane;
    type Lane = LaneReader;
    type Claims = WorkerState;
    type Files = Socket;
}

/// The lane of this worker's messages to the driver.
#[derive(Debug)]
pub(crate) struct OutLane(pub(crate) OutWriter);

impl Out for OutLane {
    fn push(&mut self, message: &FromWorker) {
        let Err(error) = self.0.send(message) else {
            return;
        };
        // A result that cannot be sent fails its task, and the lane goes on.
        let said = match message {
            FromWorker::Done {
                id, slot, attempt, ..
            } => self.0.send(&FromWorker::Done {
                id: *id,
                slot: *slot,
                attempt: *attempt,
                outcome: Err(Error::codec(format!(
                    "the result cannot be sent to the driver: {error}"
                ))),
            }),
            _ => Err(error),
        };
        if let Err(error) = said {
            unusable(&error);
        }
    }
}

impl Lane for LaneReader {
    type Doorbell = doorbell::Doorbell;

    #[inline]
    fn receive(&mut self) -> Result<Option<ToWorker>, String> {
        LaneReader::receive(self).map_err(|error| error.to_string())
    }

    #[inline]
    fn ready(&self) -> bool {
        LaneReader::ready(self)
    }

    fn doorbell(&self) -> doorbell::Doorbell {
        LaneReader::doorbell(self)
    }
}

impl Doorbell for doorbell::Doorbell {
    fn notify(&self) {
        doorbell::Doorbell::notify(self);
    }

    #[inline]
    fn sleep(&self, timeout: Option<Duration>, has_work: impl FnOnce() -> bool) {
        doorbell::Doorbell::sleep(self, timeout, has_work);
    }
}

impl Claims for WorkerState {
    #[inline]
    fn start(&self, slot: TaskSlot, attempt: Attempt, revocable: bool) -> bool {
        WorkerState::start(self, slot, attempt, revocable)
    }

    fn is_revoked(&self, slot: TaskSlot, attempt: Attempt) -> bool {
        WorkerState::is_revoked(self, slot, attempt)
    }

    #[inline]
    fn set_function(&self, function: FunctionIndex) {
        WorkerState::set_function(self, function);
    }

    #[inline]
    fn function(&self) -> Option<FunctionIndex> {
        WorkerState::function(self)
    }
}

/// The worker's end of the socket, and which file that is.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    identity: Identity,
}

impl Socket {
    /// # Errors
    /// The descriptor is closed.
    pub(crate) fn new(fd: OwnedFd) -> Result<Socket, Errno> {
        let identity = Identity::of(&fd)?;
        Ok(Socket { fd, identity })
    }

    /// Receives a descriptor. If a task has closed the socket, ends the worker, so that later tasks
    /// do not fail. The worker does not read from another socket that a task has opened since,
    /// either.
    fn take_descriptor(&self, id: SegmentId) -> Result<OwnedFd, String> {
        if !self.identity.is_of(&self.fd) {
            die(LOST);
        }
        let (received, fd) =
            link::receive_segment(self.fd.as_fd()).map_err(|error| error.to_string())?;
        if received != id {
            unusable(&format!("segment {received} came in the place of {id}"));
        }
        Ok(fd)
    }
}

impl Files for Socket {
    fn segment(&self, id: SegmentId, len: u64) -> Result<SegmentFile, String> {
        let fd = self.take_descriptor(id)?;
        SegmentFile::from_descriptors(fd, None, len, ENGINE).map_err(|error| error.to_string())
    }

    fn writable(&self, id: SegmentId, len: u64) -> Result<SegmentFile, String> {
        let fd = self.take_descriptor(id)?;
        let read = descriptors::duplicate(fd.as_fd()).map_err(|error| error.to_string())?;
        SegmentFile::from_descriptors(read, Some(fd), len, ENGINE)
            .map_err(|error| error.to_string())
    }
}
