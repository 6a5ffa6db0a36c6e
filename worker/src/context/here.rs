//! The facts that a thread has of the task that it runs. The worker sets them.

use std::{
    cell::{Cell, RefCell},
    time::Instant,
};

use mobula_protocol::{ObjectId, RemoteFn, Resources, WorkerId};

/// The facts that a thread has of its task. Each is a cell of its own, so that a task pays for a
/// few stores only.
pub(super) struct Here {
    /// The function that the task runs; `None` on a thread that runs no task.
    pub(super) function: Cell<Option<&'static RemoteFn>>,
    /// The id of the task's result.
    pub(super) task: Cell<ObjectId>,
    /// The number of the task's runs, this one included, as far as this worker knows.
    pub(super) attempt: Cell<u32>,
    /// The time by which the task has to have ended.
    pub(super) limit: Cell<Option<Instant>>,
    /// Whether the task has resources.
    pub(super) has_resources: Cell<bool>,
    /// Whether these are the task's own, and not its actor's. Then others get its cores while it
    /// waits.
    passes_cores_on: Cell<bool>,
}

thread_local! {
    pub(super) static HERE: Here = const {
        Here {
            function: Cell::new(None),
            task: Cell::new(ObjectId {
                origin: WorkerId::DRIVER,
                seq: 0,
            }),
            attempt: Cell::new(0),
            limit: Cell::new(None),
            has_resources: Cell::new(false),
            passes_cores_on: Cell::new(false),
        }
    };

    /// The resources of the task that this thread runs, or of an earlier task if it has none. The
    /// value has a destructor, which makes each access dearer. So it is apart from the other facts.
    pub(super) static RESOURCES: RefCell<Resources> = const { RefCell::new(Resources::None) };
}

/// Says that this thread runs a task from now on.
#[inline]
pub(crate) fn begin(task: ObjectId, function: &'static RemoteFn, attempt: u32) {
    HERE.with(|here| {
        here.function.set(Some(function));
        here.task.set(task);
        here.attempt.set(attempt);
        here.limit.set(None);
        here.has_resources.set(false);
        here.passes_cores_on.set(false);
    });
}

/// Says that this thread has ended its task.
#[inline]
pub(crate) fn end() {
    HERE.with(|here| here.function.set(None));
}

/// Sets the time by which the task of this thread has to have ended.
pub(crate) fn set_limit(limit: Option<Instant>) {
    HERE.with(|here| here.limit.set(limit));
}

/// Says which resources the task of this thread has.
pub(crate) fn set_resources(resources: &Resources) {
    set_resources_of_actor(resources);
    HERE.with(|here| here.passes_cores_on.set(true));
}

/// Says which resources the actor has whose method or constructor this thread runs.
pub(crate) fn set_resources_of_actor(resources: &Resources) {
    HERE.with(|here| here.has_resources.set(true));
    RESOURCES.set(resources.clone());
}

/// Says whether others get the cores of this thread's task while it waits.
pub(crate) fn passes_cores_on() -> bool {
    HERE.with(|here| here.passes_cores_on.get())
}

/// Sets the present function of the task of this thread, which runs several.
pub(crate) fn set_function(function: &'static RemoteFn) {
    HERE.with(|here| here.function.set(Some(function)));
}

/// Says whether the task of this thread has resources or a limit of time.
pub(crate) fn is_limited() -> bool {
    HERE.with(|here| here.has_resources.get() || here.limit.get().is_some())
}

/// Says that the task of this thread runs once more.
pub(crate) fn count_attempt() {
    HERE.with(|here| here.attempt.update(|attempt| attempt + 1));
}

/// While this lives, the thread runs a task, maybe inside of another one.
#[must_use]
#[derive(Debug)]
pub struct Nested {
    function: Option<&'static RemoteFn>,
    task: ObjectId,
    attempt: u32,
    limit: Option<Instant>,
    has_resources: bool,
}

/// Says that this thread runs a task from now on, inside of the task that it runs already.
pub fn nest(task: ObjectId, function: &'static RemoteFn, attempt: u32) -> Nested {
    let outer = HERE.with(|here| Nested {
        function: here.function.get(),
        task: here.task.get(),
        attempt: here.attempt.get(),
        limit: here.limit.get(),
        has_resources: here.has_resources.get(),
    });
    begin(task, function, attempt);
    outer
}

impl Drop for Nested {
    fn drop(&mut self) {
        HERE.with(|here| {
            here.function.set(self.function);
            here.task.set(self.task);
            here.attempt.set(self.attempt);
            here.limit.set(self.limit);
            here.has_resources.set(self.has_resources);
        });
    }
}
