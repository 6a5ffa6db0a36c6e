//! Refs, pins and stored bytes.

use mobula_protocol::{Body, Format, ObjectId, Value, WireAttachment, message::ArgSpec};
use mobula_store::Loc;

use super::{
    Host, Scheduler,
    lending::is_shared,
    object::{Object, ObjectState},
    table::Objects,
};

/// The store allocates memory in units of this many bytes.
const GRANULE: u64 = 64;

/// The direction of a change to a count.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Begin,
    End,
}

impl Scheduler {
    /// Counts the refs and the stored bytes of a value. The caller has
    /// [checked](Scheduler::check_value) the value.
    pub(super) fn begin_value(&mut self, value: &Value) {
        for nested in value.nested() {
            self.objects.add_ref(nested);
        }
        if let Some(loc) = stored(value) {
            self.used = self.used.wrapping_add(footprint(loc));
        }
    }

    /// Drops a ref. Without refs, frees the object and the objects that it alone kept.
    pub(super) fn drop_ref(&mut self, id: ObjectId, host: &mut impl Host) {
        if let Some(object) = self.objects.get_mut(id) {
            object.refs -= 1;
            if object.is_unused() {
                self.free_unused(id, host);
            }
        }
    }

    /// Drops a ref. Adds an object without refs to `rest`, for the caller to free.
    pub(super) fn drop_ref_later(&mut self, id: ObjectId, rest: &mut Vec<ObjectId>) {
        if let Some(object) = self.objects.get_mut(id) {
            object.refs -= 1;
            if object.is_unused() {
                rest.push(id);
            }
        }
    }

    /// Drops the refs of arguments.
    pub(super) fn drop_args(&mut self, args: &[ArgSpec], host: &mut impl Host) {
        for arg in args {
            arg.for_each_object(|id| self.drop_ref(id, host));
        }
    }

    /// Frees an unused object and the objects that it alone kept. Uses a list, not recursion,
    /// because values can be nested deeper than the stack.
    pub(super) fn free_unused(&mut self, id: ObjectId, host: &mut impl Host) {
        let mut next = Some(id);
        let mut rest = Vec::new();
        while let Some(id) = next {
            let unused = self.objects.get(id).is_some_and(Object::is_unused);
            if unused && !self.actors.is_empty() {
                self.end_actor(id, host);
            }
            if unused && !self.unread.ids.is_empty() {
                self.report_unread(id, host);
            }
            if unused && !self.queues.is_empty() {
                self.end_queue(id, &mut rest, host);
            }
            if unused
                && let Some(Object {
                    state: ObjectState::Ready(value),
                    ..
                }) = self.objects.remove(id)
            {
                self.give_back(&value);
                self.forget_decoded(id, host);
                if let Format::Shared { .. } = value.format {
                    self.lending.remove(&id);
                }
                for nested in value.nested() {
                    self.drop_ref_later(nested, &mut rest);
                }
                if let Some(loc) = stored(&value) {
                    self.used = self.used.wrapping_sub(footprint(loc));
                    if is_shared(&value).is_some() {
                        host.close(loc, None);
                    } else {
                        host.free(loc);
                    }
                }
            }
            next = rest.pop();
        }
    }
}

/// Changes of counts that never free an object.
impl Objects {
    pub(super) fn add_ref(&mut self, id: ObjectId) {
        if let Some(object) = self.get_mut(id) {
            object.refs += 1;
        }
    }

    /// Pins or unpins an object, and the arrays inside if the object is ready. A reader of the
    /// object reads its arrays in place.
    pub(super) fn shift_pins(&mut self, id: ObjectId, step: Step) {
        let Some(object) = self.get_mut(id) else {
            return;
        };
        object.shift_pins(step);
        let value = object.value();
        if let Some(value) = value.filter(|value| !value.attachments.is_empty()).cloned() {
            self.shift_array_pins(&value, step);
        }
    }

    /// Pins or unpins all objects and arrays that a task reads in place.
    pub(super) fn shift_arg_pins(&mut self, args: &[ArgSpec], step: Step) {
        for arg in args {
            if let ArgSpec::Value(value) = arg {
                self.shift_array_pins(value, step);
            }
            for id in arg.objects() {
                self.shift_pins(*id, step);
            }
        }
    }

    fn shift_array_pins(&mut self, value: &Value, step: Step) {
        for attachment in &value.attachments {
            if let WireAttachment::Array { id, .. } = attachment
                && let Some(object) = self.get_mut(*id)
            {
                object.shift_pins(step);
            }
        }
    }
}

impl Object {
    fn shift_pins(&mut self, step: Step) {
        match step {
            Step::Begin => self.pins += 1,
            Step::End => self.pins -= 1,
        }
    }
}

/// Returns the location of a value in the store, or `None` for an inline value.
pub(super) fn stored(value: &Value) -> Option<Loc> {
    match value.body {
        Body::Stored(loc) => Some(loc),
        Body::Inline(_) => None,
    }
}

/// Returns the bytes that a stored body occupies. The sum wraps, so even an impossible length
/// cancels out when the value goes.
pub(super) fn footprint(loc: Loc) -> u64 {
    loc.len
        .checked_next_multiple_of(GRANULE)
        .unwrap_or(u64::MAX)
}
