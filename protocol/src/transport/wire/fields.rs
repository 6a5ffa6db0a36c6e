//! Fields of several messages: options, flags, ids.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use super::{Reader, WireError, writer};
use crate::{
    ids::{Attempt, MaybeRun, ObjectId},
    messagepack,
    options::CallOptions,
};

/// The deepest nesting of options as MessagePack: fields, an option, a duration.
const MAX_OPTIONS_DEPTH: u16 = 16;

/// Writes a value as MessagePack. This is for values that are rare and may grow, such as options.
pub(super) fn write_packed(out: &mut Vec<u8>, value: &impl Serialize) -> Result<(), WireError> {
    let bytes = messagepack::to_vec(value).map_err(|error| WireError::Unencodable {
        why: error.to_string(),
    })?;
    writer::bytes(out, &bytes);
    Ok(())
}

pub(super) fn read_packed<T: DeserializeOwned>(
    reader: &mut Reader<'_>,
    what: &'static str,
) -> Result<T, WireError> {
    reader.packed(what, MAX_OPTIONS_DEPTH)
}

pub(super) fn write_options(out: &mut Vec<u8>, options: &CallOptions) -> Result<(), WireError> {
    out.push(u8::from(options.is_some()));
    match options {
        Some(options) => write_packed(out, &**options),
        None => Ok(()),
    }
}

pub(super) fn read_options(reader: &mut Reader<'_>) -> Result<CallOptions, WireError> {
    Ok(match read_flag(reader, "a call's options")? {
        true => Some(Arc::new(read_packed(reader, "a call's options")?)),
        false => None,
    })
}

pub(super) fn read_flag(reader: &mut Reader<'_>, what: &'static str) -> Result<bool, WireError> {
    match reader.byte(what)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(reader.malformed(what)),
    }
}

/// Writes the run of a task, if it is known.
pub(super) fn write_run(out: &mut Vec<u8>, run: MaybeRun) {
    let run = run.get();
    out.push(run.is_some().into());
    if let Some(run) = run {
        writer::number(out, run.0);
    }
}

pub(super) fn read_run(reader: &mut Reader<'_>) -> Result<MaybeRun, WireError> {
    let run = match read_flag(reader, "whether a run follows")? {
        true => Some(Attempt(reader.number("a run")?)),
        false => None,
    };
    Ok(run.into())
}

pub(super) fn write_optional(out: &mut Vec<u8>, id: Option<ObjectId>) {
    out.push(id.is_some().into());
    if let Some(id) = id {
        writer::id(out, id);
    }
}

pub(super) fn read_optional(reader: &mut Reader<'_>) -> Result<Option<ObjectId>, WireError> {
    Ok(match reader.byte("whether there is an id")? {
        0 => None,
        1 => Some(reader.id()?),
        _ => return Err(reader.malformed("whether there is an id")),
    })
}

pub(super) fn write_ids(out: &mut Vec<u8>, ids: &[ObjectId]) {
    writer::number(out, ids.len() as u64);
    ids.iter().for_each(|id| writer::id(out, *id));
}

pub(super) fn write_about(out: &mut Vec<u8>, kind: u8, id: ObjectId) {
    out.push(kind);
    writer::id(out, id);
}
