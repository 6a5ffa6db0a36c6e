//! What travels between the driver and a worker, one enum for each direction.

use std::sync::Arc;

use mobula_store::{Loc, SegmentId};
use smallvec::SmallVec;

use crate::{
    Error,
    ids::{Attempt, FunctionIndex, ObjectId, TaskSlot},
    options::{ActorOptions, CallOptions, CancelOptions},
    progress::TaskProgress,
    value::{Format, Outcome, PartRange, Value},
};

/// The arguments of a call, in whichever form. Those of most functions take no memory of their own.
pub type Args<T> = SmallVec<[T; 2]>;

/// An argument of a task that is ready to run: everything the worker needs to resolve it.
#[derive(Clone, Debug)]
pub enum Arg {
    /// A value that belongs to the call alone.
    Value(Box<Value>),
    /// An object.
    Object {
        /// Which.
        id: ObjectId,
        /// Its value.
        value: Arc<Value>,
    },
    /// Many objects, for a parameter that takes a vector of values.
    Gather(Vec<(ObjectId, Arc<Value>)>),
}

/// An [`Arg`] that is somebody else's: what the driver has is sent without a copy or a count.
#[derive(Clone, Debug)]
pub enum ArgRef<'a> {
    /// A value that belongs to the call alone.
    Value(&'a Value),
    /// An object.
    Object {
        /// Which.
        id: ObjectId,
        /// Its value.
        value: &'a Arc<Value>,
    },
    /// Many objects.
    Gather(Vec<(ObjectId, &'a Arc<Value>)>),
}

impl ArgRef<'_> {
    /// One of its own.
    pub fn to_arg(&self) -> Arg {
        match self {
            ArgRef::Value(value) => Arg::Value(Box::new((*value).clone())),
            ArgRef::Object { id, value } => Arg::Object {
                id: *id,
                value: Arc::clone(value),
            },
            ArgRef::Gather(objects) => {
                let own = |(id, value): &(ObjectId, &Arc<Value>)| (*id, Arc::clone(value));
                Arg::Gather(objects.iter().map(own).collect())
            }
        }
    }
}

impl Arg {
    /// A look at it.
    pub fn by_ref(&self) -> ArgRef<'_> {
        match self {
            Arg::Value(value) => ArgRef::Value(value),
            Arg::Object { id, value } => ArgRef::Object { id: *id, value },
            Arg::Gather(objects) => {
                ArgRef::Gather(objects.iter().map(|(id, value)| (*id, value)).collect())
            }
        }
    }
}

/// An argument of a task that is being submitted: objects may be pending.
#[derive(Clone, Debug)]
pub enum ArgSpec {
    /// A value that belongs to the call alone.
    Value(Box<Value>),
    /// An object.
    Object(ObjectId),
    /// Many objects.
    Gather(Vec<ObjectId>),
}

impl ArgSpec {
    /// Calls `f` with each object that the argument keeps alive, with repetition.
    pub fn for_each_object(&self, mut f: impl FnMut(ObjectId)) {
        match self {
            ArgSpec::Value(value) => value.nested().for_each(f),
            ArgSpec::Object(id) => f(*id),
            ArgSpec::Gather(ids) => ids.iter().copied().for_each(f),
        }
    }
}

/// A task as it is submitted.
#[derive(Clone, Debug)]
pub struct TaskSpec {
    /// The id of the result, which is also the task's.
    pub id: ObjectId,
    /// What to run.
    pub function: FunctionIndex,
    /// With what.
    pub args: Args<ArgSpec>,
    /// Its own options, if it has any.
    pub options: CallOptions,
    /// The actor whose method is called.
    pub actor: Option<ObjectId>,
}

/// A task as it is handed to a worker. The driver's has [`ArgRef`]s for arguments.
#[derive(Clone, Debug)]
pub struct TaskMessage<A = Arg> {
    /// The id of the result.
    pub id: ObjectId,
    /// The state word that says whether the task may still start.
    pub slot: TaskSlot,
    /// This use of the slot.
    pub attempt: Attempt,
    /// What to run.
    pub function: FunctionIndex,
    /// With what.
    pub args: Args<A>,
    /// Its own options, if it has any.
    pub options: CallOptions,
    /// How often it may run again.
    pub retries: u32,
    /// Whether the driver may take it back until it is started. Not if the worker has nothing else
    /// to do, and starts it at once.
    pub revocable: bool,
}

impl TaskMessage {
    /// A look at it.
    pub fn by_ref(&self) -> TaskMessage<ArgRef<'_>> {
        self.with_args(self.args.iter().map(Arg::by_ref).collect())
    }
}

impl TaskMessage<ArgRef<'_>> {
    /// One of its own.
    pub fn to_message(&self) -> TaskMessage {
        self.with_args(self.args.iter().map(ArgRef::to_arg).collect())
    }
}

impl<A> TaskMessage<A> {
    fn with_args<B>(&self, args: Args<B>) -> TaskMessage<B> {
        TaskMessage {
            id: self.id,
            slot: self.slot,
            attempt: self.attempt,
            function: self.function,
            args,
            options: self.options.clone(),
            retries: self.retries,
            revocable: self.revocable,
        }
    }
}

/// From the driver to a worker. Tasks and what a worker has to know before go through the task
/// lane, all else through the control lane; what is freed, through either.
#[derive(Clone, Debug)]
pub enum ToWorker {
    /// Run this.
    Task(TaskMessage),
    /// The answer to [`FromWorker::Watch`]. A value comes with a pin that the worker ends with
    /// [`FromWorker::Release`].
    Ready {
        /// The object.
        id: ObjectId,
        /// What became of it.
        outcome: Outcome,
    },
    /// These extents of the worker's own segment are not used any more.
    Free(Vec<Loc>),
    /// The answer to [`FromWorker::NeedBytes`]: granted, or why not.
    Grant(Result<u64, Error>),
    /// The next descriptor on the worker's socket is that of this segment.
    Segment {
        /// Its number.
        id: SegmentId,
        /// Its length in bytes.
        len: u64,
    },
    /// The next descriptor on the worker's socket is the writable one of this segment, for shared
    /// memory in it.
    Writable {
        /// Its number.
        id: SegmentId,
        /// Its length in bytes.
        len: u64,
    },
    /// Shared memory that the worker was given access to is not to be written any more. Answered by
    /// [`FromWorker::Closed`].
    Close(Loc),
    /// Nothing refers to this segment any more.
    DropSegment(SegmentId),
    /// An object is freed of which the worker has said [`FromWorker::Decoded`].
    Forget(ObjectId),
    /// Nobody waits for this task any more. It should end soon.
    Cancel {
        /// Which of the worker's runs.
        run: Attempt,
        /// Whether the calls that the task has made are cancelled too.
        calls: bool,
    },
    /// Another worker is idle: calls that this one keeps to itself are wanted. Holds until the
    /// worker gives some away, or says [`FromWorker::Done`] or [`FromWorker::Blocked`].
    Share,
    /// The worker runs this function, or nothing. It shows that to `ps` and `top`.
    Title(Option<FunctionIndex>),
    /// Give free memory back to the budget, and say how much that was.
    Trim,
    /// The worker is an actor from now on, and runs so many calls at a time. Through the task lane,
    /// before the first of them.
    Actor {
        /// How many.
        threads: u32,
    },
    /// Finish the running task and exit.
    Shutdown,
}

/// From a worker to the driver, in the order in which things happened there.
#[derive(Clone, Debug)]
pub enum FromWorker {
    /// The worker has checked its registry and takes tasks.
    Registered,
    /// A task ended. The worker's holds on what it keeps of the arguments come before this.
    Done {
        /// The task.
        id: ObjectId,
        /// Its slot, free again.
        slot: TaskSlot,
        /// Which use of the slot.
        attempt: Attempt,
        /// The result.
        outcome: Outcome,
    },
    /// A task has returned an error, and runs again in the same slot. That is one of its retries.
    Again {
        /// The task.
        id: ObjectId,
        /// Its slot.
        slot: TaskSlot,
        /// Which use of the slot.
        attempt: Attempt,
    },
    /// A task with a limit of time begins.
    Started {
        /// The task.
        id: ObjectId,
        /// Its slot.
        slot: TaskSlot,
        /// Which use of the slot.
        attempt: Attempt,
    },
    /// How far this run of a task is. It may have ended.
    Progress(Attempt, TaskProgress),
    /// The tasks that make these objects are to be cancelled.
    Cancel {
        /// The objects.
        ids: Vec<ObjectId>,
        /// How.
        options: CancelOptions,
    },
    /// A task of the worker's own, and the run that makes the call, if it is known. The worker
    /// holds the result.
    Spawn(TaskSpec, Option<Attempt>),
    /// The worker keeps calls of its tasks to itself from now on, until it says
    /// [`Done`](FromWorker::Done) or [`Blocked`](FromWorker::Blocked).
    Keeps,
    /// A call that the worker has kept and run: its result is an object from now on. The worker
    /// holds it.
    Ran {
        /// Its id.
        id: ObjectId,
        /// The result.
        outcome: Outcome,
    },
    /// An object of the worker's own. The worker holds it.
    Put {
        /// Its id.
        id: ObjectId,
        /// Its value.
        value: Arc<Value>,
    },
    /// The worker keeps this object beyond the task or message that it came with.
    Hold(ObjectId),
    /// The worker no longer holds the object.
    Release(ObjectId),
    /// Each element of this result is to be an object of the worker's, which it holds. The result
    /// is that of a call with the option [`split`](crate::TaskOptions::split).
    Split {
        /// The result.
        result: ObjectId,
        /// One object for each element.
        ids: Vec<ObjectId>,
    },
    /// Nobody will ask for the result of this task, but its work is wanted.
    Detach(ObjectId),
    /// Tell the worker when this object is ready.
    Watch(ObjectId),
    /// The worker keeps a decoded value of this object, which does not count. It is told when the
    /// object is freed: [`ToWorker::Forget`].
    Decoded(ObjectId),
    /// A task of the worker waits for an object, and has given its place to others.
    Blocked,
    /// A task that waited goes on.
    Unblocked,
    /// A task with resources waits, so its cores are free; or it goes on.
    Paused {
        /// Which of the worker's runs.
        attempt: Attempt,
        /// Whether it waits.
        paused: bool,
    },
    /// Nobody takes tasks from the lane of this worker, since the system gives it no further thread
    /// and all that it has wait; or that is over.
    Stalled(bool),
    /// The worker has become too large, and is to be replaced: it should get no further task.
    Retire,
    /// The worker wants to reserve this many further bytes in its segment.
    NeedBytes(u64),
    /// An actor of the worker's. The worker holds it.
    CreateActor {
        /// Its object.
        id: ObjectId,
        /// What makes its value.
        constructor: FunctionIndex,
        /// With what.
        args: Args<ArgSpec>,
        /// How it is to be kept.
        options: Box<ActorOptions>,
        /// If there is a living actor of the name, that one is wanted and this one is not made.
        /// This object is to refer to the one that there is then; the worker holds it.
        found: Option<ObjectId>,
    },
    /// An object that refers to the living actor of this name, or fails. The worker holds it.
    FindActor {
        /// The object.
        id: ObjectId,
        /// The name.
        name: String,
    },
    /// This actor is to end at once.
    KillActor(ObjectId),
    /// The worker wants to have parts of a shared array, each as an object, which it holds. Where
    /// that is refused all of them fail.
    Lend {
        /// The array.
        array: ObjectId,
        /// The parts.
        parts: Vec<(ObjectId, PartRange)>,
    },
    /// An object of the worker's that is ready when all parts of a shared array are back. The
    /// worker holds it.
    Settle {
        /// The object: the incomplete parts.
        id: ObjectId,
        /// The array.
        array: ObjectId,
    },
    /// An object of the worker's that a shared array turns into. The worker holds it.
    Seal {
        /// The object.
        id: ObjectId,
        /// The array.
        array: ObjectId,
        /// How it is to be read.
        format: Format,
    },
    /// A queue of the worker's. The worker holds it.
    CreateQueue {
        /// Its object.
        id: ObjectId,
        /// How many values have room.
        capacity: u32,
    },
    /// Values are to go into a queue, together. The worker holds the answer.
    QueuePut {
        /// The answer: ready when they are in.
        id: ObjectId,
        /// The queue.
        queue: ObjectId,
        /// The values: those of objects are ready.
        values: Args<ArgSpec>,
        /// Whether to wait for room.
        waits: bool,
    },
    /// Values are to come out of a queue, together. The worker holds the answers.
    QueueGet {
        /// One answer for each value.
        ids: Vec<ObjectId>,
        /// The queue.
        queue: ObjectId,
        /// Whether to wait until there are as many.
        waits: bool,
    },
    /// Nobody waits for these answers, which are all of one request, any more. They fail if they
    /// are pending.
    QueueGiveUp {
        /// The answers.
        ids: Vec<ObjectId>,
        /// Whether values that they have go back to the queue.
        returns: bool,
    },
    /// The values that these answers have are their caller's now, and do not go back when the
    /// worker dies.
    QueueTook(Vec<ObjectId>),
    /// An object that says how many values are in a queue and whether it is closed. The worker
    /// holds it.
    QueueAsk {
        /// The object.
        id: ObjectId,
        /// The queue.
        queue: ObjectId,
        /// Whether to close the queue before.
        close: bool,
    },
    /// The process ends itself by `exit`, with code 0. The driver counts on this where the exit
    /// status was lost: somebody else has collected it.
    Exits,
    /// The answer to [`ToWorker::Close`].
    Closed(Loc),
    /// The one answer to [`ToWorker::Trim`]: the worker gives back this many bytes, or none.
    ReturnBytes(u64),
}
