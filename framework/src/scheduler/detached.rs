//! Tasks that the end of the runtime waits for, and which tasks are unfinished at all.

use std::collections::BTreeMap;

use mobula_protocol::ObjectId;

use super::{
    Scheduler,
    task::{Task, TaskState},
};

/// Some of the unfinished tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// All.
    All,
    /// The detached ones.
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
    /// Nobody will ask for the result of this task, but its work is wanted. Nothing, if it has
    /// ended.
    pub(crate) fn detach(&mut self, id: ObjectId) {
        let task = self.task_of(id).and_then(|task| self.tasks.get_mut(task));
        if let Some(task) = task
            && !task.detached
        {
            task.detached = true;
            self.detached += 1;
        }
    }

    /// The results of at most so many of these tasks. Costs the number of tasks, unless there is no
    /// such task.
    pub(crate) fn unfinished(&self, which: Unfinished, most: usize) -> Vec<ObjectId> {
        let results = self.some_tasks(which).filter_map(Task::output);
        results.take(most).collect()
    }

    /// These tasks by the names of their functions, with how many there are. Costs the number of
    /// tasks, unless there is no such task.
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
