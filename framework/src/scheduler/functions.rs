//! What the scheduler knows of the registered functions.

use mobula_protocol::{FunctionIndex, TaskOptions};

use super::{CallRole, Scheduler, task_table::TaskId};

/// A registered function.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    /// For errors.
    pub(crate) name: &'static str,
    /// What it is to an actor.
    pub(crate) role: CallRole,
    /// The options of calls that have none of their own.
    pub(crate) options: TaskOptions,
}

/// Those of a function that does not exist.
static OF_NONE: TaskOptions = TaskOptions::DEFAULT;

impl Function {
    fn of(functions: &[Function], function: FunctionIndex) -> Option<&Function> {
        functions.get(usize::try_from(function.0).ok()?)
    }

    /// The options of a function; those of [`TaskOptions::DEFAULT`] where there is no such
    /// function.
    pub(super) fn options_of(functions: &[Function], function: FunctionIndex) -> &TaskOptions {
        Function::of(functions, function).map_or(&OF_NONE, |known| &known.options)
    }
}

impl Scheduler {
    /// What a function is to an actor.
    pub(super) fn role(&self, function: FunctionIndex) -> CallRole {
        Function::of(&self.functions, function)
            .map(|known| known.role)
            .unwrap_or_default()
    }

    /// The name of a task's function, for messages.
    pub(super) fn task_name(&self, task: TaskId) -> &'static str {
        let task = self.tasks.get(task);
        task.map_or("a task", |task| self.name(task.function))
    }

    /// The name of a function, for messages.
    pub(super) fn name(&self, function: FunctionIndex) -> &'static str {
        Function::of(&self.functions, function).map_or("an unknown function", |known| known.name)
    }
}
