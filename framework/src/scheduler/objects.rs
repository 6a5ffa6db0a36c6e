//! Objects, as the driver sees them, and what a value may look like.

use std::sync::{Arc, Weak};

use mobula_protocol::{Body, Format, Item, ObjectHandle, ObjectId, Outcome, Value, WorkerId};

use super::{
    Host, Scheduler, Violation,
    counts::stored,
    object::{Object, ObjectState},
};

/// What is wrong with the ids in a value.
#[derive(Debug)]
pub(super) enum BadItem {
    /// No such object.
    Unknown(ObjectId),
    /// No value can look like this.
    Malformed(&'static str),
}

impl Scheduler {
    /// Makes an object whose value is known, held by `from`: one handle of the driver, or the
    /// worker's hold. Takes over a stored body. Costs the number of nested ids.
    ///
    /// # Errors
    /// The id is not `from`'s or is in use; a nested id is not that of an object.
    pub(crate) fn put(
        &mut self,
        id: ObjectId,
        value: Arc<Value>,
        from: WorkerId,
    ) -> Result<(), Violation> {
        self.check_new(id, from)?;
        // After the end of the runtime too: what the caller still reads must not be freed before
        // its last handle is gone.
        self.check_value(&value, id)?;
        self.begin_value(&value);
        self.insert(id, ObjectState::Ready(value), from);
        Ok(())
    }

    /// The id for the next object of the driver, to be used before anything else happens.
    pub(crate) fn mint(&mut self) -> ObjectId {
        self.objects.mint()
    }

    /// Returns a value that stands for that of an object.
    pub(super) fn standing_for(&self, id: ObjectId) -> Arc<Value> {
        let known = self.objects.get(id).and_then(Object::value);
        let item = match known.filter(|value| value.items.is_empty()) {
            Some(value) => Item::Array {
                id,
                value: value.clone(),
            },
            // Values in items have none.
            None => Item::Ref { id },
        };
        Arc::new(Value::standing_for(item))
    }

    /// The driver's handle of an object: that of a pending object, if there is one, or else one
    /// more, made by `make` of the outcome. Without that it will be told by [`Host::complete`].
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

    /// From now on `entry` is the driver's handle of a pending object, for [`Host::complete`].
    /// Costs nothing for objects that are finished.
    pub(crate) fn attach(&mut self, id: ObjectId, entry: &Arc<ObjectHandle>) {
        if let Some(object) = self.objects.get_mut(id)
            && object.pending().is_some()
        {
            object.entry = Arc::downgrade(entry);
        }
    }

    /// One handle of the driver less. Costs the number of objects that are freed by it.
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

    /// A new object, held by whoever made it.
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

    /// Whether `from` may make an object of this id.
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

    /// Whether the value can be that of object `id`.
    pub(super) fn check_value(&self, value: &Value, id: ObjectId) -> Result<(), Violation> {
        self.check_items(value).map_err(|bad| match bad {
            BadItem::Unknown(nested) => Violation::new(format!(
                "the value of object {id} refers to object {nested}, which does not exist"
            )),
            BadItem::Malformed(how) => Violation::new(format!("the value of object {id} {how}")),
        })
    }

    /// Whether all that the value refers to is there and is what it should be.
    pub(super) fn check_items(&self, value: &Value) -> Result<(), BadItem> {
        check_format(value)?;
        for item in &value.items {
            match item {
                Item::InlineArray(array) => {
                    if stored(array).is_some() {
                        return Err(BadItem::Malformed("has an inline array that is not inline"));
                    }
                    check_array(array)?;
                    if !matches!(array.format, Format::Flat { .. }) {
                        return Err(BadItem::Malformed("has an inline array that is no array"));
                    }
                }
                Item::Array { id, value: array } => {
                    let object = self.objects.get(*id).ok_or(BadItem::Unknown(*id))?;
                    let Some(known) = object.value() else {
                        return Err(BadItem::Malformed("has an array that is not there yet"));
                    };
                    check_array(array)?;
                    if !is_same(array, known) {
                        return Err(BadItem::Malformed("has an array that is another one"));
                    }
                }
                Item::Ref { id } => {
                    if !self.objects.contains(*id) {
                        return Err(BadItem::Unknown(*id));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Arrays are flat. This also bounds how deep values can be nested in one another, and with it the
/// stack that it takes to drop one.
fn check_array(array: &Value) -> Result<(), BadItem> {
    let has_elements = matches!(array.format, Format::Flat { .. } | Format::Shared { .. });
    if array.items.is_empty() && has_elements {
        check_format(array)
    } else {
        Err(BadItem::Malformed("has an array that is not flat"))
    }
}

/// Whether the format can be that of the bytes.
#[inline]
pub(super) fn check_format(value: &Value) -> Result<(), BadItem> {
    match &value.format {
        Format::Text | Format::Packed { .. } => Ok(()),
        Format::Flat { .. } | Format::Shared { .. } | Format::Part { .. } => check_memory(value),
    }
}

/// Whether a format that says how memory is used can be that of the bytes.
fn check_memory(value: &Value) -> Result<(), BadItem> {
    let bytes = match &value.body {
        Body::Inline(block) => block.len() as u64,
        Body::Stored(loc) => loc.len,
    };
    match (&value.format, &value.body) {
        (Format::Part { .. }, _) => {
            Err(BadItem::Malformed("is a part, which only the driver lends"))
        }
        (Format::Shared { .. }, Body::Inline(_)) => {
            Err(BadItem::Malformed("is shared memory without memory"))
        }
        (Format::Flat { shape, .. }, _) => match elements(shape) {
            Some(0) if bytes == 0 => Ok(()),
            Some(count) if count > 0 && bytes.is_multiple_of(count) => Ok(()),
            _ => Err(BadItem::Malformed("has a shape that its bytes do not have")),
        },
        (Format::Shared { .. } | Format::Text | Format::Packed { .. }, _) => Ok(()),
    }
}

/// How many elements an array of this shape has.
pub(super) fn elements(shape: &[u64]) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape
        .iter()
        .try_fold(1, |count: u64, len| count.checked_mul(*len))
}

/// Whether an array that came with its id is that of the object.
fn is_same(array: &Arc<Value>, known: &Arc<Value>) -> bool {
    let same_bytes = || match (&array.body, &known.body) {
        (Body::Stored(one), Body::Stored(other)) => one == other,
        (Body::Inline(one), Body::Inline(other)) => one.bytes() == other.bytes(),
        _ => false,
    };
    Arc::ptr_eq(array, known)
        || array.format == known.format && known.items.is_empty() && same_bytes()
}

pub(super) fn unknown(id: ObjectId) -> Violation {
    Violation::new(format!("object {id} does not exist, or is not held"))
}
