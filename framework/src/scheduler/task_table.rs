//! The table of unfinished tasks by number.
//!
//! A task's number contains its index and the generation of that index. A stale number finds
//! nothing after the end of its task. The ready queue and dependents therefore need no notice of
//! each end.

pub(super) use super::changes::TaskId;
use super::task::Task;

/// Most memory of ended tasks that is kept: as many as end between two new ones where a thousand
/// are in flight, since memory that malloc has to look for costs 300 instructions.
const SPARE: usize = 1024;

/// Number of places kept when all of them are free.
const KEEP: usize = 1 << 12;

/// The table of tasks: see the [module](self).
#[derive(Debug, Default)]
pub(super) struct Tasks {
    places: Vec<Place>,
    /// The free places, the latest last: its memory is in the cache.
    free: Vec<u32>,
    /// Memory of ended tasks, reused before new memory is allocated.
    #[expect(clippy::vec_box, reason = "the allocations are what is kept")]
    spare: Vec<Box<Task>>,
    /// The first generation of new places.
    base: u32,
    /// The latest generation of all places.
    newest: u32,
}

#[derive(Debug)]
struct Place {
    /// The generation of the current task, or of the next one.
    generation: u32,
    task: Option<Box<Task>>,
}

impl Tasks {
    /// Returns the memory of an ended task, if any was kept.
    #[inline]
    pub(super) fn memory(&mut self) -> Option<Box<Task>> {
        self.spare.pop()
    }

    /// Adds a task.
    #[inline]
    pub(super) fn insert(&mut self, task: Box<Task>) -> TaskId {
        match self.free.pop() {
            Some(place) => {
                let here = &mut self.places[place as usize];
                here.task = Some(task);
                TaskId {
                    place,
                    generation: here.generation,
                }
            }
            None => self.insert_at_end(task),
        }
    }

    fn insert_at_end(&mut self, task: Box<Task>) -> TaskId {
        let place = u32::try_from(self.places.len()).expect("fewer tasks than numbers");
        let generation = self.base;
        self.places.push(Place {
            generation,
            task: Some(task),
        });
        TaskId { place, generation }
    }

    #[inline]
    pub(super) fn get(&self, id: TaskId) -> Option<&Task> {
        let place = self.places.get(id.place as usize)?;
        place
            .task
            .as_deref()
            .filter(|_| place.generation == id.generation)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: TaskId) -> Option<&mut Task> {
        let place = self.places.get_mut(id.place as usize)?;
        place
            .task
            .as_deref_mut()
            .filter(|_| place.generation == id.generation)
    }

    #[inline]
    pub(super) fn remove(&mut self, id: TaskId) -> Option<Box<Task>> {
        let place = self.places.get_mut(id.place as usize)?;
        if place.generation != id.generation {
            return None;
        }
        let task = place.task.take()?;
        // A place without a further generation is not reused.
        if let Some(next) = place.generation.checked_add(1) {
            place.generation = next;
            self.newest = self.newest.max(next);
            self.free.push(id.place);
        }
        if self.free.len() == self.places.len() && self.places.len() > KEEP {
            self.places = Vec::new();
            self.free = Vec::new();
            self.base = self.newest;
        }
        Some(task)
    }

    /// Keeps the memory of a removed task and drops the task's contents.
    #[inline]
    pub(super) fn keep_memory(&mut self, mut task: Box<Task>) {
        if self.spare.len() < SPARE {
            task.args.clear();
            self.spare.push(task);
        }
    }

    /// Returns all tasks. Costs the number of places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (TaskId, &Task)> {
        let places = self.places.iter().enumerate();
        places.filter_map(|(at, place)| {
            let id = TaskId {
                place: at as u32,
                generation: place.generation,
            };
            Some((id, place.task.as_deref()?))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use mobula_protocol::{FunctionIndex, ObjectId, WorkerId, message::Args};

    use super::*;
    use crate::scheduler::task::TaskState;

    fn task(seq: u64) -> Task {
        let origin = WorkerId::DRIVER;
        let id = ObjectId { origin, seq };
        Task::new(id, FunctionIndex(0), Args::new(), TaskState::Ready)
    }

    #[test]
    fn a_number_finds_its_own_task_only_also_after_the_memory_was_given_back() {
        let mut tasks = Tasks::default();
        let mut seen = HashSet::new();
        for round in 0..4 {
            let ids: Vec<_> = (0..KEEP as u64 + 10)
                .map(|seq| tasks.insert(Box::new(task(seq))))
                .collect();
            assert_eq!(tasks.iter().count(), ids.len());
            for (seq, id) in ids.iter().enumerate() {
                assert!(seen.insert(*id), "{id:?} twice, round {round}");
                assert_eq!(tasks.get(*id).unwrap().id.seq, seq as u64);
            }
            for id in ids {
                assert!(tasks.remove(id).is_some() && tasks.remove(id).is_none());
                assert!(tasks.get(id).is_none() && tasks.get_mut(id).is_none());
            }
            assert!(tasks.places.is_empty(), "round {round}");
        }
    }
}
