//! Shared arrays in the world: parts that are lent, and arrays that are sealed.

use std::sync::Arc;

use mobula_protocol::{Format, ObjectId, PartRange, Shape, TypeTag};

use super::{
    super::{env::D, lending::shared},
    World,
};

impl World {
    pub(super) fn mint(&mut self) -> ObjectId {
        self.scheduler.mint()
    }

    /// Returns the driver's arrays, once for each handle.
    fn arrays(&self) -> Vec<ObjectId> {
        let is_array = |id: &&ObjectId| {
            let outcome = self.outcomes.get(id);
            outcome.is_some_and(|outcome| {
                let value = outcome.as_ref().ok();
                value.is_some_and(|value| matches!(value.format, Format::Shared { .. }))
            })
        };
        self.handles.iter().filter(is_array).copied().collect()
    }

    /// Makes an array, or lends parts of an array.
    pub(super) fn share(&mut self) {
        let array = match self.dice.pick(&self.arrays()) {
            Some(array) if !self.dice.one_in(3) => array,
            _ => {
                self.numbers += 1;
                let (id, value) = (self.mint(), Arc::new(shared(self.numbers)));
                self.extents.insert(self.numbers);
                self.scheduler.put(id, value.clone(), D).unwrap();
                self.handles.push(id);
                self.outcomes.insert(id, Ok(value));
                return;
            }
        };
        if self.dice.one_in(4) {
            let id = self.mint();
            self.scheduler.settle(id, array, D).unwrap();
            self.settlers.insert(id);
            self.handles.push(id);
            return;
        }
        let count = 1 + self.dice.below(3);
        let ranges: Vec<PartRange> = (0..count)
            .map(|_| {
                let start = self.dice.below(100) as u64;
                let end = (start + self.dice.below(20) as u64).min(100);
                PartRange::Span { start, end }
            })
            .collect();
        // If the ranges overlap, none of the parts is lent.
        if let Ok(parts) = self.scheduler.lend(array, &ranges).unwrap() {
            for part in parts {
                self.handles.push(part);
                self.outcomes
                    .insert(part, self.scheduler.outcome(part).unwrap());
            }
        }
    }

    /// The driver seals an array with its last handle. The seal may fail.
    pub(super) fn seal_one(&mut self) {
        let arrays = self.arrays();
        let Some(array) = self.dice.pick(&arrays) else {
            return;
        };
        if arrays.iter().filter(|other| **other == array).count() > 1 {
            return;
        }
        let id = self.mint();
        let format = Format::Flat {
            elem: TypeTag(self.number_of(array)),
            shape: Shape::of_vec(100),
        };
        self.handles.push(id);
        self.scheduler
            .seal(id, array, format, (D, None), &mut self.host)
            .unwrap();
        if let Some(outcome) = self.scheduler.outcome(id) {
            self.outcomes.insert(id, outcome);
        }
        // The seal uses the handle up.
        self.handles.retain(|handle| *handle != array);
        self.outcomes.remove(&array);
        self.scheduler.release(array, &mut self.host).unwrap();
    }

    fn number_of(&self, array: ObjectId) -> u64 {
        let value = self.outcomes[&array].as_ref().unwrap();
        super::super::env::number(value)
    }

    /// Frees closed memory. Arrays that are being sealed close later.
    pub(super) fn note_closings(&mut self) {
        let closing = std::mem::take(&mut self.host.closing);
        for (loc, then) in closing {
            match then {
                None => {
                    let new = self.host.freed.insert((loc.segment.0, loc.offset));
                    assert!(new, "{loc} was freed twice");
                }
                Some(then) => self.host.closing.push((loc, Some(then))),
            }
        }
    }

    /// Completes the seal of one array: no process can write to it any more. Returns `false` if
    /// there is none.
    pub(in super::super) fn close_one(&mut self) -> bool {
        let Some((_, then)) = self.host.closing.pop() else {
            return false;
        };
        let (id, value) = then.expect("the others are freed at once");
        self.scheduler.sealed(id, value, &mut self.host);
        self.settle();
        true
    }
}
