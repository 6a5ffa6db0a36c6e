//! The runtime of a call that names none.

use std::{
    cell::RefCell,
    sync::{Arc, Weak},
};

use mobula_protocol::{Control, Engine, Error, Result};
use parking_lot::RwLock;

/// Ends a runtime when the user's last handle of it is dropped. The end waits for detached tasks.
#[derive(Debug)]
pub(crate) struct Guard(Arc<dyn Engine>);

impl Guard {
    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.0
    }

    /// Returns the engine's `Control`, or `None` for an engine that has nothing to end.
    pub(crate) fn control(&self) -> Option<&dyn Control> {
        self.0.control()
    }

    fn is_closed(&self) -> bool {
        self.control().is_some_and(Control::is_closed)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(control) = self.control() {
            control.end();
        }
    }
}

static LIVE: RwLock<Vec<Weak<Guard>>> = RwLock::new(Vec::new());

thread_local! {
    /// The runtimes that this thread started. Tests run side by side on threads, each with its own
    /// runtime.
    static STARTED_HERE: RefCell<Vec<Weak<Guard>>> = const { RefCell::new(Vec::new()) };
}

thread_local! {
    /// The engines whose calls run on this thread. The innermost is the last.
    static RUNNING: RefCell<Vec<Arc<dyn Engine>>> = const { RefCell::new(Vec::new()) };
}

/// Returns the engine of the call that runs on this thread, if the engine runs calls in the process
/// of its driver.
fn engine_of_this_task() -> Option<Arc<dyn Engine>> {
    RUNNING
        .try_with(|running| running.borrow().last().cloned())
        .ok()
        .flatten()
}

/// Marks that a call of an engine runs on this thread, until the mark is dropped.
#[derive(Debug)]
pub(crate) struct Running(());

impl Running {
    pub(crate) fn enter(engine: Arc<dyn Engine>) -> Running {
        RUNNING.with_borrow_mut(|running| running.push(engine));
        Running(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = RUNNING.with_borrow_mut(Vec::pop);
        // The drop may release an engine's last handle, so it comes after the borrow of the list.
        drop(ended);
    }
}

/// Records that a runtime has started in this process, and returns its guard.
pub(crate) fn add(engine: Arc<dyn Engine>) -> Arc<Guard> {
    let guard = Arc::new(Guard(engine));
    LIVE.write().push(Arc::downgrade(&guard));
    started_here(|started| {
        started.retain(|guard| guard.strong_count() > 0);
        started.push(Arc::downgrade(&guard));
    });
    guard
}

/// Calls `f` with the runtimes that this thread has started, and returns its result.
///
/// Returns `None` after the list's own drop at the end of the thread. Destructors of other
/// thread-locals may call it then.
fn started_here<R>(f: impl FnOnce(&mut Vec<Weak<Guard>>) -> R) -> Option<R> {
    STARTED_HERE
        .try_with(|started| f(&mut started.borrow_mut()))
        .ok()
}

/// Records that a runtime has ended.
pub(crate) fn remove(engine: &dyn Engine) {
    // The upgraded guards live until the lock is released, since one of them may be the last.
    let mut guards = Vec::new();
    LIVE.write().retain(|live| match live.upgrade() {
        None => false,
        Some(guard) => {
            let other = !std::ptr::addr_eq(Arc::as_ptr(&guard.0), engine);
            guards.push(guard);
            other
        }
    });
}

/// The runtime of the caller.
#[derive(Debug)]
pub(crate) enum Current {
    /// The caller is a task.
    Task(Arc<dyn Engine>),
    /// The caller is in the process that started the runtime.
    Owner(Arc<Guard>),
}

/// Returns the runtime of this process.
///
/// In a task, it is the runtime of the task. In a driver, it is the only runtime that this thread
/// started, or else the only one of the process.
///
/// # Errors
/// * There is no runtime, or more than one.
/// * A set-up function of a worker asks.
pub(crate) fn current() -> Result<Current> {
    if let Some(worker) = mobula_worker::worker_engine()? {
        return Ok(Current::Task(worker));
    }
    if let Some(engine) = engine_of_this_task() {
        return Ok(Current::Task(engine));
    }
    if let Some(guard) = only_one() {
        return Ok(Current::Owner(guard));
    }
    let live = |guards: &[Weak<Guard>]| -> Vec<Arc<Guard>> {
        guards
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|guard| !guard.is_closed())
            .collect()
    };
    let mut guards = started_here(|started| live(started)).unwrap_or_default();
    if guards.len() != 1 {
        // The drop of the old guards can end a runtime, which takes the lock. So `guards` is
        // assigned after the lock is released.
        let all = live(&LIVE.read());
        guards = all;
    }
    match (guards.pop(), guards.is_empty()) {
        (Some(guard), true) => Ok(Current::Owner(guard)),
        (Some(_), false) => Err(Error::usage(
            "there are several runtimes in this process, and no argument says which one is meant; use `rt.spawn(call)`",
        )),
        (None, _) => Err(Error::usage(
            "there is no runtime; call `Runtime::start()` first and keep its result for as long as it is used",
        )),
    }
}

/// Returns whether a task runs here: in a worker, or on a thread of an engine without workers.
pub(crate) fn in_task() -> bool {
    engine_of_this_task().is_some() || matches!(mobula_worker::worker_engine(), Ok(Some(_)))
}

/// Returns the runtime that this thread started, if the thread started exactly one.
fn only_one() -> Option<Arc<Guard>> {
    let guard = started_here(|started| match &started[..] {
        [one] => one.upgrade(),
        _ => None,
    });
    guard.flatten().filter(|guard| !guard.is_closed())
}

/// Returns the engine of [`current`].
///
/// # Errors
/// The errors of [`current`].
pub(crate) fn current_engine() -> Result<Arc<dyn Engine>> {
    Ok(match current()? {
        Current::Task(engine) => engine,
        Current::Owner(guard) => guard.engine().clone(),
    })
}
