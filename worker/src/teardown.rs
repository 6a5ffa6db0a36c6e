//! The end of a worker: functions that the program has registered, and values that the worker
//! drops.

use std::{any::Any, fmt, sync::Arc};

use parking_lot::Mutex;

/// A function that each worker calls after its last task.
#[derive(Debug)]
pub struct WorkerTeardown(pub fn());

inventory::collect!(WorkerTeardown);

/// A value of this process that ends with the worker.
pub(crate) trait EndsWithWorker: Sync {
    /// Drops the value, unless a thread uses it. Returns whether it did.
    fn end(&self) -> bool;
}

/// The values that this process has made, in the order in which they were made.
static VALUES: Mutex<Vec<&'static dyn EndsWithWorker>> = Mutex::new(Vec::new());

/// Adds a value that ends with the worker.
pub(crate) fn add(value: &'static dyn EndsWithWorker) {
    VALUES.lock().push(value);
}

/// Calls `each` for every function that this program has registered.
pub(crate) fn functions(mut each: impl FnMut(fn())) {
    for WorkerTeardown(function) in inventory::iter::<WorkerTeardown> {
        each(*function);
    }
}

/// Calls `each` for every value, the latest first. Keeps the values for which `each` returns
/// `false`. A `Drop` may add further values.
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

/// The values of one worker, where a process has several.
#[derive(Default)]
pub(crate) struct Locals(Mutex<Vec<(usize, Arc<dyn OfWorker>)>>);

/// A value of one worker among several.
pub(crate) trait OfWorker: EndsWithWorker + Any + Send {}

impl<T: EndsWithWorker + Any + Send> OfWorker for T {}

impl Locals {
    /// Returns the worker's value of the static at this address. `make` makes it if there is none.
    pub(crate) fn of<T: OfWorker>(&self, address: usize, make: impl FnOnce() -> T) -> Arc<T> {
        let mut all = self.0.lock();
        let known = all.iter().find(|(of, _)| *of == address);
        if let Some((_, known)) = known
            && let Ok(known) = (known.clone() as Arc<dyn Any + Send + Sync>).downcast()
        {
            return known;
        }
        let made = Arc::new(make());
        all.push((address, made.clone()));
        made
    }

    /// Calls `each` for every value, the latest first. A `Drop` may add further values.
    pub(crate) fn end(&self, mut each: impl FnMut(&dyn EndsWithWorker)) {
        // Not under the lock: a `Drop` is user code.
        let latest = || self.0.lock().pop();
        while let Some((_, value)) = latest() {
            each(&*value);
        }
    }
}

impl fmt::Debug for Locals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Locals").field(&self.0.lock().len()).finish()
    }
}
