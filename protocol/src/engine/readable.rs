//! Makes values with readable bytes from values that have the location of their bytes.

use std::sync::Arc;

use mobula_store::EnginePromise;

use super::Engine;
use crate::{
    Error, Result,
    object_handle::ObjectHandle,
    payload::{Attachment, Payload},
    promise::ENGINE,
    value::{Body, Format, Value, WireAttachment},
};

/// Returns the value with readable bytes.
///
/// *Pinned while leased*: `lease` keeps the stored bytes.
///
/// # Errors
/// Fails if a location does not exist, or if no lease covers it.
pub fn readable(
    engine: &dyn Engine,
    value: &Value,
    lease: Option<&Arc<ObjectHandle>>,
    _: EnginePromise,
) -> Result<Payload> {
    readable_with(engine, value, lease, handles_of(engine, &value.items))
}

/// Returns the value with readable bytes, like [`readable`]. The caller has the handles of the
/// objects among the items.
///
/// # Errors
/// Fails in the cases of [`readable`].
pub(crate) fn readable_with(
    engine: &dyn Engine,
    value: &Value,
    lease: Option<&Arc<ObjectHandle>>,
    handles: Vec<Arc<ObjectHandle>>,
) -> Result<Payload> {
    if let Some(item) = value.stands_for() {
        return value_of(engine, item, handles);
    }
    let block = match &value.body {
        Body::Inline(block) => block.clone(),
        Body::Stored(_) if matches!(value.format, Format::Shared { .. }) => {
            return Err(Error::type_mismatch(
                "shared memory cannot be read as a value: others may write there meanwhile",
            ));
        }
        Body::Stored(loc) => {
            let lease = lease.ok_or_else(|| Error::internal("a stored value without an object"))?;
            engine.store().block(*loc, lease.clone(), ENGINE)?
        }
    };
    Ok(Payload {
        format: value.format.clone(),
        block,
        attachments: attachments(engine, &value.items, handles)?,
    })
}

/// Returns the value that `item` [stands for](Value::stands_for). Blocks if the process has to ask
/// for it.
fn value_of(
    engine: &dyn Engine,
    item: &WireAttachment,
    handles: Vec<Arc<ObjectHandle>>,
) -> Result<Payload> {
    let handle = handles.into_iter().next();
    let handle = || handle.ok_or_else(|| Error::internal("no handle of the object that is meant"));
    match item {
        WireAttachment::InlineArray(value) => readable(engine, value, None, ENGINE),
        WireAttachment::Array { value, .. } => readable(engine, value, Some(&handle()?), ENGINE),
        WireAttachment::Ref { .. } => {
            let handle = handle()?;
            handle.wait(None);
            match handle.outcome() {
                Some(Err(error)) => Err(error.clone()),
                _ => handle.payload(),
            }
        }
    }
}

/// Returns the handles of the objects among the items, in order.
pub(crate) fn handles_of(engine: &dyn Engine, items: &[WireAttachment]) -> Vec<Arc<ObjectHandle>> {
    match items.iter().any(|item| item.id().is_some()) {
        true => engine.this().handles(items),
        false => Vec::new(),
    }
}

/// Returns the attachments of a value, with handles that keep them.
fn attachments(
    engine: &dyn Engine,
    items: &[WireAttachment],
    handles: Vec<Arc<ObjectHandle>>,
) -> Result<Vec<Attachment>> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let mut handles = handles.into_iter();
    let mut next = || {
        handles
            .next()
            .ok_or_else(|| Error::internal("fewer handles than objects"))
    };
    let mut attachments = Vec::with_capacity(items.len());
    for item in items {
        attachments.push(match item {
            WireAttachment::InlineArray(array) => {
                let Payload { block, format, .. } = readable(engine, array, None, ENGINE)?;
                Attachment::array(block, format)
            }
            WireAttachment::Array { value, .. }
                if matches!(value.format, Format::Shared { .. }) =>
            {
                Attachment::Ref(next()?)
            }
            WireAttachment::Array { value, .. } => {
                let Payload { block, format, .. } =
                    readable(engine, value, Some(&next()?), ENGINE)?;
                Attachment::array(block, format)
            }
            WireAttachment::Ref { .. } => Attachment::Ref(next()?),
        });
    }
    Ok(attachments)
}
