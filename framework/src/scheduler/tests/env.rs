//! A scheduler with its [`TestHost`], and short ways to make things.

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

/// Checks everything after each call.
pub(super) struct Env {
    pub(super) scheduler: Scheduler,
    pub(super) host: TestHost,
}

impl Env {
    /// With this many workers, all up, which get at most `prefetch` tasks each.
    pub(super) fn new(workers: u32, prefetch: u32) -> Env {
        let functions = ["first", "second", "third"].map(|name| (name, CallRole::default()));
        Env::with_functions(workers, prefetch, &functions)
    }

    /// As [`new`](Env::new), with these functions.
    pub(super) fn with_functions(
        workers: u32,
        prefetch: u32,
        functions: &[(&'static str, CallRole)],
    ) -> Env {
        let scheduler = Scheduler::new(
            Config {
                prefetch,
                slots: 100,
                cores: 2,
                deaths: 3,
                max_pending: None,
                reports_unread: true,
            },
            functions
                .iter()
                .map(|(name, role)| function(name, *role))
                .collect(),
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

    /// The worker has what it speaks of.
    pub(super) fn ok(&mut self, from: WorkerId, message: FromWorker) {
        self.scheduler.show(from, &message);
        self.message(from, message).unwrap();
    }

    /// A task of the driver, not handed over yet.
    pub(super) fn submit(&mut self, seq: u64, args: Vec<ArgSpec>) -> ObjectId {
        let spec = spec(d(seq), args);
        self.scheduler.submit(spec, D, &mut self.host).unwrap();
        self.scheduler.sanity_check();
        d(seq)
    }

    /// An object of the driver.
    pub(super) fn put(&mut self, seq: u64, value: Value) -> ObjectId {
        self.scheduler.put(d(seq), Arc::new(value), D).unwrap();
        self.scheduler.sanity_check();
        d(seq)
    }

    /// A further handle of the driver.
    pub(super) fn retain(&mut self, id: ObjectId) -> Result<Option<Outcome>, Violation> {
        retain(&mut self.scheduler, id)
    }

    pub(super) fn release(&mut self, id: ObjectId) {
        self.scheduler.release(id, &mut self.host).unwrap();
        self.scheduler.sanity_check();
    }

    /// The worker takes up its next task, which should be `id`.
    pub(super) fn start(&mut self, worker: WorkerId, id: ObjectId) -> TaskMessage {
        let task = self.host.start(worker).expect("a task in the lane");
        assert_eq!(task.id, id);
        task
    }

    pub(super) fn done(&mut self, worker: WorkerId, task: &TaskMessage, outcome: Outcome) {
        self.host.end(worker, task);
        self.ok(worker, done(task, outcome));
    }

    /// Hands over what there is; the worker runs its next task, which should be `id`.
    pub(super) fn run(&mut self, worker: WorkerId, id: ObjectId, outcome: Outcome) {
        self.pump();
        let task = self.start(worker, id);
        self.done(worker, &task, outcome);
    }

    pub(super) fn lose(&mut self, worker: WorkerId) {
        self.lose_as(worker, false);
    }

    /// The worker is dead; `intended`: it exited by itself, with code 0. Whether the pool misses
    /// it.
    pub(super) fn lose_as(&mut self, worker: WorkerId, intended: bool) -> bool {
        self.host.reap(worker);
        let scheduler = &mut self.scheduler;
        let missing = scheduler.worker_lost(worker, intended, crash, &mut self.host);
        self.scheduler.sanity_check();
        missing
    }

    /// The objects that were completed, with their values' numbers or errors.
    pub(super) fn completed(&mut self) -> Vec<(ObjectId, Result<u64, String>)> {
        let completed = std::mem::take(&mut self.host.completed);
        completed
            .into_iter()
            .map(|(id, outcome)| (id, plain(outcome)))
            .collect()
    }

    /// The next message to the worker, which should be the outcome of `id`.
    pub(super) fn told(&mut self, worker: WorkerId, id: ObjectId) -> Result<u64, String> {
        match self.host.control(worker) {
            Some(ToWorker::Ready { id: told, outcome }) if told == id => plain(outcome),
            other => panic!("expected the outcome of {id}, got {other:?}"),
        }
    }

    /// The extents that were freed, by number.
    pub(super) fn freed(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.host.freed)
            .into_iter()
            .map(|(_, offset)| offset / 4096)
            .collect()
    }

    /// That nothing exists any more and nothing happened that the test has not looked at.
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

/// An id of the driver's.
pub(super) fn d(seq: u64) -> ObjectId {
    ObjectId { origin: D, seq }
}

pub(super) fn function(name: &'static str, role: CallRole) -> Function {
    Function {
        name,
        role,
        options: TaskOptions::DEFAULT,
    }
}

/// An id of a worker's.
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

/// The options of a call that runs again so often after deaths.
pub(super) fn retries(retries: u32) -> CallOptions {
    Some(Arc::new(TaskOptions {
        retries: Some(retries),
        ..TaskOptions::DEFAULT
    }))
}

/// As [`retries`], and after errors too.
pub(super) fn retries_of_errors(retries: u32) -> CallOptions {
    Some(Arc::new(TaskOptions {
        retries: Some(retries),
        retry_errors: true,
        ..TaskOptions::DEFAULT
    }))
}

/// How often the worker may run the task again by itself, whose function has no options.
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

/// Takes a handle, and says what it was told.
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

/// A small value that can be told from others by its number.
pub(super) fn inline(number: u64) -> Value {
    packed(number, vec![])
}

/// A small value that refers to others.
pub(super) fn packed(number: u64, attachments: Vec<WireAttachment>) -> Value {
    Value {
        format: Format::Packed {
            of: TypeTag(number),
        },
        body: Body::Inline(Block::default()),
        attachments,
    }
}

/// A flat value in the store, of 100 bytes.
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

/// That [`array`], inside a value.
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
