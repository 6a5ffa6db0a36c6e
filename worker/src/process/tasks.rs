//! The task loop of a worker.

use std::{
    cell::Cell,
    io,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::{
    beside::Beside,
    cancellations::Runner,
    cancelled::{check_cancelled, is_cancelled},
    here::{self, Member},
    lanes::Next,
    own_calls::InMethod,
    own_memory, panics,
    printed::{Begun, Printed},
    threads, within,
    worker::Worker,
};
use crate::{
    actor::InLine,
    context,
    end::die,
    link::{Claims, Link, Out, mailbox::LOST},
    promise::ENGINE,
};
use mobula_protocol::{
    Attempt, Body, Engine, Error, FunctionIndex, Gathered, INLINE_LIMIT, Input, Inputs,
    ObjectHandle, ObjectId, Payload, Placed, ProcessName, RemoteFn, Resources, Result, Role,
    TaskOptions, TaskSlot, Value, lower_attachments,
    message::{Arg, Args, FromWorker, TaskMessage},
    place, readable,
};

/// How many idle threads may wait for the next task beside the thread that takes it. Without them,
/// a task that blocks often would start a thread each time.
const SPARE_LOOPS: usize = 2;

thread_local! {
    static RUNS_TASK: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread runs a task, and has the turn.
pub(crate) fn runs_here() -> bool {
    RUNS_TASK.get()
}

/// Notes that the task of this thread gives up the turn.
///
/// # Panics
/// The task does not have the turn.
pub(super) fn give_up_turn() {
    assert!(
        RUNS_TASK.replace(false),
        "this thread has no turn to give up"
    );
}

/// Notes that the task of this thread has the turn again.
pub(super) fn take_turn_back() {
    RUNS_TASK.set(true);
}

/// Ends the process at a panic of the loop itself, outside of a task. Otherwise the task's caller,
/// and the tasks behind it, would wait for ever.
struct Loop;

impl Drop for Loop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            die("a thread that runs tasks has panicked");
        }
    }
}

/// Makes sure that a thread goes on with the lane while a task waits. In the process of an actor
/// that is bound to its thread, no thread goes on.
///
/// # Errors
/// The system gives no further thread.
pub(super) fn stand_in<L: Link>(worker: &Worker<L>) -> io::Result<()> {
    if worker.idle_loops.load(Ordering::SeqCst) > 0 || worker.actor.is_bound() {
        return Ok(());
    }
    let Some(worker) = worker.this.upgrade() else {
        return Ok(());
    };
    worker.loops.fetch_add(1, Ordering::SeqCst);
    let looping = worker.clone();
    let in_use = worker.beside.as_ref().map(Beside::thread);
    let started = threads::start_for_tasks(worker.stack, move || {
        let _in_use = in_use;
        let _member = looping
            .beside
            .as_ref()
            .map(|_| Member::enter(looping.clone()));
        task_loop(&looping, false);
    });
    started.map(drop).inspect_err(|_| {
        worker.loops.fetch_sub(1, Ordering::SeqCst);
    })
}

/// Takes tasks from the lane and runs them until the worker closes. The first loop of a process
/// returns only then. A stand-in also returns when more threads are idle than needed.
pub(super) fn task_loop<L: Link>(worker: &Arc<Worker<L>>, first: bool) {
    let _loop = Loop;
    within::begin_stack();
    let runner = worker.cancellations.runner();
    // How many tasks run at a time, as far as this thread knows.
    let mut most = 1;
    loop {
        let others = worker.idle_loops.fetch_add(1, Ordering::SeqCst);
        if !first && others >= SPARE_LOOPS.max(most) {
            worker.idle_loops.fetch_sub(1, Ordering::SeqCst);
            break;
        }
        let Some(taken) = next_task(worker, &runner) else {
            worker.idle_loops.fetch_sub(1, Ordering::SeqCst);
            break;
        };
        most = taken.most;
        worker.idle_loops.fetch_sub(1, Ordering::SeqCst);
        if worker.loops.load(Ordering::SeqCst) < most {
            // The next task need not wait for this task. If the system gives no thread, the next
            // task waits.
            let _ = stand_in(worker);
        }
        if taken.starts {
            worker.state.set_function(taken.task.function);
            RUNS_TASK.set(true);
            worker.has_turn(taken.task.attempt);
            run(worker, taken.task);
            drop(taken.in_line);
            RUNS_TASK.set(false);
            worker.cancellations.end(&runner);
        }
        worker.turn.end();
    }
    worker.loops.fetch_sub(1, Ordering::SeqCst);
}

/// A task of the lane, with the turn.
struct Taken {
    task: TaskMessage,
    /// How many tasks may have the turn at a time.
    most: usize,
    /// Whether the task may start.
    starts: bool,
    /// The task's place in line for the actor's value, where several calls run at a time.
    in_line: Option<InLine>,
}

/// Returns the next task of the lane, or `None` when the worker closes.
///
/// The lane stays locked until the task has the turn, so tasks start in the lane's order. Calls of
/// an actor rely on this order. The driver relies on it too, since it takes tasks back from the
/// end.
#[inline]
fn next_task<L: Link>(worker: &Worker<L>, runner: &Runner) -> Option<Taken> {
    loop {
        let mut lane = worker.tasks.lock();
        match lane.next(&worker.closing, &worker.turn, &worker.decoded) {
            Next::Task(task) => {
                let most = worker.turn.begin();
                // Not before the turn: until then the driver may give the task to another worker.
                let starts = worker.state.start(task.slot, task.attempt, task.revocable);
                if starts {
                    worker.cancellations.begin(runner, task.attempt);
                }
                let in_line = (starts && most > 1)
                    .then(|| line_up(worker, task.function))
                    .flatten();
                return Some(Taken {
                    task,
                    most,
                    starts,
                    in_line,
                });
            }
            Next::Close => return None,
            Next::Forget => {
                drop(lane);
                drop_forgotten(worker);
            }
        }
    }
}

/// Puts a call that needs the actor's value in line. Calls of one caller that need the value alone
/// get it in the order of the lane.
fn line_up<L: Link>(worker: &Worker<L>, function: FunctionIndex) -> Option<InLine> {
    match worker.registry.function(function)?.role {
        Role::Method { exclusive, .. } if !worker.actor.is_bound() => {
            Some(worker.actor.line_up(exclusive))
        }
        _ => None,
    }
}

/// Drops decoded values of freed objects. Takes a turn for that, since a drop runs user code.
fn drop_forgotten<L: Link>(worker: &Worker<L>) {
    worker.turn.begin();
    for value in worker.decoded.take_forgotten() {
        let dropped = panics::catch("the end of a decoded value", || {
            drop(value);
            Ok(())
        });
        if let Err(error) = dropped {
            eprintln!("mobula: {error}");
        }
    }
    worker.turn.end();
}

fn run<L: Link>(worker: &Arc<Worker<L>>, task: TaskMessage) {
    let TaskMessage {
        id,
        slot,
        attempt,
        function,
        args,
        options,
        retries,
        revocable: _,
    } = task;
    let mut begun = None;
    let result = match worker.registry.function(function) {
        None => Err(Error::internal(format!(
            "no remote function has the number {}",
            function.0
        ))),
        Some(remote) => {
            let options = TaskOptions::of(&options, &remote.options);
            let own = options.retries.unwrap_or(retries);
            context::begin(id, remote, 1 + own.saturating_sub(retries));
            tell_resources(worker, remote, &options.resources);
            if let Some(timeout) = options.timeout {
                context::set_limit(Instant::now().checked_add(timeout));
                let started = FromWorker::Started { id, slot, attempt };
                worker.table.lock().out.push(&started);
            }
            let what = (remote, options.split);
            match options.reruns(retries) {
                0 => run_once(worker, what, id, args, &mut begun).map_err(Failed::error),
                reruns => {
                    let place = (id, slot, attempt);
                    run_again(worker, what, place, args, reruns, &mut begun)
                }
            }
        }
    };
    context::end();
    let (outcome, keep) = match result {
        Ok((value, keep)) => (Ok(value), keep),
        Err(error) => (Err(error), Vec::new()),
    };
    if let (Some(printed), Some(begun)) = (&worker.printed, begun) {
        let closing = || worker.closing.load(Ordering::SeqCst);
        printed.settle(begun, closing);
    }
    if worker.max_rss.is_some_and(own_memory::exceeds) {
        // Before `Done`: the driver cannot have handed out a further task yet.
        worker.table.lock().out.push(&FromWorker::Retire);
    }
    worker.keep_turn_to_the_end();
    let spent = worker.table.lock().leave(&FromWorker::Done {
        id,
        slot,
        attempt,
        outcome,
    });
    // From here on the driver counts the objects that the result refers to.
    drop((keep, spent));
    if worker.printed.as_ref().is_some_and(Printed::is_lost) {
        // The next tasks must not find other files under the worker's descriptors.
        die(LOST);
    }
}

/// Tells the task its resources. A method gets those of its actor, which the constructor sets.
fn tell_resources<L: Link>(worker: &Worker<L>, remote: &RemoteFn, own: &Resources) {
    match remote.role {
        Role::Function if own.is_none() => {}
        Role::Function => context::set_resources(own),
        Role::Constructor { .. } if own.is_none() => {}
        Role::Constructor { .. } => {
            let all = worker.resources_of_actor.get_or_init(|| own.clone());
            context::set_resources_of_actor(all);
        }
        Role::Method { .. } => {
            if let Some(all) = worker.resources_of_actor.get() {
                context::set_resources_of_actor(all);
            }
        }
    }
}

/// A result, and handles that keep the objects which the result refers to.
pub(super) type Made = (Arc<Value>, Vec<Arc<ObjectHandle>>);

/// Why a run of a function made no result.
enum Failed {
    /// The function returned an error, and may be run again.
    Returned(Error),
    /// A further run would fail again.
    Final(Error),
}

impl Failed {
    fn error(self) -> Error {
        match self {
            Failed::Returned(error) | Failed::Final(error) => error,
        }
    }
}

/// Runs a function once. Sets `begun` when user code begins, unless it is set. If `splits`, the
/// elements of the result become objects.
fn run_once<L: Link>(
    worker: &Arc<Worker<L>>,
    (remote, splits): (&'static RemoteFn, bool),
    id: ObjectId,
    args: Args<Arg>,
    begun: &mut Option<Begun>,
) -> std::result::Result<Made, Failed> {
    let (mut given_up, method) = (false, remote);
    if remote.role == (Role::Constructor { bound: true }) {
        // Before the constructor can wait.
        worker.actor.bind();
    }
    if let Role::Constructor { .. } = remote.role {
        worker.own_actor.set(id);
    }
    let made = call(remote, |remote| {
        let inputs = resolve(worker, args)?;
        let inputs = match remote.role {
            Role::Function => Inputs::new(inputs),
            Role::Constructor { .. } | Role::Method { .. } => {
                Inputs::of_actor(inputs, worker.actor.clone())
            }
        };
        let mut inputs = inputs.with_check(check_cancelled).with_split(splits);
        if begun.is_none() {
            *begun = worker.printed.as_ref().map(Printed::begin);
        }
        let payload = match remote.role {
            Role::Method { .. } => {
                let _method = InMethod::enter(method);
                (remote.run)(&mut inputs)
            }
            _ => (remote.run)(&mut inputs),
        };
        given_up = inputs.has_given_up();
        // Handles that end here end before the driver is told which handles the task keeps.
        drop(inputs);
        finish(worker, id, payload?)
    });
    made.map_err(|error| match error.is_application() && !given_up {
        true => Failed::Returned(error),
        false => Failed::Final(error),
    })
}

/// Runs a function until it returns no error, but at most `reruns` times more.
///
/// The worker tells the driver before each further run. So the driver's count of the runs is right
/// if this process dies in one of them. The worker repeats the run, and not the driver, for two
/// reasons. A call of an actor that does not wait keeps its place before the next call. And no
/// message has to come back.
fn run_again<L: Link>(
    worker: &Arc<Worker<L>>,
    what: (&'static RemoteFn, bool),
    (id, slot, attempt): (ObjectId, TaskSlot, Attempt),
    args: Args<Arg>,
    mut reruns: u32,
    begun: &mut Option<Begun>,
) -> Result<Made> {
    while reruns > 0 {
        match run_once(worker, what, id, args.clone(), begun) {
            Ok(made) => return Ok(made),
            Err(Failed::Returned(_))
                if !worker.closing.load(Ordering::SeqCst)
                    && !is_cancelled(&worker.cancellations) =>
            {
                reruns -= 1;
            }
            Err(failed) => return Err(failed.error()),
        }
        let message = FromWorker::Again { id, slot, attempt };
        worker.table.lock().finish(&message);
        context::count_attempt();
    }
    run_once(worker, what, id, args, begun).map_err(Failed::error)
}

/// Calls `f` for a remote function. Errors name the function. A panic becomes an error.
///
/// # Errors
/// `f` fails or panics.
pub fn call<T>(remote: &'static RemoteFn, f: impl FnOnce(&RemoteFn) -> Result<T>) -> Result<T> {
    panics::catch(remote.name, || f(remote)).map_err(|error| {
        if error.is_panic() {
            error
        } else {
            error.in_task(remote.name, ProcessName::own())
        }
    })
}

/// Says which function this thread's task runs at the moment, where the task runs several.
pub(crate) fn runs_function(function: FunctionIndex) {
    if runs_here() {
        here::with(|worker| worker.set_function(function));
    }
}

/// Returns the arguments with readable bytes.
pub(super) fn resolve<L: Link>(worker: &Arc<Worker<L>>, args: Args<Arg>) -> Result<Vec<Input>> {
    let engine: &dyn Engine = &**worker;
    let object = |id: ObjectId, value: &Arc<Value>| -> Result<Payload> {
        match &value.body {
            Body::Stored(_) => {
                let entry = worker.clone().handle(id, Some(value));
                readable(engine, value, Some(&entry), ENGINE)
            }
            Body::Inline(_) => readable(engine, value, None, ENGINE),
        }
    };
    let mut inputs = Vec::with_capacity(args.len());
    for arg in args {
        inputs.push(match arg {
            Arg::Value(value) => Input::Value(own(engine, *value)?, None),
            Arg::Object((id, value)) => Input::Value(object(id, &value)?, Some(id)),
            Arg::Gather(values) => {
                let is_stored = |value: &Value| matches!(value.body, Body::Stored(_));
                let stored = values.iter().filter(|(_, value)| is_stored(value));
                let entries = worker.handles_of(stored.map(|(id, value)| (*id, Some(value))));
                let (mut entries, worker) = (entries.into_iter(), worker.clone());
                let payloads = values.into_iter().map(move |(_, value)| {
                    let entry = is_stored(&value).then(|| entries.next()).flatten();
                    readable(&*worker, &value, entry.as_ref(), ENGINE)
                });
                Input::Gather(Gathered::new(payloads))
            }
        });
    }
    Ok(inputs)
}

/// Returns a value of the call's own, with readable bytes.
fn own(engine: &dyn Engine, value: Value) -> Result<Payload> {
    match value {
        // Nearly all values are of this kind.
        Value {
            format,
            body: Body::Inline(block),
            attachments,
        } if attachments.is_empty() => Ok(Payload {
            format,
            block,
            attachments: Vec::new(),
        }),
        value => readable(engine, &value, None, ENGINE),
    }
}

/// Makes the result of a task from the payload that its function returned. Also returns the handles
/// that keep the objects which the result refers to.
pub(super) fn finish<L: Link>(
    worker: &Arc<Worker<L>>,
    id: ObjectId,
    payload: Payload,
) -> Result<(Arc<Value>, Vec<Arc<ObjectHandle>>)> {
    let Payload {
        format,
        block,
        attachments,
    } = payload;
    if attachments.is_empty() && block.as_small().is_some() {
        // Nearly all results come here.
        let body = Body::Inline(block);
        let result = Value {
            format,
            body,
            attachments: Vec::new(),
        };
        return Ok((result.share(), Vec::new()));
    }
    let engine: &dyn Engine = &**worker;
    let (attachments, keep) = lower_attachments(engine, attachments)?;
    let result = match place(engine, &format, block, INLINE_LIMIT)? {
        Placed::Inline(block) => Value {
            format,
            body: Body::Inline(block),
            attachments,
        },
        Placed::Extent(extent) => {
            let value = Value {
                format,
                body: Body::Stored(extent.loc()),
                attachments,
            };
            let known = Arc::new(value.clone());
            // A view of these bytes that still exists holds the result from now on.
            let lease = extent.adopt(|_| worker.clone().handle(id, Some(&known)));
            if lease
                .downcast_ref::<ObjectHandle>()
                .is_none_or(|entry| entry.id() != id)
            {
                return Err(Error::internal(
                    "a result was made an object by another thread",
                ));
            }
            value
        }
    };
    Ok((result.share(), keep))
}
