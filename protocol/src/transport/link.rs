//! The Unix socket between the driver and one worker. It carries descriptors only. The first
//! message makes the worker (see [`Bootstrap`]), and later ones bring segments. Values and tasks go
//! through the mailbox.
//!
//! The driver writes the first message before it starts the process, which has the socket as its
//! standard input. So a worker never waits for its driver to begin. A program that a task launches
//! has /dev/null as its standard input, so it is never mistaken for a worker.

use crate::messagepack;
use std::{
    any::TypeId,
    hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState},
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use mobula_store::{SegmentId, descriptors};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, ids::WorkerId, sync::ProcessSlot};

/// The environment variable of a process that must look for a bootstrap message on descriptor 0.
/// Its value is the token of that message.
pub const TOKEN_VARIABLE: &str = "MOBULA_WORKER";

/// Returns a token for a new worker. It begins with a number that tells this copy of the crate from
/// other copies in the program. Each copy leaves the workers of the others alone.
pub fn new_token() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{:016x}-{random:016x}", this_copy())
}

/// Returns a number of this copy of the crate. The compiler makes it different for each version of
/// the crate in a program, and for each set of features.
fn this_copy() -> u64 {
    let mut hasher = DefaultHasher::new();
    TypeId::of::<Bootstrap>().hash(&mut hasher);
    hasher.finish()
}

/// Returns whether another copy of this crate has started this process as a worker. Then no `init`
/// has read the bootstrap message yet.
pub fn is_unclaimed_worker() -> bool {
    let Ok(token) = std::env::var(TOKEN_VARIABLE) else {
        return false;
    };
    let mut peeked = [0; PEEK];
    let message = peek(&mut peeked);
    // The format of another copy's message is unknown here, so only the token is searched.
    message.is_some_and(|message| {
        !token.is_empty()
            && message
                .windows(token.len())
                .any(|part| part == token.as_bytes())
    })
}

/// Returns the bytes on descriptor 0 if that is a socket. They stay there.
fn peek(buffer: &mut [u8; PEEK]) -> Option<&[u8]> {
    let stdin = std::io::stdin();
    let is_socket = rustix::fs::fstat(stdin.as_fd())
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_socket());
    if !is_socket {
        return None;
    }
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let (_, length) = rustix::net::recv(stdin.as_fd(), &mut buffer[..], flags).ok()?;
    Some(&buffer[..length.min(PEEK)])
}

/// A length in bytes that no bootstrap message reaches.
const PEEK: usize = 1024;

/// The version of the bootstrap message, the mailbox and the wire format. Each change of one of
/// them changes it.
const PROTOCOL: u32 = 3;

/// The largest number of descriptors in one message. The kernel takes at most 253.
const MAX_DESCRIPTORS: usize = 16;

/// The first message to a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    protocol: u32,
    /// Equal to the environment variable's value.
    pub token: String,
    /// The registry's fingerprint in the driver.
    pub fingerprint: u64,
    /// The id of this worker.
    pub worker: WorkerId,
    /// The number of its process among those that live now.
    pub process_slot: u16,
    /// The number of workers of the runtime.
    pub workers: u32,
    /// The stack of the threads that run tasks, in bytes.
    pub stack: u64,
    /// The umask of the driver when the runtime began.
    pub umask: u32,
    /// The amount by which the worker is nicer than the driver.
    pub nice: u32,
    /// The size of its own memory, in bytes, at which it asks to be replaced.
    pub max_rss: Option<u64>,
    /// Length of the mailbox segment in bytes.
    pub mailbox_len: u64,
    /// The length of the segment with the driver's doorbell, in bytes.
    pub doorbell_len: u64,
    /// The worker's own segment in the store, and its length in bytes.
    pub heap: (SegmentId, u64),
}

/// The descriptors that come with a [`Bootstrap`].
#[derive(Debug)]
pub struct BootstrapDescriptors<Fd> {
    /// A pidfd of the driver, or of its thread that started the worker, or the reading end of a
    /// pipe. It is readable or hung up when the driver or the thread has ended.
    pub driver: Fd,
    /// The worker's standard output from now on.
    pub stdout: Fd,
    /// The mailbox, to map for reading and writing.
    pub mailbox: Fd,
    /// The page with the driver's doorbell, to map for reading and writing.
    pub doorbell: Fd,
    /// The worker's own segment, read-only.
    pub heap_read: Fd,
    /// The worker's own segment, read-write.
    pub heap_write: Fd,
    /// An epoll that is readable while the pipes of the worker's outputs have data.
    pub printed: Fd,
}

impl Bootstrap {
    /// Returns the message for one worker.
    pub fn new(
        token: String,
        fingerprint: u64,
        (worker, process_slot, workers): (WorkerId, ProcessSlot, u32),
        (stack, umask, nice, max_rss): (u64, u32, u32, Option<u64>),
        mailbox_len: u64,
        doorbell_len: u64,
        heap: (SegmentId, u64),
    ) -> Bootstrap {
        Bootstrap {
            protocol: PROTOCOL,
            token,
            fingerprint,
            worker,
            process_slot: process_slot.number(),
            workers,
            stack,
            umask,
            nice,
            max_rss,
            mailbox_len,
            doorbell_len,
            heap,
        }
    }

    /// Writes the message into the worker's socket.
    ///
    /// # Errors
    /// Fails if the socket does not take it.
    pub fn send(
        &self,
        socket: BorrowedFd<'_>,
        fds: &BootstrapDescriptors<BorrowedFd<'_>>,
    ) -> Result<()> {
        let bytes =
            messagepack::to_vec(self).map_err(|error| Error::internal(error.to_string()))?;
        let fds = [
            fds.driver,
            fds.stdout,
            fds.mailbox,
            fds.doorbell,
            fds.heap_read,
            fds.heap_write,
            fds.printed,
        ];
        send(socket, &bytes, &fds)
            .map_err(|error| Error::setup(format!("cannot write to a worker's socket: {error}")))
    }

    /// Reads the message on descriptor 0 if this copy of the crate started this process as a worker
    /// with this token. Leaves anything else on descriptor 0 untouched.
    ///
    /// # Errors
    /// Fails if the message is damaged, or comes from another version of this crate.
    pub fn receive(
        token: &str,
    ) -> Result<Option<(Bootstrap, BootstrapDescriptors<OwnedFd>, OwnedFd)>> {
        let own = format!("{:016x}-", this_copy());
        if !token.starts_with(&own) {
            return Ok(None);
        }
        let mut peeked = [0; PEEK];
        let Some(Ok(bootstrap)) = peek(&mut peeked).map(messagepack::first_of::<Bootstrap>) else {
            return Ok(None);
        };
        let stdin = std::io::stdin();
        if bootstrap.token != token {
            return Ok(None);
        }
        if bootstrap.protocol != PROTOCOL {
            return Err(Error::setup("the driver runs another version of Mobula"));
        }
        let (_, fds) = receive(stdin.as_fd(), &mut peeked)
            .map_err(|error| Error::setup(format!("cannot read the worker's socket: {error}")))?;
        let [
            driver,
            stdout,
            mailbox,
            doorbell,
            heap_read,
            heap_write,
            printed,
        ] = <[OwnedFd; 7]>::try_from(fds).map_err(|fds| {
            Error::setup(format!(
                "{} descriptors came with the first message, not 7",
                fds.len()
            ))
        })?;
        let fds = BootstrapDescriptors {
            driver,
            stdout,
            mailbox,
            doorbell,
            heap_read,
            heap_write,
            printed,
        };
        let socket = descriptors::duplicate(stdin.as_fd())
            .map_err(|error| Error::setup(format!("cannot keep the worker's socket: {error}")))?;
        Ok(Some((bootstrap, fds, socket)))
    }
}

/// Returns a pair of connected sockets that keep messages apart: the driver's end and the worker's.
///
/// # Errors
/// Fails if no descriptor is left.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(descriptors::socket_pair()?)
}

/// Sends the read-only descriptor of a segment. Does not block.
///
/// # Errors
/// Fails if the worker has too many unread descriptors, or has ended.
pub fn send_segment(socket: BorrowedFd<'_>, id: SegmentId, file: BorrowedFd<'_>) -> io::Result<()> {
    send(socket, &id.0.to_le_bytes(), &[file])
}

/// Returns whether [`send_segment`] may succeed later, since the worker has many unread
/// descriptors.
pub fn is_temporary(error: &io::Error) -> bool {
    let temporary = [
        rustix::io::Errno::AGAIN,
        rustix::io::Errno::INTR,
        rustix::io::Errno::TOOMANYREFS,
        rustix::io::Errno::NOBUFS,
    ];
    temporary
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Receives a descriptor that [`send_segment`] sent. Blocks until one comes.
///
/// # Errors
/// Fails if the driver has ended, or sent something else.
pub fn receive_segment(socket: BorrowedFd<'_>) -> io::Result<(SegmentId, OwnedFd)> {
    let mut bytes = [0; 4];
    let (length, mut fds) = receive(socket, &mut bytes)?;
    match (length, fds.pop(), fds.is_empty()) {
        (4, Some(fd), true) => Ok((SegmentId(u32::from_le_bytes(bytes)), fd)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not a segment")),
    }
}

fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "too many descriptors",
        ));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let sent = sendmsg(socket, &[io::IoSlice::new(bytes)], &mut control, flags)?;
    if sent == bytes.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut parts = [io::IoSliceMut::new(bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        match descriptors::with_standard_in_use(|| recvmsg(socket, &mut parts, &mut control, flags))
        {
            Err(rustix::io::Errno::INTR) => continue,
            other => break other?,
        }
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            for fd in rights {
                fds.push(descriptors::raise(fd)?);
            }
        }
    }
    if received.bytes == 0 && fds.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((received.bytes, fds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_travel_with_their_segment() {
        let (driver, worker) = pair().unwrap();
        let (read, write) = descriptors::pipe().unwrap();
        send_segment(driver.as_fd(), SegmentId(7), write.as_fd()).unwrap();
        drop(write);
        let (id, fd) = receive_segment(worker.as_fd()).unwrap();
        assert_eq!(id, SegmentId(7));
        rustix::io::write(&fd, b"x").unwrap();
        let mut byte = [0];
        assert_eq!(rustix::io::read(&read, &mut byte).unwrap(), 1);
    }

    #[test]
    fn tokens_are_of_this_copy_and_differ() {
        let (one, other) = (new_token(), new_token());
        assert_ne!(one, other);
        assert_eq!(
            one.split_once('-').unwrap().0,
            other.split_once('-').unwrap().0
        );
    }

    #[test]
    fn a_dead_driver_is_an_error() {
        let (driver, worker) = pair().unwrap();
        drop(driver);
        assert!(receive_segment(worker.as_fd()).is_err());
    }
}
