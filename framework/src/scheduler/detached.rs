//! Tasks that the end of the runtime waits for, and which tasks are unfinished at all.

use std::collections::BTreeMap;

use mobula_protocol::ObjectId;

use super::{Scheduler, lending::NO_FUNCTION, state::Task};

/// Some of the unfinished tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// All that a worker runs or will run.
    All,
    /// The detached ones.
    Detached,
}

impl Unfinished {
    fn has(self, task: &Task) -> bool {
        match self {
            Unfinished::All => task.function != NO_FUNCTION,
            Unfinished::Detached => task.detached,
        }
    }
}

impl Scheduler {
    /// Nobody will ask for the result of this task, but its work is wanted. Nothing, if it has
    /// ended.
    pub(crate) fn detach(&mut self, id: ObjectId) {
        if let Some(task) = self.task_mut(id)
            && !task.detached
        {
            task.detached = true;
            self.detached += 1;
        }
    }

    /// At most so many of these tasks. Costs the number of objects, unless there is no such task.
    pub(crate) fn unfinished(&self, which: Unfinished, most: usize) -> Vec<ObjectId> {
        self.tasks(which).map(|(id, _)| id).take(most).collect()
    }

    /// These tasks by the names of their functions, with how many there are. Costs the number of
    /// objects, unless there is no such task.
    pub(crate) fn unfinished_names(&self, which: Unfinished) -> BTreeMap<&'static str, usize> {
        let mut names = BTreeMap::new();
        for (_, task) in self.tasks(which) {
            *names.entry(self.name(task.function)).or_default() += 1;
        }
        names
    }

    fn tasks(&self, which: Unfinished) -> impl Iterator<Item = (ObjectId, &Task)> {
        let any = match which {
            Unfinished::All => self.pending_work(),
            Unfinished::Detached => self.detached > 0,
        };
        let objects = any.then(|| self.objects.iter());
        let tasks = objects.into_iter().flatten();
        tasks.filter_map(move |(id, object)| {
            let task = object.task().filter(|task| which.has(task))?;
            Some((id, task))
        })
    }
}
