//! A scheduler with its [`TestHost`], and short ways to make tasks, values and messages.

use std::sync::Arc;

use mobula_protocol::{
    Body, CallOptions, Error, Format, FunctionIndex, ObjectHandle, ObjectId, Outcome, Shape,
    TaskOptions, TypeTag, Value, WireAttachment, WorkerId,
    message::{ArgSpec, FromWorker, TaskMessage, TaskSpec, ToWorker},
};
use mobula_store::{Block, Loc, SegmentId};

use super::{
    super::{CallRole, Config, Function, Scheduler, Violation},
    host::TestHost,
};

pub(super) const D: WorkerId = WorkerId::DRIVER;
pub(super) const W1: WorkerId = WorkerId(1);
pub(super) const W2: WorkerId = WorkerId(2);
pub(super) const W3: WorkerId = WorkerId(3);

/// A scheduler whose invariants are checked after each call.
pub(super) struct Env {
    pub(super) scheduler: Scheduler,
    pub(super) host: TestHost,
}

impl Env {
    /// Returns an environment with this many registered workers. Each gets at most `prefetch`
    /// tasks.
    pub(super) fn new(workers: u32, prefetch: u32) -> Env {
        let functions = ["first", "second", "third"].map(|name| (name, CallRole::default()));
        Env::with_functions(workers, prefetch, &functions)
    }

    /// Does what [`new`](Env::new) does, with these functions.
    pub(super) fn with_functions(
        workers: u32,
        prefetch: u32,
        functions: &[(&'static str, CallRole)],
    ) -> Env {
        let functions = functions.iter().map(|(name, role)| function(name, *role));
        Env::with_known(workers, prefetch, functions.collect())
    }

    /// Returns an environment of one function with these options.
    pub(super) fn with_options(workers: u32, prefetch: u32, options: TaskOptions) -> Env {
        let function = Function::new("first", CallRole::default(), options);
        Env::with_known(workers, prefetch, vec![function])
    }

    fn with_known(workers: u32, prefetch: u32, functions: Vec<Function>) -> Env {
        let scheduler = Scheduler::new(
            Config {
                prefetch,
                slots: 100,
                cores: 2,
                deaths: 3,
                max_pending: None,
                reports_unread: true,
            },
            functions.into(),
        );
        let mut env = Env {
            scheduler,
            host: TestHost::new(),
        };
        for number in 1..=workers {
            env.add_worker(WorkerId(number));
        }
        env
    }

    pub(super) fn add_worker(&mut self, id: WorkerId) {
        self.scheduler.worker_starting(id).unwrap();
        self.ok(id, FromWorker::Registered);
    }

    pub(super) fn pump(&mut self) {
        self.scheduler.pump(&mut self.host);
        self.scheduler.sanity_check();
        self.scheduler.check_nothing_forgotten();
    }

    pub(super) fn message(&mut self, from: WorkerId, message: FromWorker) -> Result<(), Violation> {
        let result = self.scheduler.on_message(from, message, &mut self.host);
        self.scheduler.sanity_check();
        result
    }

    /// Delivers a message of a worker that knows all objects of the message.
    pub(super) fn ok(&mut self, from: WorkerId, message: FromWorker) {
        self.scheduler.show(from, &message);
        self.message(from, message).unwrap();
    }

    /// Submits a task of the driver, which is not handed over yet.
    pub(super) fn submit(&mut self, seq: u64, args: Vec<ArgSpec>) -> ObjectId {
        let spec = spec(d(seq), args);
        self.scheduler.submit(spec, D, &mut self.host).unwrap();
        self.scheduler.sanity_check();
        d(seq)
    }

    /// Puts an object of the driver.
    pub(super) fn put(&mut self, seq: u64, value: Value) -> ObjectId {
        self.scheduler.put(d(seq), Arc::new(value), D).unwrap();
        self.scheduler.sanity_check();
        d(seq)
    }

    /// Takes a further handle for the driver.
    pub(super) fn retain(&mut self, id: ObjectId) -> Result<Option<Outcome>, Violation> {
        retain(&mut self.scheduler, id)
    }

    pub(super) fn release(&mut self, id: ObjectId) {
        self.scheduler.release(id, &mut self.host).unwrap();
        self.scheduler.sanity_check();
    }

    /// The worker begins its next task, which should be `id`.
    pub(super) fn start(&mut self, worker: WorkerId, id: ObjectId) -> TaskMessage {
        let task = self.host.start(worker).expect("a task in the lane");
        assert_eq!(task.id, id);
        task
    }

    pub(super) fn done(&mut self, worker: WorkerId, task: &TaskMessage, outcome: Outcome) {
        self.host.end(worker, task);
        self.ok(worker, done(task, outcome));
    }

    /// Hands over tasks. The worker runs its next task, which should be `id`.
    pub(super) fn run(&mut self, worker: WorkerId, id: ObjectId, outcome: Outcome) {
        self.pump();
        let task = self.start(worker, id);
        self.done(worker, &task, outcome);
    }

    pub(super) fn lose(&mut self, worker: WorkerId) {
        self.lose_as(worker, false);
    }

    /// Reports the death of a worker. `intended`: it exited by itself, with code 0. Returns whether
    /// the pool needs another worker.
    pub(super) fn lose_as(&mut self, worker: WorkerId, intended: bool) -> bool {
        self.host.reap(worker);
        let scheduler = &mut self.scheduler;
        let missing = scheduler.worker_lost(worker, intended, crash, &mut self.host);
        self.scheduler.sanity_check();
        missing
    }

    /// Returns the objects that were completed, with the numbers of their values or their errors.
    pub(super) fn completed(&mut self) -> Vec<(ObjectId, Result<u64, String>)> {
        let completed = std::mem::take(&mut self.host.completed);
        completed
            .into_iter()
            .map(|(id, outcome)| (id, plain(outcome)))
            .collect()
    }

    /// Returns the outcome in the next message to the worker, which should be that of `id`.
    pub(super) fn told(&mut self, worker: WorkerId, id: ObjectId) -> Result<u64, String> {
        match self.host.control(worker) {
            Some(ToWorker::Ready { id: told, outcome }) if told == id => plain(outcome),
            other => panic!("expected the outcome of {id}, got {other:?}"),
        }
    }

    /// Returns the numbers of the extents that were freed.
    pub(super) fn freed(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.host.freed)
            .into_iter()
            .map(|(_, offset)| offset / 4096)
            .collect()
    }

    /// Checks that no object exists, and that the test has seen all actions of the scheduler.
    pub(super) fn assert_over(&self) {
        self.host.emptiness_check();
        assert_eq!(self.scheduler.object_count(), 0);
        assert_eq!(self.scheduler.used_bytes(), 0);
        assert!(!self.scheduler.pending_work() && self.scheduler.is_quiet());
    }
}

pub(super) fn plain(outcome: Outcome) -> Result<u64, String> {
    match outcome {
        Ok(value) => Ok(number(&value)),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn crash(function: FunctionIndex) -> Error {
    Error::internal(format!("crash of {}", function.0))
}

/// Returns an id of the driver's.
pub(super) fn d(seq: u64) -> ObjectId {
    ObjectId { origin: D, seq }
}

pub(super) fn function(name: &'static str, role: CallRole) -> Function {
    Function::new(name, role, TaskOptions::DEFAULT)
}

/// Returns an id of a worker's.
pub(super) fn w(origin: WorkerId, seq: u64) -> ObjectId {
    ObjectId { origin, seq }
}

pub(super) fn spec(id: ObjectId, args: Vec<ArgSpec>) -> TaskSpec {
    TaskSpec {
        id,
        function: FunctionIndex(0),
        args: args.into(),
        options: None,
        actor: None,
    }
}

/// Returns the options of a call that runs again this often after deaths.
pub(super) fn retries(retries: u32) -> CallOptions {
    Some(Arc::new(TaskOptions {
        retries: Some(retries),
        ..TaskOptions::DEFAULT
    }))
}

/// Returns the options of a call that runs again this often after deaths and errors.
pub(super) fn retries_of_errors(retries: u32) -> CallOptions {
    Some(Arc::new(TaskOptions {
        retries: Some(retries),
        retry_errors: true,
        ..TaskOptions::DEFAULT
    }))
}

/// Returns how often the worker may run the task again by itself. The function has no options.
pub(super) fn reruns(task: &TaskMessage) -> u32 {
    TaskOptions::of(&task.options, &TaskOptions::DEFAULT).reruns(task.retries)
}

pub(super) fn spawn(id: ObjectId, args: Vec<ArgSpec>) -> FromWorker {
    FromWorker::Spawn(spec(id, args), None.into())
}

pub(super) fn done(task: &TaskMessage, outcome: Outcome) -> FromWorker {
    FromWorker::Done {
        id: task.id,
        slot: task.slot,
        attempt: task.attempt,
        outcome,
    }
}

/// Takes a handle, and returns what the scheduler has told about the object.
pub(super) fn retain(
    scheduler: &mut Scheduler,
    id: ObjectId,
) -> Result<Option<Outcome>, Violation> {
    let mut told = None;
    scheduler.handle(id, |outcome| {
        told = outcome;
        ObjectHandle::failed(Error::internal("nobody waits with this handle"))
    })?;
    Ok(told)
}

pub(super) fn again(task: &TaskMessage) -> FromWorker {
    FromWorker::Again {
        id: task.id,
        slot: task.slot,
        attempt: task.attempt,
    }
}

/// Returns a small value. Its number tells it from other values.
pub(super) fn inline(number: u64) -> Value {
    packed(number, vec![])
}

/// Returns a small value that refers to other objects.
pub(super) fn packed(number: u64, attachments: Vec<WireAttachment>) -> Value {
    Value {
        format: Format::Packed {
            of: TypeTag(number),
        },
        body: Body::Inline(Block::default()),
        attachments,
    }
}

/// Returns a flat value of 100 bytes in the store.
pub(super) fn array(number: u64) -> Value {
    let loc = Loc {
        segment: SegmentId(0),
        offset: number * 4096,
        len: 100,
    };
    let format = Format::Flat {
        elem: TypeTag(number),
        shape: Shape::of_vec(100),
    };
    Value {
        format,
        body: Body::Stored(loc),
        attachments: vec![],
    }
}

/// Returns the attachment of that [`array`] inside a value.
pub(super) fn array_attachment(id: ObjectId, number: u64) -> WireAttachment {
    WireAttachment::Array {
        id,
        value: Arc::new(array(number)),
    }
}

pub(super) fn refer(id: ObjectId) -> WireAttachment {
    WireAttachment::Ref { id }
}

pub(super) fn good(number: u64) -> Outcome {
    Ok(Arc::new(inline(number)))
}

pub(super) fn bad(text: &str) -> Outcome {
    Err(Error::internal(text))
}

pub(super) fn number(value: &Value) -> u64 {
    match &value.format {
        Format::Packed { of } => of.0,
        Format::Flat { elem, .. } => elem.0,
        Format::Shared { of, .. } | Format::Part { of, .. } => of.0,
        Format::Text => panic!("no test makes text"),
    }
}
