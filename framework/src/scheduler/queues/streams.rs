//! Streams: queues that a task fills and that end with it.
//!
//! The task has the queue as its last argument, as an object. Queues that users pass are refs
//! inside values, so no other task has such an argument. After the end of the task, the queue
//! accepts no values. The remaining values can be taken out. Further gets fail with the task's
//! failure.

use mobula_protocol::{Error, ObjectId, message::ArgSpec};

use super::Why;
use crate::scheduler::{Host, Scheduler};

impl Scheduler {
    /// Returns the stream among the arguments of a task.
    #[inline]
    pub(in crate::scheduler) fn stream_among(&self, args: &[ArgSpec]) -> Option<ObjectId> {
        match args.last() {
            Some(ArgSpec::Object(id)) if self.is_queue(*id) => Some(*id),
            _ => None,
        }
    }

    /// Ends a stream whose task has ended. Values that wait for room still go in.
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

    /// Returns the error of a refused request.
    pub(super) fn stream_error(&self, queue: ObjectId, why: Why) -> Error {
        match (why, self.queues.ended.get(&queue)) {
            (Why::Closed, Some(failure)) => failure.clone().unwrap_or_else(stream_ended),
            _ => why.error(),
        }
    }
}

/// Makes the error of a ref behind the last item of a stream.
pub(crate) fn stream_ended() -> Error {
    Error::closed("the stream has ended: its function gave no further item")
}
