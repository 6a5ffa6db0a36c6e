//! A worker process, from the first instruction of `init()` to its end.
//!
//! The thread that called `init()` serves the control lane. A second thread runs tasks. The thread
//! `mobula-watch` waits for the driver's end. Further threads run tasks while a task waits for an
//! object, or where an actor runs several tasks at a time (see [`turn`]).

mod backtrace;
mod beside;
mod budget;
mod cancellations;
mod cancelled;
mod control;
mod engine;
mod executor;
pub(crate) mod here;
pub mod in_threads;
mod kept;
mod lanes;
mod nested;
pub mod over_stream;
mod own_calls;
mod own_memory;
mod panics;
mod printed;
mod shortage;
mod table;
mod tasks;
mod threads;
mod title;
mod turn;
mod within;
mod worker;

#[cfg(all(test, not(loom)))]
mod tests;

use std::{
    convert::Infallible,
    os::fd::{AsFd, OwnedFd},
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Once, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mobula_store::{Lifelines, SegmentFile, SharedWords, descriptors, limits::Wanted};
use rustix::fs::{Mode, OFlags};

use crate::{
    end::{die, end},
    link::{
        Link, Out,
        mailbox::{Mailbox, OutLane, Socket},
    },
    promise::ENGINE,
    teardown,
};
use control::Over;
use here::Number;
use mobula_protocol::{
    Engine, Error, Registry, Result,
    doorbell::DriverDoorbell,
    link::{Bootstrap, BootstrapDescriptors, TOKEN_VARIABLE},
    mailbox::{WorkerEnd, WorkerPanicked},
    message::FromWorker,
    primitive::Region,
    sync::ProcessSlot,
};
use printed::Printed;
use worker::{Settings, Worker};

pub(crate) use cancelled::{Run, check_cancelled};
pub use executor::block_on;
pub use tasks::call;
pub(crate) use tasks::runs_function;
pub(crate) use within::Barred;

/// The number of engines that run remote functions in this process.
static ENGINES_HERE: AtomicUsize = AtomicUsize::new(0);

/// Prepares this process to run remote functions itself. Calls the set-up functions of the workers,
/// once. Installs the panic hook, so that a panic in a remote function becomes an error with its
/// place. `is_worker`: the process stands for a worker. Then the values that a worker makes before
/// its first task are made.
///
/// # Errors
/// A set-up function, or a function that makes a value, has panicked.
pub fn set_up_here(is_worker: bool) -> Result<()> {
    static DONE: OnceLock<Result<()>> = OnceLock::new();
    DONE.get_or_init(|| {
        set_up()?;
        panics::install_hook(None);
        Ok(())
    })
    .clone()?;
    if is_worker {
        eager()?;
    }
    ENGINES_HERE.fetch_add(1, Ordering::AcqRel);
    Ok(())
}

/// Ends what [`set_up_here`] has begun, if the caller is the last engine. Calls the tear-down
/// functions, once. Drops the values of [`WorkerLocal`](crate::WorkerLocal)s.
pub fn tear_down_here() {
    static DONE: Once = Once::new();
    if ENGINES_HERE.fetch_sub(1, Ordering::AcqRel) == 1 {
        DONE.call_once(tear_down);
        drop_values();
    }
}

/// How long a process that ends waits for the lock that it needs to tell the driver.
const LAST_WORD: Duration = Duration::from_millis(500);

/// The worker that this process is. The process needs it at its own end.
static WORKER: OnceLock<Arc<Worker<Mailbox>>> = OnceLock::new();

/// A function that each worker calls before its first task.
#[derive(Debug)]
pub struct WorkerSetup(pub fn());

inventory::collect!(WorkerSetup);

/// A function that makes a value of a [`WorkerLocal`](crate::WorkerLocal). Each worker calls it
/// before its first task.
#[derive(Debug)]
pub struct EagerLocal(pub fn());

inventory::collect!(EagerLocal);

/// Returns how many functions of this program each worker calls before its first task.
pub fn setup_count() -> usize {
    let functions = inventory::iter::<WorkerSetup>.into_iter().count();
    functions + inventory::iter::<EagerLocal>.into_iter().count()
}

/// Returns the engine of the worker that this thread belongs to, if it belongs to one.
///
/// # Errors
/// A set-up function asks: the driver takes no request before the worker has registered. Or a
/// tear-down function asks: the driver no longer answers.
pub fn worker_engine() -> Result<Option<Arc<dyn Engine>>> {
    here::with(|worker| worker.engine()).transpose()
}

/// If this process was started as a worker, becomes that worker and does not return.
///
/// A program that a task launches inherits the environment, but not the socket. In such a program
/// this function returns, like in any other program.
pub fn enter_if_worker() {
    over_stream::enter_if_worker();
    let Ok(token) = std::env::var(TOKEN_VARIABLE) else {
        return;
    };
    match Bootstrap::receive(&token) {
        Ok(None) => {}
        Ok(Some((bootstrap, descriptors, socket))) => match run(bootstrap, descriptors, socket) {
            Err(error) => end(Err(error)),
        },
        Err(error) => die(&format!("{error:#}")),
    }
}

fn run(
    bootstrap: Bootstrap,
    descriptors: BootstrapDescriptors<OwnedFd>,
    socket: OwnedFd,
) -> Result<Infallible> {
    // Before there are threads.
    mobula_store::signals::unblock_all();
    rustix::process::umask(Mode::from_bits_truncate(bootstrap.umask));
    if bootstrap.nice > 0 {
        // The threads of this process inherit the nice value.
        rustix::process::nice(i32::try_from(bootstrap.nice).unwrap_or(i32::MAX))
            .map_err(|error| Error::setup(format!("this worker cannot be nicer: {error}")))?;
    }
    be_the_first_victim();
    title::show_idle();
    watch(descriptors.driver, &socket)?;
    let socket = Socket::new(socket)
        .map_err(|error| Error::setup(format!("cannot use the worker's socket: {error}")))?;
    mobula_store::descriptors::when_lost(|why| die(why));
    // A command that asks for a password then fails. Otherwise it would be stopped with its worker.
    mobula_store::leave_terminal();
    quiet_stdio(&descriptors.stdout)?;
    let registry = Registry::get()?;
    if registry.fingerprint() != bootstrap.fingerprint {
        return Err(Error::setup(
            "this worker has other remote functions than its driver; was the program replaced while it ran?",
        ));
    }
    let process_slot = ProcessSlot::new(bootstrap.process_slot).ok_or_else(|| {
        Error::setup("this worker has no process_slot among the processes of its runtime")
    })?;
    let mailbox = shared(descriptors.mailbox, bootstrap.mailbox_len)?;
    let doorbell = DriverDoorbell::new(shared(descriptors.doorbell, bootstrap.doorbell_len)?);
    let end =
        WorkerEnd::open(&mailbox, &doorbell).map_err(|error| Error::setup(error.to_string()))?;
    let (segment, len) = bootstrap.heap;
    let file = SegmentFile::from_descriptors(
        descriptors.heap_read,
        Some(descriptors.heap_write),
        len,
        ENGINE,
    )?;
    let settings = Settings {
        number: Number::PROCESS,
        id: bootstrap.worker,
        process_slot,
        registry,
        segment: (segment, file),
        segments: Arc::default(),
        workers: bootstrap.workers,
        stack: bootstrap.stack,
        max_rss: bootstrap.max_rss,
        printed: Some(Printed::new(end.printed, descriptors.printed)),
        beside: None,
    };
    let worker = Worker::<Mailbox>::new(settings, (OutLane(end.out), end.task, end.state))?;
    if WORKER.set(worker.clone()).is_err() || !here::set_process(worker.clone()) {
        return Err(Error::internal("this process is a worker already"));
    }
    mobula_store::at_exit(exits);
    // Before the task loop locks the lane.
    let task_doorbell = worker.tasks.lock().lane.doorbell();
    let tasks = worker.clone();
    let panicked = end.panicked;
    // Tasks run on a thread of their own, for two reasons. `init()` may have been called inside an
    // executor, whose functions do not work inside of it a second time. And the stacks of all tasks
    // have one size. The calling thread serves the control lane, so the worker needs no further
    // thread for it.
    threads::start_for_tasks(worker.stack, move || {
        let ended = panic::catch_unwind(AssertUnwindSafe(|| begin(&tasks, Some(panicked))));
        crate::end::end(ended.unwrap_or_else(|_| Err(Error::internal("the task loop panicked"))))
    })
    .map_err(|error| Error::refused("cannot start a thread for tasks", Wanted::Thread, error))?;
    control::serve(&worker, end.control, &socket, &task_doorbell, || Over::No);
    Err(Error::internal("the control lane has ended"))
}

/// Calls the set-up functions, tells the driver that this worker is ready, and runs tasks until the
/// worker closes.
fn begin<L: Link>(worker: &Arc<Worker<L>>, panicked: Option<WorkerPanicked>) -> Result<()> {
    set_up()?;
    eager()?;
    own_memory::check_at_start(worker.max_rss)?;
    panics::install_hook(panicked);
    // After all set-up, and before the first task can be here.
    worker.registered.store(true, Ordering::Release);
    worker.table.lock().out.push(&FromWorker::Registered);
    work(worker);
    Ok(())
}

fn set_up() -> Result<()> {
    for WorkerSetup(function) in inventory::iter::<WorkerSetup> {
        set_up_by(*function)?;
    }
    Ok(())
}

/// Makes the values that are to be made before the first task.
fn eager() -> Result<()> {
    for EagerLocal(make) in inventory::iter::<EagerLocal> {
        set_up_by(*make)?;
    }
    Ok(())
}

fn set_up_by(function: fn()) -> Result<()> {
    panics::in_set_up(|| {
        panics::catch("the set-up function of the workers", || {
            function();
            Ok(())
        })
    })
}

/// Calls each tear-down function, also when an earlier one has panicked.
fn tear_down() {
    teardown::functions(|function| at_the_end("a tear-down function of the workers", function));
}

/// Drops the values of this worker, the latest first.
fn drop_values() {
    teardown::values(|value| {
        let mut ended = true;
        at_the_end("the end of a worker's value", || ended = value.end());
        ended
    });
}

/// Calls `f`, for which nobody waits. Writes a panic to standard error.
fn at_the_end(what: &str, f: impl FnOnce()) {
    let ended = panics::catch(what, || {
        f();
        Ok(())
    });
    if let Err(error) = ended {
        eprintln!("mobula: {error}");
    }
}

/// Tells the driver that this process is about to end with status 0.
fn exits(status: i32) {
    // The thread that ends the process may hold the lock.
    if status == 0
        && let Some(worker) = WORKER.get()
        && let Some(mut table) = worker.table.try_lock_for(LAST_WORD)
    {
        table.out.push(&FromWorker::Exits);
    }
}

/// Runs tasks until the worker closes. Then calls the tear-down functions and drops the values.
fn work<L: Link>(worker: &Arc<Worker<L>>) {
    tasks::task_loop(worker, true);
    // A task that runs on another thread may finish. A task that waits is given up.
    worker.turn.begin();
    // An actor's value ends with its actor.
    if worker.actor.is_installed() {
        at_the_end("the end of an actor", || worker.actor.drop_value());
    }
    worker.registered.store(false, Ordering::Release);
    tear_down();
    drop_values();
    debug_assert!(worker.closing.load(Ordering::SeqCst));
}

fn shared(fd: OwnedFd, len: u64) -> Result<Region> {
    let read = descriptors::duplicate(fd.as_fd())
        .map_err(|error| Error::refused("cannot copy a descriptor", Wanted::Descriptor, error))?;
    let file = SegmentFile::from_descriptors(read, Some(fd), len, ENGINE)?;
    Ok(Region::new(SharedWords::map(&file)?))
}

/// Has the kernel end workers before their driver when memory runs out. The driver is told of a
/// worker's end, and goes on. A process may always ask for that. Without `/proc`, nothing changes.
fn be_the_first_victim() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// Makes /dev/null the standard input. Sends standard output to the driver from here on.
fn quiet_stdio(stdout: &OwnedFd) -> Result<()> {
    let set = || -> std::io::Result<()> {
        let null = descriptors::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let null = null.map_err(|error| {
            let error = std::io::Error::from(error);
            std::io::Error::new(error.kind(), format!("cannot open /dev/null: {error}"))
        })?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(stdout)?;
        Ok(())
    };
    set().map_err(|error| Error::setup(format!("cannot set up standard input and output: {error}")))
}

/// Ends this process when the driver is dead or was replaced by `exec`. Ends all processes that
/// this process has started in its process group, too.
fn watch(driver: OwnedFd, socket: &OwnedFd) -> Result<()> {
    let socket = descriptors::duplicate(socket.as_fd())
        .map_err(|error| Error::setup(format!("cannot copy a descriptor: {error}")))?;
    let lifelines = Lifelines {
        pidfd: driver,
        socket,
    };
    service("mobula-watch", move || mobula_store::end_with(&lifelines))
}

fn service(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    threads::start(name, mobula_protocol::wire::STACK, body)
        .map(drop)
        .map_err(|error| {
            Error::refused(
                format!("cannot start the thread {name}"),
                Wanted::Thread,
                error,
            )
        })
}
