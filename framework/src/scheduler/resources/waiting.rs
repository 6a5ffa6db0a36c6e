//! Ready tasks that wait for resources, in order.
//!
//! Tasks with the same need are one *kind*. Only the first task of a kind can begin next, so ten
//! thousand tasks of one function cost as much as one.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use crate::{
    resources::{Need, Needer},
    scheduler::{needs::Place, task_table::TaskId},
};

/// The waiting tasks: see the [module](self).
#[derive(Debug, Default)]
pub(super) struct Waiting {
    kinds: BTreeMap<Arc<Need>, BTreeMap<Place, TaskId>>,
    /// The first task of each kind.
    firsts: BTreeMap<Place, Arc<Need>>,
    next: u64,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.firsts.is_empty()
    }

    /// Returns a place behind all others of its priority and depth.
    pub(super) fn place(&mut self, priority: i32, depth: u32) -> Place {
        self.next += 1;
        Place {
            priority: Reverse(priority),
            depth: Reverse(depth),
            number: self.next,
        }
    }

    pub(super) fn insert(&mut self, place: Place, need: &Arc<Need>, task: TaskId) {
        let kind = self.kinds.entry(need.clone()).or_default();
        let first = kind.first_key_value().map(|(first, _)| *first);
        kind.insert(place, task);
        if first.is_none_or(|first| place < first) {
            first.and_then(|first| self.firsts.remove(&first));
            self.firsts.insert(place, need.clone());
        }
    }

    /// Removes and returns a waiting task.
    pub(super) fn remove(&mut self, place: Place, need: &Arc<Need>) -> Option<TaskId> {
        let kind = self.kinds.get_mut(need)?;
        let task = kind.remove(&place)?;
        let next = kind.first_key_value().map(|(next, _)| *next);
        if next.is_none() {
            self.kinds.remove(need);
        }
        if self.firsts.remove(&place).is_some()
            && let Some(next) = next
        {
            self.firsts.insert(next, need.clone());
        }
        Some(task)
    }

    /// Removes and returns the first task that is no actor's constructor.
    pub(super) fn pop(&mut self) -> Option<TaskId> {
        let mut firsts = self.firsts.iter();
        let (place, need) = firsts.find(|(_, need)| need.of == Needer::Task)?;
        let (place, need) = (*place, need.clone());
        self.remove(place, &need)
    }

    /// Returns the first task of each kind, in order.
    pub(super) fn firsts(&self) -> impl Iterator<Item = (Place, &Arc<Need>, TaskId)> {
        self.firsts.iter().filter_map(|(place, need)| {
            let task = self.kinds.get(need)?.get(place)?;
            Some((*place, need, *task))
        })
    }

    pub(super) fn clear(&mut self) {
        self.kinds.clear();
        self.firsts.clear();
    }

    /// Returns all waiting tasks.
    #[cfg(test)]
    pub(in crate::scheduler) fn iter(&self) -> impl Iterator<Item = TaskId> {
        let all = self.kinds.values().flat_map(BTreeMap::values);
        all.copied()
    }

    /// Asserts that the first task of each kind is listed.
    #[cfg(test)]
    pub(in crate::scheduler) fn check(&self) {
        assert_eq!(self.kinds.len(), self.firsts.len());
        for (need, kind) in &self.kinds {
            let first = kind.first_key_value().expect("a kind has a task");
            assert_eq!(self.firsts.get(first.0), Some(need));
        }
    }
}
