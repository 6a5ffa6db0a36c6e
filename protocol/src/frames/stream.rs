//! The stream between a process and its peer, and the socket beside it that brings descriptors.

use std::{
    io::{self, IsTerminal},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use mobula_store::descriptors;
use rustix::{
    io::Errno,
    net::{SendFlags, SocketType},
};

use super::{HEADER, Message, length};
use crate::{Error, Result, link};

/// The environment variable of a process that a peer has started. The standard input of the process
/// is the stream. The variable has what the process needs to know before the first frame.
pub const VARIABLE: &str = "MOBULA_PEER";

/// The segment id that stands for the socket for descriptors.
const SOCKET: mobula_store::SegmentId = mobula_store::SegmentId(u32::MAX);

/// Returns two ends of a stream.
///
/// # Errors
/// The process has no free descriptor.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(descriptors::stream_pair()?)
}

/// Passes an end of the socket for descriptors through a new stream.
///
/// # Errors
/// The peer is gone.
pub fn pass_socket(stream: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> io::Result<()> {
    link::send_segment(stream, SOCKET, socket)
}

/// Returns the stream and the socket for descriptors, if the standard input of this process is a
/// stream. The peer passes the socket through the stream.
///
/// # Errors
/// The peer has passed something else.
pub fn of_standard_input() -> io::Result<Option<(OwnedFd, OwnedFd)>> {
    let stdin = io::stdin();
    if stdin.is_terminal() || !is_stream(stdin.as_fd()) {
        return Ok(None);
    }
    let (id, socket) = link::receive_segment(stdin.as_fd())?;
    match id == SOCKET {
        true => Ok(Some((descriptors::duplicate(stdin.as_fd())?, socket))),
        false => Err(io::Error::other("not the socket for descriptors")),
    }
}

fn is_stream(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(fd)
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_socket())
        && rustix::net::sockopt::socket_type(fd) == Ok(SocketType::STREAM)
}

/// Writes a whole frame. Blocks while the stream's buffer is full.
///
/// # Errors
/// The peer is gone.
pub fn write(stream: BorrowedFd<'_>, frame: &[u8]) -> io::Result<()> {
    let mut left = frame;
    while !left.is_empty() {
        match rustix::net::send(stream, left, SendFlags::NOSIGNAL) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A reader of frames.
#[derive(Debug)]
pub struct Frames {
    stream: OwnedFd,
    body: Vec<u8>,
}

/// The most bytes of a body buffer that the reader keeps between two frames. It reads at most this
/// many bytes at a time.
const KEPT: usize = 1 << 20;

impl Frames {
    /// Returns a reader of this stream.
    pub fn new(stream: OwnedFd) -> Frames {
        Frames {
            stream,
            body: Vec::new(),
        }
    }

    /// Blocks until the next message has arrived. Returns `None` at the end of the stream.
    ///
    /// Extends its buffer by at most 1 MiB before each read. So a header with a wrong length costs
    /// little memory.
    ///
    /// # Errors
    /// The stream breaks, or the bytes are no message.
    pub fn receive<T: Message>(&mut self) -> Result<Option<T>> {
        let mut header = [0; HEADER];
        if !self.fill(&mut header)? {
            return Ok(None);
        }
        let mut left = length(header)?;
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        while left > 0 {
            let start = body.len();
            body.resize(start + left.min(KEPT), 0);
            if !self.fill(&mut body[start..])? {
                return Err(Error::codec("the stream ends within a frame"));
            }
            left -= body.len() - start;
        }
        let message = T::decode(&body)?;
        if body.capacity() <= KEPT {
            self.body = body;
        }
        Ok(Some(message))
    }

    /// Fills `bytes`. Returns `false` if the stream has ended before the first byte.
    fn fill(&self, bytes: &mut [u8]) -> Result<bool> {
        let mut filled = 0;
        while filled < bytes.len() {
            match rustix::io::read(&self.stream, &mut bytes[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(Error::codec("the stream ends within a frame")),
                Ok(read) => filled += read,
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) if filled == 0 => return Ok(false),
                Err(error) => return Err(Error::setup(format!("the stream breaks: {error}"))),
            }
        }
        Ok(true)
    }
}
