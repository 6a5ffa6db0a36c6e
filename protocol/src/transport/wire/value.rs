//! Values and outcomes.

use std::sync::Arc;

use super::{WireError, reader::Reader, writer};
use crate::value::{Body, Format, Outcome, PartRange, SharedKind, Value, WireAttachment};

// A value begins with a byte: its format, plus one of the marks for its body.
const FLAT: u8 = 0;
const TEXT: u8 = 1;
const PACKED: u8 = 2;
const SHARED: u8 = 3;
const PART: u8 = 4;
const INLINE: u8 = 0x10;
const STORED: u8 = 0x20;
const BODY: u8 = 0xf0;

const SPAN: u8 = 0;
const TILE: u8 = 1;

const INLINE_ARRAY: u8 = 0;
const ARRAY: u8 = 1;
const REF: u8 = 2;

const OK: u8 = 0;
const ERR: u8 = 1;

pub(super) fn write_outcome(out: &mut Vec<u8>, outcome: &Outcome) -> Result<(), WireError> {
    match outcome {
        Ok(value) => {
            out.push(OK);
            write(out, value)
        }
        Err(error) => {
            out.push(ERR);
            writer::error(out, error)
        }
    }
}

pub(super) fn read_outcome(reader: &mut Reader<'_>) -> Result<Outcome, WireError> {
    Ok(match reader.byte("an outcome")? {
        OK => Ok(read(reader)?.share()),
        ERR => Err(reader.error()?),
        _ => return Err(reader.malformed("the kind of an outcome")),
    })
}

/// Appends a value to `out`. Costs a copy of its inline bytes.
///
/// # Errors
/// Fails with [`WireError::Unencodable`]. `out` then holds a part of the value.
pub fn encode_value(value: &Value, out: &mut Vec<u8>) -> Result<(), WireError> {
    write(out, value)
}

/// Reads a value. All of `bytes` must belong to it.
///
/// # Errors
/// Fails with [`WireError::Malformed`].
pub fn decode_value(bytes: &[u8]) -> Result<Value, WireError> {
    let mut reader = Reader::new(bytes);
    let value = read(&mut reader)?;
    reader.end()?;
    Ok(value)
}

pub(super) fn write(out: &mut Vec<u8>, value: &Value) -> Result<(), WireError> {
    write_plain(out, value);
    if has_attachments(&value.format) {
        writer::number(out, value.attachments.len() as u64);
        return value
            .attachments
            .iter()
            .try_for_each(|attachment| write_attachment(out, attachment));
    }
    without_attachments(value)
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Value, WireError> {
    let mut value = read_plain(reader)?;
    if has_attachments(&value.format) {
        value.attachments = reader.list("a value's items", read_attachment)?;
    }
    Ok(value)
}

/// Returns whether values of this format have attachments.
fn has_attachments(format: &Format) -> bool {
    matches!(format, Format::Packed { .. } | Format::Part { .. })
}

/// Writes a value without its attachments. Values of attachments are written by this: they have no
/// attachments, which also bounds how deep values nest.
fn write_plain(out: &mut Vec<u8>, value: &Value) {
    let body = match &value.body {
        Body::Inline(_) => INLINE,
        Body::Stored(_) => STORED,
    };
    write_format(out, &value.format, body);
    match &value.body {
        Body::Inline(block) => writer::block(out, block),
        Body::Stored(loc) => writer::loc(out, *loc),
    }
}

/// Writes a format. Its first byte has a mark of the following part.
pub(super) fn write_format(out: &mut Vec<u8>, format: &Format, mark: u8) {
    match format {
        Format::Flat { elem, shape } => {
            out.push(FLAT | mark);
            writer::array(out, *elem, shape);
        }
        Format::Text => out.push(TEXT | mark),
        Format::Packed { of } => {
            out.push(PACKED | mark);
            writer::tag(out, *of);
        }
        Format::Shared { kind, of, shape } => {
            out.push(SHARED | mark);
            out.push(*kind as u8);
            writer::array(out, *of, shape);
        }
        Format::Part { of, range } => {
            out.push(PART | mark);
            writer::tag(out, *of);
            write_part_range(out, range);
        }
    }
}

fn read_plain(reader: &mut Reader<'_>) -> Result<Value, WireError> {
    let kind = reader.byte("a format")?;
    if kind == PACKED | INLINE {
        let of = reader.tag("a type")?;
        let block = reader.block("an inline value", 1)?;
        return Ok(Value {
            format: Format::Packed { of },
            body: Body::Inline(block),
            attachments: Vec::new(),
        });
    }
    let (format, mark) = read_format_of(kind, reader)?;
    let body = match mark {
        INLINE => Body::Inline(reader.block("an inline value", format.align())?),
        STORED => Body::Stored(reader.loc()?),
        _ => return Err(reader.malformed("the place of a value")),
    };
    Ok(Value {
        format,
        body,
        attachments: Vec::new(),
    })
}

pub(super) fn write_part_range(out: &mut Vec<u8>, range: &PartRange) {
    let (kind, numbers): (_, &[u64]) = match range {
        PartRange::Span { start, end } => (SPAN, &[*start, *end]),
        PartRange::Tile {
            rows,
            columns,
            width,
        } => (TILE, &[rows.0, rows.1, columns.0, columns.1, *width]),
    };
    out.push(kind);
    numbers
        .iter()
        .for_each(|number| writer::number(out, *number));
}

pub(super) fn read_part_range(reader: &mut Reader<'_>) -> Result<PartRange, WireError> {
    let kind = reader.byte("a part")?;
    let mut number = || reader.number("a part's bounds");
    Ok(match kind {
        SPAN => PartRange::Span {
            start: number()?,
            end: number()?,
        },
        TILE => PartRange::Tile {
            rows: (number()?, number()?),
            columns: (number()?, number()?),
            width: number()?,
        },
        _ => return Err(reader.malformed("the kind of a part")),
    })
}

/// Reads a format and its mark.
pub(super) fn read_format(reader: &mut Reader<'_>) -> Result<(Format, u8), WireError> {
    let kind = reader.byte("a format")?;
    read_format_of(kind, reader)
}

/// Reads the rest of a format and its mark, after the first byte `kind`.
fn read_format_of(kind: u8, reader: &mut Reader<'_>) -> Result<(Format, u8), WireError> {
    let format = match kind & !BODY {
        FLAT => {
            let (elem, shape) = reader.array()?;
            Format::Flat { elem, shape }
        }
        TEXT => Format::Text,
        PACKED => Format::Packed {
            of: reader.tag("a type")?,
        },
        SHARED => {
            let number = reader.byte("a kind of shared memory")?;
            let kind = SharedKind::ALL.get(usize::from(number));
            let kind = *kind.ok_or_else(|| reader.malformed("a kind of shared memory"))?;
            let (of, shape) = reader.array()?;
            Format::Shared { kind, of, shape }
        }
        PART => Format::Part {
            of: reader.tag("an element type")?,
            range: read_part_range(reader)?.into(),
        },
        _ => return Err(reader.malformed("the format of a value")),
    };
    Ok((format, kind & BODY))
}

fn write_attachment(out: &mut Vec<u8>, attachment: &WireAttachment) -> Result<(), WireError> {
    match attachment {
        WireAttachment::InlineArray(value) => {
            out.push(INLINE_ARRAY);
            write_plain(out, value);
            without_attachments(value)
        }
        WireAttachment::Array { id, value } => {
            out.push(ARRAY);
            writer::id(out, *id);
            write_plain(out, value);
            without_attachments(value)
        }
        WireAttachment::Ref { id } => {
            out.push(REF);
            writer::id(out, *id);
            Ok(())
        }
    }
}

fn read_attachment(reader: &mut Reader<'_>) -> Result<WireAttachment, WireError> {
    Ok(match reader.byte("an item")? {
        INLINE_ARRAY => WireAttachment::InlineArray(Arc::new(read_plain(reader)?)),
        ARRAY => WireAttachment::Array {
            id: reader.id()?,
            value: Arc::new(read_plain(reader)?),
        },
        REF => WireAttachment::Ref { id: reader.id()? },
        _ => return Err(reader.malformed("the kind of an item")),
    })
}

fn without_attachments(value: &Value) -> Result<(), WireError> {
    if value.attachments.is_empty() {
        return Ok(());
    }
    Err(WireError::Unencodable {
        why: "only a packed value or a part that is not itself an item may have items".to_owned(),
    })
}
