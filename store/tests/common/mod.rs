//! The common parts of the store's tests.

#![allow(dead_code, reason = "not every test file uses all of it")]

use std::{process::Command, sync::Arc};

use mobula_store::{
    Backing, Budget, Capacity, EnginePromise, Heap, Lease, Loc, SegmentFile, SegmentId,
};

/// Set in processes that a test starts of its own executable, to the part they play.
const ROLE: &str = "MOBULA_STORE_TEST_ROLE";

pub(crate) const ID: SegmentId = SegmentId(7);

/// For functions that rest on promises.
// SAFETY: each test keeps them: it has its segments to itself, frees what it does not look at any
// more, and uses and lends shared memory once at a time.
pub(crate) const ENGINE: EnginePromise = unsafe { EnginePromise::new() };

/// A heap in anonymous memory with twice its capacity in addresses, as runtimes make them.
pub(crate) fn heap(capacity: u64) -> (Arc<Heap>, Arc<Capacity>) {
    let file = SegmentFile::create(2 * capacity, capacity, Backing::Anonymous).expect("a file");
    let budget = Arc::new(Capacity::new(capacity));
    let heap = Heap::new(ID, file, budget.clone() as Arc<dyn Budget>).expect("a heap");
    (heap, budget)
}

/// A lease that keeps nothing, for tests that free by hand.
pub(crate) fn no_lease() -> Lease {
    Arc::new(())
}

/// An extent that holds `bytes` and belongs to the test.
pub(crate) fn put(heap: &Arc<Heap>, bytes: &[u8]) -> Loc {
    let extent = heap.copy(bytes, 1).expect("there is room").seal();
    extent.adopt(|_| no_lease());
    extent.loc()
}

/// The part that this process plays in the test, if a test started it.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// A command that runs one test of this executable again, in a part of its own.
pub(crate) fn again(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("an executable"));
    with_arguments(&mut command, test, role);
    command
}

/// The arguments and environment of [`again`], for another program that starts this one.
pub(crate) fn with_arguments(command: &mut Command, test: &str, role: &str) {
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role);
    // The sanitizer would turn the signals that tests look for into exit codes.
    command.env(
        "ASAN_OPTIONS",
        "handle_segv=0:handle_sigbus=0:allow_user_segv_handler=1",
    );
}

/// For children that are going to crash: without a core file.
pub(crate) fn no_core_file() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).expect("limits can be lowered");
}
