//! Workers that do nothing, for measurements of the driver alone.
//!
//! A *null worker* is no process. It takes each task like a worker, through a mailbox of its own
//! with the doorbells, state words and wire format of a worker. It answers at once that the task
//! has returned `()`. So a program's time is the cost of the driver: the typed surface, the
//! scheduler and the peers. Functions, processes and the store cost nothing.
//!
//! A null worker has two threads of this process, like a worker for its two lanes. Or it has none,
//! and the thread that waits for a result does the null worker's work on the way. Then a program
//! runs in one way each time, so that instructions can be counted.
//!
//! A null worker ends with the runtime, and not earlier: nothing in it needs an end.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mobula_protocol::{
    Error, Result, Value, WorkerId,
    doorbell::Doorbell,
    link,
    mailbox::{LaneReader, OutWriter, WorkerState},
    message::{FromWorker, TaskMessage, ToWorker},
    waiting::Spin,
};
use parking_lot::Mutex;

use crate::engines::processes::{
    Driver, thread,
    workers::{no_process::connect, workforce::Workforce},
};

/// The length of a null worker's segment. Nothing is ever stored in it.
const SEGMENT: u64 = 64 << 10;

/// The part of a null worker that runs its tasks.
#[derive(Debug)]
struct Tasks {
    lane: LaneReader,
    state: WorkerState,
    out: OutWriter,
    /// The value `()`.
    unit: Arc<Value>,
}

/// The part of a null worker that serves its control lane.
#[derive(Debug)]
struct Control {
    lane: LaneReader,
    socket: OwnedFd,
}

impl Tasks {
    /// Takes the next task of the lane, if there is one.
    ///
    /// # Errors
    /// The message is no task, or the mailbox is damaged.
    fn next(&mut self) -> Result<Option<TaskMessage>> {
        match self.lane.receive() {
            Ok(None) => Ok(None),
            Ok(Some(ToWorker::Task(task))) => Ok(Some(task)),
            Ok(Some(other)) => Err(Error::internal(format!("a {other:?} in the task lane"))),
            Err(error) => Err(Error::internal(error.to_string())),
        }
    }

    /// Does what the task loop of a worker does, without the call.
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

    /// Answers tasks until `closing`.
    fn serve(&mut self, closing: &AtomicBool) -> Result<()> {
        let spin = Spin::of_the_driver();
        while !closing.load(Ordering::SeqCst) {
            if let Some(task) = self.next()? {
                self.answer(&task)?;
                continue;
            }
            let work = || self.lane.ready() || closing.load(Ordering::SeqCst);
            if !spin.until(work).is_ready() {
                self.lane.doorbell().sleep(None, work);
            }
        }
        Ok(())
    }
}

impl Control {
    /// Takes the next message, if there is one. Returns whether it ends the worker.
    ///
    /// # Errors
    /// The mailbox or the socket is damaged.
    fn next(&mut self) -> Result<Option<bool>> {
        let message = self.lane.receive();
        match message.map_err(|error| Error::internal(error.to_string()))? {
            None => Ok(None),
            Some(ToWorker::Shutdown) => Ok(Some(true)),
            Some(ToWorker::Segment { .. }) => {
                // No code reads the arguments of tasks.
                link::receive_segment(self.socket.as_fd())
                    .map_err(|error| Error::internal(error.to_string()))?;
                Ok(Some(false))
            }
            Some(_) => Ok(Some(false)),
        }
    }

    fn serve(&mut self, closing: &AtomicBool, task_doorbell: &Doorbell) -> Result<()> {
        loop {
            match self.next()? {
                Some(true) => break,
                Some(false) => {}
                None => self.lane.wait(None),
            }
        }
        closing.store(true, Ordering::SeqCst);
        task_doorbell.notify();
        Ok(())
    }
}

/// Null workers with threads.
#[derive(Debug)]
pub(in crate::engines) struct NullThreads;

impl Workforce for NullThreads {
    fn start(&self, driver: &Driver) -> Result<()> {
        start_all(driver, driver.config.workers, start_threads)
    }

    fn change(&self, driver: &Driver, count: usize, _: Vec<(WorkerId, Duration)>) {
        fail_on_error(driver, start_all(driver, count, start_threads));
    }

    fn kill(&self, driver: &Driver, _: WorkerId, why: String) {
        driver.fail(&Error::internal(why));
    }
}

/// Null workers without threads.
#[derive(Debug, Default)]
pub(in crate::engines) struct NullHere(Mutex<Vec<(Tasks, Control)>>);

impl NullHere {
    fn start(&self, driver: &Driver, count: usize) -> Result<()> {
        start_all(driver, count, |_, tasks, control| {
            self.0.lock().push((tasks, control));
            Ok(())
        })
    }

    /// Does the work that there is. Returns whether a task was among it.
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

impl Workforce for NullHere {
    fn start(&self, driver: &Driver) -> Result<()> {
        self.start(driver, driver.config.workers)
    }

    fn change(&self, driver: &Driver, count: usize, _: Vec<(WorkerId, Duration)>) {
        fail_on_error(driver, self.start(driver, count));
    }

    fn kill(&self, driver: &Driver, _: WorkerId, why: String) {
        driver.fail(&Error::internal(why));
    }

    fn work_here(&self, driver: &Driver) -> bool {
        let worked = self.work();
        worked.unwrap_or_else(|error| {
            driver.fail(&error);
            false
        })
    }

    fn answers_by_itself(&self) -> bool {
        false
    }
}

/// Makes `count` null workers. `run` takes each of them.
///
/// # Errors
/// There is no memory, descriptor or thread.
fn start_all(
    driver: &Driver,
    count: usize,
    run: impl Fn(&Driver, Tasks, Control) -> Result<()>,
) -> Result<()> {
    for _ in 0..count {
        let (mut tasks, control) = null_worker(driver)?;
        tasks.say(&FromWorker::Registered)?;
        run(driver, tasks, control)?;
    }
    driver.poll();
    Ok(())
}

fn null_worker(driver: &Driver) -> Result<(Tasks, Control)> {
    let (ends, ()) = connect(driver, (SEGMENT, SEGMENT), false, |_, _| Ok(()))?;
    let tasks = Tasks {
        lane: ends.mailbox.task,
        state: ends.mailbox.state,
        out: ends.mailbox.out,
        unit: Value::unit(),
    };
    let control = Control {
        lane: ends.mailbox.control,
        socket: ends.socket,
    };
    Ok((tasks, control))
}

fn start_threads(driver: &Driver, mut tasks: Tasks, mut control: Control) -> Result<()> {
    let closing = Arc::new(AtomicBool::new(false));
    let task_doorbell = tasks.lane.doorbell();
    let mut threads = driver.threads.lock();
    let (this, end) = (driver.this.clone(), closing.clone());
    threads.push(thread("mobula-null", move || {
        report(&this, tasks.serve(&end));
    })?);
    let this = driver.this.clone();
    threads.push(thread("mobula-control", move || {
        report(&this, control.serve(&closing, &task_doorbell));
    })?);
    Ok(())
}

/// Fails the runtime on an error, since there is no process whose death would report it.
fn report(driver: &Weak<Driver>, result: Result<()>) {
    if let Some(driver) = driver.upgrade() {
        fail_on_error(&driver, result);
    }
}

fn fail_on_error(driver: &Driver, result: Result<()>) {
    if let Err(error) = result {
        driver.fail(&error);
    }
}
