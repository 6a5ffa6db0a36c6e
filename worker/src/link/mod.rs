//! How a worker is tied to its driver.
//!
//! A worker (`process/worker.rs`) is one value whatever stands between it and its driver. A
//! [`Link`] names the parts that differ. Its user is generic over it, so a message costs no virtual
//! call.
//!
//! * [`Lane`]: messages to the worker. Two of them, each read by one thread at a time: one brings
//!   tasks and what must not overtake them, the other one brings all else while tasks run.
//! * [`Out`]: messages to the driver, in the order in which they are pushed.
//! * [`Claims`]: which of the two sides decides about a task that was sent and has not begun.
//! * [`Files`]: access to memory that other workers have made.
//!
//! [`mailbox`] is the link through rings in shared memory, [`threads`] that of workers in threads,
//! [`stream`] that to a peer in another language, through a socket. The last starts each task that
//! comes ([`Claims::start`] is true).

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
    /// Who decides about a task that was sent.
    type Claims: Claims + 'static;
    /// Memory of others.
    type Files: Files + 'static;
    /// Whether several processes can write to memory that they share.
    const SHARES_MEMORY: bool = true;
    /// Whether the driver asks for calls that the worker keeps to itself. A worker that nobody asks
    /// keeps none, because idle workers would not get them.
    const KEEPS_CALLS: bool = true;
    /// How long a batch of short calls should take.
    const BATCH_TIME: Duration = BATCH_TIME;
}

/// Messages to the driver.
pub(crate) trait Out: Send {
    /// Pushes a message; may wait for room. A result that cannot travel fails its task. Where the
    /// link is broken, this ends the worker.
    fn push(&mut self, message: &FromWorker);
}

/// Messages to the worker.
pub(crate) trait Lane: Send {
    /// What wakes the thread that waits for a message.
    type Bell: Bell;

    /// The next message, if there is one. Does not block.
    ///
    /// # Errors
    /// The link is broken: it brings nothing any more.
    fn receive(&mut self) -> Result<Option<ToWorker>, String>;

    /// Whether [`receive`](Lane::receive) has something to do. Some loads.
    fn ready(&self) -> bool;

    /// Rung by the driver behind each message, and by the worker's own threads.
    fn bell(&self) -> Self::Bell;
}

/// Wakes one thread. A clone is the same bell.
pub(crate) trait Bell: Clone + Send + Sync + 'static {
    /// Wakes the thread that sleeps, or is about to.
    fn ring(&self);

    /// Sleeps until the bell rings or the time has passed, unless `has_work` is true already. At
    /// most one thread does at a time.
    fn sleep(&self, timeout: Option<Duration>, has_work: impl FnOnce() -> bool);
}

/// Who decides about a task that was sent.
pub(crate) trait Claims: Send + Sync {
    /// Takes a task on. `false`: the driver has taken it back, so it must not run, and nothing is
    /// to be said about it.
    fn start(&self, slot: TaskSlot, attempt: Attempt, revocable: bool) -> bool;

    /// Whether the driver has taken the task back, if it may. A look that changes nothing.
    fn is_revoked(&self, slot: TaskSlot, attempt: Attempt) -> bool;

    /// A run of this function begins.
    fn set_function(&self, function: FunctionIndex);

    /// The function whose run has begun last.
    fn function(&self) -> Option<FunctionIndex>;
}

/// Memory of others.
pub(crate) trait Files: Send {
    /// The file of a segment, to be read. The message that names the segment has come.
    ///
    /// # Errors
    /// Why there is none.
    fn segment(&self, id: SegmentId, len: u64) -> Result<SegmentFile, String>;

    /// The same, to write shared memory in it.
    ///
    /// # Errors
    /// Why there is none.
    fn writable(&self, id: SegmentId, len: u64) -> Result<SegmentFile, String>;
}
