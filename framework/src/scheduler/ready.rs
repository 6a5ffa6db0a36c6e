//! The tasks that could run now, in the order in which they should.

use std::collections::VecDeque;

use super::task_table::TaskId;

/// Three queues, emptied one after the other.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    /// Tasks that go first: a stack of families, so that the latest parent's children lead. Within
    /// a family the order is that of arrival.
    families: Vec<Family>,
    /// Tasks that workers gave back.
    returned: VecDeque<TaskId>,
    /// Tasks of the driver.
    driver: VecDeque<TaskId>,
    /// The number for the next family.
    next: u64,
    len: usize,
}

#[derive(Debug)]
struct Family {
    number: u64,
    tasks: VecDeque<TaskId>,
}

/// Where further siblings go. The default begins a family of its own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Siblings(Option<(usize, u64)>);

impl ReadyQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A task of the driver, behind all others.
    pub(super) fn push_back(&mut self, id: TaskId) {
        self.driver.push_back(id);
        self.len += 1;
    }

    /// A task that goes before all but its older siblings and later families.
    pub(super) fn push_first(&mut self, siblings: &mut Siblings, id: TaskId) {
        self.len += 1;
        if let Some((index, number)) = siblings.0
            && let Some(family) = self.families.get_mut(index)
            // Once a family has been used up, another may lie in its place.
            && family.number == number
        {
            family.tasks.push_back(id);
            return;
        }
        *siblings = Siblings(Some((self.families.len(), self.next)));
        self.families.push(Family {
            number: self.next,
            tasks: VecDeque::from([id]),
        });
        self.next += 1;
    }

    /// A task that a worker gave back, before those given back earlier: give back the last one
    /// first.
    pub(super) fn give_back(&mut self, id: TaskId) {
        self.returned.push_front(id);
        self.len += 1;
    }

    /// Takes the first task.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<TaskId> {
        // Each step of the scheduler ends with a look that finds nothing.
        if self.len == 0 {
            return None;
        }
        let id = self
            .pop_nested()
            .or_else(|| self.returned.pop_front())
            .or_else(|| self.driver.pop_front())?;
        self.len -= 1;
        Some(id)
    }

    #[inline]
    fn pop_nested(&mut self) -> Option<TaskId> {
        let family = self.families.last_mut()?;
        let id = family.tasks.pop_front();
        if family.tasks.is_empty() {
            self.families.pop();
        }
        id
    }

    pub(super) fn clear(&mut self) {
        *self = ReadyQueue {
            next: self.next,
            ..ReadyQueue::default()
        };
    }

    /// All tasks, in order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = TaskId> + '_ {
        let families = self.families.iter().rev().flat_map(|family| &family.tasks);
        families.chain(&self.returned).chain(&self.driver).copied()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }
}
