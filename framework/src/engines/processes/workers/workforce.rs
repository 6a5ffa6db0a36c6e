//! The source of a driver's workers, for all kinds of workers.

use std::{
    fmt,
    time::{Duration, Instant},
};

use mobula_protocol::{Attempt, Error, Result, WorkerId};

use crate::{engines::processes::Driver, init::WorkerEntry};

/// Brings up the workers of one driver, and ends them.
///
/// The driver speaks with each worker through a mailbox. All else depends on the kind of worker,
/// and stands in an implementation of this trait: [`Processes`], workers in threads, or the null
/// workers.
pub(crate) trait Workforce: fmt::Debug + Send + Sync {
    /// Returns how a further process of this program becomes a worker.
    ///
    /// # Errors
    /// A further process cannot become a worker.
    fn entry(&self) -> Result<WorkerEntry> {
        crate::init::worker_entry()
    }

    /// Whether workers are threads of this process. Then a task may start them, too.
    fn is_of_threads(&self) -> bool {
        false
    }

    /// Brings up the pool. Returns when the first worker takes tasks.
    ///
    /// # Errors
    /// No worker comes up.
    fn start(&self, driver: &Driver) -> Result<()>;

    /// Starts `count` further workers. Makes sure that each worker in `ends` has ended when its
    /// time has passed.
    fn change(&self, driver: &Driver, count: usize, ends: Vec<(WorkerId, Duration)>);

    /// Ends the worker `id`, because of `why`.
    fn kill(&self, driver: &Driver, id: WorkerId, why: String);

    /// Ends a run of a task that did not end in time, because of `why`. Its worker cannot be
    /// killed. See [`Host::end_run`](crate::scheduler::Host::end_run).
    fn end_run(&self, driver: &Driver, id: WorkerId, _run: Attempt, why: String) {
        self.kill(driver, id, why);
    }

    /// Waits, at the end of the runtime, for workers that the monitor does not wait for. All
    /// workers were told to end.
    fn end(&self, _driver: &Driver) {}

    /// Does the work of workers that run on the calling thread. Returns whether there was any.
    #[inline]
    fn work_here(&self, _driver: &Driver) -> bool {
        false
    }

    /// Whether workers answer while no caller waits for them. Then a thread has to read the
    /// answers.
    fn answers_by_itself(&self) -> bool {
        true
    }
}

/// Worker processes, which the monitor starts, watches and kills.
#[derive(Debug)]
pub(crate) struct Processes;

impl Workforce for Processes {
    fn start(&self, driver: &Driver) -> Result<()> {
        let keep = driver.keeps_last_worker();
        driver.with(|scheduler, _| scheduler.keep_last_worker(keep));
        driver.startup.lock().to_come = driver.config.workers;
        driver.monitor.start(driver.config.workers);
        first_has_come(driver)
    }

    fn change(&self, driver: &Driver, count: usize, ends: Vec<(WorkerId, Duration)>) {
        driver.monitor.change(count, ends);
    }

    fn kill(&self, driver: &Driver, id: WorkerId, why: String) {
        driver.monitor.mark_for_kill(id, why);
    }
}

/// Blocks until a worker takes tasks.
///
/// # Errors
/// No worker takes tasks; the error says why.
pub(in crate::engines::processes) fn first_has_come(driver: &Driver) -> Result<()> {
    let deadline = Instant::now() + driver.config.start_timeout + Duration::from_secs(1);
    let mut startup = driver.startup.lock();
    loop {
        if startup.registered > 0 {
            return Ok(());
        }
        if let Some(error) = startup.error.take() {
            return Err(error);
        }
        if driver
            .started
            .wait_until(&mut startup, deadline)
            .timed_out()
        {
            return Err(Error::setup(format!(
                "no worker was ready within {:?}; what stands before `mobula::init()` in `main` runs in each worker, and must be short",
                driver.config.start_timeout
            )));
        }
    }
}
