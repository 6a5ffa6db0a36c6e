//! Messages to a worker.

use std::sync::Arc;

use mobula_store::SegmentId;

use super::{
    Reader, WireError,
    arguments::{read_arg, write_arg},
    fields::{read_packed, write_about, write_packed},
    value, writer,
};
use crate::{
    ids::{Attempt, FunctionIndex, TaskSlot},
    message::{ArgRef, TaskMessage, ToWorker},
};

/// Appends a message to a worker to `out`. Costs a copy of its inline bytes.
///
/// # Errors
/// Fails with [`WireError::Unencodable`]. `out` then holds a part of the message.
pub fn encode_to_worker(message: &ToWorker, out: &mut Vec<u8>) -> Result<(), WireError> {
    match message {
        ToWorker::Task(task) => encode_task(&task.by_ref(), out)?,
        ToWorker::Ready { id, outcome } => {
            out.push(kind::READY);
            writer::id(out, *id);
            value::write_outcome(out, outcome)?;
        }
        ToWorker::Free(locs) => {
            out.push(kind::FREE);
            writer::number(out, locs.len() as u64);
            locs.iter().for_each(|loc| writer::loc(out, *loc));
        }
        ToWorker::Grant(Ok(bytes)) => {
            out.push(kind::GRANT);
            writer::number(out, *bytes);
        }
        ToWorker::Grant(Err(error)) => {
            out.push(kind::NO_GRANT);
            writer::error(out, error)?;
        }
        ToWorker::Segment { id, len } => {
            out.push(kind::SEGMENT);
            writer::number(out, u64::from(id.0));
            writer::number(out, *len);
        }
        ToWorker::Writable { id, len } => {
            out.push(kind::WRITABLE);
            writer::number(out, id.0.into());
            writer::number(out, *len);
        }
        ToWorker::Close(loc) => {
            out.push(kind::CLOSE);
            writer::loc(out, *loc);
        }
        ToWorker::Actor { threads } => {
            out.push(kind::ACTOR);
            writer::number(out, (*threads).into());
        }
        ToWorker::DropSegment(id) => {
            out.push(kind::DROP_SEGMENT);
            writer::number(out, u64::from(id.0));
        }
        ToWorker::Forget(id) => write_about(out, kind::FORGET, *id),
        ToWorker::Cancel { run, calls } => {
            out.push(match calls {
                true => kind::CANCEL,
                false => kind::CANCEL_ALONE,
            });
            writer::number(out, run.0);
        }
        ToWorker::Share => out.push(kind::SHARE),
        ToWorker::Title(None) => out.push(kind::IDLE),
        ToWorker::Title(Some(function)) => {
            out.push(kind::RUNS);
            writer::number(out, function.0.into());
        }
        ToWorker::Trim => out.push(kind::TRIM),
        ToWorker::Shutdown => out.push(kind::SHUTDOWN),
    }
    Ok(())
}

/// Appends a [`ToWorker::Task`] to `out`. Costs a copy of its inline bytes.
///
/// # Errors
/// Fails like [`encode_to_worker`].
pub fn encode_task(task: &TaskMessage<ArgRef<'_>>, out: &mut Vec<u8>) -> Result<(), WireError> {
    let flag = |flag, holds| if holds { flag } else { 0 };
    out.push(kind::TASK);
    out.push(
        flag(task_flag::RETRIES, task.retries > 0)
            | flag(task_flag::REVOCABLE, task.revocable)
            | flag(task_flag::OPTIONS, task.options.is_some()),
    );
    writer::id(out, task.id);
    writer::hand_over(out, task.slot, task.attempt);
    if task.retries > 0 {
        writer::number(out, u64::from(task.retries));
    }
    if let Some(options) = &task.options {
        write_packed(out, &**options)?;
    }
    writer::number(out, u64::from(task.function.0));
    writer::number(out, task.args.len() as u64);
    task.args.iter().try_for_each(|arg| write_arg(out, arg))
}

/// Reads a message to a worker. All of `bytes` must belong to it.
///
/// # Errors
/// Fails with [`WireError::Malformed`].
pub fn decode_to_worker(bytes: &[u8]) -> Result<ToWorker, WireError> {
    let mut reader = Reader::new(bytes);
    let message = match reader.byte("a message")? {
        kind::TASK => {
            let flags = reader.byte("the flags of a task")?;
            if flags & !task_flag::ALL != 0 {
                return Err(reader.malformed("the flags of a task"));
            }
            ToWorker::Task(TaskMessage {
                revocable: flags & task_flag::REVOCABLE != 0,
                id: reader.id()?,
                slot: TaskSlot(reader.four("a slot")?),
                attempt: Attempt(reader.eight("an attempt")?),
                retries: match flags & task_flag::RETRIES {
                    0 => 0,
                    _ => match reader.number32("how often to run again")? {
                        // The flag announces a number, and 0 needs no number.
                        0 => return Err(reader.malformed("how often to run again")),
                        retries => retries,
                    },
                },
                options: match flags & task_flag::OPTIONS {
                    0 => None,
                    _ => Some(Arc::new(read_packed(&mut reader, "a call's options")?)),
                },
                function: FunctionIndex(reader.number32("a function")?),
                args: reader.args(read_arg)?,
            })
        }
        kind::READY => ToWorker::Ready {
            id: reader.id()?,
            outcome: value::read_outcome(&mut reader)?,
        },
        kind::FREE => ToWorker::Free(reader.list("extents", Reader::loc)?),
        kind::GRANT => ToWorker::Grant(Ok(reader.number("a grant")?)),
        kind::NO_GRANT => ToWorker::Grant(Err(reader.error()?)),
        kind::SEGMENT => ToWorker::Segment {
            id: SegmentId(reader.number32("a segment")?),
            len: reader.number("a segment's length")?,
        },
        kind::WRITABLE => ToWorker::Writable {
            id: SegmentId(reader.number32("a segment")?),
            len: reader.number("a segment's length")?,
        },
        kind::CLOSE => ToWorker::Close(reader.loc()?),
        kind::ACTOR => ToWorker::Actor {
            threads: reader.number32("a number of threads")?,
        },
        kind::DROP_SEGMENT => ToWorker::DropSegment(SegmentId(reader.number32("a segment")?)),
        kind::FORGET => ToWorker::Forget(reader.id()?),
        number @ (kind::CANCEL | kind::CANCEL_ALONE) => ToWorker::Cancel {
            run: Attempt(reader.number("an attempt")?),
            calls: number == kind::CANCEL,
        },
        kind::SHARE => ToWorker::Share,
        kind::IDLE => ToWorker::Title(None),
        kind::RUNS => ToWorker::Title(Some(FunctionIndex(reader.number32("a function")?))),
        kind::TRIM => ToWorker::Trim,
        kind::SHUTDOWN => ToWorker::Shutdown,
        _ => return Err(reader.malformed("the kind of a message to a worker")),
    };
    reader.end()?;
    Ok(message)
}

/// The first bytes of messages to a worker.
pub(super) mod kind {
    pub(super) const TASK: u8 = 1;
    pub(super) const READY: u8 = 2;
    pub(super) const FREE: u8 = 3;
    pub(super) const GRANT: u8 = 4;
    pub(in super::super) const NO_GRANT: u8 = 5;
    pub(super) const SEGMENT: u8 = 6;
    pub(super) const DROP_SEGMENT: u8 = 7;
    pub(super) const TRIM: u8 = 8;
    pub(super) const SHUTDOWN: u8 = 9;
    pub(super) const WRITABLE: u8 = 10;
    pub(super) const CLOSE: u8 = 11;
    pub(super) const ACTOR: u8 = 12;
    pub(super) const FORGET: u8 = 13;
    pub(super) const CANCEL: u8 = 14;
    pub(super) const CANCEL_ALONE: u8 = 17;
    pub(super) const SHARE: u8 = 18;
    pub(super) const RUNS: u8 = 15;
    pub(super) const IDLE: u8 = 16;
}

/// The flags in the second byte of a task.
mod task_flag {
    /// The number of further runs follows.
    pub(super) const RETRIES: u8 = 1;
    pub(super) const REVOCABLE: u8 = 2;
    /// The call's own options follow.
    pub(super) const OPTIONS: u8 = 4;
    pub(super) const ALL: u8 = RETRIES | REVOCABLE | OPTIONS;
}
