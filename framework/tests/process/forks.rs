//! Processes that were forked without `exec`: calls fail there, and nothing hangs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use mobula::prelude::*;

use crate::support::{nothing_is_left, runtime};

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

/// What `f` says in a forked child, which exits then.
fn in_a_child(f: impl FnOnce() -> bool) -> bool {
    unsafe extern "C" {
        fn fork() -> i32;
        fn _exit(code: i32) -> !;
    }
    // SAFETY: the child uses what a child may use, the allocator among it (glibc prepares that), and exits at
    // once, whatever `f` does.
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

/// Whether all that is asked of the engine fails with a word about the fork.
fn all_fails(rt: &Runtime, pending: &ObjectRef<u64>, quiet: &ActorRef<Quiet>) -> bool {
    let refused = |error: mobula::Error| error.to_string().contains("forked");
    let errors = [
        double::remote(2).spawn().get().map(drop),
        pending.get().map(drop),
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

#[remote]
fn slow(n: u64) -> u64 {
    std::thread::sleep(std::time::Duration::from_millis(200));
    n
}

#[remote]
fn forks(quiet: ActorRef<Quiet>) -> mobula::Result<bool> {
    let rt = Runtime::current()?;
    let pending = slow::remote(3).spawn();
    let failed = in_a_child(|| all_fails(&rt, &pending, &quiet));
    Ok(failed && pending.get()? == 3 && double::remote(4).spawn().get()? == 8)
}

#[mobula::test]
fn calls_fail_in_a_forked_child_and_go_on_in_its_parent() {
    let rt = runtime(2);
    let quiet = rt.spawn_actor(Quiet::remote());
    let pid = quiet.pid().spawn().get().unwrap();
    let pending = slow::remote(3).spawn();
    assert!(
        in_a_child(|| all_fails(&rt, &pending, &quiet)),
        "of the driver"
    );
    assert_eq!(pending.get().unwrap(), 3);
    assert!(forks::remote(&quiet).spawn().get().unwrap(), "of a worker");
    // Neither child has ended it, or let go of it.
    assert_eq!(quiet.pid().spawn().get().unwrap(), pid);
    drop((pending, quiet));
    nothing_is_left(&rt);
}
