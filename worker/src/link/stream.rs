//! The link to a peer in another language, through a stream of frames.
//!
//! A thread reads the stream, and puts each message into the lane that it belongs to.

use std::{
    collections::{HashMap, VecDeque},
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use mobula_protocol::{
    Attempt, Error, FunctionIndex, ObjectId, Outcome, Registry, Result, TaskSlot,
    frames::{FromPeer, Message, ToPeer, stream},
    message::{FromWorker, ToWorker},
};
use mobula_store::SegmentId;
use parking_lot::{Condvar, Mutex};

use super::{Claims, Doorbell, Lane, Link, Out, mailbox::Socket};

/// The link of a worker whose driver is a peer in another language.
#[derive(Debug)]
pub(crate) struct Stream;

impl Link for Stream {
    type Out = FrameOut;
    type Lane = Inbox;
    type Claims = Starts;
    type Files = Socket;
    const SHARES_MEMORY: bool = false;
    const KEEPS_CALLS: bool = false;
    // A task of Ray costs 2 to 5 ms of the cluster's cores.
    const HAS_OTHER_NODES: bool = true;
    const BATCH_TIME: Duration = Duration::from_millis(100);
}

/// Messages that have come and were not read. A clone is a handle of one inbox.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    messages: Mutex<VecDeque<ToWorker>>,
    notified: Mutex<bool>,
    changed: Condvar,
}

impl Inbox {
    pub(crate) fn push(&self, message: ToWorker) {
        self.0.messages.lock().push_back(message);
        self.notify();
    }
}

impl Lane for Inbox {
    type Doorbell = Inbox;

    fn receive(&mut self) -> std::result::Result<Option<ToWorker>, String> {
        Ok(self.0.messages.lock().pop_front())
    }

    fn ready(&self) -> bool {
        !self.0.messages.lock().is_empty()
    }

    fn doorbell(&self) -> Inbox {
        self.clone()
    }
}

impl Doorbell for Inbox {
    fn notify(&self) {
        *self.0.notified.lock() = true;
        self.0.changed.notify_one();
    }

    fn sleep(&self, timeout: Option<Duration>, has_work: impl FnOnce() -> bool) {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut notified = self.0.notified.lock();
        if !*notified && !has_work() {
            while !*notified {
                match deadline {
                    None => self.0.changed.wait(&mut notified),
                    Some(deadline) => {
                        if self
                            .0
                            .changed
                            .wait_until(&mut notified, deadline)
                            .timed_out()
                        {
                            break;
                        }
                    }
                }
            }
        }
        *notified = false;
    }
}

/// The peer has decided by the time at which it sends a task.
#[derive(Debug)]
pub(crate) struct Starts;

impl Claims for Starts {
    fn start(&self, _: TaskSlot, _: Attempt, _: bool) -> bool {
        true
    }

    fn is_revoked(&self, _: TaskSlot, _: Attempt) -> bool {
        false
    }

    fn set_function(&self, _: FunctionIndex) {}

    fn function(&self) -> Option<FunctionIndex> {
        None
    }
}

/// The writing end. A clone is a handle of one end.
#[derive(Clone, Debug)]
pub(crate) struct Writer(Arc<Mutex<OwnedFd>>);

impl Writer {
    pub(crate) fn new(stream: OwnedFd) -> Writer {
        Writer(Arc::new(Mutex::new(stream)))
    }

    /// Sends a message. Does not report that the peer is gone: the thread that reads the stream
    /// notices that.
    ///
    /// # Errors
    /// The message cannot be encoded.
    pub(crate) fn say(&self, message: &ToPeer) -> Result<()> {
        let frame = message.encode()?;
        let stream = self.0.lock();
        let _ = stream::write(stream.as_fd(), &frame);
        Ok(())
    }
}

/// The worker's messages to the peer.
#[derive(Debug)]
pub(crate) struct FrameOut {
    writer: Writer,
    registry: &'static Registry,
    control: Inbox,
    /// How many bytes the worker's segment may still take.
    budget: AtomicU64,
    /// Objects of messages that could not be sent.
    failed: HashMap<ObjectId, Error>,
}

impl FrameOut {
    pub(crate) fn new(
        writer: Writer,
        registry: &'static Registry,
        control: Inbox,
        capacity: u64,
    ) -> FrameOut {
        FrameOut {
            writer,
            registry,
            control,
            budget: AtomicU64::new(capacity),
            failed: HashMap::new(),
        }
    }

    fn grant(&self, bytes: u64) {
        let take = |left: u64| left.checked_sub(bytes);
        let taken = self
            .budget
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        let answer = taken.map(|_| bytes).map_err(|left| {
            Error::store_is_full(format!(
                "the object store of this process has {left} bytes left, and {bytes} are wanted; drop refs that \
                 are not needed, or raise `Builder::store_capacity`"
            ))
        });
        self.control.push(ToWorker::Grant(answer));
    }
}

impl Out for FrameOut {
    fn push(&mut self, message: &FromWorker) {
        match message {
            FromWorker::NeedBytes(bytes) => return self.grant(*bytes),
            FromWorker::ReturnBytes(bytes) => {
                self.budget.fetch_add(*bytes, Ordering::SeqCst);
                return;
            }
            FromWorker::Watch(id) => {
                if let Some(error) = self.failed.get(id) {
                    let (id, outcome) = (*id, Err(error.clone()));
                    return self.control.push(ToWorker::Ready { id, outcome });
                }
            }
            FromWorker::Release(id) if self.failed.remove(id).is_some() => return,
            _ => {}
        }
        let said = ToPeer::of(message, self.registry).and_then(|message| match message {
            None => Ok(()),
            Some(message) => self.writer.say(&message),
        });
        let Err(error) = said else {
            return;
        };
        if let FromWorker::Done {
            id, slot, attempt, ..
        } = message
        {
            // The encoding of an error is short.
            let outcome = Err(error);
            let (id, slot, attempt) = (*id, *slot, *attempt);
            return self.push(&FromWorker::Done {
                id,
                slot,
                attempt,
                outcome,
            });
        }
        for id in made_by(message) {
            self.failed.insert(id, error.clone());
        }
    }
}

/// Returns the objects that exist when a message has been read.
fn made_by(message: &FromWorker) -> Vec<ObjectId> {
    match message {
        FromWorker::Spawn(task, _) => vec![task.id],
        FromWorker::Put { id, .. }
        | FromWorker::FindActor { id, .. }
        | FromWorker::CreateQueue { id, .. }
        | FromWorker::QueuePut { id, .. }
        | FromWorker::QueueAsk { id, .. }
        | FromWorker::Settle { id, .. }
        | FromWorker::Seal { id, .. } => vec![*id],
        FromWorker::CreateActor { id, found, .. } => Some(*id).into_iter().chain(*found).collect(),
        FromWorker::Split { ids, .. } | FromWorker::QueueGet { ids, .. } => ids.clone(),
        FromWorker::Lend { parts, .. } => parts.iter().map(|(id, _)| *id).collect(),
        _ => Vec::new(),
    }
}

/// Where the messages of a stream go.
pub(crate) struct Readers<'a, R, O> {
    /// The lane of tasks.
    pub(crate) tasks: &'a Inbox,
    /// The lane of the control thread.
    pub(crate) control: &'a Inbox,
    /// Takes the outcome of an object that lies in no segment. The reading thread calls it, since
    /// the way through the control thread costs a wake. Other outcomes stay behind the message that
    /// brings their segment.
    pub(crate) ready: R,
    /// Takes what is for the runtime.
    pub(crate) other: O,
}

/// Reads the stream to its end.
///
/// # Errors
/// The stream breaks, or brings something that is no message.
pub(crate) fn read<R, O>(
    frames: &mut stream::Frames,
    registry: &Registry,
    heap: SegmentId,
    mut readers: Readers<'_, R, O>,
) -> Result<()>
where
    R: FnMut(ObjectId, Outcome),
    O: FnMut(FromPeer),
{
    while let Some(frame) = frames.receive::<FromPeer>()? {
        match frame {
            FromPeer::Idle(_)
            | FromPeer::Nodes(..)
            | FromPeer::Progress(..)
            | FromPeer::Refused(_) => (readers.other)(frame),
            FromPeer::Ready(id, outcome) if outcome.is_in_the_frame() => {
                (readers.ready)(id.into(), outcome.outcome(registry));
            }
            frame => {
                let is_for_tasks = matches!(frame, FromPeer::Task(_) | FromPeer::Actor(_));
                if let Some(message) = frame.message(registry, heap)? {
                    match is_for_tasks {
                        true => readers.tasks.push(message),
                        false => readers.control.push(message),
                    }
                }
            }
        }
    }
    Ok(())
}
