//! Reads objects and arguments that stand for parts.

use std::{any::type_name, sync::Arc};

use mobula_protocol::{
    Attachment, Engine, Error, Format, Input, Inputs, ObjectHandle, PartRange, Result, TypeTag,
};
use mobula_store::codec::type_tag;

use super::SharedElement;
use crate::promise::ENGINE;

/// Returns the part that an object stands for, with its array.
pub(super) fn parts_of(
    entry: &Arc<ObjectHandle>,
) -> Result<(Arc<ObjectHandle>, PartRange, TypeTag)> {
    entry.wait(None);
    let payload = entry.payload()?;
    let Format::Part { of, range } = payload.format else {
        return Err(Error::type_mismatch("expected a part of a shared array"));
    };
    match payload.attachments.into_iter().next() {
        Some(Attachment::Ref(array)) => Ok((array, *range, of)),
        _ => Err(Error::internal("a part without its array")),
    }
}

/// Returns the region of an array, if its elements are `T`.
pub(super) fn region<T: SharedElement>(
    array: &Arc<ObjectHandle>,
    of: TypeTag,
) -> Result<mobula_store::Region> {
    if of != TypeTag(type_tag::<T>()) {
        return Err(Error::type_mismatch(format!(
            "expected a part of elements `{}`, found one of another type",
            type_name::<T>()
        )));
    }
    let engine: Arc<dyn Engine> = array.engine(ENGINE).ok_or_else(Error::shutdown)?;
    engine.need_shared_memory()?.region(array)
}

/// Returns the part that an argument stands for.
pub(super) fn taken(inputs: &mut Inputs) -> Result<(Arc<ObjectHandle>, PartRange, TypeTag)> {
    let Input::Value(payload, _) = inputs.take()? else {
        return Err(Error::type_mismatch("expected one part of a shared array"));
    };
    let Format::Part { of, range } = payload.format else {
        return Err(Error::type_mismatch("expected a part of a shared array"));
    };
    match payload.attachments.into_iter().next() {
        Some(Attachment::Ref(array)) => Ok((array, *range, of)),
        _ => Err(Error::internal("a part without its array")),
    }
}
