//! Results whose elements are objects of their own.
//!
//! The worker makes an object of each element, and a result that refers to these objects. The
//! caller's element stands for the worker's object, or has its value if the value is small. An
//! element can therefore be an argument before the result is ready. It lives as long as its own
//! refs.

use std::{collections::HashSet, sync::Arc};

use mobula_protocol::{Body, Error, ObjectId, Outcome, Value, WireAttachment, WorkerId};

use super::{
    Scheduler, Violation,
    object::{Maker, Object, ObjectState},
    objects::unknown,
};

impl Scheduler {
    /// Makes the objects `ids`, held by `from`, for the elements of a result.
    ///
    /// # Errors
    /// The result does not exist, or an id cannot be used.
    pub(super) fn split(
        &mut self,
        result: ObjectId,
        ids: &[ObjectId],
        from: WorkerId,
    ) -> Result<(), Violation> {
        for id in ids {
            self.check_new(*id, from)?;
        }
        if ids.iter().collect::<HashSet<_>>().len() < ids.len() {
            return Err(Violation::new(format!(
                "{from} wants two elements of {result} in one object"
            )));
        }
        self.check_result(result)?;
        for (place, id) in ids.iter().enumerate() {
            self.insert_element(result, place, *id, from);
        }
        Ok(())
    }

    /// Splits a result like [`split`](Scheduler::split) for the driver. Returns the objects.
    ///
    /// # Errors
    /// The result does not exist.
    pub(crate) fn split_here(
        &mut self,
        result: ObjectId,
        count: usize,
    ) -> Result<Vec<ObjectId>, Violation> {
        self.check_result(result)?;
        let ids = (0..count).map(|place| {
            let id = self.mint();
            self.insert_element(result, place, id, WorkerId::DRIVER);
            id
        });
        Ok(ids.collect())
    }

    fn check_result(&self, result: ObjectId) -> Result<(), Violation> {
        let object = self.objects.get(result).ok_or_else(|| unknown(result))?;
        match object.pending().map(|pending| pending.maker) {
            Some(Maker::Request) => Err(Violation::new(format!(
                "{result} is to be split, and is not the result of a call"
            ))),
            _ => Ok(()),
        }
    }

    fn insert_element(&mut self, result: ObjectId, place: usize, id: ObjectId, from: WorkerId) {
        let Some(object) = self.objects.get_mut(result) else {
            return;
        };
        let state = match object.pending_mut() {
            Some(pending) => {
                pending.more_followers().elements.push(id);
                ObjectState::pending(pending.maker)
            }
            None => {
                let outcome = object.outcome();
                let outcome = outcome.unwrap_or_else(|| Err(Error::shutdown()));
                match self.element(&outcome, place) {
                    Ok(value) => {
                        self.begin_value(&value);
                        ObjectState::Ready(value)
                    }
                    Err(error) => ObjectState::Failed(error),
                }
            }
        };
        self.insert(id, state, from);
    }

    /// Returns the outcome of one element of a result.
    pub(super) fn element(&self, result: &Outcome, place: usize) -> Outcome {
        let result = result.as_ref().map_err(Clone::clone)?;
        let attachment = result.attachments.get(place).ok_or_else(|| {
            Error::internal(format!("a result was split that has no element {place}"))
        })?;
        let Some(id) = attachment.id() else {
            return Ok(match attachment {
                WireAttachment::InlineArray(value) => value.clone(),
                attachment => Arc::new(Value::standing_for(attachment.clone())),
            });
        };
        let known = self.objects.get(id).and_then(Object::value);
        let is_small = |value: &&Arc<Value>| {
            value.attachments.is_empty() && matches!(value.body, Body::Inline(_))
        };
        Ok(match known.filter(is_small) {
            Some(value) => value.clone(),
            None => self.standing_for(id),
        })
    }
}
