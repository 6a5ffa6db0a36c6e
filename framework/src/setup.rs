//! Setting up workers.

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
