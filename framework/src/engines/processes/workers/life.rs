//! Processes see one another's end by pidfds. If the system has no `pidfd_open`, they use pipes and
//! sockets: under valgrind, in some sandboxes, and before Linux 5.3.
//!
//! A worker also sees its driver's end by the socket between them, which an `exec` of the driver
//! closes. Neither the pidfd nor the socket suffices alone. A child that the driver has forked
//! keeps the socket open, and the driver's pid survives an `exec`. Since Linux 6.9 the worker has a
//! pidfd of the *thread* that started it, which ends in both cases.
//!
//! The substitutes are weaker. A program that a worker has started may have inherited the worker's
//! end of the socket, and then delays the news. A child that the driver has forked keeps the
//! workers from seeing the driver's end.

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

/// How long to wait for an exit that is under way.
const EXIT: Duration = Duration::from_secs(5);

/// Processes that no code may kill. Tests use them to see what becomes of such a worker.
#[cfg(test)]
pub(in crate::engines::processes) static REFUSED: parking_lot::Mutex<Vec<Pid>> =
    parking_lot::Mutex::new(Vec::new());

/// The means by which a worker sees its driver's end.
#[derive(Debug)]
pub(in crate::engines::processes) struct OwnLife {
    /// Readable, or hung up, when the calling thread or at least this process has ended.
    pub(in crate::engines::processes) seen_by_worker: OwnedFd,
    /// Open as long as this process lives.
    pub(in crate::engines::processes) kept: Option<OwnedFd>,
}

impl OwnLife {
    /// Creates the descriptors for a worker that the calling thread starts, and outlives.
    ///
    /// # Errors
    /// No descriptor is left.
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
    /// `None` where the system has no pidfds.
    pidfd: Option<OwnedFd>,
    /// The driver's end of the worker's socket.
    socket: Arc<OwnedFd>,
}

impl Life {
    /// Creates the driver's view of a child whose exit was not collected yet.
    ///
    /// # Errors
    /// No descriptor is left.
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

    /// Returns the driver's end of the worker's socket. It is hung up when the process has ended or
    /// replaced itself.
    pub(in crate::engines::processes) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Whether only the socket tells of the end of the process.
    pub(in crate::engines::processes) fn is_told_by_socket(&self) -> bool {
        self.pidfd.is_none()
    }

    /// Kills the process, and the process group that it leads.
    ///
    /// The system refuses this if the user of the driver or of the worker has changed. Then this
    /// shuts the worker's socket down: the worker takes its driver for dead, and ends itself and
    /// its group. If the worker is stopped, this makes it go on first. A driver may always do so
    /// with a process of its session.
    ///
    /// # Errors
    /// The system refuses the kill.
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
            // The system does not use the number again before the exit has been collected.
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

    /// Collects the exit of a process that has ended or was killed. Returns `None` if other code
    /// has collected it, or it does not come within 5 s.
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

    /// Returns the signal that has stopped the process, if it is stopped.
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
    /// Returns a descriptor that is readable, or hung up, when the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_ref().unwrap_or(&self.socket).as_fd()
    }
}
