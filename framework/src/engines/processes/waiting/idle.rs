//! Waits for tasks that nobody asks for, before the end of the runtime.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use mobula_protocol::{Error, ObjectHandle, Result};

use crate::engines::processes::Driver;
use crate::scheduler::Unfinished;

/// How many tasks are waited for at a time. The wait takes a handle for each.
const AT_A_TIME: usize = 1 << 16;

impl Driver {
    /// Blocks until no task is unfinished, and no worker runs a task whose result has failed.
    ///
    /// # Errors
    /// The runtime has ended or failed.
    pub(crate) fn wait_idle(&self) -> Result<()> {
        if mobula_store::is_forked_child() {
            return Err(Error::forked());
        }
        loop {
            self.wait_until_none(Unfinished::All, None);
            let runs = self.with(|scheduler, _| {
                let id = scheduler.ask_for_end_of_abandoned()?;
                Some(self.new_handle(id, scheduler))
            });
            // A new task may have come meanwhile.
            match runs {
                Some(runs) => drop(self.wait_for(&*runs, None)),
                None => break,
            }
        }
        match self.failure.get() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Ends the runtime as soon as no task is unfinished, or after the limit.
    ///
    /// # Errors
    /// The end of the runtime has cut tasks.
    pub(crate) fn shutdown_after(&self, limit: Duration) -> Result<()> {
        if mobula_store::is_forked_child() {
            return Err(Error::forked());
        }
        let cut = self.finish(Unfinished::All, limit);
        self.shutdown();
        match cut.is_empty() {
            true => Ok(()),
            false => Err(Error::timeout(format!(
                "the runtime was shut down after {limit:?}, and ended {}",
                listed(&cut)
            ))),
        }
    }

    /// Ends the runtime when its last handle is dropped. Before that, waits for detached tasks, as
    /// long as the settings say. Reports the tasks that are cut.
    pub(crate) fn end(&self) {
        if mobula_store::is_forked_child() || self.is_closed() {
            return;
        }
        let own = std::thread::current().id();
        // Tasks need these threads to end, and a panic should not be delayed.
        let on_own_thread = (self.threads.lock().iter()).any(|thread| thread.thread().id() == own);
        let grace = match on_own_thread || std::thread::panicking() {
            true => Duration::ZERO,
            false => self.config.detached_grace,
        };
        let cut = self.finish(Unfinished::Detached, grace);
        if !cut.is_empty() {
            eprintln!(
                "mobula: the runtime ended with its last handle, and with it, after {grace:?}, {}, which were detached; \
                 `rt.wait_idle()` waits for them, `Builder::detached_grace` sets the time",
                listed(&cut)
            );
        }
        self.shutdown();
    }

    /// Waits for these tasks until the limit has passed. Returns the tasks that are left then, by
    /// function.
    fn finish(&self, which: Unfinished, limit: Duration) -> BTreeMap<&'static str, usize> {
        // A limit beyond the end of time is no limit.
        let deadline = Instant::now().checked_add(limit);
        if !limit.is_zero() && self.wait_until_none(which, deadline) {
            return BTreeMap::new();
        }
        self.with(|scheduler, peers| {
            peers.drain_all(scheduler);
            scheduler.unfinished_names(which)
        })
    }

    /// Blocks until there are no such tasks, new ones included. Returns `false` if the deadline has
    /// passed before.
    fn wait_until_none(&self, which: Unfinished, deadline: Option<Instant>) -> bool {
        loop {
            let tasks: Vec<Arc<ObjectHandle>> = self.with(|scheduler, _| {
                let tasks = scheduler.unfinished(which, AT_A_TIME);
                let handle = |id| self.handle_in(scheduler, id, None);
                tasks.into_iter().map(handle).collect()
            });
            if tasks.is_empty() {
                return true;
            }
            let mut tasks = tasks.iter();
            if !tasks.all(|task| self.wait_for(&**task, deadline)) {
                return false;
            }
        }
    }
}

/// Returns tasks in words: "3 tasks: `save` (2), `load`".
fn listed(tasks: &BTreeMap<&'static str, usize>) -> String {
    let name = |(name, count): (&&str, &usize)| match count {
        1 => format!("`{name}`"),
        _ => format!("`{name}` ({count})"),
    };
    let names: Vec<String> = tasks.iter().map(name).collect();
    let names = names.join(", ");
    match tasks.values().sum::<usize>() {
        1 => format!("one task that had not ended: {names}"),
        count => format!("{count} tasks that had not ended: {names}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_is_named() {
        assert_eq!(
            listed(&BTreeMap::from([("load", 1)])),
            "one task that had not ended: `load`"
        );
        assert_eq!(
            listed(&BTreeMap::from([("save", 2), ("load", 1)])),
            "3 tasks that had not ended: `load`, `save` (2)"
        );
    }
}
