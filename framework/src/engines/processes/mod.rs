//! The driver: the scheduler, the workers' mailboxes, and the threads around them.
//!
//! - One lock protects `State` (the scheduler and the peers). A thread that changes the state also
//!   hands out tasks and notifies doorbells before it releases the lock. User code (wakers) runs
//!   after that.
//! - A caller that waits reads the workers' answers ([`wait`](waiting::wait)). If no caller waits,
//!   the *background* thread reads them ([`background`](waiting::background)).
//! - The *monitor* thread ([`monitor`](workers::monitor)) starts workers, sees them die and
//!   replaces them.
//! - The *output* thread ([`output`]) passes on the workers' output.
//! - A [`Workforce`] brings up the workers.

mod engine;
mod memory;
mod output;
mod peers;
mod step;
mod waiting;
pub(super) mod workers;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{JoinHandle, Thread},
    time::{Duration, Instant},
};

use mobula_protocol::{
    Error, FunctionIndex, Registry, Released, RemoteFn, Result, Role, WorkerId,
    doorbell::{DriverDoorbell, Followers},
    mailbox::TASK_SLOTS,
    primitive::Region,
    waiting::Spin,
};
use mobula_store::{
    Backing, Budget, Capacity, Heap, SegmentFile, SegmentId, Segments, SharedWords, Writables,
    limits::Wanted,
};
use parking_lot::{Condvar, Mutex};

use crate::{
    config::Config,
    current,
    scheduler::{self, CallRole, Scheduler},
};
use memory::DriverBudget;
use output::Output;
use peers::Peers;
use waiting::poll_policy::PollPolicy;
use waiting::sleepers::Sleepers;
use workers::cores::Cores;
use workers::monitor::Monitor;
use workers::surroundings::Surroundings;
use workers::workforce::Workforce;

/// The most tasks that a worker has beside tasks that wait. They hide the time of a round trip.
const PREFETCH: u32 = 64;

/// How long workers may take to end by themselves at shutdown. An idle worker takes less than 1 ms.
/// A worker that runs a task is not waited for any longer.
const GRACE: Duration = Duration::from_millis(250);

/// One page of words for the doorbell, and one page that shared memory has for 64-bit words. The
/// doorbell needs none of these.
const DOORBELL_LEN: u64 = 8192;

/// The engine of one runtime.
pub(crate) struct Driver {
    this: Weak<Driver>,
    config: Config,
    surroundings: Surroundings,
    /// The cores that workers are pinned to.
    cores: Option<Arc<Cores>>,
    registry: &'static Registry,
    state: Mutex<State>,
    /// Handles that were dropped. The thread that takes the lock next counts them.
    released: Released,
    /// See [`Peers::has_actors`].
    has_actors: Arc<AtomicBool>,
    /// Whether a thread that reads answers sleeps, or is about to sleep, for longer than packed
    /// tasks may wait. Changed under the lock.
    sleeps_long: AtomicBool,
    /// Whether workers had further answers after the last read. A hint.
    leaves_answers: AtomicBool,
    /// Decides how foreground callers and the background thread share the work of reading answers.
    poll_policy: PollPolicy,
    /// How this process' threads spin before they sleep.
    spin: Spin,
    next_worker: AtomicU64,
    heap: Arc<Heap>,
    segments: Arc<Segments>,
    writables: Arc<Writables>,
    capacity: Arc<Capacity>,
    doorbell: DriverDoorbell,
    doorbell_file: SegmentFile,
    /// Callers that wait while another caller is the leader.
    followers: Followers<Thread>,
    /// Threads that wait for locks.
    sleepers: Sleepers,
    startup: Mutex<Startup>,
    started: Condvar,
    /// The error with which all calls fail from now on.
    failure: OnceLock<Error>,
    closed: AtomicBool,
    monitor: Monitor,
    workforce: Box<dyn Workforce>,
    output: Arc<Output>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct State {
    scheduler: Scheduler,
    peers: Peers,
}

#[derive(Default)]
struct Startup {
    registered: usize,
    /// Workers that died in a row before they registered.
    failures: usize,
    /// The number of the pool's workers whose start no thread has tried yet.
    to_come: usize,
    /// Whether some worker has had a process.
    begun: bool,
    error: Option<Error>,
}

impl Driver {
    /// Starts a runtime: segments, threads, and the workers that `workforce` brings up. Returns
    /// when the first worker takes tasks.
    ///
    /// # Errors
    /// There is no memory, there are no processes, or the workers do not come up.
    pub(crate) fn start(config: Config, workforce: Box<dyn Workforce>) -> Result<Arc<Driver>> {
        // Threads can be a pool of the task's own, on a node where the task has several cores.
        if !workforce.is_of_threads() && mobula_worker::worker_engine()?.is_some() {
            return Err(Error::usage(
                "a task cannot start worker processes of its own; it uses the runtime that it runs in, `Runtime::current()`: spawn calls and put objects as in the driver; a task with several cores may start a runtime of `EngineKind::threads()`",
            ));
        }
        if mobula_store::is_forked_child() {
            return Err(Error::usage(
                "this process was forked off one that has started a runtime, and cannot start its own: neither that one's threads nor its locks are here; fork first (also by `daemon`), and start the runtime in the process that uses it, or have the child replace itself by `exec`",
            ));
        }
        let surroundings = Surroundings::now(config.directory.as_deref())?;
        let cores = Cores::of(config.pin, config.workers)?;
        let entry = workforce.entry()?;
        let registry = Registry::get()?;
        let capacity = Arc::new(Capacity::new(config.capacity));
        let budget = Arc::new(DriverBudget::new(capacity.clone()));
        let file = SegmentFile::create(config.own_segment, config.capacity, Backing::Auto)?;
        let heap = Heap::new(
            SegmentId(WorkerId::DRIVER.0),
            file,
            budget.clone() as Arc<dyn Budget>,
        )?;
        let segments = Arc::new(Segments::new());
        let writables = Arc::new(Writables::new());
        let (doorbell_file, doorbell_memory) = shared_words(DOORBELL_LEN)?;
        let functions = (0..registry.len()).map(|n| FunctionIndex(n as u32));
        let functions = functions.filter_map(|n| registry.function(n).map(known));
        let mut scheduler = Scheduler::new(
            scheduler::Config {
                prefetch: PREFETCH,
                slots: TASK_SLOTS as u32,
                cores: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
                deaths: config.max_worker_deaths,
                max_pending: config.max_pending,
                reports_unread: config.report_unread_failures,
            },
            functions.collect(),
        );
        scheduler.set_resources(config.resources.clone(), config.workers);
        let peers = Peers::new(
            heap.clone(),
            segments.clone(),
            writables.clone(),
            capacity.clone(),
        );
        let has_actors = peers.has_actors.clone();
        let monitor = Monitor::new(entry)?;
        let output = Arc::new(Output::new()?);
        let driver = Arc::new_cyclic(|this| Driver {
            this: this.clone(),
            surroundings,
            cores,
            registry,
            state: Mutex::new(State { scheduler, peers }),
            released: Released::default(),
            has_actors,
            sleeps_long: AtomicBool::new(false),
            leaves_answers: AtomicBool::new(false),
            poll_policy: PollPolicy::default(),
            spin: Spin::of_the_driver(),
            next_worker: AtomicU64::new(1),
            heap,
            segments,
            writables,
            capacity,
            doorbell: DriverDoorbell::new(doorbell_memory),
            doorbell_file,
            followers: Followers::default(),
            sleepers: Sleepers::default(),
            startup: Mutex::new(Startup::default()),
            started: Condvar::new(),
            failure: OnceLock::new(),
            closed: AtomicBool::new(false),
            monitor,
            workforce,
            output,
            threads: Mutex::new(Vec::new()),
            config,
        });
        budget.serve(driver.this.clone());
        if let Err(error) = driver.bring_up() {
            driver.shutdown();
            return Err(error);
        }
        Ok(driver)
    }

    fn bring_up(self: &Arc<Self>) -> Result<()> {
        let mut threads = self.threads.lock();
        if self.workforce.answers_by_itself() {
            let driver = self.clone();
            threads.push(thread("mobula-driver", move || driver.run_background())?);
        }
        let output = self.output.clone();
        drop(thread("mobula-output", move || output.run())?);
        let driver = self.clone();
        threads.push(thread("mobula-monitor", move || driver.run_monitor())?);
        drop(threads);
        self.workforce.start(self)
    }

    /// Fails all tasks and waits with `error` from now on: the runtime cannot go on.
    fn fail(&self, error: &Error) {
        let _ = self.failure.set(error.clone());
        self.with(|scheduler, peers| scheduler.fail_all(error.clone(), peers));
        self.sleepers.end();
        let mut startup = self.startup.lock();
        startup.error.get_or_insert_with(|| error.clone());
        self.started.notify_all();
    }

    /// Notes that a further worker of the pool has a process.
    fn one_has_come(&self) {
        let mut startup = self.startup.lock();
        startup.to_come = startup.to_come.saturating_sub(1);
        startup.begun = true;
        self.started.notify_all();
    }

    /// Wakes the threads that wait for the pool to be complete: no further worker comes.
    fn none_to_come(&self) {
        let mut startup = self.startup.lock();
        if startup.to_come > 0 {
            startup.to_come = 0;
            self.started.notify_all();
        }
    }

    /// Ends the runtime. Results that are not there fail, workers end, and memory is given back.
    ///
    /// Tasks that still run have the time `GRACE` to end, and are killed after that. An actor
    /// without a call has its own time to drop its value.
    pub(crate) fn shutdown(&self) {
        // In a child that user code forked, the threads, the locks and the workers are the
        // parent's.
        if mobula_store::is_forked_child() || self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        let _ = self.failure.set(Error::shutdown());
        current::remove(self);
        self.with(|scheduler, peers| {
            let idle = scheduler.idle_actors();
            let ends = std::mem::take(&mut peers.seldom().ends);
            scheduler.fail_all(Error::shutdown(), peers);
            // A busy actor has no more time than a task.
            peers.seldom().ends = ends;
            let workers: Vec<WorkerId> = peers.iter_mut().map(|(id, _)| id).collect();
            for worker in workers {
                match idle.iter().find(|(id, _)| *id == worker) {
                    Some((_, grace)) => scheduler.stop_process(worker, *grace, peers),
                    None => scheduler.worker_stopping(worker, peers),
                }
            }
        });
        self.sleepers.end();
        self.monitor.close(Instant::now() + GRACE);
        self.workforce.end(self);
        self.doorbell.notify_all();
        self.output.close();
        let own = std::thread::current().id();
        let threads = std::mem::take(&mut *self.threads.lock());
        // A waker that one of these threads calls may drop the last handle of the runtime. Then
        // this thread is one of them. These threads wait for each other, so it can wait for none of
        // them.
        if threads.iter().all(|thread| thread.thread().id() != own) {
            for thread in threads {
                let _ = thread.join();
            }
            // Readers of the driver's output can delay this thread, unlike the others.
            self.output.wait_until_done();
        }
    }

    /// Whether the runtime has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// Creates a file of words that all processes of the runtime may write to, and maps it in this
/// process.
fn shared_words(len: u64) -> Result<(SegmentFile, Region)> {
    let len = len.next_multiple_of(4096);
    let file = SegmentFile::create(len, len, Backing::Unnamed)?;
    let words = SharedWords::map(&file)?;
    Ok((file, Region::new(words)))
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| {
            Error::refused(
                format!("cannot start the thread {name}"),
                Wanted::Thread,
                error,
            )
        })
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Returns the facts that the scheduler has to know of a function.
fn known(function: &'static RemoteFn) -> scheduler::Function {
    let role = match function.role {
        Role::Method { exclusive, group } => CallRole {
            interleaves: function.asynchronous && !exclusive,
            group,
        },
        Role::Function | Role::Constructor { .. } => CallRole::default(),
    };
    scheduler::Function::new(function.name, role, function.options.clone())
}
