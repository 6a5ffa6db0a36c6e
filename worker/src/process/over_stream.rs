//! A worker whose driver is a peer in another language, at the other end of a stream.
//!
//! Two kinds of processes have such a worker. The peer has started a process to run tasks. Or a
//! program has started the runtime, and this program runs no tasks. Both ask the peer for all else
//! in one way.

use std::{
    fmt, io,
    os::fd::{AsFd, OwnedFd},
    panic::{self, AssertUnwindSafe},
    sync::{Arc, atomic::Ordering},
};

use mobula_protocol::{
    Control, Engine, Error, ObjectId, Registry, Result, Value, WireAttachment, WorkerId,
    frames::{self, FromPeer, PeerValue, ToPeer, stream},
    link, set_node,
    sync::ProcessSlot,
};
use mobula_store::{Backing, SegmentFile, SegmentId, descriptors, limits::Wanted};
use rustix::fs::{Mode, OFlags};

use super::{
    begin,
    beside::Beside,
    control::{self, Over},
    here::{self, Number},
    threads,
    worker::{Settings, Worker},
};
use crate::{
    end::{die, end},
    link::{
        Lane,
        mailbox::Socket,
        stream::{self as frames_link, FrameOut, Inbox, Readers, Stream, Writer},
    },
    promise::ENGINE,
};

/// The number of the worker's own segment.
const HEAP: SegmentId = SegmentId(0);

/// The parts of a worker over a stream.
#[derive(Debug)]
pub struct Parts {
    /// The worker's end of the stream.
    pub stream: OwnedFd,
    /// The worker's end of the socket for descriptors.
    pub socket: OwnedFd,
    /// How many bytes the worker's objects may take before the peer has copied them.
    pub capacity: u64,
    /// How many bytes of addresses the worker's segment has.
    pub segment: u64,
    /// The stack of each thread that runs tasks, in bytes.
    pub stack: u64,
}

/// Gets the messages of the peer that are for the runtime, and not for the worker.
pub type Listener = Box<dyn FnMut(FromPeer) + Send>;

/// The worker of a program that has started a runtime, and runs no tasks.
#[derive(Clone)]
pub struct OverStream {
    worker: Arc<Worker<Stream>>,
    writer: Writer,
}

/// A worker, and what its threads need.
struct Made {
    worker: Arc<Worker<Stream>>,
    writer: Writer,
    frames: stream::Frames,
    socket: Socket,
    tasks: Inbox,
    control: Inbox,
    /// How many cores there are, the peer's text about itself, and the name of this node.
    peer: (f64, String, String),
}

/// Sends a hello, waits for the peer's hello, and makes the worker.
fn make(parts: Parts, number: Number, beside: Option<Arc<Beside>>) -> Result<Made> {
    let registry = Registry::get()?;
    let file = SegmentFile::create(parts.segment, parts.capacity, Backing::Anonymous)?;
    let failed = |error: io::Error| Error::setup(format!("cannot pass a descriptor: {error}"));
    link::send_segment(parts.socket.as_fd(), HEAP, file.read_only_fd()).map_err(failed)?;
    let own = descriptors::duplicate(parts.stream.as_fd()).map_err(|error| failed(error.into()))?;
    let writer = Writer::new(own);
    let functions = (0..registry.len() as u32).map(mobula_protocol::FunctionIndex);
    let names = functions.map(|function| registry.name(function).to_owned());
    writer.say(&ToPeer::Hello(
        frames::VERSION,
        names.collect(),
        file.len(),
        std::process::id(),
        PeerValue::of(&Value::unit())?.blob,
        PeerValue::of(&Value::standing_for(WireAttachment::Ref {
            id: ObjectId {
                origin: frames::PEER,
                seq: 0,
            },
        }))?
        .blob,
    ))?;
    let mut frames = stream::Frames::new(parts.stream);
    let id;
    let peer = match frames.receive::<FromPeer>()? {
        Some(FromPeer::Hello(frames::VERSION, number, cores, text, node)) => {
            id = WorkerId(number);
            (cores, text, node)
        }
        Some(FromPeer::Hello(version, _, _, text, _)) => {
            return Err(Error::setup(format!(
                "the peer ({text}) speaks version {version} of the frames, and this program version {}",
                frames::VERSION
            )));
        }
        Some(FromPeer::Refused(why)) => return Err(Error::setup(why)),
        Some(_) => return Err(Error::setup("the peer did not say hello first")),
        None => return Err(Error::setup("the peer ended before it said hello")),
    };
    let (tasks, control) = (Inbox::default(), Inbox::default());
    let settings = Settings {
        number,
        id,
        process_slot: ProcessSlot::DRIVER,
        registry,
        segment: (HEAP, file),
        segments: Arc::default(),
        workers: (peer.0 as u32).max(1),
        stack: parts.stack,
        max_rss: None,
        printed: None,
        beside,
    };
    let out = FrameOut::new(writer.clone(), registry, control.clone(), parts.capacity);
    let worker = Worker::<Stream>::new(settings, (out, tasks.clone(), frames_link::Starts))?;
    let socket = Socket::new(parts.socket)
        .map_err(|error| Error::setup(format!("cannot use the socket: {error}")))?;
    Ok(Made {
        worker,
        writer,
        frames,
        socket,
        tasks,
        control,
        peer,
    })
}

impl OverStream {
    /// Starts the worker of a runtime. Blocks until the peer has said hello.
    ///
    /// `runtime` makes the engine's `Control` out of the worker and of the peer's text about
    /// itself. `listener` gets the messages for the runtime. `ended` is called when the peer is
    /// gone, with an error if something has gone wrong.
    ///
    /// # Errors
    /// The peer refuses, or the system gives no thread, descriptor or memory.
    pub fn start(
        parts: Parts,
        runtime: impl FnOnce(&OverStream, &str) -> Arc<dyn Control + Send + Sync>,
        mut listener: Listener,
        ended: impl FnOnce(Option<Error>) + Send + 'static,
    ) -> Result<OverStream> {
        let doorbell: Arc<std::sync::OnceLock<Inbox>> = Arc::default();
        let notified = doorbell.clone();
        let beside = Arc::new(Beside::new(move || {
            if let Some(control) = notified.get() {
                crate::link::Doorbell::notify(control);
            }
        }));
        let Made {
            worker,
            writer,
            mut frames,
            socket,
            tasks,
            control: inbox,
            peer,
        } = make(parts, Number::next(), Some(beside.clone()))?;
        let _ = doorbell.set(inbox.clone());
        let over = OverStream {
            worker: worker.clone(),
            writer,
        };
        let _ = worker.runtime.set(runtime(&over, &peer.1));
        worker.registered.store(true, Ordering::Release);
        let refused =
            |error| Error::refused("cannot start a thread for a runtime", Wanted::Thread, error);
        let (serves, lane) = (worker.clone(), inbox.clone());
        let task_doorbell = tasks.doorbell();
        threads::start("mobula-control", mobula_protocol::wire::STACK, move || {
            let is_cut = || match serves.beside.as_ref().is_some_and(|beside| beside.is_cut()) {
                true => Over::Yes,
                false => Over::No,
            };
            control::serve(&serves, lane, &socket, &task_doorbell, is_cut);
        })
        .map_err(refused)?;
        let reads = over.clone();
        threads::start("mobula-peer", mobula_protocol::wire::STACK, move || {
            let registry = reads.worker.registry;
            let readers = Readers {
                tasks: &tasks,
                control: &inbox,
                ready: |id, outcome| control::ready(&reads.worker, id, outcome),
                other: &mut listener,
            };
            let why = frames_link::read(&mut frames, registry, HEAP, readers).err();
            reads.cut(&why.clone().unwrap_or_else(Error::shutdown));
            ended(why);
        })
        .map_err(refused)?;
        Ok(over)
    }

    /// Returns the engine.
    pub fn engine(&self) -> Arc<dyn Engine> {
        self.worker.clone()
    }

    /// Sends a message to the peer.
    pub fn say(&self, message: &ToPeer) {
        // The messages sent here are short.
        let _ = self.writer.say(message);
    }

    /// Notes that nobody answers any more. Waiting handles fail with `error`. Later requests fail
    /// with the error of a runtime that is gone.
    pub fn cut(&self, error: &Error) {
        if let Some(beside) = &self.worker.beside {
            beside.cut();
        }
        let waiting = self.worker.table.lock().all_watched();
        for entry in waiting {
            entry.complete(Err(error.clone()), ENGINE);
        }
    }

    /// Whether nobody answers any more.
    pub fn is_cut(&self) -> bool {
        self.worker
            .beside
            .as_ref()
            .is_some_and(|beside| beside.is_cut())
    }

    /// Returns how many bytes of this process' segment are in use, and of how many objects the
    /// process has handles.
    pub fn in_use(&self) -> (u64, usize) {
        (self.worker.heap.in_use(), self.worker.table.lock().len())
    }
}

impl fmt::Debug for OverStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OverStream").field(&self.worker).finish()
    }
}

/// If a peer has started this process to run tasks, becomes its worker and does not return.
///
/// A program that a task launches inherits the environment, but not the stream. In such a program
/// this function returns, like in any other program.
pub(super) fn enter_if_worker() {
    let Ok(settings) = std::env::var(stream::VARIABLE) else {
        return;
    };
    let ends = match stream::of_standard_input() {
        Ok(None) => return,
        Ok(Some(ends)) => ends,
        Err(error) => die(&format!("cannot take the stream of the peer: {error}")),
    };
    let served = run(&settings, ends);
    // The worker ends with the peer.
    end(served)
}

/// Returns the numbers of the environment variable: bytes of capacity and of stack.
fn numbers(settings: &str) -> Option<(u64, u64)> {
    let mut numbers = settings.split(',').map(str::parse);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(capacity)), Some(Ok(stack)), None) => Some((capacity, stack)),
        _ => None,
    }
}

fn run(settings: &str, (stream, socket): (OwnedFd, OwnedFd)) -> Result<()> {
    let (capacity, stack) = numbers(settings).ok_or_else(|| {
        Error::setup(format!(
            "`{}` is `{settings}`, and not two numbers",
            stream::VARIABLE
        ))
    })?;
    mobula_store::signals::unblock_all();
    mobula_store::descriptors::when_lost(|why| die(why));
    let null = descriptors::open("/dev/null", OFlags::RDONLY, Mode::empty())
        .map_err(|error| Error::setup(format!("cannot open /dev/null: {error}")))?;
    rustix::stdio::dup2_stdin(&null)
        .map_err(|error| Error::setup(format!("cannot replace standard input: {error}")))?;
    let parts = Parts {
        stream,
        socket,
        capacity,
        segment: capacity.saturating_mul(2),
        stack,
    };
    let Made {
        worker,
        mut frames,
        socket,
        tasks,
        control: inbox,
        peer: (.., node),
        ..
    } = make(parts, Number::PROCESS, None)?;
    set_node(node);
    if !here::set_process(worker.clone()) {
        return Err(Error::internal("this process is a worker already"));
    }
    let task_doorbell = tasks.doorbell();
    let (runs, lane) = (worker.clone(), inbox.clone());
    let refused = |error| Error::refused("cannot start a thread for tasks", Wanted::Thread, error);
    threads::start_for_tasks(worker.stack, move || {
        let ended = panic::catch_unwind(AssertUnwindSafe(|| begin(&runs, None)));
        end(ended.unwrap_or_else(|_| Err(Error::internal("the task loop panicked"))))
    })
    .map_err(refused)?;
    let serves = worker.clone();
    threads::start("mobula-control", mobula_protocol::wire::STACK, move || {
        control::serve(&serves, lane, &socket, &task_doorbell, || Over::No);
    })
    .map_err(refused)?;
    let readers = Readers {
        tasks: &tasks,
        control: &inbox,
        ready: |id, outcome| control::ready(&worker, id, outcome),
        other: |_| (),
    };
    frames_link::read(&mut frames, worker.registry, HEAP, readers)
}
