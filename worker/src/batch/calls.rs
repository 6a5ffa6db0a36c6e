//! The calls of a batch.

use std::{fmt, sync::Arc};

use mobula_store::{Block, NumberMap};

use super::{
    TAG,
    cells::{self, GATHER, Last, OBJECT},
};
use mobula_protocol::{
    Body, Call, CallArg, CallOptions, Error, Format, FunctionIndex, Input, ObjectHandle, ObjectId,
    Payload, Registry, RemoteFn, Result, TaskOptions,
    wire::{Reader, WireError, writer},
};

/// A batch takes no further call once its calls have this many bytes. The calls travel inside the
/// message, and a ring has room for several such messages.
const FULL: usize = 15 << 10;

/// A batch takes no further call once its small objects have this many bytes. These travel with the
/// batch.
const HEAVY: usize = 64 << 10;

/// A call with a value of more bytes is no part of a batch.
const LARGE: usize = 4 << 10;

/// A batch with more objects than this has a map to find them.
const FEW: usize = 8;

fn is_light(payload: &Payload) -> bool {
    payload.attachments.is_empty() && payload.block.len() <= LARGE
}

/// Packs calls of one function.
pub struct BatchWriter {
    function: FunctionIndex,
    options: CallOptions,
    bytes: Vec<u8>,
    calls: u32,
    last: Last,
    objects: Vec<Arc<ObjectHandle>>,
    /// The objects' places in the list, once there are more than `FEW`.
    places: NumberMap<ObjectId, u32>,
    /// Bytes of the objects that travel inside the message.
    weight: usize,
}

impl BatchWriter {
    /// Creates a batch without calls. All its calls have these options.
    pub fn new(function: FunctionIndex, options: CallOptions) -> BatchWriter {
        BatchWriter {
            function,
            options,
            bytes: Vec::new(),
            calls: 0,
            last: Last::default(),
            objects: Vec::new(),
            places: NumberMap::default(),
            weight: 0,
        }
    }

    /// Returns how many calls the batch has.
    pub fn len(&self) -> usize {
        self.calls as usize
    }

    /// Whether the batch has no calls.
    pub fn is_empty(&self) -> bool {
        self.calls == 0
    }

    /// Whether the batch should be sent before it gets another call.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= FULL || self.weight >= HEAVY
    }

    /// Whether this call can be part of this batch: see the [module](super).
    pub fn takes(
        &self,
        function: &RemoteFn,
        index: FunctionIndex,
        options: &CallOptions,
        args: &[CallArg],
    ) -> bool {
        index == self.function
            && *options == self.options
            && TaskOptions::of(options, &function.options).fit_a_batch()
            && self.takes_args(args)
    }

    /// Whether a further call with these arguments can be part of this batch. Its function and its
    /// options are those of the calls of the batch.
    #[inline]
    pub fn takes_args(&self, args: &[CallArg]) -> bool {
        args.iter().all(|arg| match arg {
            CallArg::Value(payload) => is_light(payload),
            CallArg::Object(_) | CallArg::Gather(_) => self.takes_objects(arg.objects()),
        })
    }

    /// Whether objects have their data. An object of the batch was checked when the batch got it.
    fn takes_objects(&self, objects: &[Arc<ObjectHandle>]) -> bool {
        objects.iter().all(|entry| {
            self.place_of(entry.id()).is_some()
                || matches!(entry.outcome(), Some(Ok(value)) if value.is_data())
        })
    }

    /// Whether the values of a call are small enough for a batch.
    pub fn is_light(args: &[CallArg]) -> bool {
        args.iter().all(|arg| match arg {
            CallArg::Value(payload) => is_light(payload),
            CallArg::Object(_) | CallArg::Gather(_) => true,
        })
    }

    /// Adds a call that the batch [takes](BatchWriter::takes). Copies its values.
    pub fn push(&mut self, args: &[CallArg]) {
        self.calls += 1;
        writer::number(&mut self.bytes, args.len() as u64);
        for (place, arg) in args.iter().enumerate() {
            match arg {
                CallArg::Value(payload) => cells::write(
                    &mut self.bytes,
                    self.last.at(place),
                    &payload.format,
                    &payload.block,
                ),
                CallArg::Object(entry) => {
                    let object = self.object(entry);
                    self.bytes.push(OBJECT);
                    writer::number(&mut self.bytes, object);
                }
                CallArg::Gather(entries) => {
                    self.bytes.push(GATHER);
                    writer::number(&mut self.bytes, entries.len() as u64);
                    for entry in entries {
                        let object = self.object(entry);
                        writer::number(&mut self.bytes, object);
                    }
                }
            }
        }
    }

    /// Returns the place of an object in the list, if it is there.
    fn place_of(&self, id: ObjectId) -> Option<usize> {
        match self.objects.len() {
            0..=FEW => self.objects.iter().position(|object| object.id() == id),
            _ => self.places.get(&id).map(|place| *place as usize),
        }
    }

    /// Returns the place of an object in the list. Adds the object if it is not there.
    fn object(&mut self, entry: &Arc<ObjectHandle>) -> u64 {
        let known = self.place_of(entry.id());
        let place = known.unwrap_or_else(|| {
            if let Some(Ok(value)) = entry.outcome()
                && let Body::Inline(block) = &value.body
            {
                self.weight += block.len();
            }
            self.objects.push(entry.clone());
            self.objects.len() - 1
        });
        if known.is_none() && self.objects.len() > FEW {
            let objects = self.objects.iter().enumerate().skip(self.places.len());
            self.places
                .extend(objects.map(|(n, object)| (object.id(), n as u32)));
        }
        place as u64
    }

    /// Returns the call that runs the batch. A batch never runs again: that would repeat calls that
    /// have ended. Its sender runs each of its calls again, one by one.
    ///
    /// # Errors
    /// The registry is not usable.
    pub fn finish(self) -> Result<Call> {
        let mut bytes = Vec::with_capacity(self.bytes.len() + 16);
        writer::number(&mut bytes, u64::from(self.function.0));
        writer::number(&mut bytes, u64::from(self.calls));
        bytes.extend_from_slice(&self.bytes);
        let calls = CallArg::Value(Payload {
            format: Format::Packed { of: TAG },
            block: Block::from_vec(bytes),
            attachments: Vec::new(),
        });
        let objects = self.objects.into_iter().map(CallArg::Object);
        Ok(Call {
            function: Registry::get()?.index_of(&super::FUNCTION)?,
            args: std::iter::once(calls).chain(objects).collect(),
            options: None,
            actor: None,
        })
    }
}

impl fmt::Debug for BatchWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchWriter")
            .field("function", &self.function)
            .field("calls", &self.calls)
            .field("bytes", &self.bytes.len())
            .field("objects", &self.objects.len())
            .finish_non_exhaustive()
    }
}

/// Reads the calls of a batch, in the worker.
pub(super) struct Calls<'a> {
    pub(super) function: FunctionIndex,
    left: u64,
    reader: Reader<'a>,
    last: Last,
    objects: &'a [(Payload, Option<ObjectId>)],
}

impl<'a> Calls<'a> {
    /// Opens the calls of a batch.
    ///
    /// # Errors
    /// The payload contains no calls.
    pub(super) fn new(
        calls: &'a Payload,
        objects: &'a [(Payload, Option<ObjectId>)],
    ) -> Result<Calls<'a>> {
        let mut reader = Reader::new(calls.block.bytes());
        let begin = |reader: &mut Reader<'a>| -> Result<_, WireError> {
            Ok((
                reader.number32("a function")?,
                reader.number("a number of calls")?,
            ))
        };
        let (function, left) = match calls.format == (Format::Packed { of: TAG }) {
            true => begin(&mut reader).map_err(damaged)?,
            false => {
                return Err(Error::internal(
                    "the first argument of a batch is not its calls",
                ));
            }
        };
        Ok(Calls {
            function: FunctionIndex(function),
            left,
            reader,
            last: Last::default(),
            objects,
        })
    }

    /// Adds the arguments of the next call to `inputs`. Returns `false` after the last call.
    ///
    /// # Errors
    /// The calls are damaged.
    pub(super) fn next(&mut self, inputs: &mut Vec<Input>) -> Result<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        self.left -= 1;
        self.read(inputs).map_err(damaged)?;
        Ok(true)
    }

    fn read(&mut self, inputs: &mut Vec<Input>) -> Result<(), WireError> {
        let args = self.reader.number("a number of arguments")?;
        for place in 0..args {
            let kind = self.reader.byte("an argument")?;
            // Each argument has taken a byte, so the bytes that have arrived bound this.
            let last = self.last.at(place as usize);
            let value = cells::read(&mut self.reader, kind, last)?;
            inputs.push(match (value, kind) {
                (Some(payload), _) => Input::Value(payload, None),
                (None, OBJECT) => {
                    let (payload, id) = self.object()?;
                    Input::Value(payload, id)
                }
                (None, GATHER) => {
                    let count = self.reader.number("a number of objects")?;
                    let mut many = Vec::new();
                    for _ in 0..count {
                        many.push(self.object()?.0);
                    }
                    Input::Gather(many.into())
                }
                _ => return Err(self.reader.malformed("the kind of an argument")),
            });
        }
        Ok(())
    }

    fn object(&mut self) -> Result<(Payload, Option<ObjectId>), WireError> {
        let place = self.reader.number("an object of a batch")?;
        let object = usize::try_from(place)
            .ok()
            .and_then(|place| self.objects.get(place));
        match object {
            Some(object) => Ok(object.clone()),
            None => Err(self.reader.malformed("an object of a batch")),
        }
    }
}

fn damaged(error: WireError) -> Error {
    Error::codec(format!("a batch of calls is damaged: {error}"))
}
