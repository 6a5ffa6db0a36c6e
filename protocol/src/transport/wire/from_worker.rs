//! Messages to the driver.

use std::sync::Arc;

use super::{
    Reader, WireError,
    arguments::{read_arg_spec, write_arg_specs},
    fields::{
        read_flag, read_optional, read_options, read_packed, read_run, write_about, write_ids,
        write_optional, write_options, write_packed, write_run,
    },
    value, writer,
};
use crate::{
    ids::{Attempt, FunctionIndex, TaskSlot},
    message::{FromWorker, TaskSpec},
    progress::TaskProgress,
};

/// Appends a message to the driver to `out`. Costs a copy of its inline bytes.
///
/// # Errors
/// Fails with [`WireError::Unencodable`]. `out` then holds a part of the message.
pub fn encode_from_worker(message: &FromWorker, out: &mut Vec<u8>) -> Result<(), WireError> {
    match message {
        FromWorker::Registered => out.push(kind::REGISTERED),
        FromWorker::Done {
            id,
            slot,
            attempt,
            outcome,
        } => {
            out.push(kind::DONE);
            writer::id(out, *id);
            writer::hand_over(out, *slot, *attempt);
            value::write_outcome(out, outcome)?;
        }
        FromWorker::Again { id, slot, attempt } => {
            write_about(out, kind::AGAIN, *id);
            writer::hand_over(out, *slot, *attempt);
        }
        FromWorker::Started { id, slot, attempt } => {
            write_about(out, kind::STARTED, *id);
            writer::hand_over(out, *slot, *attempt);
        }
        FromWorker::Progress(run, TaskProgress { done, total }) => {
            out.push(kind::PROGRESS);
            for number in [run.0, *done, *total] {
                writer::number(out, number);
            }
        }
        FromWorker::Cancel { ids, options } => {
            out.push(kind::CANCEL);
            write_packed(out, options)?;
            write_ids(out, ids);
        }
        FromWorker::Spawn(task, parent) => {
            out.push(kind::SPAWN);
            writer::id(out, task.id);
            writer::number(out, u64::from(task.function.0));
            write_options(out, &task.options)?;
            write_optional(out, task.actor);
            write_run(out, *parent);
            write_arg_specs(out, &task.args)?;
        }
        FromWorker::Keeps => out.push(kind::KEEPS),
        FromWorker::Ran { id, outcome } => {
            write_about(out, kind::RAN, *id);
            value::write_outcome(out, outcome)?;
        }
        FromWorker::Put { id, value } => {
            out.push(kind::PUT);
            writer::id(out, *id);
            value::write(out, value)?;
        }
        FromWorker::Hold(id) => write_about(out, kind::HOLD, *id),
        FromWorker::Release(id) => write_about(out, kind::RELEASE, *id),
        FromWorker::Detach(id) => write_about(out, kind::DETACH, *id),
        FromWorker::Watch(id) => write_about(out, kind::WATCH, *id),
        FromWorker::Decoded(id) => write_about(out, kind::DECODED, *id),
        FromWorker::Blocked => out.push(kind::BLOCKED),
        FromWorker::Unblocked => out.push(kind::UNBLOCKED),
        FromWorker::Paused { attempt, paused } => {
            out.push(match paused {
                true => kind::PAUSED,
                false => kind::RESUMED,
            });
            writer::number(out, attempt.0);
        }
        FromWorker::Stalled(true) => out.push(kind::STALLED),
        FromWorker::Stalled(false) => out.push(kind::STAFFED),
        FromWorker::Retire => out.push(kind::RETIRE),
        FromWorker::Exits => out.push(kind::EXITS),
        FromWorker::NeedBytes(bytes) => {
            out.push(kind::NEED_BYTES);
            writer::number(out, *bytes);
        }
        FromWorker::ReturnBytes(bytes) => {
            out.push(kind::RETURN_BYTES);
            writer::number(out, *bytes);
        }
        FromWorker::CreateActor {
            id,
            constructor,
            args,
            options,
            found,
        } => {
            write_about(out, kind::CREATE_ACTOR, *id);
            writer::number(out, constructor.0.into());
            write_packed(out, &**options)?;
            write_optional(out, *found);
            write_arg_specs(out, args)?;
        }
        FromWorker::FindActor { id, name } => {
            write_about(out, kind::FIND_ACTOR, *id);
            writer::bytes(out, name.as_bytes());
        }
        FromWorker::KillActor(id) => write_about(out, kind::KILL_ACTOR, *id),
        FromWorker::Lend { array, parts } => {
            write_about(out, kind::LEND, *array);
            writer::number(out, parts.len() as u64);
            for (id, range) in parts {
                writer::id(out, *id);
                value::write_part_range(out, range);
            }
        }
        FromWorker::Settle { id, array } => {
            write_about(out, kind::SETTLE, *id);
            writer::id(out, *array);
        }
        FromWorker::Seal {
            id,
            array,
            format,
            run,
        } => {
            write_about(out, kind::SEAL, *id);
            writer::id(out, *array);
            write_run(out, *run);
            value::write_format(out, format, 0);
        }
        FromWorker::Closed(loc) => {
            out.push(kind::CLOSED);
            writer::loc(out, *loc);
        }
        FromWorker::CreateQueue { id, capacity } => {
            write_about(out, kind::CREATE_QUEUE, *id);
            writer::number(out, (*capacity).into());
        }
        FromWorker::QueuePut {
            id,
            queue,
            values,
            waits,
        } => {
            write_about(out, kind::QUEUE_PUT, *id);
            writer::id(out, *queue);
            out.push((*waits).into());
            write_arg_specs(out, values)?;
        }
        FromWorker::Split { result, ids } => {
            write_about(out, kind::SPLIT, *result);
            write_ids(out, ids);
        }
        FromWorker::QueueGet { ids, queue, waits } => {
            write_about(out, kind::QUEUE_GET, *queue);
            out.push((*waits).into());
            write_ids(out, ids);
        }
        FromWorker::QueueGiveUp { ids, returns } => {
            out.push(kind::QUEUE_GIVE_UP);
            out.push((*returns).into());
            write_ids(out, ids);
        }
        FromWorker::QueueTook(ids) => {
            out.push(kind::QUEUE_TOOK);
            write_ids(out, ids);
        }
        FromWorker::QueueAsk { id, queue, close } => {
            write_about(out, kind::QUEUE_ASK, *id);
            writer::id(out, *queue);
            out.push((*close).into());
        }
    }
    Ok(())
}

/// Reads a message to the driver. All of `bytes` must belong to it.
///
/// # Errors
/// Fails with [`WireError::Malformed`].
pub fn decode_from_worker(bytes: &[u8]) -> Result<FromWorker, WireError> {
    let mut reader = Reader::new(bytes);
    let message = match reader.byte("a message")? {
        kind::REGISTERED => FromWorker::Registered,
        kind::DONE => FromWorker::Done {
            id: reader.id()?,
            slot: TaskSlot(reader.four("a slot")?),
            attempt: Attempt(reader.eight("an attempt")?),
            outcome: value::read_outcome(&mut reader)?,
        },
        kind::AGAIN => FromWorker::Again {
            id: reader.id()?,
            slot: TaskSlot(reader.four("a slot")?),
            attempt: Attempt(reader.eight("an attempt")?),
        },
        kind::STARTED => FromWorker::Started {
            id: reader.id()?,
            slot: TaskSlot(reader.four("a slot")?),
            attempt: Attempt(reader.eight("an attempt")?),
        },
        kind::PROGRESS => FromWorker::Progress(
            Attempt(reader.number("an attempt")?),
            TaskProgress {
                done: reader.number("steps")?,
                total: reader.number("steps")?,
            },
        ),
        kind::CANCEL => FromWorker::Cancel {
            options: read_packed(&mut reader, "how to cancel")?,
            ids: reader.list_by_id("objects", |_, id| Ok(id))?,
        },
        kind::SPAWN => {
            let (id, function) = (reader.id()?, FunctionIndex(reader.number32("a function")?));
            let options = read_options(&mut reader)?;
            let actor = read_optional(&mut reader)?;
            let parent = read_run(&mut reader)?;
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
        kind::KEEPS => FromWorker::Keeps,
        kind::RAN => FromWorker::Ran {
            id: reader.id()?,
            outcome: value::read_outcome(&mut reader)?,
        },
        kind::PUT => FromWorker::Put {
            id: reader.id()?,
            value: Arc::new(value::read(&mut reader)?),
        },
        kind::HOLD => FromWorker::Hold(reader.id()?),
        kind::RELEASE => FromWorker::Release(reader.id()?),
        kind::DETACH => FromWorker::Detach(reader.id()?),
        kind::WATCH => FromWorker::Watch(reader.id()?),
        kind::DECODED => FromWorker::Decoded(reader.id()?),
        kind::BLOCKED => FromWorker::Blocked,
        kind::UNBLOCKED => FromWorker::Unblocked,
        first @ (kind::PAUSED | kind::RESUMED) => FromWorker::Paused {
            attempt: Attempt(reader.number("an attempt")?),
            paused: first == kind::PAUSED,
        },
        kind::STALLED => FromWorker::Stalled(true),
        kind::STAFFED => FromWorker::Stalled(false),
        kind::RETIRE => FromWorker::Retire,
        kind::EXITS => FromWorker::Exits,
        kind::NEED_BYTES => FromWorker::NeedBytes(reader.number("a number of bytes")?),
        kind::RETURN_BYTES => FromWorker::ReturnBytes(reader.number("a number of bytes")?),
        kind::CREATE_ACTOR => FromWorker::CreateActor {
            id: reader.id()?,
            constructor: FunctionIndex(reader.number32("a function")?),
            options: Box::new(read_packed(&mut reader, "an actor's options")?),
            found: read_optional(&mut reader)?,
            args: reader.args(read_arg_spec)?,
        },
        kind::FIND_ACTOR => FromWorker::FindActor {
            id: reader.id()?,
            name: {
                let bytes = reader.bytes("a name")?.to_vec();
                String::from_utf8(bytes).map_err(|_| reader.malformed("a name"))?
            },
        },
        kind::KILL_ACTOR => FromWorker::KillActor(reader.id()?),
        kind::LEND => FromWorker::Lend {
            array: reader.id()?,
            parts: reader.list_by_id("parts", |reader, id| {
                Ok((id, value::read_part_range(reader)?))
            })?,
        },
        kind::SETTLE => FromWorker::Settle {
            id: reader.id()?,
            array: reader.id()?,
        },
        kind::SEAL => FromWorker::Seal {
            id: reader.id()?,
            array: reader.id()?,
            run: read_run(&mut reader)?,
            format: match value::read_format(&mut reader)? {
                (format, 0) => format,
                _ => return Err(reader.malformed("the end of a format")),
            },
        },
        kind::CLOSED => FromWorker::Closed(reader.loc()?),
        kind::CREATE_QUEUE => FromWorker::CreateQueue {
            id: reader.id()?,
            capacity: reader.number32("a queue's capacity")?,
        },
        kind::QUEUE_PUT => FromWorker::QueuePut {
            id: reader.id()?,
            queue: reader.id()?,
            waits: read_flag(&mut reader, "whether to wait")?,
            values: reader.args(read_arg_spec)?,
        },
        kind::SPLIT => FromWorker::Split {
            result: reader.id()?,
            ids: reader.list_by_id("elements", |_, id| Ok(id))?,
        },
        kind::QUEUE_GET => FromWorker::QueueGet {
            queue: reader.id()?,
            waits: read_flag(&mut reader, "whether to wait")?,
            ids: reader.list_by_id("answers", |_, id| Ok(id))?,
        },
        kind::QUEUE_GIVE_UP => FromWorker::QueueGiveUp {
            returns: read_flag(&mut reader, "whether values go back")?,
            ids: reader.list_by_id("answers", |_, id| Ok(id))?,
        },
        kind::QUEUE_TOOK => FromWorker::QueueTook(reader.list_by_id("answers", |_, id| Ok(id))?),
        kind::QUEUE_ASK => FromWorker::QueueAsk {
            id: reader.id()?,
            queue: reader.id()?,
            close: read_flag(&mut reader, "whether to close")?,
        },
        _ => return Err(reader.malformed("the kind of a message to the driver")),
    };
    reader.end()?;
    Ok(message)
}

/// The first bytes of messages to the driver. No number is used in both directions, so a message in
/// the wrong lane is noticed.
mod kind {
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
    pub(super) const KEEPS: u8 = 98;
    pub(super) const RAN: u8 = 99;
}
