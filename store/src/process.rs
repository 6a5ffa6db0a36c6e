//! The end of a process, its terminal and its descriptors, through system calls that have no safe
//! wrapper elsewhere.

use std::{
    ffi::{c_int, c_long, c_void},
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
    sync::OnceLock,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{Mode, OFlags},
    io::Errno,
    ioctl::{NoArg, Opcode},
    process::{Signal, getpid, kill_process, kill_process_group, set_parent_process_death_signal},
};

use crate::descriptors;

/// The number of `close_range` on all architectures of Linux.
const CLOSE_RANGE: c_long = 436;

/// Copies the table of descriptors for the calling thread before it closes any.
const CLOSE_RANGE_UNSHARE: c_long = 1 << 1;

/// The number of `pidfd_send_signal` on all architectures of Linux.
const PIDFD_SEND_SIGNAL: c_long = 424;

/// The flag for a signal to the process group with the number of the process.
const PIDFD_SIGNAL_PROCESS_GROUP: c_long = 1 << 2;

/// The request that gives up the controlling terminal.
const TIOCNOTTY: Opcode = match cfg!(any(target_arch = "mips", target_arch = "mips64")) {
    true => 0x5471,
    false => 0x5422,
};

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

/// The descriptors by which a process sees the end of the process that it must not outlive.
#[derive(Debug)]
pub struct Lifelines {
    /// A pidfd, or the reading end of a pipe. It is readable, or hung up, when the other process
    /// has ended.
    pub pidfd: OwnedFd,
    /// A socket that is hung up when the other process has ended, or has replaced itself by `exec`.
    /// Data in it is not read.
    pub socket: OwnedFd,
}

/// Takes the calling thread for good. It ends this process with its process group by SIGKILL when
/// one of the descriptors shows that the other process has ended. It also does so when a descriptor
/// cannot show anything any more.
///
/// From here on the thread has a table of descriptors of its own (since Linux 5.9). A close or
/// replacement in the rest of the process does not reach it. A stopped process goes on when its
/// parent ends, so this thread can notice the end.
///
/// Costs three system calls, then none until the end.
pub fn end_with(lifelines: &Lifelines) -> ! {
    // SAFETY: this function does not return, so the thread uses none of the descriptors that are
    // closed here; other threads have another table, or all descriptors are left alone.
    unsafe { keep_only([lifelines.pidfd.as_raw_fd(), lifelines.socket.as_raw_fd()]) };
    // SIGCONT does nothing to a process that runs. The kernel sends it when the thread ends that
    // started this process, also at an `exec` of its process.
    let _ = set_parent_process_death_signal(Some(Signal::CONT));
    loop {
        let mut fds = [
            PollFd::new(&lifelines.pidfd, PollFlags::IN),
            // A hang-up is always reported.
            PollFd::new(&lifelines.socket, PollFlags::empty()),
        ];
        match poll(&mut fds, None) {
            Ok(0) | Err(Errno::INTR) => {}
            // Results that no living process causes, such as POLLNVAL, come here, too.
            _ => end_group(),
        }
    }
}

/// Kills this process and the group that it leads.
fn end_group() -> ! {
    let own = getpid();
    let _ = kill_process_group(own, Signal::KILL);
    let _ = kill_process(own, Signal::KILL);
    std::process::abort()
}

/// Gives the calling thread a table of descriptors of its own, with these two only. If the kernel
/// cannot do this, nothing changes.
///
/// # Safety
/// The calling thread uses no other descriptor from here on.
unsafe fn keep_only(mut keep: [RawFd; 2]) {
    keep.sort_unstable();
    let mut from = 0;
    for (first, last) in [
        (0, keep[0] - 1),
        (keep[0] + 1, keep[1] - 1),
        (keep[1] + 1, RawFd::MAX),
    ] {
        if first > last {
            continue;
        }
        let flags = if from == 0 { CLOSE_RANGE_UNSHARE } else { 0 };
        from += 1;
        // SAFETY: the numbers are valid arguments. The first call makes a table of this thread's
        // own, and if it does not, none is closed; in that table the caller uses the two that stay.
        let done = unsafe { syscall(CLOSE_RANGE, c_long::from(first), c_long::from(last), flags) };
        if done != 0 {
            return;
        }
    }
}

/// Gives up the controlling terminal, for this process and all that it starts from here on. They
/// can then neither be stopped for a use of the terminal, nor open `/dev/tty`. A process that leads
/// its session keeps it.
pub fn leave_terminal() {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let Ok(terminal) = descriptors::open("/dev/tty", flags, Mode::empty()) else {
        return;
    };
    // SAFETY: this request has no argument, and changes nothing but the process' relation to the
    // terminal.
    let _ = unsafe { rustix::ioctl::ioctl(&terminal, NoArg::<TIOCNOTTY>::new()) };
}

/// Kills the process group that the process of `pidfd` leads, or has led. The number cannot belong
/// to another group by now, even if the exit of that process was collected (since Linux 6.9).
///
/// # Errors
/// Fails with `Errno::INVAL` or `Errno::NOSYS` if the kernel does not know the call. Fails with
/// `Errno::SRCH` if the group has no process left. Fails with `Errno::PERM` if no process in it may
/// be killed.
pub fn kill_group(pidfd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: the descriptor is open, there is no information to be read behind the null pointer,
    // and a signal to other processes touches no memory of this one.
    let done = unsafe {
        syscall(
            PIDFD_SEND_SIGNAL,
            c_long::from(pidfd.as_raw_fd()),
            c_long::from(Signal::KILL.as_raw()),
            std::ptr::null::<c_void>(),
            PIDFD_SIGNAL_PROCESS_GROUP,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
    }
}

static AT_EXIT: OnceLock<fn(i32)> = OnceLock::new();

/// Sets `f`, which is called with the status when this process ends by `exit`, but not in its
/// forked children. Only the first call counts. Returns whether that is possible here, since the C
/// library has to tell the status.
pub fn at_exit(f: fn(i32)) -> bool {
    AT_EXIT.set(f).is_ok() && on_exit()
}

#[cfg(target_env = "gnu")]
fn on_exit() -> bool {
    unsafe extern "C" {
        fn on_exit(f: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
    }
    extern "C" fn call(status: c_int, _: *mut c_void) {
        if !crate::is_forked_child()
            && let Some(f) = AT_EXIT.get()
        {
            f(status);
        }
    }
    // Marks this process as the original.
    let _ = crate::is_forked_child();
    // SAFETY: the function lives as long as the program, and does not look at the argument.
    unsafe { on_exit(call, std::ptr::null_mut()) == 0 }
}

#[cfg(not(target_env = "gnu"))]
fn on_exit() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_with_its_own_descriptors_leaves_those_of_the_others_open() {
        let (read, write) = descriptors::pipe().unwrap();
        let (other_read, other_write) = descriptors::pipe().unwrap();
        let kept = [read.as_raw_fd(), write.as_raw_fd()];
        std::thread::spawn(move || {
            // SAFETY: the thread uses nothing but these two afterwards.
            unsafe { keep_only(kept) };
        })
        .join()
        .unwrap();
        for (from, to) in [(&read, &write), (&other_read, &other_write)] {
            rustix::io::write(to, b"x").unwrap();
            assert_eq!(rustix::io::read(from, &mut [0; 2]).unwrap(), 1);
        }
    }

    #[test]
    fn a_group_is_killed_by_the_pidfd_of_its_leader() {
        use std::os::{
            fd::AsFd,
            unix::process::{CommandExt, ExitStatusExt},
        };
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .process_group(0)
            .spawn()
            .unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let pidfd = descriptors::process(pid).unwrap();
        match kill_group(pidfd.as_fd()) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOSYS) => {
                eprintln!("skipped: this kernel does not signal groups by pidfd");
                child.kill().unwrap();
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert_ne!(kill_group(pidfd.as_fd()), Ok(()));
    }
}
