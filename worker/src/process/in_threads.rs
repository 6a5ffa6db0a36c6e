//! A worker whose threads are threads of its driver's program.
//!
//! Such a worker works like a worker process, except for three things that belong to a process.
//! These are standard input and output, the end with the driver, and the kill.
//!
//! A thread cannot be killed. A run that does not end in time loses its turn
//! ([`InThreads::take_turn`]), and a stand-in goes on with the lane beside it. The worker's end
//! waits for all of its threads and for all handles of its objects. The memory that these keep must
//! not change under them.

use std::{
    fmt,
    os::fd::OwnedFd,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mobula_protocol::{
    Attempt, Error, Registry, Result, WorkerId, doorbell::Doorbell, mailbox::WorkerEnd,
    message::FromWorker, sync::ProcessSlot,
};
use mobula_store::{SegmentFile, SegmentId, Segments, limits::Wanted};
use parking_lot::Mutex;

use super::{
    at_the_end,
    beside::Beside,
    control::{self, Over},
    eager,
    here::{self, Here, Member, Number},
    tasks, threads,
    worker::{Settings, Worker},
};
use crate::link::{
    Lane, Out,
    mailbox::{OutLane, Socket},
    threads::{CutLane, Threads},
};

/// The first and the longest pause between two looks whether an ended worker is still in use.
const LOOKS: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(100));

/// The parts of a worker in threads.
#[derive(Debug)]
pub struct Parts {
    /// The worker's id.
    pub id: WorkerId,
    /// The worker's number among the workers that share locks.
    pub process_slot: ProcessSlot,
    /// How many workers the runtime has.
    pub workers: u32,
    /// The stack of each thread that runs tasks, in bytes.
    pub stack: u64,
    /// The worker's own segment, with both descriptors.
    pub segment: (SegmentId, SegmentFile),
    /// The mappings of all segments of the runtime. All of its workers share them.
    pub segments: Arc<Segments>,
    /// The worker's end of the mailbox.
    pub end: WorkerEnd,
    /// The worker's end of the socket that brings descriptors for shared memory.
    pub socket: OwnedFd,
}

/// A worker in threads, as its driver sees it.
#[derive(Clone)]
pub struct InThreads {
    worker: Arc<Worker<Threads>>,
    task_doorbell: Doorbell,
}

impl InThreads {
    /// Starts a worker. The worker calls `ended` when nothing of it is left that could use the
    /// memory of the store. If an error keeps the worker from its first task, `ended` gets this
    /// error.
    ///
    /// # Errors
    /// The system gives no threads, or the segment cannot be mapped.
    pub fn start(
        parts: Parts,
        ended: impl FnOnce(Result<()>) + Send + 'static,
    ) -> Result<InThreads> {
        let end = parts.end;
        let beside = Arc::new(Beside::new({
            let doorbell = end.control.doorbell();
            move || doorbell.notify()
        }));
        let socket = Socket::new(parts.socket)
            .map_err(|error| Error::setup(format!("cannot use a worker's socket: {error}")))?;
        let settings = Settings {
            number: Number::next(),
            id: parts.id,
            process_slot: parts.process_slot,
            registry: Registry::get()?,
            segment: parts.segment,
            segments: parts.segments,
            workers: parts.workers,
            stack: parts.stack,
            // The memory of this process is not the worker's alone.
            max_rss: None,
            printed: None,
            beside: Some(beside.clone()),
        };
        let out = CutLane::new(OutLane(end.out), beside.cut_flag());
        let worker = Worker::<Threads>::new(settings, (out, end.task, end.state))?;
        here::list(&(worker.clone() as Arc<dyn Here>));
        let task_doorbell = Lane::doorbell(&worker.tasks.lock().lane);
        let result: Arc<Mutex<Result<()>>> = Arc::new(Mutex::new(Ok(())));
        let refused = |error| {
            worker.closing.store(true, Ordering::SeqCst);
            task_doorbell.notify();
            here::strike(worker.number());
            Error::refused("cannot start a thread for a worker", Wanted::Thread, error)
        };
        let (tasks, first, told) = (worker.clone(), beside.thread(), result.clone());
        threads::start_for_tasks(worker.stack, move || {
            let _first = first;
            let ended = panic::catch_unwind(AssertUnwindSafe(|| begin(&tasks)));
            let internal = |_| Err(Error::internal("the task loop panicked"));
            *told.lock() = ended.unwrap_or_else(internal);
            tasks.closing.store(true, Ordering::SeqCst);
        })
        .map_err(refused)?;
        let (serves, doorbell, control) = (worker.clone(), task_doorbell.clone(), end.control);
        threads::start("mobula-control", mobula_protocol::wire::STACK, move || {
            let mut pause = LOOKS.0;
            control::serve(&serves, control, &socket, &doorbell, || {
                over(&serves, &mut pause)
            });
            // `ended` takes a lock. Other threads take this lock around the end of a handle.
            let result = std::mem::replace(&mut *result.lock(), Ok(()));
            here::strike(serves.number());
            drop(serves);
            ended(result);
        })
        .map_err(refused)?;
        Ok(InThreads {
            worker,
            task_doorbell,
        })
    }

    /// Tells all runs of the worker that they are cancelled. The worker ends as soon as they have
    /// ended.
    pub fn close(&self) {
        self.worker.closing.store(true, Ordering::SeqCst);
        self.worker.cancellations.cancel_all();
        self.task_doorbell.notify();
    }

    /// Takes the turn from a run that does not end, and has another thread go on with the tasks.
    /// Returns `false` if the run has ended, or waits.
    pub fn take_turn(&self, run: Attempt) -> bool {
        let worker = &*self.worker;
        let taken = worker
            .beside
            .as_ref()
            .is_some_and(|beside| beside.gives_turn(run));
        if taken {
            worker.turn.end();
            let spent = worker.table.lock().leave(&FromWorker::Blocked);
            drop(spent);
            let _ = worker.look_for_stand_in();
        }
        taken
    }

    /// Notes that nobody reads the worker's messages from now on. The worker's threads may go on.
    /// Their requests fail.
    pub fn cut(&self) {
        if let Some(beside) = &self.worker.beside {
            beside.cut();
        }
    }
}

impl fmt::Debug for InThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InThreads").field(&self.worker).finish()
    }
}

/// While this lives, the task of this thread sleeps, and other tasks run on its worker.
#[must_use]
pub struct PausedHere(Arc<dyn Here>);

/// If this thread runs a task of a worker, says that the task sleeps. For code that waits by other
/// means than the worker's engine.
#[inline]
pub fn pause_here() -> Option<PausedHere> {
    match tasks::runs_here() {
        false => None,
        true => here::current().map(PausedHere::new),
    }
}

impl PausedHere {
    #[cold]
    fn new(worker: Arc<dyn Here>) -> PausedHere {
        // If no thread goes on with the lane, its tasks wait for this thread.
        let _ = worker.sleeps();
        PausedHere(worker)
    }
}

impl Drop for PausedHere {
    fn drop(&mut self) {
        self.0.resumed(false);
    }
}

impl fmt::Debug for PausedHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PausedHere").field(&self.0).finish()
    }
}

/// Makes the values that are to be made before the first task. Then runs tasks until the worker
/// closes.
fn begin(worker: &Arc<Worker<Threads>>) -> Result<()> {
    let _member = Member::enter(worker.clone());
    eager()?;
    worker.registered.store(true, Ordering::Release);
    worker.table.lock().out.push(&FromWorker::Registered);
    tasks::task_loop(worker, true);
    // A task that runs on another thread may finish.
    worker.turn.begin();
    if worker.actor.is_installed() {
        at_the_end("the end of an actor", || worker.actor.drop_value());
    }
    worker.locals.end(|value| {
        at_the_end("the end of a worker's value", || {
            value.end();
        });
    });
    worker.turn.end();
    Ok(())
}

/// Whether the worker has ended. Then no thread runs its tasks any more. And no thread of the
/// program has anything that lies in the worker's memory, or that the worker keeps. A worker that
/// nobody answers has ended, too.
///
/// Once the threads have ended, nobody reports the rest. So the thread looks again and again, with
/// longer and longer pauses.
fn over(worker: &Worker<Threads>, pause: &mut Duration) -> Over {
    let Some(beside) = &worker.beside else {
        return Over::Yes;
    };
    if beside.is_cut() {
        return Over::Yes;
    }
    let closing = worker.closing.load(Ordering::SeqCst);
    if !closing || beside.has_threads() {
        return Over::No;
    }
    for value in worker.decoded.take_all() {
        at_the_end("the end of a decoded value", || drop(value));
    }
    let table = worker.table.lock();
    if table.is_empty() && !worker.has_extents() {
        // A thread that makes a handle after this finds that out when it waits.
        beside.cut();
        return Over::Yes;
    }
    let now = *pause;
    *pause = (now * 2).min(LOOKS.1);
    Over::LookAgain(now)
}
