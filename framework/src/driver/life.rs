//! How processes see one another's end: by pidfds, and by pipes and sockets where the system has no
//! `pidfd_open` (valgrind, some sandboxes, Linux before 5.3).
//!
//! The substitutes are weaker: a program that a worker has started, and that has inherited the
//! worker's end of the socket, can delay the news; a child that the driver has forked keeps the
//! workers from seeing its end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mobula_store::{descriptors, limits::Wanted};
use mobula_worker::{Error, Result};
use rustix::{
    io::Errno,
    process::{
        Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, getpid, pidfd_send_signal, waitid,
    },
};

/// What a worker sees its driver's end by.
#[derive(Debug)]
pub(super) struct OwnLife {
    /// Readable, or hung up, when this process has ended.
    pub(super) seen_by_worker: OwnedFd,
    /// Open as long as this process lives.
    pub(super) kept: Option<OwnedFd>,
}

impl OwnLife {
    /// # Errors
    /// Out of descriptors.
    pub(super) fn new() -> Result<OwnLife> {
        let failed = |error: Errno| {
            let what = "cannot start a worker: no descriptor of this process";
            Error::refused(what, Wanted::Descriptor, error)
        };
        match descriptors::process(getpid()) {
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

/// What the driver sees a worker's end by.
#[derive(Debug)]
pub(super) enum Life {
    Pidfd(OwnedFd),
    /// The driver's end of the worker's socket.
    Socket(OwnedFd, Pid),
}

impl Life {
    /// Of a child whose exit was not collected yet.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(super) fn of(pid: Pid, socket: BorrowedFd<'_>) -> Result<Life> {
        let failed = |error| Error::refused("cannot watch a worker", Wanted::Descriptor, error);
        match descriptors::process(pid) {
            Ok(pidfd) => Ok(Life::Pidfd(pidfd)),
            Err(Errno::NOSYS | Errno::PERM) => {
                let socket = descriptors::duplicate(socket).map_err(failed)?;
                Ok(Life::Socket(socket, pid))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Kills the process. Its number is not used again before its exit is collected.
    pub(super) fn kill(&self) {
        let _ = match self {
            Life::Pidfd(pidfd) => pidfd_send_signal(pidfd, Signal::KILL),
            Life::Socket(_, pid) => rustix::process::kill_process(*pid, Signal::KILL),
        };
    }

    /// Waits for the exit and collects it.
    pub(super) fn collect(&self) -> Option<WaitIdStatus> {
        let whom = match self {
            Life::Pidfd(pidfd) => WaitId::PidFd(pidfd.as_fd()),
            Life::Socket(_, pid) => WaitId::Pid(*pid),
        };
        waitid(whom, WaitIdOptions::EXITED).ok().flatten()
    }
}

impl AsFd for Life {
    /// Readable when the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Life::Pidfd(fd) | Life::Socket(fd, _) => fd.as_fd(),
        }
    }
}
