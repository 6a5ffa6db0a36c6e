//! Tasks that the end of the runtime waits for, and which tasks are unfinished at all.

use std::collections::BTreeMap;

use mobula_protocol::ObjectId;

use super::{
    Scheduler,
    task::{Task, TaskState},
};

/// Selects unfinished tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// All tasks except abandoned tasks.
    All,
    /// The detached tasks.
    Detached,
}

impl Unfinished {
    fn has(self, task: &Task) -> bool {
        match self {
            Unfinished::All => !matches!(task.state, TaskState::Abandoned(_)),
            Unfinished::Detached => task.detached,
        }
    }
}

impl Scheduler {
    /// Marks a task as detached: nobody asks for its result, but the runtime completes the task.
    /// Does nothing for a task that has ended.
    pub(crate) fn detach(&mut self, id: ObjectId) {
        let task = self.task_of(id).and_then(|task| self.tasks.get_mut(task));
        if let Some(task) = task
            && !task.detached
        {
            task.detached = true;
            self.detached += 1;
        }
    }

    /// Returns the results of at most `most` selected tasks. Costs the number of all tasks, or
    /// nothing if no task can match.
    pub(crate) fn unfinished(&self, which: Unfinished, most: usize) -> Vec<ObjectId> {
        let results = self.some_tasks(which).filter_map(Task::output);
        results.take(most).collect()
    }

    /// Counts the selected tasks by function name. Costs the number of all tasks, or nothing if no
    /// task can match.
    pub(crate) fn unfinished_names(&self, which: Unfinished) -> BTreeMap<&'static str, usize> {
        let mut names = BTreeMap::new();
        for task in self.some_tasks(which) {
            *names.entry(self.name(task.function)).or_default() += 1;
        }
        names
    }

    fn some_tasks(&self, which: Unfinished) -> impl Iterator<Item = &Task> {
        let any = match which {
            Unfinished::All => self.counts.total() > 0,
            Unfinished::Detached => self.detached > 0,
        };
        let tasks = any.then(|| self.tasks.iter()).into_iter().flatten();
        let tasks = tasks.map(|(_, task)| task);
        tasks.filter(move |task| which.has(task))
    }
}
