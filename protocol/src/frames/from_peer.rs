//! What the peer says to the process.

use std::sync::Arc;

use mobula_store::{Loc, SegmentId};
use serde::{Deserialize, Serialize};

use super::{Bytes, Extent, PeerArg, PeerId, PeerOutcome, PeerValue, malformed};
use crate::{
    Result,
    ids::{Attempt, FunctionIndex, TaskSlot},
    message::{Arg, TaskMessage, ToWorker},
    options::CallOptions,
    registry::Registry,
};

/// A task that the process is to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskFrame {
    /// The number of this run.
    pub run: u64,
    /// What to run.
    pub function: u32,
    /// With what.
    pub args: Vec<PeerArg>,
    /// Its own options, if it has any.
    pub options: Option<Bytes>,
    /// How often it may run again, after errors.
    pub retries: u32,
}

/// What the peer says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromPeer {
    /// The first frame: [`VERSION`](super::VERSION), the number of the worker that the process is,
    /// how many cores there are, what the peer says of itself, and the name of the process' node.
    Hello(u32, u32, f64, String, String),
    /// The peer cannot serve the process, and ends.
    Refused(String),
    /// Run this.
    Task(TaskFrame),
    /// An object that is watched is ready.
    Ready(PeerId, PeerOutcome),
    /// These extents of the process' segment are free.
    Free(Vec<Extent>),
    /// The next descriptor on the socket is that of this segment of so many bytes.
    Segment(u32, u64),
    /// Nothing refers to this segment any more.
    DropSegment(u32),
    /// An object is gone whose decoded value the process keeps.
    Forget(PeerId),
    /// Nobody waits for this run any more.
    Cancel(u64),
    /// The process is an actor, and runs so many calls at a time.
    Actor(u32),
    /// All calls had ended when the peer read the question.
    Idle(u64),
    /// The nodes that there were when the peer read the question: the name of each, its cores, and
    /// whether the program is there that started the runtime.
    Nodes(u64, Vec<(String, f64, bool)>),
    /// How far the task of an object is, and of how much.
    Progress(PeerId, u64, u64),
    /// The process is to end.
    Shutdown,
}

impl TaskFrame {
    /// Returns the task. It is named by its run.
    ///
    /// # Errors
    /// An argument is malformed.
    pub fn message(self) -> Result<TaskMessage> {
        let args = self.args.into_iter().map(arg).collect::<Result<_>>()?;
        let options: CallOptions = match &self.options {
            None => None,
            Some(bytes) => Some(Arc::new(
                rmp_serde::from_slice(&bytes.0).map_err(malformed)?,
            )),
        };
        Ok(TaskMessage {
            id: PeerId::run(self.run).into(),
            slot: TaskSlot(0),
            attempt: Attempt(self.run),
            function: FunctionIndex(self.function),
            args,
            options,
            retries: self.retries,
            revocable: false,
        })
    }
}

fn arg(arg: PeerArg) -> Result<Arg> {
    let object = |(id, value): (PeerId, Option<PeerValue>)| {
        let value = value.ok_or_else(|| malformed("an argument without its value"))?;
        Ok((id.into(), value.value()?.share()))
    };
    Ok(match arg {
        PeerArg::Value(value) => Arg::Value(Box::new(value.value()?)),
        PeerArg::Object(id, value) => {
            let (id, value) = object((id, value))?;
            Arg::Object { id, value }
        }
        PeerArg::Gather(objects) => {
            Arg::Gather(objects.into_iter().map(object).collect::<Result<_>>()?)
        }
    })
}

impl FromPeer {
    /// Returns the message to the worker; `None` for what is not for it.
    ///
    /// # Errors
    /// The frame is malformed.
    pub fn message(self, registry: &Registry, heap: SegmentId) -> Result<Option<ToWorker>> {
        Ok(Some(match self {
            FromPeer::Task(task) => ToWorker::Task(task.message()?),
            FromPeer::Ready(id, outcome) => ToWorker::Ready {
                id: id.into(),
                outcome: outcome.outcome(registry),
            },
            FromPeer::Free(extents) => {
                let loc = |extent: Extent| Loc {
                    segment: heap,
                    offset: extent.offset,
                    len: extent.len,
                };
                ToWorker::Free(extents.into_iter().map(loc).collect())
            }
            FromPeer::Segment(id, len) => ToWorker::Segment {
                id: SegmentId(id),
                len,
            },
            FromPeer::DropSegment(id) => ToWorker::DropSegment(SegmentId(id)),
            FromPeer::Forget(id) => ToWorker::Forget(id.into()),
            // A peer has no worker that keeps calls to itself.
            FromPeer::Cancel(run) => ToWorker::Cancel {
                run: Attempt(run),
                calls: true,
            },
            FromPeer::Actor(threads) => ToWorker::Actor { threads },
            FromPeer::Shutdown => ToWorker::Shutdown,
            FromPeer::Hello(..)
            | FromPeer::Refused(_)
            | FromPeer::Idle(_)
            | FromPeer::Nodes(..)
            | FromPeer::Progress(..) => return Ok(None),
        }))
    }
}
