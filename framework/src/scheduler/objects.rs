//! The driver's operations on objects, and the checks of values.

use std::sync::{Arc, Weak};

use mobula_protocol::{
    Body, Format, ObjectHandle, ObjectId, Outcome, Value, WireAttachment, WorkerId,
};

use super::{
    Host, Scheduler, Violation,
    counts::stored,
    object::{Object, ObjectState},
};

/// The fault of a value.
#[derive(Debug)]
pub(super) enum BadAttachment {
    /// The value refers to an object that does not exist.
    Unknown(ObjectId),
    /// No value can look like this. The text completes a sentence about the value.
    Malformed(&'static str),
}

impl Scheduler {
    /// Makes an object with a known value, held by `from`: with one handle of the driver, or the
    /// worker's hold. The object takes over a stored body. Costs the number of nested ids.
    ///
    /// # Errors
    /// The id is not `from`'s or is in use, or the value cannot be one.
    pub(crate) fn put(
        &mut self,
        id: ObjectId,
        value: Arc<Value>,
        from: WorkerId,
    ) -> Result<(), Violation> {
        self.check_new(id, from)?;
        // A put also succeeds after the end of the runtime. The caller may still read the value, so
        // the bytes must not be freed before its last handle is dropped.
        self.check_value(&value, id)?;
        self.begin_value(&value);
        self.insert(id, ObjectState::Ready(value), from);
        Ok(())
    }

    /// Returns the id for the driver's next object. The caller uses the id before any other
    /// operation.
    pub(crate) fn mint(&mut self) -> ObjectId {
        self.objects.mint()
    }

    /// Returns a value that stands for the object's value.
    pub(super) fn standing_for(&self, id: ObjectId) -> Arc<Value> {
        let known = self.objects.get(id).and_then(Object::value);
        let attachment = match known.filter(|value| value.attachments.is_empty()) {
            Some(value) => WireAttachment::Array {
                id,
                value: value.clone(),
            },
            // Values inside attachments have no attachments of their own.
            None => WireAttachment::Ref { id },
        };
        Arc::new(Value::standing_for(attachment))
    }

    /// Returns the driver's handle of an object. For a pending object with a living handle, returns
    /// this handle. Otherwise `make` makes a further handle from the outcome. Without an outcome,
    /// [`Host::complete`] completes the handle later.
    ///
    /// # Errors
    /// There is no such object.
    pub(crate) fn handle(
        &mut self,
        id: ObjectId,
        make: impl FnOnce(Option<Outcome>) -> Arc<ObjectHandle>,
    ) -> Result<Arc<ObjectHandle>, Violation> {
        let Some(object) = self.objects.get_mut(id) else {
            return Err(unknown(id));
        };
        if let Some(entry) = object.entry.upgrade() {
            return Ok(entry);
        }
        object.handles += 1;
        object.refs += 1;
        let entry = make(object.outcome());
        if object.pending().is_some() {
            object.entry = Arc::downgrade(&entry);
        }
        Ok(entry)
    }

    /// Makes `entry` the driver's handle of a pending object, for [`Host::complete`]. Does nothing
    /// for a finished object.
    pub(crate) fn attach(&mut self, id: ObjectId, entry: &Arc<ObjectHandle>) {
        if let Some(object) = self.objects.get_mut(id)
            && object.pending().is_some()
        {
            object.entry = Arc::downgrade(entry);
        }
    }

    /// Drops one handle of the driver. Costs the number of objects that this frees.
    ///
    /// # Errors
    /// The driver has no handle of such an object.
    pub(crate) fn release(&mut self, id: ObjectId, host: &mut impl Host) -> Result<(), Violation> {
        match self.objects.get_mut(id) {
            Some(object) if object.handles > 0 => object.handles -= 1,
            _ => return Err(unknown(id)),
        }
        self.drop_ref(id, host);
        Ok(())
    }

    /// Adds an object, held by `from`.
    pub(super) fn insert(&mut self, id: ObjectId, state: ObjectState, from: WorkerId) {
        let by_driver = from == WorkerId::DRIVER;
        let object = Object {
            state,
            refs: u64::from(by_driver),
            handles: u32::from(by_driver),
            pins: 0,
            entry: Weak::new(),
        };
        self.objects.insert(id, object);
        if !by_driver {
            self.hold(from, id);
        }
    }

    /// Checks that `from` may make an object with this id.
    pub(super) fn check_new(&self, id: ObjectId, from: WorkerId) -> Result<(), Violation> {
        if id.origin != from {
            return Err(Violation::new(format!(
                "object {id} was made by {from}, which did not mint the id"
            )));
        }
        if !self.objects.has_place_for(id) {
            return Err(Violation::new(format!("object {id} was made twice")));
        }
        Ok(())
    }

    /// Checks that the value can be the value of object `id`.
    pub(super) fn check_value(&self, value: &Value, id: ObjectId) -> Result<(), Violation> {
        self.check_attachments(value).map_err(|bad| match bad {
            BadAttachment::Unknown(nested) => Violation::new(format!(
                "the value of object {id} refers to object {nested}, which does not exist"
            )),
            BadAttachment::Malformed(how) => {
                Violation::new(format!("the value of object {id} {how}"))
            }
        })
    }

    /// Checks the format of the value, and that all objects inside exist. An array inside must be
    /// the value of its object.
    pub(super) fn check_attachments(&self, value: &Value) -> Result<(), BadAttachment> {
        check_format(value)?;
        for attachment in &value.attachments {
            match attachment {
                WireAttachment::InlineArray(array) => {
                    if stored(array).is_some() {
                        return Err(BadAttachment::Malformed(
                            "has an inline array that is not inline",
                        ));
                    }
                    check_array(array)?;
                    if !matches!(array.format, Format::Flat { .. }) {
                        return Err(BadAttachment::Malformed(
                            "has an inline array that is no array",
                        ));
                    }
                }
                WireAttachment::Array { id, value: array } => {
                    let object = self.objects.get(*id).ok_or(BadAttachment::Unknown(*id))?;
                    let Some(known) = object.value() else {
                        return Err(BadAttachment::Malformed(
                            "has an array that is not there yet",
                        ));
                    };
                    check_array(array)?;
                    if !is_same(array, known) {
                        return Err(BadAttachment::Malformed("has an array that is another one"));
                    }
                }
                WireAttachment::Ref { id } => {
                    if !self.objects.contains(*id) {
                        return Err(BadAttachment::Unknown(*id));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Checks that an array inside a value is flat. This bounds the nesting of values, and with it the
/// stack that the drop of a value takes.
fn check_array(array: &Value) -> Result<(), BadAttachment> {
    let has_elements = matches!(array.format, Format::Flat { .. } | Format::Shared { .. });
    if array.attachments.is_empty() && has_elements {
        check_format(array)
    } else {
        Err(BadAttachment::Malformed("has an array that is not flat"))
    }
}

/// Checks that the format fits the bytes.
#[inline]
pub(super) fn check_format(value: &Value) -> Result<(), BadAttachment> {
    match &value.format {
        Format::Text | Format::Packed { .. } => Ok(()),
        Format::Flat { .. } | Format::Shared { .. } | Format::Part { .. } => check_memory(value),
    }
}

/// Checks that a `Flat`, `Shared` or `Part` format fits the bytes.
fn check_memory(value: &Value) -> Result<(), BadAttachment> {
    let bytes = match &value.body {
        Body::Inline(block) => block.len() as u64,
        Body::Stored(loc) => loc.len,
    };
    match (&value.format, &value.body) {
        (Format::Part { .. }, _) => Err(BadAttachment::Malformed(
            "is a part, which only the driver lends",
        )),
        (Format::Shared { .. }, Body::Inline(_)) => {
            Err(BadAttachment::Malformed("is shared memory without memory"))
        }
        (Format::Flat { shape, .. }, _) => match elements(shape) {
            Some(0) if bytes == 0 => Ok(()),
            Some(count) if count > 0 && bytes.is_multiple_of(count) => Ok(()),
            _ => Err(BadAttachment::Malformed(
                "has a shape that its bytes do not have",
            )),
        },
        (Format::Shared { .. } | Format::Text | Format::Packed { .. }, _) => Ok(()),
    }
}

/// Returns the number of elements of an array of this shape. `None`: the number exceeds `u64`.
pub(super) fn elements(shape: &[u64]) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape
        .iter()
        .try_fold(1, |count: u64, len| count.checked_mul(*len))
}

/// Returns whether an array that came with its id is the value of the object.
fn is_same(array: &Arc<Value>, known: &Arc<Value>) -> bool {
    let same_bytes = || match (&array.body, &known.body) {
        (Body::Stored(one), Body::Stored(other)) => one == other,
        (Body::Inline(one), Body::Inline(other)) => one.bytes() == other.bytes(),
        _ => false,
    };
    Arc::ptr_eq(array, known)
        || array.format == known.format && known.attachments.is_empty() && same_bytes()
}

pub(super) fn unknown(id: ObjectId) -> Violation {
    Violation::new(format!("object {id} does not exist, or is not held"))
}
