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
    readable_with(engine, value, lease, handles_of(engine, &value.attachments))
}

/// Returns the value with readable bytes, like [`readable`]. The caller has the handles of the
/// objects among the attachments.
///
/// # Errors
/// Fails in the cases of [`readable`].
pub(crate) fn readable_with(
    engine: &dyn Engine,
    value: &Value,
    lease: Option<&Arc<ObjectHandle>>,
    handles: Vec<Arc<ObjectHandle>>,
) -> Result<Payload> {
    if let Some(attachment) = value.stands_for() {
        return value_of(engine, attachment, handles);
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
        attachments: raise_all(engine, &value.attachments, handles)?,
    })
}

/// Returns the value that `attachment` [stands for](Value::stands_for). Blocks if the process has
/// to ask for it.
fn value_of(
    engine: &dyn Engine,
    attachment: &WireAttachment,
    handles: Vec<Arc<ObjectHandle>>,
) -> Result<Payload> {
    let handle = handles.into_iter().next();
    let handle = || handle.ok_or_else(|| Error::internal("no handle of the object that is meant"));
    match attachment {
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

/// Returns the handles of the objects among the attachments, in order.
pub(crate) fn handles_of(
    engine: &dyn Engine,
    attachments: &[WireAttachment],
) -> Vec<Arc<ObjectHandle>> {
    match attachments
        .iter()
        .any(|attachment| attachment.id().is_some())
    {
        true => engine.this().handles(attachments),
        false => Vec::new(),
    }
}

/// Returns the attachments of a value, with handles that keep them.
fn raise_all(
    engine: &dyn Engine,
    attachments: &[WireAttachment],
    handles: Vec<Arc<ObjectHandle>>,
) -> Result<Vec<Attachment>> {
    if attachments.is_empty() {
        return Ok(Vec::new());
    }
    let mut handles = handles.into_iter();
    let mut next = || {
        handles
            .next()
            .ok_or_else(|| Error::internal("fewer handles than objects"))
    };
    let mut raised = Vec::with_capacity(attachments.len());
    for attachment in attachments {
        raised.push(match attachment {
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
    Ok(raised)
}
