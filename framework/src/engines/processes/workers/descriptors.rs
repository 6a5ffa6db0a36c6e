//! Sends the descriptor of a segment to a worker, before the first message that refers to the
//! segment.

use std::os::fd::AsFd;

use mobula_protocol::{
    Body, Format, SharedKind, Value, WireAttachment, WorkerId, link,
    message::{ArgRef, ToWorker},
};
use mobula_store::{Loc, SegmentId, is_cell};

use crate::engines::processes::{peers::Peers, peers::peer::Access};
use crate::promise::ENGINE;

impl Peers {
    /// Makes sure that a worker can map the segments of a value.
    pub(in crate::engines::processes) fn introduce(&mut self, worker: WorkerId, value: &Value) {
        if let (Format::Shared { kind, .. }, Body::Stored(loc)) = (&value.format, &value.body) {
            self.introduce_shared(worker, *loc, *kind);
        } else if let Body::Stored(loc) = &value.body {
            let known = self
                .peers
                .get(worker)
                .is_none_or(|peer| peer.known.contains(&loc.segment) || peer.shares_mappings);
            if !known {
                self.introduce_segment(worker, loc.segment);
            }
        }
        for attachment in &value.attachments {
            if let WireAttachment::Array { value, .. } = attachment {
                self.introduce(worker, value);
            }
        }
    }

    fn introduce_segment(&mut self, worker: WorkerId, segment: SegmentId) {
        if let Some(peer) = self.touch(worker) {
            peer.known.push(segment);
            peer.unsent.push((segment, Access::Read));
        }
        self.send_segments(worker);
    }

    /// Gives a worker write access to shared memory of another process.
    pub(in crate::engines::processes) fn introduce_shared(
        &mut self,
        worker: WorkerId,
        loc: Loc,
        kind: SharedKind,
    ) {
        let Some(peer) = self.peers.get_mut(worker) else {
            return;
        };
        if !matches!(kind, SharedKind::Array | SharedKind::Atomics) {
            peer.locks.insert(loc, kind);
        }
        if loc.segment.0 == worker.0 {
            return;
        }
        if !is_cell(loc) {
            peer.writes.insert(loc);
        }
        if !peer.writable.contains(&loc.segment) {
            peer.writable.push(loc.segment);
            peer.unsent.push((loc.segment, Access::Write));
            self.touch(worker);
            self.send_segments(worker);
        }
    }

    /// Sends the descriptors that a worker is to have. If too many are under way already, the rest
    /// goes with the next flush, and the worker waits for them.
    pub(in crate::engines::processes) fn send_segments(&mut self, worker: WorkerId) {
        let Some(peer) = self.peers.get_mut(worker) else {
            return;
        };
        while let Some(&(segment, access)) = peer.unsent.first() {
            let file = match self.files.get(&segment) {
                Some(file) => Some(file),
                None if segment == self.heap.id() => Some(self.heap.file()),
                None => None,
            };
            // Without a file, the segment is gone, and no message to the worker refers to it.
            let descriptor = file.and_then(|file| match access {
                Access::Read => Some((file.read_only_fd(), file.len())),
                Access::Write => Some((file.read_write_fd(ENGINE)?, file.len())),
            });
            if let Some((descriptor, len)) = descriptor {
                match link::send_segment(peer.socket.as_fd(), segment, descriptor) {
                    Ok(()) => peer.send(&match access {
                        Access::Read => ToWorker::Segment { id: segment, len },
                        Access::Write => ToWorker::Writable { id: segment, len },
                    }),
                    Err(error) if link::is_temporary(&error) => return,
                    Err(error) => {
                        let why =
                            format!("its socket does not take a segment's descriptor: {error}");
                        self.mark_for_kill(worker, why);
                        return;
                    }
                }
            }
            peer.unsent.remove(0);
        }
    }

    pub(in crate::engines::processes) fn introduce_all(
        &mut self,
        worker: WorkerId,
        args: &[ArgRef<'_>],
    ) {
        for arg in args {
            if let ArgRef::Value(value) = arg {
                self.introduce(worker, value);
            }
            for (_, value) in arg.objects() {
                self.introduce(worker, value);
            }
        }
    }
}
