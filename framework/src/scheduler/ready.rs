//! The ready tasks, in the order of dispatch.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
};

use super::task_table::TaskId;

/// Tasks by priority, the highest first.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    /// The tasks of priority 0, which most programs use alone.
    usual: Line,
    /// The tasks of other priorities. Empty lines are removed.
    others: BTreeMap<Reverse<i32>, Line>,
    /// The number for the next family.
    next: u64,
    len: usize,
    /// Number of tasks taken out.
    handed_out: u64,
}

/// Tasks of one priority. The three queues are emptied in the order of the fields.
#[derive(Debug, Default)]
struct Line {
    /// Tasks that go first: a stack of families. The children of the latest parent lead. Within a
    /// family, tasks keep the order of arrival.
    families: Vec<Family>,
    /// Tasks that workers returned.
    returned: VecDeque<TaskId>,
    /// Tasks of the driver.
    driver: VecDeque<TaskId>,
}

#[derive(Debug)]
struct Family {
    number: u64,
    tasks: VecDeque<TaskId>,
}

/// The family of further siblings. The default starts a new family.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Siblings(Option<(usize, u64)>);

impl ReadyQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the priority of the first task.
    pub(super) fn first_priority(&self) -> Option<i32> {
        match self.others.first_key_value() {
            Some((Reverse(priority), _)) if *priority > 0 || self.usual.is_empty() => {
                Some(*priority)
            }
            _ => (!self.usual.is_empty()).then_some(0),
        }
    }

    #[inline]
    fn line(&mut self, priority: i32) -> &mut Line {
        self.len += 1;
        match priority {
            0 => &mut self.usual,
            _ => self.others.entry(Reverse(priority)).or_default(),
        }
    }

    /// Adds a task of the driver behind all others of its priority.
    pub(super) fn push_back(&mut self, id: TaskId, priority: i32) {
        self.line(priority).driver.push_back(id);
    }

    /// Adds a task before all others of its priority except its older siblings and later families.
    pub(super) fn push_first(&mut self, siblings: &mut Siblings, id: TaskId, priority: i32) {
        let next = self.next;
        let line = self.line(priority);
        if let Some((index, number)) = siblings.0
            && let Some(family) = line.families.get_mut(index)
            // Another family may occupy the index of an emptied family.
            && family.number == number
        {
            family.tasks.push_back(id);
            return;
        }
        *siblings = Siblings(Some((line.families.len(), next)));
        line.families.push(Family {
            number: next,
            tasks: VecDeque::from([id]),
        });
        self.next += 1;
    }

    /// Adds a returned task before all tasks returned earlier. To keep their order, return the last
    /// task first.
    pub(super) fn give_back(&mut self, id: TaskId, priority: i32) {
        self.line(priority).returned.push_front(id);
    }

    /// Takes the first task.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<TaskId> {
        // Fast path: each step of the scheduler ends with a call that finds the queue empty.
        if self.len == 0 {
            return None;
        }
        self.len -= 1;
        self.handed_out += 1;
        if !self.others.is_empty() {
            return self.pop_by_priority();
        }
        self.usual.pop()
    }

    #[cold]
    fn pop_by_priority(&mut self) -> Option<TaskId> {
        if let Some(mut first) = self.others.first_entry()
            && (first.key().0 > 0 || self.usual.is_empty())
        {
            let id = first.get_mut().pop();
            if first.get().is_empty() {
                first.remove();
            }
            return id;
        }
        self.usual.pop()
    }

    pub(super) fn clear(&mut self) {
        *self = ReadyQueue {
            next: self.next,
            handed_out: self.handed_out,
            ..ReadyQueue::default()
        };
    }

    /// Returns all tasks in order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = TaskId> + '_ {
        let (higher, lower): (Vec<_>, Vec<_>) =
            self.others.iter().partition(|(priority, _)| priority.0 > 0);
        let higher = higher.into_iter().map(|(_, line)| line);
        let lower = lower.into_iter().map(|(_, line)| line);
        let lines = higher.chain([&self.usual]).chain(lower);
        lines.flat_map(Line::iter)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the number of tasks taken out so far, including tasks that had already ended.
    pub(super) fn handed_out(&self) -> u64 {
        self.handed_out
    }
}

impl Line {
    fn is_empty(&self) -> bool {
        self.families.is_empty() && self.returned.is_empty() && self.driver.is_empty()
    }

    #[inline]
    fn pop(&mut self) -> Option<TaskId> {
        self.pop_nested()
            .or_else(|| self.returned.pop_front())
            .or_else(|| self.driver.pop_front())
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

    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = TaskId> + '_ {
        let families = self.families.iter().rev().flat_map(|family| &family.tasks);
        families.chain(&self.returned).chain(&self.driver).copied()
    }
}
