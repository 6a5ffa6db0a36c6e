//! Setting up workers, and their end.

/// Registers a function that each worker calls before its first task: for logging, thread pools,
/// the state of a library.
///
/// Takes the path of a function without arguments and results; the macro stands beside it, outside
/// of functions. Several may be registered; their order is not defined. The driver does not call
/// them.
///
/// A panic in one, or the end of the process, is an error of `start()`. Later it is said on
/// standard error, once for many, and the worker is started again after pauses that double up to a
/// minute. When no worker comes up, calls fail with [`is_setup`](crate::Error::is_setup).
///
/// A set-up function cannot spawn, put or get: that is an error with
/// [`is_usage`](crate::Error::is_usage).
///
/// The linker leaves out a library that the program names nowhere, with the functions that it
/// registers. A program that uses nothing else of such a crate writes `use the_crate as _;`. The
/// `Debug` form of a [`Runtime`](crate::Runtime) says how many functions this program has.
///
/// ```
/// use mobula::prelude::*;
///
/// fn set_up() {
///     // Called for each panic of a task, also of one that becomes an error.
///     std::panic::set_hook(Box::new(|info| eprintln!("in a worker: {info}")));
/// }
/// mobula::worker_setup!(set_up);
///
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! worker_setup {
    ($function:path) => {
        const _: () = {
            $crate::__private::inventory::submit! {
                $crate::__private::WorkerSetup($function)
            }
        };
    };
}

/// Registers a function that each worker calls behind its last task: to write what it has counted,
/// to hand a licence back, to end a library.
///
/// Takes the path of a function, as [`worker_setup!`] does. Several may be registered; their order
/// is not defined. They run before the values of [`#[worker_local]`](macro@crate::worker_local) are
/// dropped. The driver does not call them. On the inline engine the process calls them once, when
/// the last inline runtime ends for the first time.
///
/// What they print is shown. Together they have the 250 ms that the end of a runtime waits for
/// running tasks; the worker is killed after that. A panic in one goes to standard error, and the
/// others are called. A worker that is killed, or that dies of a task, calls none. The runtime ends
/// at that time: calls fail with [`is_shutdown`](crate::Error::is_shutdown).
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use mobula::prelude::*;
///
/// static CALLS: AtomicU32 = AtomicU32::new(0);
///
/// #[remote]
/// fn work(n: u32) -> u32 {
///     CALLS.fetch_add(1, Ordering::Relaxed);
///     n
/// }
///
/// fn tear_down() {
///     let calls = CALLS.load(Ordering::Relaxed);
///     println!("{calls} calls");
/// }
/// mobula::worker_teardown!(tear_down);
///
/// #[mobula::main]
/// fn main() -> mobula::Result<()> {
///     let rt = Runtime::builder().workers(2).start()?;
///     rt.map((0..100).map(work::remote)).get()?;
///     Ok(()) // each worker prints its line when `rt` is dropped
/// }
/// ```
#[macro_export]
macro_rules! worker_teardown {
    ($function:path) => {
        const _: () = {
            $crate::__private::inventory::submit! {
                $crate::__private::WorkerTeardown($function)
            }
        };
    };
}
