//! The results of a batch.

use std::{fmt, time::Duration};

use mobula_store::Block;

use super::{
    TAG,
    cells::{self, ARRAY, ERROR, Last, WITH_ATTACHMENTS},
};
use mobula_protocol::{
    Attachment, Error, Format, Payload, Result, TypeTag,
    wire::{Reader, WireError, writer},
};

/// An array of more bytes than this lies beside the batch. Such an array can be shared and need not
/// be copied.
const BESIDE: usize = 256;

/// Packs results, in the worker.
#[derive(Debug, Default)]
pub(super) struct ResultWriter {
    bytes: Vec<u8>,
    count: u64,
    last: Last,
    attachments: Vec<Attachment>,
}

impl ResultWriter {
    /// Adds the result of the next call. Copies its bytes, except those of arrays and refs beside
    /// it.
    pub(super) fn push(&mut self, result: Result<Payload>) {
        self.count += 1;
        let payload = match result {
            Ok(payload) => payload,
            Err(error) => return self.error(&error),
        };
        if !payload.attachments.is_empty() {
            self.bytes.push(WITH_ATTACHMENTS);
            if let Format::Packed { of } = &payload.format {
                writer::tag(&mut self.bytes, *of);
            }
            writer::number(&mut self.bytes, payload.attachments.len() as u64);
            writer::bytes(&mut self.bytes, payload.block.bytes());
            self.attachments.extend(payload.attachments);
        } else if let Format::Flat { .. } = &payload.format
            && payload.block.len() > BESIDE
        {
            self.bytes.push(ARRAY);
            self.attachments
                .push(Attachment::array(payload.block, payload.format));
        } else {
            cells::write(
                &mut self.bytes,
                self.last.at(0),
                &payload.format,
                &payload.block,
            );
        }
    }

    fn error(&mut self, error: &Error) {
        let begin = self.bytes.len();
        self.bytes.push(ERROR);
        if let Err(why) = writer::error(&mut self.bytes, error) {
            self.bytes.truncate(begin + 1);
            let error = Error::codec(format!(
                "an error could not be sent: {why}; it said: {error}"
            ));
            if writer::error(&mut self.bytes, &error).is_err() {
                self.bytes.truncate(begin + 1);
                writer::number(&mut self.bytes, 0);
            }
        }
    }

    /// Returns the value of the batch. The batch took the time `took`.
    pub(super) fn finish(self, took: Duration) -> Payload {
        let mut bytes = Vec::with_capacity(self.bytes.len() + 20);
        writer::number(&mut bytes, self.count);
        writer::number(
            &mut bytes,
            u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
        );
        bytes.extend_from_slice(&self.bytes);
        Payload {
            format: Format::Packed { of: TAG },
            block: Block::from_vec(bytes),
            attachments: self.attachments,
        }
    }
}

/// Reads the results of a batch, in the order of its calls.
pub struct BatchResults {
    payload: Payload,
    /// Where the next result is, in the bytes and beside them.
    at: usize,
    next_attachment: usize,
    left: usize,
    took: Duration,
    last: Last,
}

impl BatchResults {
    /// Opens the results of a batch of `calls` calls.
    ///
    /// # Errors
    /// The value is something else, or damaged.
    pub fn open(payload: Payload, calls: usize) -> Result<BatchResults> {
        if payload.format != (Format::Packed { of: TAG }) {
            return Err(Error::internal("the result of a batch is something else"));
        }
        let mut reader = Reader::new(payload.block.bytes());
        let begin = |reader: &mut Reader<'_>| -> Result<_, WireError> {
            Ok((reader.number("a count")?, reader.number("a time")?))
        };
        let (count, nanos) = begin(&mut reader).map_err(damaged)?;
        if count != calls as u64 {
            return Err(Error::internal(format!(
                "a batch of {calls} calls has {count} results"
            )));
        }
        let at = reader.position();
        Ok(BatchResults {
            payload,
            at,
            next_attachment: 0,
            left: calls,
            took: Duration::from_nanos(nanos),
            last: Last::default(),
        })
    }

    /// Returns how long the worker took for all calls.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Takes the next result if three conditions hold. The result is a packed value of this type,
    /// the result before it was one too, and `read` can read its bytes. Otherwise takes nothing.
    /// This is cheaper than to make a payload.
    #[inline]
    pub fn next_packed<T>(
        &mut self,
        of: TypeTag,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let left = self.left.checked_sub(1)?;
        let bytes = self.payload.block.bytes();
        let mut reader = Reader::new(bytes.get(self.at..)?);
        let value = read(cells::read_packed(&mut reader, of, *self.last.at(0))?)?;
        self.at += reader.position();
        self.left = left;
        Some(value)
    }

    fn read(&mut self) -> Result<Result<Payload>, WireError> {
        let bytes = self.payload.block.bytes();
        let mut reader = Reader::new(bytes.get(self.at..).unwrap_or_default());
        let kind = reader.byte("a result")?;
        let result = match cells::read(&mut reader, kind, self.last.at(0))? {
            Some(payload) => Ok(payload),
            None => match kind {
                WITH_ATTACHMENTS => {
                    let of = reader.tag("a type")?;
                    let count = reader.number("a number of things beside")?;
                    let bytes = reader.bytes("a value")?;
                    let end = usize::try_from(count)
                        .ok()
                        .and_then(|count| self.next_attachment.checked_add(count));
                    let attachments =
                        end.and_then(|end| self.payload.attachments.get(self.next_attachment..end));
                    let Some(attachments) = attachments else {
                        return Err(reader.malformed("what a result refers to"));
                    };
                    self.next_attachment += attachments.len();
                    Ok(Payload {
                        format: Format::Packed { of },
                        block: Block::copy_of(bytes, 1),
                        attachments: attachments.to_vec(),
                    })
                }
                ARRAY => match self.payload.attachments.get(self.next_attachment) {
                    Some(Attachment::Array(array)) => {
                        self.next_attachment += 1;
                        Ok(Payload {
                            format: array.format.clone(),
                            block: array.block.clone(),
                            attachments: Vec::new(),
                        })
                    }
                    _ => return Err(reader.malformed("an array beside the batch")),
                },
                ERROR => Err(reader.error()?),
                _ => return Err(reader.malformed("the kind of a result")),
            },
        };
        self.at += reader.position();
        Ok(result)
    }
}

impl Iterator for BatchResults {
    type Item = Result<Payload>;

    fn next(&mut self) -> Option<Result<Payload>> {
        self.left = self.left.checked_sub(1)?;
        Some(self.read().map_err(damaged).unwrap_or_else(Err))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for BatchResults {}

impl fmt::Debug for BatchResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchResults")
            .field("left", &self.left)
            .field("took", &self.took)
            .finish_non_exhaustive()
    }
}

fn damaged(error: WireError) -> Error {
    Error::codec(format!("the results of a batch are damaged: {error}"))
}
