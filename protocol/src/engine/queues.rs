//! Queues of an engine.

use std::sync::Arc;

use super::CallArg;
use crate::{ids::ObjectId, message::Args, object_handle::ObjectHandle};

/// The engine's operations on queues. Nothing here blocks or fails: an error is the outcome of the
/// answer.
pub trait Queues {
    /// Returns the object of a new queue with room for `capacity` values.
    fn create(&self, capacity: u32) -> Arc<ObjectHandle>;

    /// Puts values into a queue, all at once. Returns an object that is ready when they are in.
    /// Otherwise it fails: with `is_closed`, or with `is_timeout` if the request was given up.
    /// Without `waits` it fails with `is_timeout` if the queue has no room.
    fn put(&self, queue: &ObjectHandle, values: Args<CallArg>, waits: bool) -> Arc<ObjectHandle>;

    /// Takes `count` values out of a queue, all at once. Returns an object for each, which [is or
    /// stands for](crate::Value::stands_for) the value. The objects fail like those of
    /// [`put`](Queues::put).
    ///
    /// A value goes back to the queue if this process dies before it calls [`took`](Queues::took).
    fn get(&self, queue: &ObjectHandle, count: usize, waits: bool) -> Vec<Arc<ObjectHandle>>;

    /// Ends the request with these answers if it still waits. The answers are complete soon then.
    /// If the request does not wait any more and `returns` is set, its values go back to the queue.
    /// The caller must not use them then.
    fn give_up(&self, answers: &mut dyn Iterator<Item = ObjectId>, returns: bool);

    /// Returns the capacity of a queue that a call fills while its caller reads. The caller wants
    /// `wanted`.
    fn stream_capacity(&self, wanted: u32) -> u32 {
        wanted
    }

    /// Records that the caller has the values of these answers.
    fn took(&self, _answers: &mut dyn Iterator<Item = ObjectId>) {}

    /// Returns an object whose value is a `(u64, bool, u64)`. It has the number of values in the
    /// queue, whether it is closed, and a count. The count is that of values that were ever put in,
    /// plus those that wait for room. Closes the queue before if `close` is set.
    fn ask(&self, queue: &ObjectHandle, close: bool) -> Arc<ObjectHandle>;
}
