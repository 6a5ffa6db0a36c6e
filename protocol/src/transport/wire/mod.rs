//! The bytes of messages: a compact binary encoding, written by hand because every task passes
//! through it twice.
//!
//! Numbers are little-endian base-128 (a byte each while small); ids, slots, attempts and type tags
//! have a fixed size; enums begin with a byte. The format carries no version: driver and workers
//! are one program.
//!
//! A message has one form: what is read is written as the same bytes. Only what travels as
//! MessagePack (errors, the options of calls, actors and cancellations) may be read in several.
//!
//! Decoding trusts nothing. It never panics, and it allocates in proportion to the bytes that have
//! arrived, whatever counts they claim.

mod reader;
mod value;
pub mod writer;

#[cfg(all(test, not(loom)))]
mod tests;

use std::{error, fmt, sync::Arc};

use mobula_store::SegmentId;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    ids::{Attempt, FunctionIndex, ObjectId, TaskSlot},
    message::{Arg, ArgRef, ArgSpec, FromWorker, TaskMessage, TaskSpec, ToWorker},
    options::CallOptions,
    progress::TaskProgress,
};
pub use reader::Reader;

/// Why bytes are no message, or a message has no bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The bytes are not a message. They come from a process or a program that has gone wrong.
    Malformed {
        /// What was being read.
        what: &'static str,
        /// The position of the byte where that failed.
        at: usize,
    },
    /// The message contradicts its own rules and was not sent. A mistake in Mobula.
    Unencodable {
        /// Which rule.
        why: String,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Malformed { what, at } => {
                write!(f, "a message is malformed at byte {at}, in {what}")
            }
            WireError::Unencodable { why } => write!(f, "a message cannot be encoded: {why}"),
        }
    }
}

impl error::Error for WireError {}

/// Bytes of stack that suffice to decode any message: an error comes with all its causes, in builds
/// without optimisation too.
pub const STACK: usize = 1 << 20;

/// Appends a message to a worker to `out`. Cost: a copy of what is inline.
///
/// # Errors
/// [`WireError::Unencodable`]; `out` then holds a part of the message.
pub fn encode_to_worker(message: &ToWorker, out: &mut Vec<u8>) -> Result<(), WireError> {
    match message {
        ToWorker::Task(task) => encode_task(&task.by_ref(), out)?,
        ToWorker::Ready { id, outcome } => {
            out.push(to_worker::READY);
            writer::id(out, *id);
            value::write_outcome(out, outcome)?;
        }
        ToWorker::Free(locs) => {
            out.push(to_worker::FREE);
            writer::number(out, locs.len() as u64);
            locs.iter().for_each(|loc| writer::loc(out, *loc));
        }
        ToWorker::Grant(Ok(bytes)) => {
            out.push(to_worker::GRANT);
            writer::number(out, *bytes);
        }
        ToWorker::Grant(Err(error)) => {
            out.push(to_worker::NO_GRANT);
            writer::error(out, error)?;
        }
        ToWorker::Segment { id, len } => {
            out.push(to_worker::SEGMENT);
            writer::number(out, u64::from(id.0));
            writer::number(out, *len);
        }
        ToWorker::Writable { id, len } => {
            out.push(to_worker::WRITABLE);
            writer::number(out, id.0.into());
            writer::number(out, *len);
        }
        ToWorker::Close(loc) => {
            out.push(to_worker::CLOSE);
            writer::loc(out, *loc);
        }
        ToWorker::Actor { threads } => {
            out.push(to_worker::ACTOR);
            writer::number(out, (*threads).into());
        }
        ToWorker::DropSegment(id) => {
            out.push(to_worker::DROP_SEGMENT);
            writer::number(out, u64::from(id.0));
        }
        ToWorker::Forget(id) => write_about(out, to_worker::FORGET, *id),
        ToWorker::Cancel(attempt) => {
            out.push(to_worker::CANCEL);
            writer::number(out, attempt.0);
        }
        ToWorker::Trim => out.push(to_worker::TRIM),
        ToWorker::Shutdown => out.push(to_worker::SHUTDOWN),
    }
    Ok(())
}

/// Appends a [`ToWorker::Task`] to `out`. Cost: a copy of what is inline.
///
/// # Errors
/// As for [`encode_to_worker`].
pub fn encode_task(task: &TaskMessage<ArgRef<'_>>, out: &mut Vec<u8>) -> Result<(), WireError> {
    let flag = |flag, holds| if holds { flag } else { 0 };
    out.push(to_worker::TASK);
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

/// Reads a message to a worker, which must take up all of `bytes`.
///
/// # Errors
/// [`WireError::Malformed`].
pub fn decode_to_worker(bytes: &[u8]) -> Result<ToWorker, WireError> {
    let mut reader = Reader::new(bytes);
    let message = match reader.byte("a message")? {
        to_worker::TASK => {
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
                        // The flag says that there is a number, which 0 does not need.
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
        to_worker::READY => ToWorker::Ready {
            id: reader.id()?,
            outcome: value::read_outcome(&mut reader)?,
        },
        to_worker::FREE => ToWorker::Free(reader.list("extents", Reader::loc)?),
        to_worker::GRANT => ToWorker::Grant(Ok(reader.number("a grant")?)),
        to_worker::NO_GRANT => ToWorker::Grant(Err(reader.error()?)),
        to_worker::SEGMENT => ToWorker::Segment {
            id: SegmentId(reader.number32("a segment")?),
            len: reader.number("a segment's length")?,
        },
        to_worker::WRITABLE => ToWorker::Writable {
            id: SegmentId(reader.number32("a segment")?),
            len: reader.number("a segment's length")?,
        },
        to_worker::CLOSE => ToWorker::Close(reader.loc()?),
        to_worker::ACTOR => ToWorker::Actor {
            threads: reader.number32("a number of threads")?,
        },
        to_worker::DROP_SEGMENT => ToWorker::DropSegment(SegmentId(reader.number32("a segment")?)),
        to_worker::FORGET => ToWorker::Forget(reader.id()?),
        to_worker::CANCEL => ToWorker::Cancel(Attempt(reader.number("an attempt")?)),
        to_worker::TRIM => ToWorker::Trim,
        to_worker::SHUTDOWN => ToWorker::Shutdown,
        _ => return Err(reader.malformed("the kind of a message to a worker")),
    };
    reader.end()?;
    Ok(message)
}

/// Appends a message to the driver to `out`. Cost: a copy of what is inline.
///
/// # Errors
/// [`WireError::Unencodable`]; `out` then holds a part of the message.
pub fn encode_from_worker(message: &FromWorker, out: &mut Vec<u8>) -> Result<(), WireError> {
    match message {
        FromWorker::Registered => out.push(from_worker::REGISTERED),
        FromWorker::Done {
            id,
            slot,
            attempt,
            outcome,
        } => {
            out.push(from_worker::DONE);
            writer::id(out, *id);
            writer::hand_over(out, *slot, *attempt);
            value::write_outcome(out, outcome)?;
        }
        FromWorker::Again { id, slot, attempt } => {
            write_about(out, from_worker::AGAIN, *id);
            writer::hand_over(out, *slot, *attempt);
        }
        FromWorker::Started { id, slot, attempt } => {
            write_about(out, from_worker::STARTED, *id);
            writer::hand_over(out, *slot, *attempt);
        }
        FromWorker::Progress(run, TaskProgress { done, total }) => {
            out.push(from_worker::PROGRESS);
            for number in [run.0, *done, *total] {
                writer::number(out, number);
            }
        }
        FromWorker::Cancel { ids, options } => {
            out.push(from_worker::CANCEL);
            write_packed(out, options)?;
            write_ids(out, ids);
        }
        FromWorker::Spawn(task, parent) => {
            out.push(from_worker::SPAWN);
            writer::id(out, task.id);
            writer::number(out, u64::from(task.function.0));
            write_options(out, &task.options)?;
            write_optional(out, task.actor);
            out.push(parent.is_some().into());
            if let Some(parent) = parent {
                writer::number(out, parent.0);
            }
            write_arg_specs(out, &task.args)?;
        }
        FromWorker::Put { id, value } => {
            out.push(from_worker::PUT);
            writer::id(out, *id);
            value::write(out, value)?;
        }
        FromWorker::Hold(id) => write_about(out, from_worker::HOLD, *id),
        FromWorker::Release(id) => write_about(out, from_worker::RELEASE, *id),
        FromWorker::Detach(id) => write_about(out, from_worker::DETACH, *id),
        FromWorker::Watch(id) => write_about(out, from_worker::WATCH, *id),
        FromWorker::Decoded(id) => write_about(out, from_worker::DECODED, *id),
        FromWorker::Blocked => out.push(from_worker::BLOCKED),
        FromWorker::Unblocked => out.push(from_worker::UNBLOCKED),
        FromWorker::Paused { attempt, paused } => {
            out.push(match paused {
                true => from_worker::PAUSED,
                false => from_worker::RESUMED,
            });
            writer::number(out, attempt.0);
        }
        FromWorker::Stalled(true) => out.push(from_worker::STALLED),
        FromWorker::Stalled(false) => out.push(from_worker::STAFFED),
        FromWorker::Retire => out.push(from_worker::RETIRE),
        FromWorker::Exits => out.push(from_worker::EXITS),
        FromWorker::NeedBytes(bytes) => {
            out.push(from_worker::NEED_BYTES);
            writer::number(out, *bytes);
        }
        FromWorker::ReturnBytes(bytes) => {
            out.push(from_worker::RETURN_BYTES);
            writer::number(out, *bytes);
        }
        FromWorker::CreateActor {
            id,
            constructor,
            args,
            options,
            found,
        } => {
            write_about(out, from_worker::CREATE_ACTOR, *id);
            writer::number(out, constructor.0.into());
            write_packed(out, &**options)?;
            write_optional(out, *found);
            write_arg_specs(out, args)?;
        }
        FromWorker::FindActor { id, name } => {
            write_about(out, from_worker::FIND_ACTOR, *id);
            writer::bytes(out, name.as_bytes());
        }
        FromWorker::KillActor(id) => write_about(out, from_worker::KILL_ACTOR, *id),
        FromWorker::Lend { array, parts } => {
            write_about(out, from_worker::LEND, *array);
            writer::number(out, parts.len() as u64);
            for (id, lot) in parts {
                writer::id(out, *id);
                value::write_lot(out, lot);
            }
        }
        FromWorker::Settle { id, array } => {
            write_about(out, from_worker::SETTLE, *id);
            writer::id(out, *array);
        }
        FromWorker::Seal { id, array, format } => {
            write_about(out, from_worker::SEAL, *id);
            writer::id(out, *array);
            value::write_format(out, format, 0);
        }
        FromWorker::Closed(loc) => {
            out.push(from_worker::CLOSED);
            writer::loc(out, *loc);
        }
        FromWorker::CreateQueue { id, capacity } => {
            write_about(out, from_worker::CREATE_QUEUE, *id);
            writer::number(out, (*capacity).into());
        }
        FromWorker::QueuePut {
            id,
            queue,
            values,
            waits,
        } => {
            write_about(out, from_worker::QUEUE_PUT, *id);
            writer::id(out, *queue);
            out.push((*waits).into());
            write_arg_specs(out, values)?;
        }
        FromWorker::Split { result, ids } => {
            write_about(out, from_worker::SPLIT, *result);
            write_ids(out, ids);
        }
        FromWorker::QueueGet { ids, queue, waits } => {
            write_about(out, from_worker::QUEUE_GET, *queue);
            out.push((*waits).into());
            write_ids(out, ids);
        }
        FromWorker::QueueGiveUp { ids, returns } => {
            out.push(from_worker::QUEUE_GIVE_UP);
            out.push((*returns).into());
            write_ids(out, ids);
        }
        FromWorker::QueueTook(ids) => {
            out.push(from_worker::QUEUE_TOOK);
            write_ids(out, ids);
        }
        FromWorker::QueueAsk { id, queue, close } => {
            write_about(out, from_worker::QUEUE_ASK, *id);
            writer::id(out, *queue);
            out.push((*close).into());
        }
    }
    Ok(())
}

/// Reads a message to the driver, which must take up all of `bytes`.
///
/// # Errors
/// [`WireError::Malformed`].
pub fn decode_from_worker(bytes: &[u8]) -> Result<FromWorker, WireError> {
    let mut reader = Reader::new(bytes);
    let message = match reader.byte("a message")? {
        from_worker::REGISTERED => FromWorker::Registered,
        from_worker::DONE => FromWorker::Done {
            id: reader.id()?,
            slot: TaskSlot(reader.four("a slot")?),
            attempt: Attempt(reader.eight("an attempt")?),
            outcome: value::read_outcome(&mut reader)?,
        },
        from_worker::AGAIN => FromWorker::Again {
            id: reader.id()?,
            slot: TaskSlot(reader.four("a slot")?),
            attempt: Attempt(reader.eight("an attempt")?),
        },
        from_worker::STARTED => FromWorker::Started {
            id: reader.id()?,
            slot: TaskSlot(reader.four("a slot")?),
            attempt: Attempt(reader.eight("an attempt")?),
        },
        from_worker::PROGRESS => FromWorker::Progress(
            Attempt(reader.number("an attempt")?),
            TaskProgress {
                done: reader.number("steps")?,
                total: reader.number("steps")?,
            },
        ),
        from_worker::CANCEL => FromWorker::Cancel {
            options: read_packed(&mut reader, "how to cancel")?,
            ids: reader.list_by_id("objects", |_, id| Ok(id))?,
        },
        from_worker::SPAWN => {
            let (id, function) = (reader.id()?, FunctionIndex(reader.number32("a function")?));
            let options = read_options(&mut reader)?;
            let actor = read_optional(&mut reader)?;
            let parent = match read_flag(&mut reader, "whether a task makes the call")? {
                true => Some(Attempt(reader.number("an attempt")?)),
                false => None,
            };
            let args = reader.args(read_arg_spec)?;
            let task = TaskSpec {
                id,
                function,
                args,
                options,
                actor,
            };
            FromWorker::Spawn(task, parent)
        }
        from_worker::PUT => FromWorker::Put {
            id: reader.id()?,
            value: Arc::new(value::read(&mut reader)?),
        },
        from_worker::HOLD => FromWorker::Hold(reader.id()?),
        from_worker::RELEASE => FromWorker::Release(reader.id()?),
        from_worker::DETACH => FromWorker::Detach(reader.id()?),
        from_worker::WATCH => FromWorker::Watch(reader.id()?),
        from_worker::DECODED => FromWorker::Decoded(reader.id()?),
        from_worker::BLOCKED => FromWorker::Blocked,
        from_worker::UNBLOCKED => FromWorker::Unblocked,
        kind @ (from_worker::PAUSED | from_worker::RESUMED) => FromWorker::Paused {
            attempt: Attempt(reader.number("an attempt")?),
            paused: kind == from_worker::PAUSED,
        },
        from_worker::STALLED => FromWorker::Stalled(true),
        from_worker::STAFFED => FromWorker::Stalled(false),
        from_worker::RETIRE => FromWorker::Retire,
        from_worker::EXITS => FromWorker::Exits,
        from_worker::NEED_BYTES => FromWorker::NeedBytes(reader.number("a number of bytes")?),
        from_worker::RETURN_BYTES => FromWorker::ReturnBytes(reader.number("a number of bytes")?),
        from_worker::CREATE_ACTOR => FromWorker::CreateActor {
            id: reader.id()?,
            constructor: FunctionIndex(reader.number32("a function")?),
            options: Box::new(read_packed(&mut reader, "an actor's options")?),
            found: read_optional(&mut reader)?,
            args: reader.args(read_arg_spec)?,
        },
        from_worker::FIND_ACTOR => FromWorker::FindActor {
            id: reader.id()?,
            name: {
                let bytes = reader.bytes("a name")?.to_vec();
                String::from_utf8(bytes).map_err(|_| reader.malformed("a name"))?
            },
        },
        from_worker::KILL_ACTOR => FromWorker::KillActor(reader.id()?),
        from_worker::LEND => FromWorker::Lend {
            array: reader.id()?,
            parts: reader.list_by_id("parts", |reader, id| Ok((id, value::read_lot(reader)?)))?,
        },
        from_worker::SETTLE => FromWorker::Settle {
            id: reader.id()?,
            array: reader.id()?,
        },
        from_worker::SEAL => FromWorker::Seal {
            id: reader.id()?,
            array: reader.id()?,
            format: match value::read_format(&mut reader)? {
                (format, 0) => format,
                _ => return Err(reader.malformed("the end of a format")),
            },
        },
        from_worker::CLOSED => FromWorker::Closed(reader.loc()?),
        from_worker::CREATE_QUEUE => FromWorker::CreateQueue {
            id: reader.id()?,
            capacity: reader.number32("a queue's capacity")?,
        },
        from_worker::QUEUE_PUT => FromWorker::QueuePut {
            id: reader.id()?,
            queue: reader.id()?,
            waits: read_flag(&mut reader, "whether to wait")?,
            values: reader.args(read_arg_spec)?,
        },
        from_worker::SPLIT => FromWorker::Split {
            result: reader.id()?,
            ids: reader.list_by_id("elements", |_, id| Ok(id))?,
        },
        from_worker::QUEUE_GET => FromWorker::QueueGet {
            queue: reader.id()?,
            waits: read_flag(&mut reader, "whether to wait")?,
            ids: reader.list_by_id("answers", |_, id| Ok(id))?,
        },
        from_worker::QUEUE_GIVE_UP => FromWorker::QueueGiveUp {
            returns: read_flag(&mut reader, "whether values go back")?,
            ids: reader.list_by_id("answers", |_, id| Ok(id))?,
        },
        from_worker::QUEUE_TOOK => {
            FromWorker::QueueTook(reader.list_by_id("answers", |_, id| Ok(id))?)
        }
        from_worker::QUEUE_ASK => FromWorker::QueueAsk {
            id: reader.id()?,
            queue: reader.id()?,
            close: read_flag(&mut reader, "whether to close")?,
        },
        _ => return Err(reader.malformed("the kind of a message to the driver")),
    };
    reader.end()?;
    Ok(message)
}

/// First bytes of messages to a worker.
mod to_worker {
    pub(super) const TASK: u8 = 1;
    pub(super) const READY: u8 = 2;
    pub(super) const FREE: u8 = 3;
    pub(super) const GRANT: u8 = 4;
    pub(super) const NO_GRANT: u8 = 5;
    pub(super) const SEGMENT: u8 = 6;
    pub(super) const DROP_SEGMENT: u8 = 7;
    pub(super) const TRIM: u8 = 8;
    pub(super) const SHUTDOWN: u8 = 9;
    pub(super) const WRITABLE: u8 = 10;
    pub(super) const CLOSE: u8 = 11;
    pub(super) const ACTOR: u8 = 12;
    pub(super) const FORGET: u8 = 13;
    pub(super) const CANCEL: u8 = 14;
}

/// What the second byte of a task says.
mod task_flag {
    /// A number follows: how often to run again.
    pub(super) const RETRIES: u8 = 1;
    pub(super) const REVOCABLE: u8 = 2;
    /// The call's own options follow.
    pub(super) const OPTIONS: u8 = 4;
    pub(super) const ALL: u8 = RETRIES | REVOCABLE | OPTIONS;
}

/// First bytes of messages to the driver. No number is used in both directions, so that a message
/// in the wrong lane is noticed.
mod from_worker {
    pub(super) const REGISTERED: u8 = 65;
    pub(super) const DONE: u8 = 66;
    pub(super) const SPAWN: u8 = 67;
    pub(super) const PUT: u8 = 68;
    pub(super) const HOLD: u8 = 69;
    pub(super) const RELEASE: u8 = 70;
    pub(super) const WATCH: u8 = 71;
    pub(super) const BLOCKED: u8 = 72;
    pub(super) const UNBLOCKED: u8 = 73;
    pub(super) const NEED_BYTES: u8 = 74;
    pub(super) const RETURN_BYTES: u8 = 75;
    pub(super) const LEND: u8 = 76;
    pub(super) const SETTLE: u8 = 77;
    pub(super) const SEAL: u8 = 78;
    pub(super) const CLOSED: u8 = 79;
    pub(super) const CREATE_ACTOR: u8 = 80;
    pub(super) const FIND_ACTOR: u8 = 81;
    pub(super) const KILL_ACTOR: u8 = 82;
    pub(super) const AGAIN: u8 = 83;
    pub(super) const DECODED: u8 = 84;
    pub(super) const DETACH: u8 = 85;
    pub(super) const STALLED: u8 = 86;
    pub(super) const STAFFED: u8 = 87;
    pub(super) const EXITS: u8 = 88;
    pub(super) const CREATE_QUEUE: u8 = 89;
    pub(super) const QUEUE_PUT: u8 = 90;
    pub(super) const QUEUE_GET: u8 = 91;
    pub(super) const QUEUE_GIVE_UP: u8 = 92;
    pub(super) const QUEUE_ASK: u8 = 93;
    pub(super) const QUEUE_TOOK: u8 = 94;
    pub(super) const STARTED: u8 = 95;
    pub(super) const CANCEL: u8 = 96;
    pub(super) const PROGRESS: u8 = 111;
    pub(super) const RETIRE: u8 = 110;
    pub(super) const PAUSED: u8 = 112;
    pub(super) const RESUMED: u8 = 113;
    pub(super) const SPLIT: u8 = 97;
}

/// First bytes of arguments, ready or not.
mod arg {
    pub(super) const VALUE: u8 = 0;
    pub(super) const OBJECT: u8 = 1;
    pub(super) const GATHER: u8 = 2;
}

/// How deep options nest as MessagePack, at most: fields, an option, a duration.
const MAX_OPTIONS_DEPTH: usize = 16;

/// Writes what is rare and may grow, such as options, as MessagePack.
fn write_packed(out: &mut Vec<u8>, value: &impl Serialize) -> Result<(), WireError> {
    let bytes = rmp_serde::to_vec(value).map_err(|error| WireError::Unencodable {
        why: error.to_string(),
    })?;
    writer::bytes(out, &bytes);
    Ok(())
}

fn read_packed<T: DeserializeOwned>(
    reader: &mut Reader<'_>,
    what: &'static str,
) -> Result<T, WireError> {
    reader.packed(what, MAX_OPTIONS_DEPTH)
}

fn write_options(out: &mut Vec<u8>, options: &CallOptions) -> Result<(), WireError> {
    out.push(u8::from(options.is_some()));
    match options {
        Some(options) => write_packed(out, &**options),
        None => Ok(()),
    }
}

fn read_options(reader: &mut Reader<'_>) -> Result<CallOptions, WireError> {
    Ok(match read_flag(reader, "a call's options")? {
        true => Some(Arc::new(read_packed(reader, "a call's options")?)),
        false => None,
    })
}

fn read_flag(reader: &mut Reader<'_>, what: &'static str) -> Result<bool, WireError> {
    match reader.byte(what)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(reader.malformed(what)),
    }
}

fn write_optional(out: &mut Vec<u8>, id: Option<ObjectId>) {
    out.push(id.is_some().into());
    if let Some(id) = id {
        writer::id(out, id);
    }
}

fn read_optional(reader: &mut Reader<'_>) -> Result<Option<ObjectId>, WireError> {
    Ok(match reader.byte("whether there is an id")? {
        0 => None,
        1 => Some(reader.id()?),
        _ => return Err(reader.malformed("whether there is an id")),
    })
}

fn write_arg_specs(out: &mut Vec<u8>, args: &[ArgSpec]) -> Result<(), WireError> {
    writer::number(out, args.len() as u64);
    args.iter().try_for_each(|arg| write_arg_spec(out, arg))
}

fn write_ids(out: &mut Vec<u8>, ids: &[ObjectId]) {
    writer::number(out, ids.len() as u64);
    ids.iter().for_each(|id| writer::id(out, *id));
}

fn write_about(out: &mut Vec<u8>, kind: u8, id: ObjectId) {
    out.push(kind);
    writer::id(out, id);
}

fn write_arg(out: &mut Vec<u8>, arg: &ArgRef<'_>) -> Result<(), WireError> {
    match arg {
        ArgRef::Value(value) => {
            out.push(arg::VALUE);
            value::write(out, value)
        }
        ArgRef::Object { id, value } => {
            out.push(arg::OBJECT);
            writer::id(out, *id);
            value::write(out, value)
        }
        ArgRef::Gather(objects) => {
            out.push(arg::GATHER);
            writer::number(out, objects.len() as u64);
            objects.iter().try_for_each(|(id, value)| {
                writer::id(out, *id);
                value::write(out, value)
            })
        }
    }
}

fn read_arg(reader: &mut Reader<'_>) -> Result<Arg, WireError> {
    Ok(match reader.byte("an argument")? {
        arg::VALUE => Arg::Value(Box::new(value::read(reader)?)),
        arg::OBJECT => Arg::Object {
            id: reader.id()?,
            value: Arc::new(value::read(reader)?),
        },
        arg::GATHER => Arg::Gather(reader.list_by_id("gathered objects", |reader, id| {
            Ok((id, Arc::new(value::read(reader)?)))
        })?),
        _ => return Err(reader.malformed("the kind of an argument")),
    })
}

fn write_arg_spec(out: &mut Vec<u8>, arg: &ArgSpec) -> Result<(), WireError> {
    match arg {
        ArgSpec::Value(value) => {
            out.push(arg::VALUE);
            value::write(out, value)?;
        }
        ArgSpec::Object(id) => write_about(out, arg::OBJECT, *id),
        ArgSpec::Gather(ids) => {
            out.push(arg::GATHER);
            write_ids(out, ids);
        }
    }
    Ok(())
}

fn read_arg_spec(reader: &mut Reader<'_>) -> Result<ArgSpec, WireError> {
    Ok(match reader.byte("an argument")? {
        arg::VALUE => ArgSpec::Value(Box::new(value::read(reader)?)),
        arg::OBJECT => ArgSpec::Object(reader.id()?),
        arg::GATHER => ArgSpec::Gather(reader.list_by_id("gathered ids", |_, id| Ok(id))?),
        _ => return Err(reader.malformed("the kind of an argument")),
    })
}
