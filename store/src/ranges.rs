//! Sets of numbers, kept as ranges.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// A set of numbers as disjoint ranges that do not touch each other, found by place or by size. All
/// operations are logarithmic in the number of ranges, except for [`RangeSet::remove_all`] and
/// [`RangeSet::best_fit`], which look at more than one range.
#[derive(Debug, Default)]
pub(crate) struct RangeSet {
    /// The end of each range, by its start.
    by_place: BTreeMap<u64, u64>,
    /// The length and the start of each range.
    by_size: BTreeSet<(u64, u64)>,
    /// The count of numbers in the set.
    total: u64,
}

impl RangeSet {
    /// Returns the count of numbers in the set.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the ranges in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + '_ {
        self.by_place.iter().map(|(&start, &end)| start..end)
    }

    /// Returns the range that contains a number.
    pub(crate) fn around(&self, at: u64) -> Option<Range<u64>> {
        let (&start, &end) = self.by_place.range(..=at).next_back()?;
        (at < end).then_some(start..end)
    }

    /// Adds a range none of whose numbers is in the set, and joins it with its neighbours.
    pub(crate) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        debug_assert!(
            self.overlapping(&range).next().is_none(),
            "{range:?} is there in part"
        );
        let Range { mut start, mut end } = range;
        if let Some((&before, &before_end)) = self.by_place.range(..start).next_back()
            && before_end == start
        {
            self.take(before..before_end);
            start = before;
        }
        if let Some(&after_end) = self.by_place.get(&end) {
            self.take(end..after_end);
            end = after_end;
        }
        self.put(start..end);
    }

    /// Removes a range whose numbers are all in the set. Returns whether they were. If not, nothing
    /// changes.
    pub(crate) fn remove(&mut self, range: Range<u64>) -> bool {
        if range.is_empty() {
            return true;
        }
        let Some(around) = self.around(range.start).filter(|r| range.end <= r.end) else {
            return false;
        };
        self.take(around.clone());
        self.put(around.start..range.start);
        self.put(range.end..around.end);
        true
    }

    /// Removes the numbers of a range from the set, and returns those that were in it.
    pub(crate) fn remove_all(&mut self, range: Range<u64>) -> Vec<Range<u64>> {
        let parts: Vec<_> = self.overlapping(&range).collect();
        for part in &parts {
            self.remove(part.clone());
        }
        parts
    }

    /// Returns the start of `size` numbers, at a multiple of `align`, in the smallest range that
    /// has them.
    pub(crate) fn best_fit(&self, size: u64, align: u64) -> Option<u64> {
        self.by_size.range((size, 0)..).find_map(|&(len, start)| {
            let at = start.checked_next_multiple_of(align)?;
            (at - start <= len - size).then_some(at)
        })
    }

    fn overlapping(&self, range: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
        let Range { start, end } = *range;
        let first = self.around(start).map_or(start, |r| r.start);
        let parts: Vec<_> = if start < end {
            self.by_place
                .range(first..end)
                .map(|(&s, &e)| s.max(start)..e.min(end))
                .collect()
        } else {
            Vec::new()
        };
        parts.into_iter()
    }

    fn take(&mut self, range: Range<u64>) {
        self.by_place.remove(&range.start);
        self.by_size.remove(&(range.end - range.start, range.start));
        self.total -= range.end - range.start;
    }

    fn put(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.by_place.insert(range.start, range.end);
            self.by_size.insert((range.end - range.start, range.start));
            self.total += range.end - range.start;
        }
    }
}
