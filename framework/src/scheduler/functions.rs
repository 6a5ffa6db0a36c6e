//! The scheduler's table of registered functions.

use mobula_protocol::{FunctionIndex, TaskOptions};

use super::{CallRole, Scheduler, task_table::TaskId};

/// A registered function.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    /// The name in error messages.
    pub(crate) name: &'static str,
    /// The role of the function for an actor.
    pub(crate) role: CallRole,
    /// The options of calls without options of their own.
    pub(crate) options: TaskOptions,
    /// Whether these options ask for nothing at the submission but retries.
    pub(super) asks_for_nothing: bool,
}

/// The options of an unregistered function.
static OF_NONE: TaskOptions = TaskOptions::DEFAULT;

impl Function {
    pub(crate) fn new(name: &'static str, role: CallRole, options: TaskOptions) -> Function {
        let TaskOptions {
            // Each submission sets these.
            retries: _,
            // These mean something at the submission.
            priority,
            deadline,
            resources,
            // These mean something later.
            retry_errors: _,
            timeout: _,
            retry_timeouts: _,
            grace: _,
            max_calls: _,
            split: _,
            node: _,
            spread: _,
        } = &options;
        let asks_for_nothing = priority.is_none() && deadline.is_none() && resources.is_none();
        Function {
            name,
            role,
            options,
            asks_for_nothing,
        }
    }

    /// Returns a function, if there is one of this number.
    #[inline]
    pub(super) fn of(functions: &[Function], function: FunctionIndex) -> Option<&Function> {
        functions.get(usize::try_from(function.0).ok()?)
    }

    /// Returns the options of a function, or [`TaskOptions::DEFAULT`] for an unregistered function.
    pub(super) fn options_of(functions: &[Function], function: FunctionIndex) -> &TaskOptions {
        Function::of(functions, function).map_or(&OF_NONE, |known| &known.options)
    }
}

impl Scheduler {
    /// Returns the role of a function for an actor.
    pub(super) fn role(&self, function: FunctionIndex) -> CallRole {
        Function::of(&self.functions, function)
            .map(|known| known.role)
            .unwrap_or_default()
    }

    /// Returns the name of a task's function, for messages.
    pub(super) fn task_name(&self, task: TaskId) -> &'static str {
        let task = self.tasks.get(task);
        task.map_or("a task", |task| self.name(task.function))
    }

    /// Returns the name of a function, for messages.
    pub(super) fn name(&self, function: FunctionIndex) -> &'static str {
        Function::of(&self.functions, function).map_or("an unknown function", |known| known.name)
    }
}
