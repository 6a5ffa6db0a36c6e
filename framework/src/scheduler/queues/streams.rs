//! Streams: queues that a task fills and that end with it.
//!
//! The task has the queue as its last argument, as an object. Nothing else does: a queue that users
//! pass is a ref inside of a value. When the task has ended, in whichever way, the queue takes
//! nothing more in. What is there can be taken out, and who asks for more gets the task's failure.

use mobula_protocol::{Error, ObjectId, message::ArgSpec};

use super::Why;
use crate::scheduler::{Host, Scheduler};

impl Scheduler {
    /// The stream among the arguments of a task.
    #[inline]
    pub(in crate::scheduler) fn stream_among(&self, args: &[ArgSpec]) -> Option<ObjectId> {
        match args.last() {
            Some(ArgSpec::Object(id)) if self.is_queue(*id) => Some(*id),
            _ => None,
        }
    }

    /// The task that fills this stream has ended. Values of it that wait for room still go in.
    pub(in crate::scheduler) fn end_stream(
        &mut self,
        stream: ObjectId,
        failure: Option<Error>,
        host: &mut impl Host,
    ) {
        if self.is_queue(stream) {
            self.queues.ended.insert(stream, failure);
            self.in_line(stream, host, |line, events| line.finish(events));
        }
    }

    /// Why a request to a queue cannot be done.
    pub(super) fn stream_error(&self, queue: ObjectId, why: Why) -> Error {
        match (why, self.queues.ended.get(&queue)) {
            (Why::Closed, Some(failure)) => failure.clone().unwrap_or_else(stream_ended),
            _ => why.error(),
        }
    }
}

/// What a ref behind the last item of a stream fails with.
pub(crate) fn stream_ended() -> Error {
    Error::closed("the stream has ended: its function gave no further item")
}
