//! Workers whose threads are threads of this program: the engine
//! [`threads`](crate::EngineKind::threads).
//!
//! Each is a whole worker (`mobula_worker::in_threads`) behind a mailbox of its own. So the
//! scheduler, the driver and the worker work like with worker processes. Two things differ. All
//! these workers read through the driver's mappings, so no descriptors of segments travel. And a
//! thread cannot be killed:
//!
//! - A run that goes on after its grace time loses its turn, and its worker goes on beside it.
//! - A worker that is to end (an actor that is killed, or has no handles) is closed, and its runs
//!   are cancelled. The scheduler loses the worker when all runs have ended, and not earlier: until
//!   then they read their arguments.
//! - At the end of the runtime, runs that do not end in time are left to themselves. Nobody answers
//!   them any more.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use mobula_protocol::{
    Attempt, Error, Result, WorkerId,
    sync::{Cause, How},
};
use mobula_store::{NumberMap, SegmentFile, SegmentId, descriptors};
use mobula_worker::in_threads::{InThreads, Parts};
use parking_lot::{Condvar, Mutex};

use crate::{
    engines::processes::{
        Driver, GRACE,
        workers::{
            no_process::{connect, refused},
            workforce::{Workforce, first_has_come},
        },
    },
    init::WorkerEntry,
    promise::ENGINE,
};

/// How often the end of the runtime looks at the workers' messages.
const LOOK: Duration = Duration::from_micros(200);

/// See the module's text.
#[derive(Debug, Default)]
pub(in crate::engines) struct Threads(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Notified when a worker has ended.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Workers that have not ended.
    workers: NumberMap<WorkerId, InThreads>,
    /// Until when the runtime's end may wait for the end of each worker.
    ends: NumberMap<WorkerId, Instant>,
    /// Whether the set-up functions were called, and the tear-down functions were not.
    is_set_up: bool,
}

impl Threads {
    fn worker(&self, id: WorkerId) -> Option<InThreads> {
        self.0.state.lock().workers.get(&id).cloned()
    }

    fn start_all(&self, driver: &Driver, count: usize) -> Result<()> {
        for _ in 0..count {
            self.start_one(driver)?;
        }
        // A worker may have notified it before the driver could look at its lane.
        driver.poll();
        Ok(())
    }

    /// Starts one worker.
    ///
    /// # Errors
    /// There is no memory, descriptor or thread.
    fn start_one(&self, driver: &Driver) -> Result<()> {
        let len = driver.config.worker_segment;
        let memory = (len, driver.capacity.capacity());
        let (ends, own_file) = connect(driver, memory, true, |segment, file| {
            let copy = |fd| descriptors::duplicate(fd).map_err(|error| refused(error.into()));
            let writes = file.read_write_fd(ENGINE).map(copy).transpose()?;
            let reads = copy(file.read_only_fd())?;
            driver.segments.insert(segment, file)?;
            Ok(SegmentFile::from_descriptors(reads, writes, len, ENGINE)?)
        })?;
        let (id, segment) = (ends.id, ends.segment);
        let parts = Parts {
            id,
            process_slot: ends.process_slot,
            workers: driver.config.workers as u32,
            stack: driver.config.stack,
            segment: (segment, own_file),
            segments: driver.segments.clone(),
            end: ends.mailbox,
            socket: ends.socket,
        };
        let (weak, shared) = (driver.this.clone(), self.0.clone());
        // The lock is held, so that the worker is listed before it can end.
        let mut state = self.0.state.lock();
        let started = InThreads::start(parts, move |ended| {
            lost(&weak, id, segment, ended);
            let gone = {
                let mut state = shared.state.lock();
                state.ends.remove(&id);
                state.workers.remove(&id)
            };
            shared.changed.notify_all();
            drop(gone);
        });
        match started {
            Ok(worker) => {
                state.workers.insert(id, worker);
                Ok(())
            }
            Err(error) => {
                drop(state);
                lost(&driver.this, id, segment, Ok(()));
                Err(error)
            }
        }
    }

    /// Blocks until all workers have ended, or their time has passed.
    fn wait_for_ends(&self, driver: &Driver) {
        let begun = Instant::now();
        loop {
            // A worker that ends sends a message.
            driver.poll();
            let mut state = self.0.state.lock();
            let until = |id: &WorkerId| {
                let own = state.ends.get(id).copied();
                own.unwrap_or(begun).max(begun + GRACE)
            };
            let Some(until) = state.workers.keys().map(until).max() else {
                return;
            };
            let now = Instant::now();
            if until <= now {
                return;
            }
            self.0.changed.wait_until(&mut state, until.min(now + LOOK));
        }
    }
}

impl Workforce for Threads {
    fn is_of_threads(&self) -> bool {
        true
    }

    fn entry(&self) -> Result<WorkerEntry> {
        // No process is started.
        Ok(WorkerEntry {
            args: Vec::new(),
            env: Vec::new(),
        })
    }

    fn start(&self, driver: &Driver) -> Result<()> {
        mobula_worker::set_up_here(false)?;
        self.0.state.lock().is_set_up = true;
        // The driver reads its own segment through its heap. The workers read it through this
        // mapping.
        driver
            .segments
            .insert(driver.heap.id(), driver.heap.file())?;
        let keep = driver.keeps_last_worker();
        driver.with(|scheduler, _| scheduler.keep_last_worker(keep));
        self.start_all(driver, driver.config.workers)?;
        first_has_come(driver)
    }

    fn change(&self, driver: &Driver, count: usize, ends: Vec<(WorkerId, Duration)>) {
        let now = Instant::now();
        let ends = ends
            .into_iter()
            .filter_map(|(id, grace)| Some((id, now.checked_add(grace)?)));
        self.0.state.lock().ends.extend(ends);
        if driver.is_closed() {
            return;
        }
        if let Err(error) = self.start_all(driver, count) {
            driver.fail(&error.context("a further worker cannot be started"));
        }
    }

    fn kill(&self, driver: &Driver, id: WorkerId, why: String) {
        let intended = driver.with(|scheduler, _| scheduler.is_of_ended_actor(id));
        match self.worker(id) {
            Some(worker) if intended => worker.close(),
            // The worker's message is malformed: something wrote over this program's memory.
            Some(_) => driver.fail(&Error::internal(format!("a worker is not usable: {why}"))),
            None => {}
        }
    }

    fn end_run(&self, _: &Driver, id: WorkerId, run: Attempt, why: String) {
        if self.worker(id).is_some_and(|worker| worker.take_turn(run)) {
            eprintln!(
                "mobula: a thread is left to itself, and another one takes its place: {why}; a thread cannot be killed"
            );
        }
    }

    fn end(&self, driver: &Driver) {
        self.wait_for_ends(driver);
        let (left, is_set_up) = {
            let mut state = self.0.state.lock();
            let left = std::mem::take(&mut state.workers);
            (left, std::mem::take(&mut state.is_set_up))
        };
        if !left.is_empty() {
            eprintln!(
                "mobula: the runtime has ended, and the tasks of {} of its workers have not: their threads go on until the tasks return",
                left.len()
            );
        }
        left.values().for_each(InThreads::cut);
        // A thread that is about to wait for room in a full lane finds room.
        driver.with(|scheduler, peers| peers.drain_all(scheduler));
        drop(left);
        if is_set_up {
            mobula_worker::tear_down_here();
        }
    }
}

/// Ends a worker of which nothing is left. Its last messages count, and its memory is given back.
fn lost(driver: &Weak<Driver>, id: WorkerId, segment: SegmentId, ended: Result<()>) {
    let Some(driver) = driver.upgrade() else {
        return;
    };
    let why = ended.err();
    let cause = Cause {
        pid: std::process::id(),
        how: How::Unknown,
    };
    let missing = driver.with(|scheduler, peers| {
        peers.drain(id, scheduler, usize::MAX);
        peers.recover_locks(id, cause);
        let describe = |_| Error::internal("a worker in threads has ended while it had a task");
        let missing = scheduler.worker_lost(id, why.is_none(), describe, peers);
        let live = scheduler.stored_in(segment);
        peers.reap(id, segment, live);
        missing
    });
    // Another thread may sleep on a message that the worker did not send any more.
    driver.doorbell.notify_all();
    if driver.is_closed() {
        return;
    }
    match why {
        Some(error) => driver.fail(&error),
        // The worker has run as many calls as it may.
        None if missing => driver.workforce.change(&driver, 1, Vec::new()),
        None => {}
    }
}
