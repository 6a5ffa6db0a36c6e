//! Makes values from payloads. Small bodies travel inline. All other bodies get a place in the
//! store. Bytes that are in the store already are not copied.

use std::sync::Arc;

use mobula_store::{Block, Extent};

use crate::{
    Error, Result,
    engine::{CallArg, Engine},
    message::{ArgSpec, Args},
    object_handle::ObjectHandle,
    payload::{ArrayAttachment, Attachment, Payload},
    promise::ENGINE,
    value::{Body, Format, Value, WireAttachment},
};

/// The largest body, in bytes, that travels inside messages. Such a body is never in the store.
pub const INLINE_LIMIT: usize = 16 << 10;

/// The largest sum of inline bodies, in bytes, in the arguments of one call or in the attachments
/// of one value. A further body becomes an object of its own, unless it is a [small](Block::SMALL)
/// argument.
pub const INLINE_TOTAL: usize = 64 << 10;

/// The alignment of bodies: a cache line, so that vectorised code finds aligned data.
const ALIGN: usize = 64;

/// A body that is about to become part of a value.
#[derive(Debug)]
pub enum Placed {
    /// A small body in private memory.
    Inline(Block),
    /// A body in this process' heap that no object owns yet.
    Extent(Arc<Extent>),
}

/// Gives a block the form in which it can become an object's body.
///
/// # Errors
/// Fails if the store is full.
pub fn place(engine: &dyn Engine, format: &Format, block: Block, inline: usize) -> Result<Placed> {
    if block.len() <= inline {
        // A block with a lease would keep an object or an extent in use for a few bytes.
        let own = if block.lease().is_some() {
            Block::copy_of(block.bytes(), format.align())
        } else {
            block
        };
        return Ok(Placed::Inline(own));
    }
    if let Some(extent) = block
        .lease()
        .and_then(|lease| lease.clone().downcast::<Extent>().ok())
        && Arc::ptr_eq(extent.heap(), engine.store().heap())
        && extent.adopted().is_none()
        && extent.loc().len == block.len() as u64
    {
        return Ok(Placed::Extent(extent));
    }
    let building = engine.store().heap().copy(block.bytes(), ALIGN)?;
    Ok(Placed::Extent(building.seal()))
}

/// Returns the object of this engine whose whole body is the block, if there is one.
fn object_of(engine: &dyn Engine, block: &Block, format: &Format) -> Option<Arc<ObjectHandle>> {
    let lease = block.lease()?;
    let entry = match lease.clone().downcast::<ObjectHandle>() {
        Ok(entry) => entry,
        Err(lease) => lease
            .downcast::<Extent>()
            .ok()?
            .adopted()?
            .downcast::<ObjectHandle>()
            .ok()?,
    };
    let Some(Ok(value)) = entry.outcome() else {
        return None;
    };
    let whole = matches!(&value.body, Body::Stored(loc) if loc.len == block.len() as u64);
    (whole && value.format == *format && value.attachments.is_empty() && entry.belongs_to(engine))
        .then_some(entry)
}

/// Makes an object of a payload, or returns the object that the payload came from.
///
/// # Errors
/// Fails if the store is full, or if a ref inside belongs to another runtime.
pub fn put(engine: &dyn Engine, payload: Payload) -> Result<Arc<ObjectHandle>> {
    let Payload {
        format,
        block,
        attachments,
    } = payload;
    if attachments.is_empty()
        && let Some(entry) = object_of(engine, &block, &format)
    {
        return Ok(entry);
    }
    let (attachments, _keep) = lower_attachments(engine, attachments)?;
    match place(engine, &format, block.clone(), INLINE_LIMIT)? {
        Placed::Inline(block) => Ok(engine.store().register(Value {
            format,
            body: Body::Inline(block),
            attachments,
        })),
        Placed::Extent(extent) => {
            let mut made = None;
            extent.adopt(|loc| {
                let value = Value {
                    format: format.clone(),
                    body: Body::Stored(loc),
                    attachments: attachments.clone(),
                };
                let entry = engine.store().register(value);
                made = Some(entry.clone());
                entry
            });
            match made {
                Some(entry) => Ok(entry),
                // Another thread has made an object of these bytes meanwhile, maybe with another
                // format. So this object gets bytes of its own.
                None => put(
                    engine,
                    Payload {
                        format,
                        block: Block::copy_of(block.bytes(), ALIGN),
                        attachments: raise(engine, &attachments)?,
                    },
                ),
            }
        }
    }
}

/// Returns the attachments in the process for those on the wire.
fn raise(engine: &dyn Engine, attachments: &[WireAttachment]) -> Result<Vec<Attachment>> {
    let value = Value {
        format: Format::Text,
        body: Body::Inline(Block::copy_of(&[], ALIGN)),
        attachments: attachments.to_vec(),
    };
    Ok(crate::engine::readable(engine, &value, None, ENGINE)?.attachments)
}

/// Returns the attachments on the wire, and the handles that keep them until the value has been
/// registered.
///
/// # Errors
/// Fails if the store is full, or if a ref belongs to another runtime.
pub fn lower_attachments(
    engine: &dyn Engine,
    attachments: Vec<Attachment>,
) -> Result<(Vec<WireAttachment>, Vec<Arc<ObjectHandle>>)> {
    let mut lowered = Vec::with_capacity(attachments.len());
    let mut keep = Vec::new();
    let mut inline_left = INLINE_TOTAL;
    for attachment in attachments {
        lowered.push(match attachment {
            Attachment::Ref(entry) => {
                check_owner(engine, &entry)?;
                let id = entry.id();
                let wire = match entry.outcome() {
                    Some(Ok(value)) if matches!(value.format, Format::Shared { .. }) => {
                        WireAttachment::Array {
                            id,
                            value: value.clone(),
                        }
                    }
                    _ => WireAttachment::Ref { id },
                };
                keep.push(entry);
                wire
            }
            Attachment::Array(array) => {
                let ArrayAttachment { block, format } = *array;
                if block.len() <= INLINE_LIMIT.min(inline_left) {
                    inline_left -= block.len();
                    let block = Block::copy_of(block.bytes(), ALIGN);
                    WireAttachment::InlineArray(Arc::new(Value {
                        format,
                        body: Body::Inline(block),
                        attachments: Vec::new(),
                    }))
                } else {
                    let entry = put(
                        engine,
                        Payload {
                            format,
                            block,
                            attachments: Vec::new(),
                        },
                    )?;
                    let value = match entry.outcome() {
                        Some(Ok(value)) => value.clone(),
                        Some(Err(error)) => return Err(error.clone()),
                        None => return Err(Error::internal("a new object without a value")),
                    };
                    let id = entry.id();
                    keep.push(entry);
                    WireAttachment::Array { id, value }
                }
            }
        });
    }
    Ok((lowered, keep))
}

/// Takes the arguments out of a call. Returns them in the form in which they are submitted, and the
/// handles that keep their objects until then.
///
/// # Errors
/// Fails if the store is full, or if an argument belongs to another runtime.
pub fn lower_call(
    engine: &dyn Engine,
    args: &mut Args<CallArg>,
) -> Result<(Args<ArgSpec>, Vec<Arc<ObjectHandle>>)> {
    let mut lowered = Args::with_capacity(args.len());
    let mut keep = Vec::new();
    let mut inline_left = INLINE_TOTAL;
    for arg in args.drain(..) {
        lowered.push(match arg {
            // Nearly all arguments come here.
            CallArg::Value(Payload {
                format,
                block,
                attachments,
            }) if attachments.is_empty() && block.as_small().is_some() => {
                inline_left = inline_left.saturating_sub(block.len());
                ArgSpec::Value(Box::new(Value {
                    format,
                    body: Body::Inline(block),
                    attachments: Vec::new(),
                }))
            }
            CallArg::Value(payload) if payload.block.len() <= INLINE_LIMIT.min(inline_left) => {
                inline_left -= payload.block.len();
                let (attachments, mut kept) = lower_attachments(engine, payload.attachments)?;
                keep.append(&mut kept);
                let block = match place(engine, &payload.format, payload.block, INLINE_LIMIT)? {
                    Placed::Inline(block) => block,
                    Placed::Extent(_) => {
                        return Err(Error::internal("a small body was placed in the store"));
                    }
                };
                ArgSpec::Value(Box::new(Value {
                    format: payload.format,
                    body: Body::Inline(block),
                    attachments,
                }))
            }
            CallArg::Value(payload) => {
                let entry = put(engine, payload)?;
                let id = entry.id();
                keep.push(entry);
                ArgSpec::Object(id)
            }
            CallArg::Object(entry) => {
                check_owner(engine, &entry)?;
                let id = entry.id();
                keep.push(entry);
                ArgSpec::Object(id)
            }
            CallArg::Gather(entries) => {
                for entry in &entries {
                    check_owner(engine, entry)?;
                }
                let ids = entries.iter().map(|entry| entry.id()).collect();
                keep.extend(entries);
                ArgSpec::Gather(ids)
            }
        });
    }
    Ok((lowered, keep))
}

/// Checks that the object belongs to `engine`, and makes it known to other processes.
///
/// # Errors
/// Fails if the object belongs to another runtime.
fn check_owner(engine: &dyn Engine, entry: &ObjectHandle) -> Result<()> {
    if entry.belongs_to(engine) {
        engine.publish(entry);
        return Ok(());
    }
    match entry.outcome() {
        Some(Err(error)) => Err(error.clone()),
        _ => Err(Error::usage(
            "a ref of one runtime was passed to another (a worker in threads counts as one for refs that have come through a static or a channel); get the value and put it there, or spawn the call on the runtime of its refs",
        )),
    }
}
