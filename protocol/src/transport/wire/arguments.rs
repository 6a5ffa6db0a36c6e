//! Arguments of ready and of submitted tasks.

use std::sync::Arc;

use super::{
    Reader, WireError,
    fields::{write_about, write_ids},
    value, writer,
};
use crate::{
    argument::Argument,
    ids::ObjectId,
    message::{Arg, ArgRef, ArgSpec},
    value::Value,
};

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
        ArgRef::Object(object) => {
            out.push(arg::OBJECT);
            write_object(out, object)
        }
        ArgRef::Gather(objects) => {
            out.push(arg::GATHER);
            writer::number(out, objects.len() as u64);
            objects
                .iter()
                .try_for_each(|object| write_object(out, object))
        }
    }
}

fn write_object(out: &mut Vec<u8>, (id, value): &(ObjectId, &Arc<Value>)) -> Result<(), WireError> {
    writer::id(out, *id);
    value::write(out, value)
}

pub(super) fn read_arg(reader: &mut Reader<'_>) -> Result<Arg, WireError> {
    read(reader, |reader, id| {
        Ok((id, Arc::new(value::read(reader)?)))
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
    read(reader, |_, id| Ok(id))
}

/// Reads an argument. `object` reads what follows the id of an object.
#[inline]
fn read<'a, O>(
    reader: &mut Reader<'a>,
    mut object: impl FnMut(&mut Reader<'a>, ObjectId) -> Result<O, WireError>,
) -> Result<Argument<Box<Value>, O>, WireError> {
    Ok(match reader.byte("an argument")? {
        arg::VALUE => Argument::Value(Box::new(value::read(reader)?)),
        arg::OBJECT => {
            let id = reader.id()?;
            Argument::Object(object(reader, id)?)
        }
        arg::GATHER => Argument::Gather(reader.list_by_id("gathered objects", object)?),
        _ => return Err(reader.malformed("the kind of an argument")),
    })
}
