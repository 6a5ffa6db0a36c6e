//! Functions that workers call at their start and at their end.

/// Registers a function that each worker calls before its first task: for logging, thread pools,
/// the state of a library.
///
/// It takes the path of a function without arguments and results. The macro stands beside the
/// function, outside of functions. Several functions may be registered, and their order is not
/// defined. The driver does not call them.
///
/// A set-up function cannot spawn, put or get: that is an error with
/// [`is_usage`](crate::Error::is_usage).
///
/// # Failures
///
/// A panic in a set-up function, or the end of the process, is an error of `start()`. Later, a line
/// on standard error reports it, once for many. The worker is started again after pauses that
/// double up to a minute. When no worker comes up, calls fail with
/// [`is_setup`](crate::Error::is_setup).
///
/// # Libraries
///
/// The linker leaves out a library that the program names nowhere, with the functions that it
/// registers. A program that uses nothing else of such a crate writes `use the_crate as _;`. The
/// `Debug` form of a [`Runtime`](crate::Runtime) shows how many functions this program has.
///
/// # Examples
/// ```standalone_crate
/// use mobula::prelude::*;
///
/// fn set_up() {
///     // Called for each panic of a task, also of one that becomes an error.
///     std::panic::set_hook(Box::new(|info| eprintln!("in a worker: {info}")));
/// }
/// mobula::worker_setup!(set_up);
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// # assert!(format!("{rt:?}").contains("worker_setups: 1"));
/// # Ok(())
/// # }
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

/// Registers a function that each worker calls after its last task.
///
/// Such a function writes what it has counted, hands a licence back, or ends a library.
///
/// It takes the path of a function, as [`worker_setup!`] does. Several functions may be registered,
/// and their order is not defined. They run before the values of
/// [`#[worker_local]`](macro@crate::worker_local) are dropped. The driver does not call them. On
/// the inline engine the process calls them once, when the last inline runtime ends for the first
/// time.
///
/// The driver shows the lines that they print. Together they have 250 ms at the end of a runtime,
/// and 5 s in a worker that is replaced ([`max_calls`](crate::UnspawnedCall::max_calls)). After
/// that the worker is killed. A panic in one function goes to standard error, and the others are
/// called. A worker that is killed, or that dies of a task, calls none. The worker's part in the
/// runtime is over at that time: calls fail with [`is_shutdown`](crate::Error::is_shutdown).
///
/// # Examples
/// ```standalone_crate
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
