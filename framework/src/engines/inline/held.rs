//! Calls that tests hold back, to have pending results.

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
    /// The function and the own options of each call since the last `options`.
    seen: Mutex<Vec<(mobula_protocol::FunctionIndex, CallOptions)>>,
}

impl Held {
    /// Keeps the task while calls are held back. Otherwise returns the task.
    pub(super) fn hold(&self, task: Task) -> Option<Task> {
        // `seen` leaves out constructors. The options of an actor belong to its table entry.
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
    /// Holds all further calls back until [`run_held`](Self::run_held). They stay pending.
    pub(crate) fn hold(&self) {
        self.held.holding.store(true, Ordering::SeqCst);
    }

    /// Runs the calls that were held back, in order.
    pub(crate) fn run_held(&self) {
        self.held.holding.store(false, Ordering::SeqCst);
        loop {
            let Some(task) = self.held.tasks.lock().pop_front() else {
                return;
            };
            self.run(task);
        }
    }

    /// Returns the options of each call since the last `options`, in order.
    pub(crate) fn options(&self) -> Vec<TaskOptions> {
        let seen = std::mem::take(&mut *self.held.seen.lock());
        let options = |(function, own): (_, CallOptions)| {
            TaskOptions::of(&own, &self.registry.function(function).unwrap().options).clone()
        };
        seen.into_iter().map(options).collect()
    }

    /// Returns the options that the actor was created with.
    pub(crate) fn options_of(
        &self,
        actor: mobula_protocol::ObjectId,
    ) -> mobula_protocol::ActorOptions {
        self.actors.options(actor).unwrap()
    }
}
