//! Turns a process into a worker, and tells a driver how its workers become workers.

use std::{
    cell::Cell,
    ffi::OsString,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use mobula_protocol::{Error, Result};

use crate::harness;

static INITIALISED: AtomicBool = AtomicBool::new(false);
static TEST: OnceLock<&'static str> = OnceLock::new();

thread_local! {
    /// Whether this thread runs a `#[mobula::test]`.
    static IN_TEST: Cell<bool> = const { Cell::new(false) };
}

const PLAIN_TEST: &str = "this test is not marked with `#[mobula::test]`, so each worker would run the whole test program; \
     put `#[mobula::test]` in place of `#[test]`, `#[tokio::test]` or the like, also on an `async fn`";

/// Makes this process a worker if it was started as a worker. Otherwise records that this process
/// may start workers.
///
/// Mobula's workers are further processes of the same program. Each runs `main` up to this call,
/// which then does not return. So the call belongs at the very beginning of `main`, before anything
/// that should happen only once. [`#[mobula::main]`](crate::main) and
/// [`#[mobula::test]`](crate::test) contain it. Output that a worker writes before this call is
/// thrown away.
///
/// A program may have several versions of this crate in its tree. Each has an `init` of its own,
/// and leaves the workers of the others alone. Then `main` begins with the `init` of each version
/// that starts runtimes.
///
/// With the feature `ray-job` and `MOBULA_ENGINE=ray-job:URL` in the environment, it runs the whole
/// program on a Ray cluster, and ends this process with the exit code of that job. See
/// [`EngineKind::ray_job`](crate::EngineKind).
///
/// Calling it again does nothing, and so does calling it in a [`#[mobula::test]`](crate::test).
/// Costs a look at one environment variable in the driver. In a test program, a backtrace tells
/// whether the thread runs a test.
///
/// # Examples
/// ```
/// fn main() {
///     mobula::init();
///     // parse arguments, start the runtime, ..
/// }
/// ```
///
/// # Panics
/// In a test of the standard harness without [`#[mobula::test]`](crate::test): each worker would
/// run the whole test program. A worker that cannot be set up says why on standard error and exits,
/// which is an error of `start()` in the driver.
// That the call stands in `main`, and where, is the point of the example.
#[allow(clippy::needless_doctest_main)]
pub fn init() {
    mobula_worker::enter_if_worker();
    if INITIALISED.load(Ordering::Acquire) || IN_TEST.get() {
        return;
    }
    assert!(
        !harness::runs_test_here(),
        "`mobula::init()` in a plain test: {PLAIN_TEST}"
    );
    if TEST.get().is_none() {
        INITIALISED.store(true, Ordering::Release);
        #[cfg(feature = "ray-job")]
        crate::ray_job::take_over(&arguments());
    }
}

/// Begins a test function. Workers of a test binary run this one test, so this is their `init`.
/// `name` is the test's as the harness knows it.
pub(crate) fn test_entry(name: &'static str) {
    mobula_worker::enter_if_worker();
    let _ = TEST.set(name);
    IN_TEST.set(true);
}

/// Returns the arguments of this process, without the program's name.
fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

/// The arguments and variables with which a further process of this program reaches `init` or a
/// test entry.
#[derive(Clone, Debug)]
pub(crate) struct WorkerEntry {
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(&'static str, &'static str)>,
}

/// Returns how workers are started.
///
/// # Errors
/// * This process called neither `init` nor a test entry. A further process would run the whole
///   program again.
/// * This thread runs a test without an entry, even if other tests of the program have one.
/// * This process is a worker of another version of this crate.
pub(crate) fn worker_entry() -> Result<WorkerEntry> {
    if mobula_protocol::link::is_unclaimed_worker() {
        return Err(Error::setup(
            "this process was started as a worker by another version of Mobula in this program, and must not start workers in its turn; \
             call the `init()` of each version at the very beginning of `main`",
        ));
    }
    if INITIALISED.load(Ordering::Acquire) {
        return Ok(WorkerEntry {
            args: arguments(),
            env: Vec::new(),
        });
    }
    let plain_test = !IN_TEST.get() && harness::runs_test_here();
    if let Some(test) = TEST.get().filter(|_| !plain_test) {
        let args = [
            test,
            "--exact",
            "--nocapture",
            "--include-ignored",
            "--test-threads=1",
        ];
        let mut env = Vec::new();
        // The harness runs tests on threads, whose stacks are smaller than a main thread's.
        if std::env::var_os("RUST_MIN_STACK").is_none() {
            env.push(("RUST_MIN_STACK", "8388608"));
        }
        let args = args.into_iter().map(OsString::from).collect();
        return Ok(WorkerEntry { args, env });
    }
    if plain_test {
        return Err(Error::setup(PLAIN_TEST));
    }
    Err(Error::setup(
        "this process did not call `mobula::init()`, so workers (which are further processes of the same program) could not be started; \
         put `#[mobula::main]` on `main`, or `mobula::init();` at its very beginning; in tests use `#[mobula::test]` in place of `#[test]`",
    ))
}
