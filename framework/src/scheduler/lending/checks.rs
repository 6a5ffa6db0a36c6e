//! The invariants of lent parts, for the tests.

use std::collections::HashMap;

use mobula_protocol::{Format, ObjectId, PartRange};

use super::Lending;
use crate::scheduler::Scheduler;

impl Lending {
    /// Returns whether every waiting request has to wait.
    pub(in crate::scheduler) fn has_patience(&self) -> bool {
        self.count > 0 || self.settlers.is_empty()
    }
}

impl Scheduler {
    /// Asserts that the records of lent parts match the objects that are parts.
    pub(in crate::scheduler) fn check_lending(&self) {
        let mut lent: HashMap<ObjectId, Vec<PartRange>> = HashMap::new();
        for (id, object) in self.objects.iter() {
            if let Some(value) = object.value()
                && let Format::Part { range, .. } = &value.format
            {
                let array = value.nested().next().unwrap();
                assert!(self.lending.contains_key(&array), "{id} is lent of nothing");
                lent.entry(array).or_default().push(**range);
            }
        }
        for (array, lending) in &self.lending {
            assert!(self.objects.contains(*array), "{array} is gone");
            let parts = lent.remove(array).unwrap_or_default();
            assert_eq!(parts.len(), lending.count, "parts of {array}");
            let (mut noted, mut there) = (Vec::new(), Vec::new());
            for (bounds, ranges) in &lending.ranges {
                assert!(!ranges.is_empty());
                for range in ranges {
                    assert_eq!(range.bounds(), Some(*bounds));
                    assert!(bounds.1 - bounds.0 <= lending.longest);
                    noted.push(format!("{range}"));
                }
            }
            let elements =
                |range: &&PartRange| range.bounds().is_some_and(|(start, end)| start < end);
            there.extend(parts.iter().filter(elements).map(PartRange::to_string));
            noted.sort_unstable();
            there.sort_unstable();
            assert_eq!(noted, there, "parts of {array}");
            for (at, range) in parts
                .iter()
                .enumerate()
                .filter(|(_, range)| elements(range))
            {
                let others = parts[..at].iter().filter(elements);
                others.for_each(|other| assert!(!range.overlaps(other), "{range}, {other}"));
            }
        }
        assert!(lent.is_empty());
    }
}
