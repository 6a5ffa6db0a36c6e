//! The messages of the peer to the process.

use std::sync::Arc;

use mobula_store::{Loc, SegmentId};
use serde::{Deserialize, Serialize};

use super::{Bytes, Extent, PeerArg, PeerId, PeerOutcome, malformed};
use crate::{
    Result,
    ids::{Attempt, FunctionIndex, TaskSlot},
    message::{Arg, TaskMessage, ToWorker},
    messagepack,
    options::CallOptions,
    registry::Registry,
};

/// A task for the process to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskFrame {
    /// The number of this run.
    pub run: u64,
    /// The index of the function.
    pub function: u32,
    /// The arguments.
    pub args: Vec<PeerArg>,
    /// The call's own options, encoded, if it has any.
    pub options: Option<Bytes>,
    /// How often the process may run the task again after errors.
    pub retries: u32,
}

/// A message of the peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromPeer {
    /// The first frame. Its fields are [`VERSION`](super::VERSION), the worker number of the
    /// process, the number of cores, a text about the peer, and the name of the process' node.
    Hello(u32, u32, f64, String, String),
    /// The peer cannot serve the process, for this reason, and ends.
    Refused(String),
    /// The process should run this task.
    Task(TaskFrame),
    /// An object that the process watches is ready.
    Ready(PeerId, PeerOutcome),
    /// These extents of the process' own segment are not used any more.
    Free(Vec<Extent>),
    /// The next descriptor on the socket is for this segment. The second field is its length in
    /// bytes.
    Segment(u32, u64),
    /// Nothing refers to this segment any more.
    DropSegment(u32),
    /// This object is gone. The process has said `ToPeer::Decoded` of it.
    Forget(PeerId),
    /// No caller waits for this run any more. The run should end soon.
    Cancel(u64),
    /// The process is an actor from now on. The field is the most calls that it runs at a time.
    Actor(u32),
    /// No call is unfinished any more. The field is the number of the question.
    Idle(u64),
    /// The nodes of the cluster, with the number of the question. Each node has its name, its
    /// cores, and whether the program that started the runtime is there.
    Nodes(u64, Vec<(String, f64, bool)>),
    /// The progress of the task that makes this object: the work done, and the total.
    Progress(PeerId, u64, u64),
    /// The process should end.
    Shutdown,
}

impl TaskFrame {
    /// Returns the message to the worker. The task's id comes from the number of the run.
    ///
    /// # Errors
    /// An argument is malformed.
    pub fn message(self) -> Result<TaskMessage> {
        let args = self.args.into_iter().map(arg).collect::<Result<_>>()?;
        let options: CallOptions = match &self.options {
            None => None,
            Some(bytes) => Some(Arc::new(
                messagepack::from_slice(&bytes.0).map_err(malformed)?,
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
    arg.try_map(
        |value| Ok(Box::new(value.value()?)),
        |(id, value)| {
            let value = value.ok_or_else(|| malformed("an argument without its value"))?;
            Ok((id.into(), value.value()?.share()))
        },
    )
}

impl FromPeer {
    /// Returns the message to the worker, or `None` if the frame is not for the worker.
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
            // A worker of a peer keeps no calls to itself.
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
