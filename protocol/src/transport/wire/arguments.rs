//! Arguments of ready and of submitted tasks.

use std::sync::Arc;

use super::{
    Reader, WireError,
    fields::{write_about, write_ids},
    value, writer,
};
use crate::message::{Arg, ArgRef, ArgSpec};

/// The first bytes of arguments, for both kinds.
mod arg {
    pub(super) const VALUE: u8 = 0;
    pub(super) const OBJECT: u8 = 1;
    pub(super) const GATHER: u8 = 2;
}

pub(super) fn write_arg(out: &mut Vec<u8>, arg: &ArgRef<'_>) -> Result<(), WireError> {
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

pub(super) fn read_arg(reader: &mut Reader<'_>) -> Result<Arg, WireError> {
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

pub(super) fn write_arg_specs(out: &mut Vec<u8>, args: &[ArgSpec]) -> Result<(), WireError> {
    writer::number(out, args.len() as u64);
    args.iter().try_for_each(|arg| write_arg_spec(out, arg))
}

pub(super) fn write_arg_spec(out: &mut Vec<u8>, arg: &ArgSpec) -> Result<(), WireError> {
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

pub(super) fn read_arg_spec(reader: &mut Reader<'_>) -> Result<ArgSpec, WireError> {
    Ok(match reader.byte("an argument")? {
        arg::VALUE => ArgSpec::Value(Box::new(value::read(reader)?)),
        arg::OBJECT => ArgSpec::Object(reader.id()?),
        arg::GATHER => ArgSpec::Gather(reader.list_by_id("gathered ids", |_, id| Ok(id))?),
        _ => return Err(reader.malformed("the kind of an argument")),
    })
}
