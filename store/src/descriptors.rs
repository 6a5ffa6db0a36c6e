//! Descriptors of this project are numbered from 3 up.
//!
//! The kernel gives a new descriptor the lowest free number. In a program that has closed its
//! standard output that is 1, and the next `println!` would write into an array. So all code that
//! opens a descriptor goes through this module.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd},
    path::Path,
    sync::OnceLock,
};

use rustix::{
    event::EventfdFlags,
    fs::{MemfdFlags, Mode, OFlags, Stat},
    io::{Errno, FdFlags},
    net::{AddressFamily, SocketFlags, SocketType},
    pipe::PipeFlags,
    process::{Pid, PidfdFlags},
};

/// The lowest number of a descriptor of this project.
const FIRST: RawFd = 3;

/// The descriptors that a system call opened.
trait Opened {
    /// Returns the lowest of their numbers.
    fn lowest(&self) -> RawFd;
}

impl Opened for OwnedFd {
    fn lowest(&self) -> RawFd {
        self.as_raw_fd()
    }
}

impl Opened for (OwnedFd, OwnedFd) {
    fn lowest(&self) -> RawFd {
        self.0.as_raw_fd().min(self.1.as_raw_fd())
    }
}

/// Opens a file. The descriptor is closed on `exec` if `flags` say so.
///
/// # Errors
/// Fails with the error of the system call.
pub fn open(path: impl AsRef<Path>, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    from_three(|| rustix::fs::open(path.as_ref(), flags, mode))
}

/// Makes a memory file without a name.
///
/// # Errors
/// Fails with the error of the system call.
pub(crate) fn memory_file(name: &str, flags: MemfdFlags) -> Result<OwnedFd, Errno> {
    from_three(|| rustix::fs::memfd_create(name, flags))
}

/// Makes a pipe: the end for reading, and the end for writing. Both are closed on `exec`.
///
/// # Errors
/// Fails with the error of the system call.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    from_three(|| rustix::pipe::pipe_with(PipeFlags::CLOEXEC))
}

/// Makes a pair of connected Unix sockets that keep messages apart, closed on `exec`.
///
/// # Errors
/// Fails with the error of the system call.
pub fn socket_pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    from_three(|| {
        rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
    })
}

/// Makes a pair of connected Unix sockets that bring bytes in order, closed on `exec`.
///
/// # Errors
/// Fails with the error of the system call.
pub fn stream_pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    from_three(|| {
        rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
    })
}

/// Makes an event counter that does not block, closed on `exec`.
///
/// # Errors
/// Fails with the error of the system call.
pub fn event() -> Result<OwnedFd, Errno> {
    from_three(|| rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK))
}

/// Makes an epoll that watches no descriptor yet, closed on `exec`.
///
/// # Errors
/// Fails with the error of the system call.
pub fn watch() -> Result<OwnedFd, Errno> {
    from_three(|| rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC))
}

/// Opens a descriptor of a process, closed on `exec`.
///
/// # Errors
/// Fails with the error of the system call.
pub fn process(pid: Pid) -> Result<OwnedFd, Errno> {
    from_three(|| rustix::process::pidfd_open(pid, PidfdFlags::empty()))
}

/// Opens a descriptor of the calling thread, closed on `exec`. It is readable when the thread has
/// ended.
///
/// # Errors
/// Fails with the error of the system call, which is `Errno::INVAL` before Linux 6.9.
pub fn this_thread() -> Result<OwnedFd, Errno> {
    let thread = PidfdFlags::from_bits_retain(OFlags::EXCL.bits());
    from_three(|| rustix::process::pidfd_open(rustix::thread::gettid(), thread))
}

/// Makes a further descriptor of the same file, closed on `exec`.
///
/// # Errors
/// Fails with the error of the system call.
pub fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(fd, FIRST)
}

/// The file of a descriptor. The program may close descriptors that are not its own, and then the
/// next file that it opens has the number.
///
/// Files of the kernel's own (epolls, events) have no different identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Returns the identity of the present file of `fd`.
    ///
    /// # Errors
    /// Fails with the error of the system call.
    pub fn of(fd: impl AsFd) -> Result<Identity, Errno> {
        Ok(Identity::in_stat(&rustix::fs::fstat(fd)?))
    }

    pub(crate) fn in_stat(stat: &Stat) -> Identity {
        Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }

    /// Returns whether `fd` still has that file. Costs a system call.
    pub fn is_of(self, fd: impl AsFd) -> bool {
        Identity::of(fd) == Ok(self)
    }
}

static WHEN_LOST: OnceLock<fn(&str)> = OnceLock::new();

/// Sets `f`, which is called when a descriptor of the store is closed, or has another file. Only
/// the first call counts. `f` gets a text that says which descriptor it is.
pub fn when_lost(f: fn(&str)) {
    let _ = WHEN_LOST.set(f);
}

/// Reports that `what` is lost. Returns the text of an error, in case the report does not end the
/// process.
#[cold]
pub(crate) fn lost(what: &str) -> String {
    let text = format!(
        "{what} was closed, or stands for another file: the program has closed descriptors that are not its own"
    );
    if let Some(f) = WHEN_LOST.get() {
        f(&text);
    }
    text
}

/// Gives a descriptor that came from elsewhere, for example over a socket, a number from 3 up.
///
/// # Errors
/// Fails with the error of the system call.
pub fn raise(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() >= FIRST {
        Ok(fd)
    } else {
        duplicate(fd.as_fd())
    }
}

/// Calls `open` while 0, 1 and 2 are in use. `open` opens descriptors in a way that this module
/// does not control. Closed descriptors among the three become `/dev/null`, and stay so.
///
/// Another thread of the program can close one of them meanwhile. Then `open` may get its number.
pub fn with_standard_in_use<R>(open: impl FnOnce() -> R) -> R {
    occupy_standard();
    open()
}

/// Calls `open` until its descriptors have numbers from 3 up.
fn from_three<F: Opened>(mut open: impl FnMut() -> Result<F, Errno>) -> Result<F, Errno> {
    occupy_standard();
    // These keep their numbers taken until the end. Three are enough, unless another thread closes
    // them all the time.
    let mut low = [None, None, None];
    for place in &mut low {
        let opened = open()?;
        if opened.lowest() >= FIRST {
            return Ok(opened);
        }
        *place = Some(opened);
    }
    let opened = open()?;
    match opened.lowest() {
        FIRST.. => Ok(opened),
        _ => Err(Errno::BADF),
    }
}

/// Puts `/dev/null` in the place of the closed ones among 0, 1 and 2. Costs three system calls if
/// none is closed.
fn occupy_standard() {
    let closed = || {
        [
            rustix::stdio::stdin(),
            rustix::stdio::stdout(),
            rustix::stdio::stderr(),
        ]
        .iter()
        .any(|fd| rustix::io::fcntl_getfd(fd) == Err(Errno::BADF))
    };
    while closed() {
        let Ok(filler) = filler() else { return };
        if filler.as_raw_fd() >= FIRST {
            return;
        }
        // A program that this process starts inherits it, like a descriptor of the user.
        let _ = rustix::io::fcntl_setfd(&filler, FdFlags::empty());
        let _ = filler.into_raw_fd();
    }
}

/// Returns a descriptor that takes all written bytes, or refuses them like a closed one.
fn filler() -> io::Result<OwnedFd> {
    let open = |path, flags| rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty());
    Ok(open("/dev/null", OFlags::RDWR).or_else(|_| open("/", OFlags::PATH))?)
}
