//! The end of a worker: functions that the program has registered, and values that it drops.

use parking_lot::Mutex;

/// A function that each worker calls behind its last task.
#[derive(Debug)]
pub struct WorkerTeardown(pub fn());

inventory::collect!(WorkerTeardown);

/// A value of this process that ends with the worker.
pub(crate) trait EndsWithWorker: Sync {
    /// Drops the value, unless a thread uses it: then `false`.
    fn end(&self) -> bool;
}

/// The values that this process has made, in the order in which they were made.
static VALUES: Mutex<Vec<&'static dyn EndsWithWorker>> = Mutex::new(Vec::new());

/// The value ends with the worker.
pub(crate) fn add(value: &'static dyn EndsWithWorker) {
    VALUES.lock().push(value);
}

/// Calls `each` for every function that this program has registered.
pub(crate) fn functions(mut each: impl FnMut(fn())) {
    for WorkerTeardown(function) in inventory::iter::<WorkerTeardown> {
        each(*function);
    }
}

/// Calls `each` for every value, the latest first, and keeps those for which it is `false`. A `Drop`
/// may make further ones.
pub(crate) fn values(mut each: impl FnMut(&'static dyn EndsWithWorker) -> bool) {
    let mut kept = Vec::new();
    // Not under the lock: a `Drop` is user code.
    let latest = || VALUES.lock().pop();
    while let Some(value) = latest() {
        if !each(value) {
            kept.push(value);
        }
    }
    VALUES.lock().extend(kept.into_iter().rev());
}
