//! Shared arrays: the parts that are lent, and the change of arrays to ordinary objects
//! ([`sealing`]).
//!
//! A part is an ordinary object. A process that may write to the part has a ref, and the end of the
//! last ref returns the part to its array. A call therefore keeps its parts through retries. It
//! returns the parts when it has ended, with any outcome.
//!
//! A request waits for parts, or for processes to close their mappings. The request is a pending
//! object that no task makes, and it keeps the array.

#[cfg(test)]
mod checks;
mod sealing;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use mobula_protocol::{
    Body, Error, Format, IncompleteRange, ObjectId, PartRange, SharedKind, TypeTag, Value,
    WireAttachment, WorkerId, message::ArgSpec,
};
use mobula_store::{Loc, codec};

use super::{
    Host, Scheduler, Violation,
    counts::stored,
    object::{Maker, ObjectState},
    objects::unknown,
};

/// The lent parts of one shared array.
#[derive(Debug, Default)]
pub(super) struct Lending {
    /// The parts by their first element and the element after the last. Only the bounds of two
    /// tiles may overlap. A part without elements is not listed.
    ranges: BTreeMap<(u64, u64), Vec<PartRange>>,
    /// Number of lent parts, including parts without elements.
    count: usize,
    /// An upper limit of the distance between the bounds of a part.
    longest: u64,
    incomplete: Vec<IncompleteRange>,
    /// Objects that become ready when all parts are back.
    settlers: Vec<ObjectId>,
    sealing: bool,
}

impl Lending {
    /// Lends a part.
    ///
    /// # Errors
    /// Returns the part itself if it is impossible, or a lent part that overlaps with it.
    fn take(&mut self, range: PartRange) -> Result<(), PartRange> {
        let Some((start, end)) = range.bounds() else {
            return Err(range);
        };
        if start == end {
            self.count += 1;
            return Ok(());
        }
        // Only parts that begin before `end` can overlap. Parts that begin before `from` have ended
        // before `start`.
        let from = (start.saturating_sub(self.longest), 0);
        let near = self
            .ranges
            .range(from..(end, 0))
            .flat_map(|(_, ranges)| ranges);
        if let Some(other) = near.into_iter().find(|other| other.overlaps(&range)) {
            return Err(*other);
        }
        self.ranges.entry((start, end)).or_default().push(range);
        self.count += 1;
        self.longest = self.longest.max(end - start);
        Ok(())
    }

    fn give_back(&mut self, range: &PartRange) {
        self.count -= 1;
        let Some(bounds) = range.bounds() else { return };
        if let Some(ranges) = self.ranges.get_mut(&bounds) {
            if let Some(at) = ranges.iter().position(|other| other == range) {
                ranges.swap_remove(at);
            }
            if ranges.is_empty() {
                self.ranges.remove(&bounds);
            }
        }
        if self.count == 0 {
            self.longest = 0;
        }
    }
}

impl Scheduler {
    /// Lends parts of an array to the driver, which gets one handle of each new object.
    ///
    /// # Errors
    /// There is no such array. The inner error tells the caller why the parts cannot be lent.
    /// Nothing has changed then.
    pub(crate) fn lend(
        &mut self,
        array: ObjectId,
        ranges: &[PartRange],
    ) -> Result<Result<Vec<ObjectId>, Error>, Violation> {
        let parts = match self.take_ranges(array, ranges)? {
            Ok(parts) => parts,
            Err(error) => return Ok(Err(error)),
        };
        Ok(Ok(parts
            .into_iter()
            .map(|part| {
                let id = self.mint();
                self.insert_part(id, part, WorkerId::DRIVER);
                id
            })
            .collect()))
    }

    /// Lends parts of an array to a worker, which holds the new objects. If the parts cannot be
    /// lent, the new objects fail.
    pub(super) fn lend_to_worker(
        &mut self,
        array: ObjectId,
        parts: &[(ObjectId, PartRange)],
        from: WorkerId,
    ) -> Result<(), Violation> {
        let mut ids = HashSet::new();
        for (id, _) in parts {
            self.check_new(*id, from)?;
            if !ids.insert(*id) {
                return Err(Violation::new(format!("object {id} was made twice")));
            }
        }
        let ranges: Vec<PartRange> = parts.iter().map(|(_, range)| *range).collect();
        match self.take_ranges(array, &ranges)? {
            Ok(lent) => {
                for ((id, _), part) in parts.iter().zip(lent) {
                    self.insert_part(*id, part, from);
                }
            }
            Err(error) => {
                for (id, _) in parts {
                    self.insert(*id, ObjectState::Failed(error.clone()), from);
                }
            }
        }
        Ok(())
    }

    /// Lends parts of an array, and returns them as the values of their objects.
    fn take_ranges(
        &mut self,
        array: ObjectId,
        ranges: &[PartRange],
    ) -> Result<Result<Vec<Value>, Error>, Violation> {
        let Some(value) = self.shared_array(array).cloned() else {
            return Err(unknown(array));
        };
        let Format::Shared { of, shape, .. } = &value.format else {
            return Err(unknown(array));
        };
        let len = shape.iter().copied().fold(1, u64::saturating_mul);
        let lending = self.lending.entry(array).or_default();
        for (at, range) in ranges.iter().enumerate() {
            let why = if lending.sealing {
                "the array is being sealed".to_owned()
            } else if range.bounds().is_none_or(|(_, end)| end > len) {
                format!("{range} is no part of an array of {len} elements")
            } else if let Err(other) = lending.take(*range) {
                match ranges[..at].contains(&other) {
                    true => format!("{range} and {other} overlap"),
                    false => format!(
                        "{range} overlaps with {other}, which is lent; `settle()` waits for all parts"
                    ),
                }
            } else {
                continue;
            };
            ranges[..at]
                .iter()
                .for_each(|range| lending.give_back(range));
            return Ok(Err(Error::usage(format!(
                "the shared array cannot be split: {why}"
            ))));
        }
        let part = |range: &PartRange| Value {
            format: Format::Part {
                of: *of,
                range: (*range).into(),
            },
            body: Body::Inline(Default::default()),
            attachments: vec![WireAttachment::Array {
                id: array,
                value: value.clone(),
            }],
        };
        Ok(Ok(ranges.iter().map(part).collect()))
    }

    fn insert_part(&mut self, id: ObjectId, part: Value, from: WorkerId) {
        self.begin_value(&part);
        self.insert(id, ObjectState::Ready(part.into()), from);
    }

    /// Returns a part without refs to its array. Does nothing for a value that is no part.
    pub(super) fn give_back(&mut self, part: &Value) {
        let Format::Part { range, .. } = &part.format else {
            return;
        };
        let array = part.nested().next();
        let Some(lending) = array.and_then(|array| self.lending.get_mut(&array)) else {
            return;
        };
        lending.give_back(range);
        if lending.count == 0 && !lending.settlers.is_empty() {
            self.settled.extend(array);
        }
    }

    /// Records the parts among the arguments as incomplete, because their task may have begun and
    /// has failed for good.
    pub(super) fn mark_incomplete(&mut self, args: &[ArgSpec], error: &Error) {
        for arg in args {
            let ArgSpec::Object(id) = arg else { continue };
            let Some(value) = self.objects.get(*id).and_then(|object| object.value()) else {
                continue;
            };
            let Format::Part { range, .. } = &value.format else {
                continue;
            };
            let range = **range;
            let array = value.nested().next();
            if let Some(lending) = array.and_then(|array| self.lending.get_mut(&array)) {
                let error = error.clone();
                lending.incomplete.push(IncompleteRange { range, error });
            }
        }
    }

    /// Makes an object that becomes ready when all parts of the array are back.
    ///
    /// # Errors
    /// There is no such array, or the id cannot be used.
    pub(crate) fn settle(
        &mut self,
        id: ObjectId,
        array: ObjectId,
        from: WorkerId,
    ) -> Result<(), Violation> {
        self.check_new(id, from)?;
        if self.shared_array(array).is_none() {
            return Err(unknown(array));
        }
        self.promise(id, array, from);
        let lending = self.lending.entry(array).or_default();
        lending.settlers.push(id);
        if lending.count == 0 {
            self.settled.push(array);
        }
        Ok(())
    }

    /// Completes the objects that wait for parts if all parts are back. The caller calls it after
    /// each batch of events.
    pub(super) fn tell_settled(&mut self, host: &mut impl Host) {
        while let Some(array) = self.settled.pop() {
            let Some(lending) = self.lending.get_mut(&array) else {
                continue;
            };
            if lending.count > 0 {
                continue;
            }
            let incomplete = std::mem::take(&mut lending.incomplete);
            let settlers = std::mem::take(&mut lending.settlers);
            let result = report(&incomplete);
            for id in settlers {
                self.answer_request(id, result.clone(), host);
            }
        }
    }

    /// Makes a pending object that keeps the array.
    fn promise(&mut self, id: ObjectId, array: ObjectId, from: WorkerId) {
        self.objects.add_ref(array);
        self.asked_of_arrays.insert(id, array);
        self.insert_request(id, from);
    }

    /// Makes a pending object that the scheduler completes itself.
    pub(super) fn insert_request(&mut self, id: ObjectId, from: WorkerId) {
        self.requests += 1;
        self.insert(id, ObjectState::pending(Maker::Request), from);
    }

    /// Ends an answered request. A request for an array keeps the array no longer.
    pub(super) fn forget_request(&mut self, id: ObjectId, host: &mut impl Host) {
        if let Some(array) = self.asked_of_arrays.remove(&id) {
            self.drop_ref(array, host);
        }
    }

    fn shared_array(&self, id: ObjectId) -> Option<&Arc<Value>> {
        let value = self.objects.get(id)?.value()?;
        let is_array = matches!(
            value.format,
            Format::Shared {
                kind: SharedKind::Array | SharedKind::Atomics,
                ..
            }
        );
        is_array.then_some(value)
    }
}

/// Returns the incomplete parts as an encoded value.
fn report(incomplete: &[IncompleteRange]) -> mobula_protocol::Outcome {
    let encoded = codec::encode(incomplete).map_err(|error| Error::codec(error.to_string()))?;
    Ok(Value {
        format: Format::Packed {
            of: TypeTag(codec::type_tag::<Vec<IncompleteRange>>()),
        },
        body: Body::Inline(mobula_store::Block::copy_of(&encoded.bytes, 1)),
        attachments: Vec::new(),
    }
    .into())
}

/// Returns the location of shared memory, which processes may have to close before another use.
pub(super) fn is_shared(value: &Value) -> Option<Loc> {
    match value.format {
        Format::Shared { .. } => stored(value),
        _ => None,
    }
}
