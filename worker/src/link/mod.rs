//! The link between a worker and its driver.
//!
//! All links use one worker type (`process/worker.rs`). A [`Link`] names the parts that differ. The
//! worker is generic over the link, so a message costs no virtual call.
//!
//! - [`Lane`]: messages to the worker. A worker has two lanes, and one thread at a time reads each.
//!   One lane brings tasks and the messages that must not overtake them. The other lane brings all
//!   other messages while tasks run.
//! - [`Out`]: messages to the driver, in the order in which they are pushed.
//! - [`Claims`]: which of the two sides decides about a task that was sent and has not begun.
//! - [`Files`]: access to memory that other workers have made.
//!
//! [`mailbox`] is the link through rings in shared memory. [`threads`] is the link of workers in
//! threads. [`stream`] is the link to a peer in another language, through a socket. The last link
//! starts each task that comes ([`Claims::start`] is true).

pub(crate) mod mailbox;
pub(crate) mod stream;
pub(crate) mod threads;

use std::time::Duration;

use mobula_protocol::{
    Attempt, BATCH_TIME, FunctionIndex, TaskSlot,
    message::{FromWorker, ToWorker},
};
use mobula_store::{SegmentFile, SegmentId};

/// The parts of one kind of link.
pub(crate) trait Link: Sized + 'static {
    /// Messages to the driver.
    type Out: Out + 'static;
    /// Messages to the worker.
    type Lane: Lane + 'static;
    /// Decides about a task that was sent.
    type Claims: Claims + 'static;
    /// Access to the memory of others.
    type Files: Files + 'static;
    /// Whether several processes can write to memory that they share.
    const SHARES_MEMORY: bool = true;
    /// Whether the driver asks for calls that the worker keeps to itself. A worker that nobody asks
    /// keeps none, because idle workers would not get them.
    const KEEPS_CALLS: bool = true;
    /// Whether the driver places calls on other machines, too.
    const HAS_OTHER_NODES: bool = false;
    /// How long a batch of short calls should take.
    const BATCH_TIME: Duration = BATCH_TIME;
}

/// Messages to the driver.
pub(crate) trait Out: Send {
    /// Pushes a message. May wait for room. A result that cannot be sent fails its task. If the
    /// link is broken, this ends the worker.
    fn push(&mut self, message: &FromWorker);
}

/// Messages to the worker.
pub(crate) trait Lane: Send {
    /// Wakes the thread that waits for a message.
    type Doorbell: Doorbell;

    /// Returns the next message, if there is one. Does not block.
    ///
    /// # Errors
    /// The link is broken: it brings no messages any more.
    fn receive(&mut self) -> Result<Option<ToWorker>, String>;

    /// Whether [`receive`](Lane::receive) has something to do. Costs some loads.
    fn ready(&self) -> bool;

    /// Returns the doorbell. The driver notifies it after each message, and the worker's own
    /// threads do it too.
    fn doorbell(&self) -> Self::Doorbell;
}

/// Wakes one thread. A clone is a handle of one doorbell.
pub(crate) trait Doorbell: Clone + Send + Sync + 'static {
    /// Wakes the thread that sleeps, or is about to.
    fn notify(&self);

    /// Sleeps until a notification or the time has passed, unless `has_work` is true already. At
    /// most one thread sleeps at a time.
    fn sleep(&self, timeout: Option<Duration>, has_work: impl FnOnce() -> bool);
}

/// Decides about a task that was sent.
pub(crate) trait Claims: Send + Sync {
    /// Takes a task on. Returns `false` if the driver has taken the task back. Such a task must not
    /// run, and the worker reports nothing about it.
    fn start(&self, slot: TaskSlot, attempt: Attempt, revocable: bool) -> bool;

    /// Whether the driver has taken the task back, if it may. Changes nothing.
    fn is_revoked(&self, slot: TaskSlot, attempt: Attempt) -> bool;

    /// Notes that a run of this function begins.
    fn set_function(&self, function: FunctionIndex);

    /// Returns the function whose run has begun last.
    fn function(&self) -> Option<FunctionIndex>;
}

/// Access to the memory of others.
pub(crate) trait Files: Send {
    /// Returns the file of a segment, to read. The message that names the segment has come.
    ///
    /// # Errors
    /// There is no file; the text says why.
    fn segment(&self, id: SegmentId, len: u64) -> Result<SegmentFile, String>;

    /// Returns the file of a segment, to write shared memory in it. The message that names the
    /// segment has come.
    ///
    /// # Errors
    /// There is no file; the text says why.
    fn writable(&self, id: SegmentId, len: u64) -> Result<SegmentFile, String>;
}
