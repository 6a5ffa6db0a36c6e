//! Calls that are held back, for tests that need pending results.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
};

use mobula_protocol::{CallOptions, TaskOptions};
use parking_lot::Mutex;

use super::{Inline, tasks::Task};

#[derive(Default)]
pub(crate) struct Held {
    holding: AtomicBool,
    tasks: Mutex<VecDeque<Task>>,
    /// The function and the own options of each call that was made.
    seen: Mutex<Vec<(mobula_protocol::FunctionIndex, CallOptions)>>,
}

impl Held {
    /// Keeps the task back, or gives it back.
    pub(super) fn hold(&self, task: Task) -> Option<Task> {
        // A constructor has the options of its actor.
        if task.actor != Some(task.id) {
            self.seen.lock().push((task.function, task.options.clone()));
        }
        match self.holding.load(Ordering::SeqCst) {
            true => {
                self.tasks.lock().push_back(task);
                None
            }
            false => Some(task),
        }
    }
}

impl Inline {
    /// From now on calls stay pending, until [`run_held`](Self::run_held).
    pub(crate) fn hold(&self) {
        self.held.holding.store(true, Ordering::SeqCst);
    }

    /// Runs what was held back.
    pub(crate) fn run_held(&self) {
        self.held.holding.store(false, Ordering::SeqCst);
        loop {
            let Some(task) = self.held.tasks.lock().pop_front() else {
                return;
            };
            self.run(task);
        }
    }

    /// The options of each call that was made since the last look, in order.
    pub(crate) fn options(&self) -> Vec<TaskOptions> {
        let seen = std::mem::take(&mut *self.held.seen.lock());
        let options = |(function, own): (_, CallOptions)| {
            TaskOptions::of(&own, &self.registry.function(function).unwrap().options).clone()
        };
        seen.into_iter().map(options).collect()
    }

    /// What an actor was created with.
    pub(crate) fn options_of(
        &self,
        actor: mobula_protocol::ObjectId,
    ) -> mobula_protocol::ActorOptions {
        self.actors.options(actor).unwrap()
    }
}
