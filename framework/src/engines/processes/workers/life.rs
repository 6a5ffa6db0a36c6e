//! How processes see one another's end: by pidfds, and by pipes and sockets where the system has no
//! `pidfd_open` (valgrind, some sandboxes, Linux before 5.3).
//!
//! A worker also sees its driver's end by the socket between them, which an `exec` of the driver
//! closes. Neither suffices alone: a child that the driver has forked keeps the socket open, and
//! the driver's pid survives an `exec`. Since Linux 6.9 the worker has a pidfd of the *thread* that
//! started it, which ends in both cases.
//!
//! The substitutes are weaker: a program that a worker has started, and that has inherited the
//! worker's end of the socket, can delay the news; a child that the driver has forked keeps the
//! workers from seeing its end.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use mobula_protocol::{Error, Result};
use mobula_store::{descriptors, limits::Wanted};
use rustix::{
    io::Errno,
    net::Shutdown,
    process::{
        Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, getpid, kill_process, kill_process_group,
        pidfd_send_signal, waitid,
    },
};

/// How long an exit that is under way is waited for.
const EXIT: Duration = Duration::from_secs(5);

/// Processes that the system lets nobody kill, for tests of what becomes of such a worker.
#[cfg(test)]
pub(in crate::engines::processes) static REFUSED: parking_lot::Mutex<Vec<Pid>> =
    parking_lot::Mutex::new(Vec::new());

/// What a worker sees its driver's end by.
#[derive(Debug)]
pub(in crate::engines::processes) struct OwnLife {
    /// Readable, or hung up, when the calling thread, or at least this process, has ended.
    pub(in crate::engines::processes) seen_by_worker: OwnedFd,
    /// Open as long as this process lives.
    pub(in crate::engines::processes) kept: Option<OwnedFd>,
}

impl OwnLife {
    /// For a worker that the calling thread starts, and outlives.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(in crate::engines::processes) fn new() -> Result<OwnLife> {
        let failed = |error: Errno| {
            let what = "cannot start a worker: no descriptor of this process";
            Error::refused(what, Wanted::Descriptor, error)
        };
        let opened = descriptors::this_thread().or_else(|_| descriptors::process(getpid()));
        match opened {
            Ok(pidfd) => Ok(OwnLife {
                seen_by_worker: pidfd,
                kept: None,
            }),
            Err(Errno::NOSYS | Errno::PERM) => {
                let (read, write) = descriptors::pipe().map_err(failed)?;
                Ok(OwnLife {
                    seen_by_worker: read,
                    kept: Some(write),
                })
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// A worker's process, as the driver sees and ends it.
#[derive(Debug)]
pub(in crate::engines::processes) struct Life {
    pid: Pid,
    /// `None` where the system has none.
    pidfd: Option<OwnedFd>,
    /// The driver's end of the worker's socket.
    socket: Arc<OwnedFd>,
}

impl Life {
    /// Of a child whose exit was not collected yet.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(in crate::engines::processes) fn of(pid: Pid, socket: Arc<OwnedFd>) -> Result<Life> {
        let pidfd = match descriptors::process(pid) {
            Ok(pidfd) => Some(pidfd),
            Err(Errno::NOSYS | Errno::PERM) => None,
            Err(error) => {
                let what = "cannot watch a worker";
                return Err(Error::refused(what, Wanted::Descriptor, error));
            }
        };
        Ok(Life { pid, pidfd, socket })
    }

    /// The driver's end of the worker's socket: hung up when the process has ended or replaced
    /// itself.
    pub(in crate::engines::processes) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Whether an end of the process is told by the socket alone.
    pub(in crate::engines::processes) fn is_told_by_socket(&self) -> bool {
        self.pidfd.is_none()
    }

    /// Kills the process, and the process group that it leads.
    ///
    /// The system refuses that if the driver's user, or the worker's, has changed. Then the worker
    /// is told that its driver is gone, and ends itself and its group. If it is stopped, it goes on
    /// for that; a driver may always do this to a process of its session.
    ///
    /// # Errors
    /// Why the system refuses.
    pub(in crate::engines::processes) fn kill(&self) -> std::result::Result<(), Errno> {
        #[cfg(test)]
        if REFUSED.lock().contains(&self.pid) {
            return Err(Errno::PERM);
        }
        let group = match &self.pidfd {
            Some(pidfd) => mobula_store::kill_group(pidfd.as_fd()),
            None => Err(Errno::NOSYS),
        };
        if matches!(group, Err(Errno::INVAL | Errno::NOSYS)) {
            // The number is not used again before the exit has been collected.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        let own = match &self.pidfd {
            Some(pidfd) => pidfd_send_signal(pidfd, Signal::KILL),
            None => kill_process(self.pid, Signal::KILL),
        };
        match own {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => {
                let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
                let _ = kill_process_group(self.pid, Signal::CONT);
                Err(error)
            }
        }
    }

    /// Collects the exit of a process that has ended, or was killed; `None` if somebody else has
    /// done so, or it does not come within 5 s.
    pub(in crate::engines::processes) fn collect(&self) -> Option<WaitIdStatus> {
        let deadline = Instant::now() + EXIT;
        loop {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            match waitid(self.whom(), options) {
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
                Err(Errno::INTR) => {}
                other => return other.ok().flatten(),
            }
        }
    }

    /// The signal that has stopped the process, if it is stopped.
    pub(in crate::engines::processes) fn stopped_by(&self) -> Option<i32> {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(self.whom(), options).ok()??.stopping_signal()
    }

    fn whom(&self) -> WaitId<'_> {
        match &self.pidfd {
            Some(pidfd) => WaitId::PidFd(pidfd.as_fd()),
            None => WaitId::Pid(self.pid),
        }
    }
}

impl AsFd for Life {
    /// Readable, or hung up, when the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_ref().unwrap_or(&self.socket).as_fd()
    }
}
