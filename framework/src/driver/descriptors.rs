//! Workers get the descriptors of segments when something that they are sent first refers to them.

use std::os::fd::AsFd;

use mobula_store::SegmentId;
use mobula_worker::{
    Body, Item, Value, WorkerId, link,
    message::{Arg, ToWorker},
};

use super::lanes::Lanes;

impl Lanes {
    /// Makes sure that a worker can map the segments of a value.
    pub(super) fn introduce(&mut self, worker: WorkerId, value: &Value) {
        if let Body::Stored(loc) = &value.body {
            let known = self
                .lanes
                .get(&worker)
                .is_none_or(|lane| lane.known.contains(&loc.segment));
            if !known {
                self.introduce_segment(worker, loc.segment);
            }
        }
        for item in &value.items {
            if let Item::Array { value, .. } = item {
                self.introduce(worker, value);
            }
        }
    }

    fn introduce_segment(&mut self, worker: WorkerId, segment: SegmentId) {
        if let Some(lane) = self.touch(worker) {
            lane.known.push(segment);
            lane.unsent.push(segment);
        }
        self.send_segments(worker);
    }

    /// Sends the descriptors that a worker is to have. Where too many are under way already, the
    /// rest goes with the next flush; the worker waits for them.
    pub(super) fn send_segments(&mut self, worker: WorkerId) {
        let Some(lane) = self.lanes.get_mut(&worker) else {
            return;
        };
        while let Some(&segment) = lane.unsent.first() {
            let file = match self.files.get(&segment) {
                Some(file) => Some(file),
                None if segment == self.heap.id() => Some(self.heap.file()),
                None => None,
            };
            // Without a file: the segment is gone, and nothing that the worker gets refers to it.
            if let Some(file) = file {
                match link::send_segment(lane.socket.as_fd(), segment, file.read_only_fd()) {
                    Ok(()) => {
                        let len = file.len();
                        lane.send(&ToWorker::Segment { id: segment, len });
                    }
                    Err(error) if link::is_temporary(&error) => return,
                    Err(error) => {
                        let why =
                            format!("its socket does not take a segment's descriptor: {error}");
                        self.condemn(worker, why);
                        return;
                    }
                }
            }
            lane.unsent.remove(0);
        }
    }

    pub(super) fn introduce_all(&mut self, worker: WorkerId, args: &[Arg]) {
        for arg in args {
            match arg {
                Arg::Value(value) | Arg::Object { value, .. } => self.introduce(worker, value),
                Arg::Gather(values) => {
                    for (_, value) in values {
                        self.introduce(worker, value);
                    }
                }
            }
        }
    }
}
