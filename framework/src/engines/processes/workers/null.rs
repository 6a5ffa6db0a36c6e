//! Workers that do nothing: for measurements of the driver alone.
//!
//! A *null worker* is no process. It takes each task as a worker does, through a mailbox of its own
//! with the same bells, state words and wire format, and answers at once that the task has returned
//! `()`. So what is left of a program's time is what the driver costs: the typed surface, the
//! scheduler and the peers, without functions, processes and the store.
//!
//! Each has two threads of this process, as a worker has for its two lanes. Or it has none, and
//! whoever waits for a result does its work on the way: then a program does the same each time, so
//! that instructions can be counted.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use mobula_protocol::{
    Error, Result, Value, WorkerId,
    bell::{Bell, Spin},
    link,
    mailbox::{self, DriverEnd, LaneReader, OutWriter, WorkerEnd, WorkerState},
    message::{FromWorker, TaskMessage, ToWorker},
};
use mobula_store::{Backing, SegmentFile, SegmentId};
use parking_lot::Mutex;

use crate::engines::Kind;
use crate::engines::processes::{Driver, peers::peer::Peer, shared_words, thread};

/// Nothing is ever stored in it.
const SEGMENT: u64 = 64 << 10;

/// A process id that no worker has.
pub(in crate::engines::processes) const NO_PROCESS: u32 = 0;

/// Null workers without threads.
#[derive(Debug, Default)]
pub(in crate::engines::processes) struct Here(Mutex<Vec<(Tasks, Control)>>);

/// One of them, as its tasks see it.
#[derive(Debug)]
struct Tasks {
    lane: LaneReader,
    state: WorkerState,
    out: OutWriter,
    /// `()`.
    unit: Arc<Value>,
}

/// The rest of it.
#[derive(Debug)]
struct Control {
    lane: LaneReader,
    socket: OwnedFd,
}

impl Tasks {
    /// # Errors
    /// What came is no task, or the mailbox is damaged.
    fn next(&mut self) -> Result<Option<TaskMessage>> {
        match self.lane.receive() {
            Ok(None) => Ok(None),
            Ok(Some(ToWorker::Task(task))) => Ok(Some(task)),
            Ok(Some(other)) => Err(Error::internal(format!("a {other:?} in the task lane"))),
            Err(error) => Err(Error::internal(error.to_string())),
        }
    }

    /// As the loop of a worker, but for the call.
    fn answer(&mut self, task: &TaskMessage) -> Result<()> {
        if !self.state.start(task.slot, task.attempt, task.revocable) {
            return Ok(());
        }
        self.say(&FromWorker::Done {
            id: task.id,
            slot: task.slot,
            attempt: task.attempt,
            outcome: Ok(self.unit.clone()),
        })
    }

    fn say(&mut self, message: &FromWorker) -> Result<()> {
        self.out
            .send(message)
            .map_err(|error| Error::internal(error.to_string()))
    }

    /// Answers until `closing`.
    fn serve(&mut self, closing: &AtomicBool) -> Result<()> {
        while !closing.load(Ordering::SeqCst) {
            if let Some(task) = self.next()? {
                self.answer(&task)?;
                continue;
            }
            let work = || self.lane.ready() || closing.load(Ordering::SeqCst);
            if !Spin::for_this_machine().until(work).is_ready() {
                self.lane.bell().sleep(None, work);
            }
        }
        Ok(())
    }
}

impl Control {
    /// The next message that means something here: whether it says that this is the end.
    ///
    /// # Errors
    /// The mailbox or the socket is damaged.
    fn next(&mut self) -> Result<Option<bool>> {
        let message = self.lane.receive();
        match message.map_err(|error| Error::internal(error.to_string()))? {
            None => Ok(None),
            Some(ToWorker::Shutdown) => Ok(Some(true)),
            Some(ToWorker::Segment { .. }) => {
                // The arguments of tasks are not looked at.
                link::receive_segment(self.socket.as_fd())
                    .map_err(|error| Error::internal(error.to_string()))?;
                Ok(Some(false))
            }
            Some(_) => Ok(Some(false)),
        }
    }

    fn serve(&mut self, closing: &AtomicBool, task_bell: &Bell) -> Result<()> {
        loop {
            match self.next()? {
                Some(true) => break,
                Some(false) => {}
                None => self.lane.wait(Spin::NONE, None),
            }
        }
        closing.store(true, Ordering::SeqCst);
        task_bell.ring();
        Ok(())
    }
}

impl Here {
    /// Does what there is to do; whether there was anything.
    ///
    /// # Errors
    /// A mailbox is damaged.
    fn work(&self) -> Result<bool> {
        let mut any = false;
        for (tasks, control) in &mut *self.0.lock() {
            while let Some(task) = tasks.next()? {
                any = true;
                tasks.answer(&task)?;
            }
            while control.next()?.is_some() {}
        }
        Ok(any)
    }
}

impl Driver {
    /// Makes all null workers.
    ///
    /// # Errors
    /// No memory, descriptors or threads.
    pub(in crate::engines::processes) fn start_null_workers(&self) -> Result<()> {
        for _ in 0..self.config.workers {
            let (mut tasks, control) = self.null_worker(Value::unit())?;
            tasks.say(&FromWorker::Registered)?;
            match self.config.kind {
                Kind::NullHere => self.null_here.0.lock().push((tasks, control)),
                _ => self.start_null_threads(tasks, control)?,
            }
        }
        self.poll();
        Ok(())
    }

    fn null_worker(&self, unit: Arc<Value>) -> Result<(Tasks, Control)> {
        let id = WorkerId(self.next_worker.fetch_add(1, Ordering::Relaxed) as u32);
        let failed = |error: &dyn std::fmt::Display| Error::setup(error.to_string());
        let (_, memory) = shared_words(mailbox::bytes() as u64)?;
        let end = DriverEnd::create(&memory).map_err(|error| failed(&error))?;
        let own = WorkerEnd::open(&memory, &self.bell).map_err(|error| failed(&error))?;
        let (socket, own_socket) = link::pair().map_err(|error| failed(&error))?;
        let seat = self.with(|_, lanes| lanes.seats.take());
        let seat = seat.ok_or_else(|| Error::setup("no further worker"))?;
        let segment = SegmentId(id.0);
        let file = SegmentFile::create(SEGMENT, SEGMENT, Backing::Unnamed)?;
        let registered = Arc::new(AtomicBool::new(false));
        let lane = Peer::new(
            end,
            NO_PROCESS,
            Arc::new(socket),
            None,
            (segment, seat),
            registered,
        );
        self.with(|scheduler, lanes| {
            lanes.add(id, lane, (segment, file));
            scheduler.worker_starting(id)
        })
        .map_err(|violation| Error::internal(violation.to_string()))?;
        let tasks = Tasks {
            lane: own.task,
            state: own.state,
            out: own.out,
            unit,
        };
        let control = Control {
            lane: own.control,
            socket: own_socket,
        };
        Ok((tasks, control))
    }

    fn start_null_threads(&self, mut tasks: Tasks, mut control: Control) -> Result<()> {
        let closing = Arc::new(AtomicBool::new(false));
        let task_bell = tasks.lane.bell();
        let mut threads = self.threads.lock();
        let (this, end) = (self.this.clone(), closing.clone());
        threads.push(thread("mobula-null", move || {
            report(&this, tasks.serve(&end));
        })?);
        let this = self.this.clone();
        threads.push(thread("mobula-control", move || {
            report(&this, control.serve(&closing, &task_bell));
        })?);
        Ok(())
    }

    /// Does the work of null workers that have no threads; whether there was any.
    pub(in crate::engines::processes) fn work_here(&self) -> bool {
        if self.config.kind != Kind::NullHere {
            return false;
        }
        let worked = self.null_here.work();
        worked.unwrap_or_else(|error| {
            self.fail(&error);
            false
        })
    }
}

/// There is no process whose death would tell.
fn report(driver: &Weak<Driver>, result: Result<()>) {
    if let Err(error) = result
        && let Some(driver) = driver.upgrade()
    {
        driver.fail(&error);
    }
}
