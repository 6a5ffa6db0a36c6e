//! The control lane, served while tasks run.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, atomic::Ordering},
};

use mobula_store::{
    SegmentFile, SegmentId,
    descriptors::{self, Identity},
};
use rustix::io::Errno;

use super::{
    die,
    lanes::{free, unusable},
    table::Out,
    tasks::LOST,
    worker::Worker,
};
use crate::promise::ENGINE;
use mobula_protocol::{
    bell::{Bell, Spin},
    link,
    mailbox::LaneReader,
    message::{FromWorker, ToWorker},
};

/// The worker's end of the socket, and which file that is.
pub(super) struct Socket {
    fd: OwnedFd,
    identity: Identity,
}

impl Socket {
    /// # Errors
    /// The descriptor is closed.
    pub(super) fn new(fd: OwnedFd) -> Result<Socket, Errno> {
        let identity = Identity::of(&fd)?;
        Ok(Socket { fd, identity })
    }
}

/// Serves the lane until the process ends. `task_bell` wakes the task loop when it is to close.
pub(super) fn serve(
    worker: &Arc<Worker>,
    mut lane: LaneReader,
    socket: &Socket,
    task_bell: &Bell,
) -> ! {
    loop {
        match lane.receive() {
            Ok(Some(message)) => handle(worker, message, socket, task_bell),
            Ok(None) => lane.wait(Spin::NONE, None),
            Err(error) => unusable(&error),
        }
    }
}

fn handle(worker: &Arc<Worker>, message: ToWorker, socket: &Socket, task_bell: &Bell) {
    match message {
        ToWorker::Actor { .. } => unusable(&"what belongs to tasks came through the control lane"),
        ToWorker::Task(task) => {
            unusable(&format!("task {} came through the control lane", task.id))
        }
        ToWorker::Ready { id, outcome } => {
            // The entry must not be dropped under the table's lock.
            let entry = worker.table.lock().watched(id);
            if let Some(entry) = entry {
                entry.complete(outcome, ENGINE);
            }
        }
        ToWorker::Free(locs) => free(&worker.heap, locs),
        ToWorker::Grant(answer) => worker.grants.answer(answer),
        ToWorker::Segment { id, len } => {
            let mapped = map(worker, id, len, socket);
            arrived(worker, id, mapped);
        }
        ToWorker::Writable { id, len } => {
            let mapped = map_writable(worker, id, len, socket);
            arrived(worker, id, mapped);
        }
        ToWorker::Close(loc) => {
            if !worker.writables.close(loc) {
                unusable(&format!("{loc} is to be closed while it is in use"));
            }
            worker.table.lock().out.push(&FromWorker::Closed(loc));
        }
        ToWorker::DropSegment(id) => {
            worker.segments.remove(id);
            worker.writables.remove(id);
        }
        ToWorker::Forget(id) => {
            if worker.decoded.forget(id) {
                // A task loop drops the values: that runs user code.
                task_bell.ring();
            }
        }
        ToWorker::Cancel(run) => worker.cancellations.cancel(run),
        ToWorker::Trim => {
            worker.heap.trim(0);
            let spare = worker.grants.take_spare();
            worker
                .table
                .lock()
                .out
                .push(&FromWorker::ReturnBytes(spare));
        }
        ToWorker::Shutdown => {
            worker.closing.store(true, Ordering::SeqCst);
            task_bell.ring();
        }
    }
}

/// Tells those who wait for a segment.
fn arrived(worker: &Worker, id: SegmentId, mapped: Result<(), String>) {
    // A task that needs the segment says what went wrong.
    if let Err(why) = mapped {
        worker.failed_segments.lock().insert(id, why);
    } else {
        // Whoever is between its look and its sleep must not miss the next line.
        drop(worker.failed_segments.lock());
    }
    worker.segment_arrived.notify_all();
}

/// Takes the segment's writable descriptor from the socket, for shared memory in it.
fn map_writable(worker: &Worker, id: SegmentId, len: u64, socket: &Socket) -> Result<(), String> {
    let fd = take_descriptor(id, socket)?;
    let read = descriptors::duplicate(fd.as_fd()).map_err(|error| error.to_string())?;
    SegmentFile::from_descriptors(read, Some(fd), len, ENGINE)
        .and_then(|file| worker.writables.insert(id, &file))
        .map_err(|error| error.to_string())
}

/// A worker whose task has closed the socket must not fail the tasks after that one: it ends.
/// Neither does it read from a socket that a task has opened since.
fn take_descriptor(id: SegmentId, socket: &Socket) -> Result<OwnedFd, String> {
    if !socket.identity.is_of(&socket.fd) {
        die(LOST);
    }
    let (received, fd) =
        link::receive_segment(socket.fd.as_fd()).map_err(|error| error.to_string())?;
    if received != id {
        unusable(&format!("segment {received} came in the place of {id}"));
    }
    Ok(fd)
}

/// Takes the segment's descriptor from the socket and maps it.
fn map(worker: &Worker, id: SegmentId, len: u64, socket: &Socket) -> Result<(), String> {
    let fd = take_descriptor(id, socket)?;
    let file =
        SegmentFile::from_descriptors(fd, None, len, ENGINE).map_err(|error| error.to_string())?;
    worker
        .segments
        .insert(id, &file)
        .map_err(|error| error.to_string())
}
