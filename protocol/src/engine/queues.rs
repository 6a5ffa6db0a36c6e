//! Queues of an engine.

use std::sync::Arc;

use super::CallArg;
use crate::{ids::ObjectId, message::Args, object_handle::ObjectHandle};

/// What a process can ask for about queues. Nothing here blocks or fails: what is wrong is the
/// outcome of the answer.
pub trait Queues {
    /// A queue with room for so many values: its object.
    fn create(&self, capacity: u32) -> Arc<ObjectHandle>;

    /// Puts values into a queue, together: an object that is ready when they are in. Where they are
    /// not, it fails: `is_closed`, or `is_timeout` if it was given up or does not wait (`waits`)
    /// for room.
    fn put(&self, queue: &ObjectHandle, values: Args<CallArg>, waits: bool) -> Arc<ObjectHandle>;

    /// Takes values out of a queue, together: an object for each, which [is or stands
    /// for](crate::Value::stands_for) the value. They fail as those of [`put`](Queues::put) do.
    ///
    /// A value goes back to the queue if this process dies before it has said
    /// [`took`](Queues::took).
    fn get(&self, queue: &ObjectHandle, count: usize, waits: bool) -> Vec<Arc<ObjectHandle>>;

    /// Ends one request, whose answers these are, if it still waits: they are complete soon. With
    /// `returns`, the values go back to the queue if it does not wait any more; nobody may use them
    /// then.
    fn give_up(&self, answers: &mut dyn Iterator<Item = ObjectId>, returns: bool);

    /// The room that a queue needs which a call fills while its caller reads, where the caller
    /// wants this much.
    fn stream_capacity(&self, wanted: u32) -> u32 {
        wanted
    }

    /// The values of these answers are the caller's now.
    fn took(&self, _answers: &mut dyn Iterator<Item = ObjectId>) {}

    /// An object that says how many values are in a queue, whether it is closed, and how many
    /// values were ever put in or wait for room: a `(u64, bool, u64)`. Closes it before, if that is
    /// wanted.
    fn ask(&self, queue: &ObjectHandle, close: bool) -> Arc<ObjectHandle>;
}
