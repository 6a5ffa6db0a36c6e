//! Descriptors of this project are numbered from 3 up.
//!
//! The kernel gives a new descriptor the lowest free number. In a program that has closed its
//! standard output that is 1, and the next `println!` would write into an array. So all that opens
//! a descriptor goes through this module.

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

/// The lowest number that a descriptor of ours has.
const FIRST: RawFd = 3;

/// What a system call opened.
trait Opened {
    /// The lower number, of two.
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
/// As the system's.
pub fn open(path: impl AsRef<Path>, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    from_three(|| rustix::fs::open(path.as_ref(), flags, mode))
}

/// Makes a memory file without a name.
///
/// # Errors
/// As the system's.
pub(crate) fn memory_file(name: &str, flags: MemfdFlags) -> Result<OwnedFd, Errno> {
    from_three(|| rustix::fs::memfd_create(name, flags))
}

/// Makes a pipe, whose ends are closed on `exec`: for reading, and for writing.
///
/// # Errors
/// As the system's.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    from_three(|| rustix::pipe::pipe_with(PipeFlags::CLOEXEC))
}

/// Makes a pair of connected Unix sockets that keep messages apart, closed on `exec`.
///
/// # Errors
/// As the system's.
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
/// As the system's.
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
/// As the system's.
pub fn event() -> Result<OwnedFd, Errno> {
    from_three(|| rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK))
}

/// Makes an epoll that watches nothing yet, closed on `exec`.
///
/// # Errors
/// As the system's.
pub fn watch() -> Result<OwnedFd, Errno> {
    from_three(|| rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC))
}

/// Opens a descriptor of a process, closed on `exec`.
///
/// # Errors
/// As the system's.
pub fn process(pid: Pid) -> Result<OwnedFd, Errno> {
    from_three(|| rustix::process::pidfd_open(pid, PidfdFlags::empty()))
}

/// Opens a descriptor of the calling thread, closed on `exec`: readable when the thread has ended.
///
/// # Errors
/// As the system's; `Errno::INVAL` before Linux 6.9.
pub fn this_thread() -> Result<OwnedFd, Errno> {
    let thread = PidfdFlags::from_bits_retain(OFlags::EXCL.bits());
    from_three(|| rustix::process::pidfd_open(rustix::thread::gettid(), thread))
}

/// Makes a further descriptor of the same file, closed on `exec`.
///
/// # Errors
/// As the system's.
pub fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(fd, FIRST)
}

/// Which file a descriptor stands for. The program may close descriptors that are not its own, and
/// then the next file that it opens has the number.
///
/// Files of the kernel's own (epolls, events) are not told from one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Of the file that `fd` stands for now.
    ///
    /// # Errors
    /// As the system's.
    pub fn of(fd: impl AsFd) -> Result<Identity, Errno> {
        Ok(Identity::in_stat(&rustix::fs::fstat(fd)?))
    }

    pub(crate) fn in_stat(stat: &Stat) -> Identity {
        Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }

    /// Whether `fd` still stands for that file. Costs a system call.
    pub fn is_of(self, fd: impl AsFd) -> bool {
        Identity::of(fd) == Ok(self)
    }
}

static WHEN_LOST: OnceLock<fn(&str)> = OnceLock::new();

/// Has `f` called when a descriptor of the store's turns out to be closed, or to stand for another
/// file. The first call counts; what `f` is told says which it is.
pub fn when_lost(f: fn(&str)) {
    let _ = WHEN_LOST.set(f);
}

/// Says that `what` is lost; what an error says, where that does not end the process.
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

/// Gives a descriptor that came from elsewhere, perhaps over a socket, a number from 3 up.
///
/// # Errors
/// As the system's.
pub fn raise(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() >= FIRST {
        Ok(fd)
    } else {
        duplicate(fd.as_fd())
    }
}

/// Calls `open`, which opens descriptors in a way that this module does not know, while 0, 1 and 2
/// are in use: closed ones become `/dev/null`, and stay so.
///
/// Another thread of the program can close one of them meanwhile; then `open` may get its number.
pub fn with_standard_in_use<R>(open: impl FnOnce() -> R) -> R {
    occupy_standard();
    open()
}

/// Calls `open` until what it opens has numbers from 3 up.
fn from_three<F: Opened>(mut open: impl FnMut() -> Result<F, Errno>) -> Result<F, Errno> {
    occupy_standard();
    // These keep their numbers taken until the end. More there cannot be, unless another thread
    // closes them all the time.
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

/// Puts `/dev/null` in the place of those of 0, 1 and 2 that are closed. Costs three system calls
/// where none is.
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
        // A program that is started inherits it, as it would inherit a descriptor of the user's.
        let _ = rustix::io::fcntl_setfd(&filler, FdFlags::empty());
        let _ = filler.into_raw_fd();
    }
}

/// A descriptor that takes whatever is written, or refuses it as a closed one does.
fn filler() -> io::Result<OwnedFd> {
    let open = |path, flags| rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty());
    Ok(open("/dev/null", OFlags::RDWR).or_else(|_| open("/", OFlags::PATH))?)
}
