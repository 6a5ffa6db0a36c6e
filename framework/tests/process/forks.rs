//! Processes that were forked without `exec`: calls fail there, and nothing hangs.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use mobula::prelude::*;

use crate::{
    programs::Program,
    support::{Marks, eventually, mark, nothing_is_left, runtime},
};

#[remote]
fn double(n: u64) -> u64 {
    2 * n
}

struct Quiet;

#[remote]
impl Quiet {
    fn new() -> Self {
        Quiet
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }
}

/// Returns the result of `f` in a forked child, which then exits.
pub(crate) fn in_a_child(f: impl FnOnce() -> bool) -> bool {
    unsafe extern "C" {
        fn fork() -> i32;
        fn _exit(code: i32) -> !;
    }
    // SAFETY: the child uses what a child may use, the allocator among it (glibc prepares that),
    // and exits at once, whatever `f` does.
    let pid = unsafe { fork() };
    if pid == 0 {
        let good = catch_unwind(AssertUnwindSafe(f)).unwrap_or(false);
        // SAFETY: ends the process.
        unsafe { _exit(if good { 7 } else { 1 }) };
    }
    let pid = rustix::process::Pid::from_raw(pid).expect("a child");
    let ended = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    let (_, status) = ended.unwrap().expect("it has ended");
    status.exit_status() == Some(7)
}

/// Returns the result of a ref's future. The future may need a wake-up, but no wait.
fn looked_at(mut pending: &ObjectRef<u64>) -> mobula::Result<u64> {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        if let Poll::Ready(result) = Pin::new(&mut pending).poll(&mut context) {
            return result;
        }
    }
    Ok(0)
}

/// Four results that are not there until the gate has a mark.
fn pending(gate: &str) -> [ObjectRef<u64>; 4] {
    std::array::from_fn(|_| waits_at::remote(gate).spawn())
}

/// Whether all that is asked of the engine fails with a word about the fork.
fn all_fails(rt: &Runtime, pending: &[ObjectRef<u64>; 4], quiet: &ActorRef<Quiet>) -> bool {
    let refused = |error: mobula::Error| error.to_string().contains("forked");
    let errors = [
        double::remote(2).spawn().get().map(drop),
        pending[0].get().map(drop),
        rt.get(&pending[1..3]).map(drop),
        looked_at(&pending[3]).map(drop),
        rt.put(&vec![1_u8; 1 << 20]).map(drop),
        rt.put(&1_u8).map(drop),
        rt.map_fn(double::remote, 0..10_u64).get().map(drop),
        quiet.pid().spawn().get().map(drop),
        ActorRef::ready(&rt.spawn_actor(Quiet::remote())).map(drop),
        rt.shared_mutex(1_u8).map(drop),
    ];
    ActorRef::kill(quiet);
    errors.into_iter().all(|result| result.is_err_and(refused))
}

#[mobula::test]
fn a_forked_child_starts_no_runtime_and_is_told_to_fork_first() {
    let rt = runtime(1);
    let refused = in_a_child(|| {
        let error = Runtime::builder().workers(1).start().unwrap_err();
        error.is_usage() && error.to_string().contains("fork first")
    });
    assert!(refused);
    assert_eq!(double::remote(4).spawn().get().unwrap(), 8);
    drop(rt);
    // Also after the end of the runtime.
    assert!(in_a_child(|| Runtime::start().is_err_and(|e| e.is_usage())));
}

#[remote]
fn waits_at(gate: &str) -> u64 {
    eventually("the gate is open", || {
        std::fs::metadata(gate).is_ok_and(|gate| gate.len() > 0)
    });
    3
}

#[remote]
fn forks(quiet: ActorRef<Quiet>, gate: &str) -> mobula::Result<bool> {
    let rt = Runtime::current()?;
    let pending = pending(gate);
    let failed = in_a_child(|| all_fails(&rt, &pending, &quiet));
    mark(gate);
    Ok(failed && rt.get(&pending)? == [3; 4] && double::remote(4).spawn().get()? == 8)
}

#[mobula::test]
fn calls_fail_in_a_forked_child_and_go_on_in_its_parent() {
    let rt = runtime(2);
    let quiet = rt.spawn_actor(Quiet::remote());
    let pid = quiet.pid().spawn().get().unwrap();
    let (gate, other_gate) = (Marks::new(), Marks::new());
    let pending = pending(gate.path());
    assert!(
        in_a_child(|| all_fails(&rt, &pending, &quiet)),
        "of the driver"
    );
    mark(gate.path());
    assert_eq!(rt.get(&pending).unwrap(), [3; 4]);
    let in_worker = forks::remote(&quiet, other_gate.path()).spawn();
    assert!(in_worker.get().unwrap(), "of a worker");
    // Neither child has ended it, or let go of it.
    assert_eq!(quiet.pid().spawn().get().unwrap(), pid);
    drop((pending, quiet, in_worker));
    nothing_is_left(&rt);
}

#[test]
fn a_child_that_was_forked_before_the_first_runtime_starts_its_own() {
    let program = Program::command("programs::program", "forked first").output();
    let program = program.unwrap();
    let text = String::from_utf8_lossy(&program.stdout);
    assert!(
        program.status.success() && text.contains("it says 7"),
        "{text}"
    );
}
