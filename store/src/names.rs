//! The names that segments have for the first microseconds of their lives.
//!
//! A process that is killed by SIGKILL in this time leaves an empty file behind. The next process
//! of the user that makes a segment removes such files. It does so at once if the owner is known to
//! be dead, and otherwise after a minute. Exits wait for the end of a name. Catchable signals wait,
//! too, if no other thread takes them.

use std::{
    hash::{BuildHasher, Hasher},
    mem::{self, MaybeUninit},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Once,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::Pid,
};

use crate::descriptors;

const PREFIX: &str = "mobula-";

/// No live process needs its name for this long, even on a busy machine.
const STALE: Duration = Duration::from_secs(60);

/// The longest time for which exits and other threads wait for the end of a name. A name takes
/// microseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// Locked while a segment of this process has a name, and from the process' exit on.
static NAMED: Mutex<()> = Mutex::new(());

unsafe extern "C" {
    fn atexit(handler: extern "C" fn()) -> i32;
}

/// Returns a name that no other process has. It has the process id, the number of the id's
/// namespace, and a random number.
pub(crate) fn fresh() -> String {
    let random = std::hash::RandomState::new().build_hasher().finish();
    let (pid, namespace) = (std::process::id(), namespace());
    format!("/{PREFIX}{pid}-{namespace:x}-{random:016x}")
}

/// Calls `f`, which makes a named file and removes the name.
///
/// `exit` in another thread waits until `f` has returned. Signals that this thread can block come
/// after that. Returns `None` if the process is exiting, or if others have kept their names for
/// long.
pub(crate) fn while_named<R>(f: impl FnOnce() -> R) -> Option<R> {
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(|| {
        // The handler asks whether it runs in a forked child, which this call prepares.
        let _ = crate::is_forked_child();
        // SAFETY: `at_exit` may be called at any time, in any thread, and does not unwind. Without
        // memory for the list of handlers there is none, and exits do not wait.
        let _ = unsafe { atexit(at_exit) };
    });
    let _named = NAMED.try_lock_for(PATIENCE)?;
    let _blocked = Blocked::new();
    Some(f())
}

/// Keeps the process from ending while a file has a name, and others from making further ones.
extern "C" fn at_exit() {
    // In a forked child a thread that does not exist there may hold the lock, and the name is the
    // parent's.
    if !crate::is_forked_child() {
        mem::forget(NAMED.try_lock_for(PATIENCE));
    }
}

/// A guard. While it lives, this thread handles no signal that can be blocked.
struct Blocked {
    before: Option<libc::sigset_t>,
}

impl Blocked {
    fn new() -> Blocked {
        let mut all = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: both are places for a set. `sigfillset` writes the first before the mask is made
        // of it; the second is written if that succeeds.
        let before = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            let set = libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
            (set == 0).then(|| before.assume_init())
        };
        Blocked { before }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // SAFETY: the system wrote the set. No code asks for the set before.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) };
        }
    }
}

/// Returns the number of the namespace of this process' id, or 0 if it is unknown.
fn namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |link| link.ino())
}

/// Removes the files that killed processes of this user have left, once in a process.
pub(crate) fn sweep(folder: &Path) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| remove_stale(folder, SystemTime::now()));
}

fn remove_stale(folder: &Path, now: SystemTime) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let user = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
            continue;
        };
        let stale = entry.metadata().is_ok_and(|metadata| {
            let age = metadata
                .modified()
                .ok()
                .and_then(|time| now.duration_since(time).ok());
            let old = || age.is_some_and(|age| age > STALE);
            metadata.is_file() && metadata.uid() == user && (owner_is_dead(rest) || old())
        });
        if stale {
            // Another process may have been faster.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Returns whether the process that chose a name is known to have ended. An id of another namespace
/// tells nothing here.
fn owner_is_dead(rest: &str) -> bool {
    let mut parts = rest.split('-');
    let pid = parts.next().and_then(|pid| pid.parse().ok());
    let its = parts.next().and_then(|n| u64::from_str_radix(n, 16).ok());
    let (Some(pid), Some(its), Some(_)) = (pid.and_then(Pid::from_raw), its, parts.next()) else {
        return false;
    };
    if its == 0 || its != namespace() {
        return false;
    }
    match descriptors::process(pid) {
        // A process whose exit was not collected still exists, and is readable.
        Ok(process) => {
            let mut fds = [PollFd::new(&process, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec::default())) == Ok(1)
        }
        Err(error) => error == Errno::SRCH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_files_of_ours_are_removed() {
        let folder = std::env::temp_dir().join(format!("mobula-names-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        for name in ["mobula-1-00", "mobula", "other"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let count = || std::fs::read_dir(&folder).unwrap().count();
        remove_stale(&folder, SystemTime::now());
        assert_eq!(count(), 3);
        remove_stale(&folder, SystemTime::now() + 2 * STALE);
        assert_eq!(count(), 2);
        assert!(!folder.join("mobula-1-00").exists());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_name_whose_owner_is_dead_is_removed_at_once() {
        let folder = std::env::temp_dir().join(format!("mobula-owners-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let namespace = namespace();
        assert_ne!(namespace, 0, "/proc is mounted wherever tests run");
        let name = |pid: u32, namespace: u64| format!("mobula-{pid}-{namespace:x}-00");
        let kept = [
            name(std::process::id(), namespace),
            name(child.id(), namespace + 1),
            name(child.id(), 0),
            format!("mobula-{}-00", child.id()),
        ];
        let write = |name: &str| std::fs::write(folder.join(name), "").unwrap();
        kept.iter().for_each(|name| write(name));
        let dead = name(child.id(), namespace);
        let id = rustix::process::WaitId::Pid(Pid::from_child(&child));
        let exited = rustix::process::WaitIdOptions::EXITED;
        // It has ended, and exists until its exit is collected.
        rustix::process::waitid(id, exited | rustix::process::WaitIdOptions::NOWAIT).unwrap();
        let removes = |when: &str| {
            write(&dead);
            remove_stale(&folder, SystemTime::now());
            assert!(!folder.join(&dead).exists(), "{when}");
        };
        removes("before its exit is collected");
        child.wait().unwrap();
        removes("after that");
        assert!(kept.iter().all(|name| folder.join(name).exists()));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn signals_that_can_wait_come_after_the_name() {
        let blocked = || {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let bits = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
            u64::from_str_radix(bits.unwrap().trim(), 16).unwrap()
        };
        let before = blocked();
        let meanwhile = while_named(blocked).unwrap();
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGALRM] {
            assert_eq!(
                (before >> (signal - 1) & 1, meanwhile >> (signal - 1) & 1),
                (0, 1)
            );
        }
        assert_eq!(blocked(), before);
    }

    #[test]
    fn names_differ_and_tell_the_process() {
        let (one, two) = (fresh(), fresh());
        assert_ne!(one, two);
        assert!(one.starts_with(&format!("/mobula-{}-", std::process::id())));
    }
}
