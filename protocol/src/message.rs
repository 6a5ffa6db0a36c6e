//! The messages between the driver and a worker: one enum for each direction.

use std::sync::Arc;

use mobula_store::{Loc, SegmentId};

pub use crate::argument::Args;
use crate::{
    Error,
    argument::Argument,
    ids::{Attempt, FunctionIndex, MaybeRun, ObjectId, TaskSlot},
    options::{ActorOptions, CallOptions, CancelOptions},
    progress::TaskProgress,
    value::{Format, Outcome, PartRange, Value},
};

/// An argument of a task that is ready to run. It has all that the worker needs to resolve it: the
/// values of objects.
pub type Arg = Argument<Box<Value>, (ObjectId, Arc<Value>)>;

/// A borrowed [`Arg`]. The driver sends its own values without a copy and without a reference
/// count.
pub type ArgRef<'a> = Argument<&'a Value, (ObjectId, &'a Arc<Value>)>;

impl ArgRef<'_> {
    /// Returns an argument that owns its values.
    pub fn to_arg(&self) -> Arg {
        self.map_ref(
            |value| Box::new((*value).clone()),
            |(id, value)| (*id, Arc::clone(value)),
        )
    }
}

impl Arg {
    /// Borrows the argument.
    pub fn by_ref(&self) -> ArgRef<'_> {
        self.map_ref(|value| &**value, |(id, value)| (*id, value))
    }
}

/// An argument of a task that is being submitted. Its objects may be pending.
pub type ArgSpec = Argument<Box<Value>, ObjectId>;

impl ArgSpec {
    /// Calls `f` with each object that the argument keeps alive. `f` may get an object several
    /// times.
    pub fn for_each_object(&self, f: impl FnMut(ObjectId)) {
        match self {
            ArgSpec::Value(value) => value.nested().for_each(f),
            ArgSpec::Object(_) | ArgSpec::Gather(_) => self.objects().iter().copied().for_each(f),
        }
    }
}

/// A task in the form in which it is submitted.
#[derive(Clone, Debug)]
pub struct TaskSpec {
    /// The id of the result. It is also the id of the task.
    pub id: ObjectId,
    /// The function to run.
    pub function: FunctionIndex,
    /// The arguments of the function.
    pub args: Args<ArgSpec>,
    /// The call's own options, if it has any.
    pub options: CallOptions,
    /// The actor whose method is called.
    pub actor: Option<ObjectId>,
}

/// A task in the form in which a worker gets it. In the driver its arguments are [`ArgRef`]s.
#[derive(Clone, Debug)]
pub struct TaskMessage<A = Arg> {
    /// The id of the result.
    pub id: ObjectId,
    /// The state word that says whether the task may still start.
    pub slot: TaskSlot,
    /// The number of this use of the slot.
    pub attempt: Attempt,
    /// The function to run.
    pub function: FunctionIndex,
    /// The arguments of the function.
    pub args: Args<A>,
    /// The call's own options, if it has any.
    pub options: CallOptions,
    /// The number of times that the task may run again.
    pub retries: u32,
    /// Whether the driver may take the task back before it starts. It may not if the worker has
    /// nothing else to do, and starts the task at once.
    pub revocable: bool,
}

impl TaskMessage {
    /// Borrows the message.
    pub fn by_ref(&self) -> TaskMessage<ArgRef<'_>> {
        self.with_args(self.args.iter().map(Arg::by_ref).collect())
    }
}

impl TaskMessage<ArgRef<'_>> {
    /// Returns a message that owns its arguments.
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

/// A message from the driver to a worker. The task lane has tasks, and messages that a worker needs
/// before a task. `Free` goes through either lane. All others go through the control lane.
#[derive(Clone, Debug)]
pub enum ToWorker {
    /// Run this task.
    Task(TaskMessage),
    /// The answer to [`FromWorker::Watch`]. A value comes with a pin. The worker ends the pin with
    /// [`FromWorker::Release`].
    Ready {
        /// The object.
        id: ObjectId,
        /// The object's value or error.
        outcome: Outcome,
    },
    /// These extents of the worker's own segment are not used any more.
    Free(Vec<Loc>),
    /// The answer to [`FromWorker::NeedBytes`]: the bytes that are granted, or the reason for a
    /// refusal.
    Grant(Result<u64, Error>),
    /// The next descriptor on the worker's socket is that of this segment.
    Segment {
        /// Its number.
        id: SegmentId,
        /// Its length in bytes.
        len: u64,
    },
    /// The next descriptor on the worker's socket is the writable one of this segment. The worker
    /// needs it for shared memory in the segment.
    Writable {
        /// Its number.
        id: SegmentId,
        /// Its length in bytes.
        len: u64,
    },
    /// The worker must no longer write to this shared memory, to which it had access. It answers
    /// with [`FromWorker::Closed`].
    Close(Loc),
    /// Nothing refers to this segment any more.
    DropSegment(SegmentId),
    /// This object is freed. The worker has said [`FromWorker::Decoded`] of it.
    Forget(ObjectId),
    /// No caller waits for this task any more. The task should end soon.
    Cancel {
        /// The run of the task, among the worker's runs.
        run: Attempt,
        /// Whether the calls that the task has made are cancelled too.
        calls: bool,
    },
    /// Another worker is idle, and wants calls that this worker keeps to itself. The request holds
    /// until the worker gives some away, or says [`FromWorker::Done`] or [`FromWorker::Blocked`].
    Share,
    /// The worker runs this function, or nothing. It shows the name to `ps` and `top`.
    Title(Option<FunctionIndex>),
    /// The worker should give free memory back to the budget. It answers with the number of bytes.
    Trim,
    /// The worker is an actor from now on. The message goes through the task lane, before the
    /// actor's first call.
    Actor {
        /// The number of calls that the actor runs at a time.
        threads: u32,
    },
    /// The worker should finish the running task and exit.
    Shutdown,
}

/// A message from a worker to the driver. Messages are in the order in which things happened in the
/// worker.
#[derive(Clone, Debug)]
pub enum FromWorker {
    /// The worker has checked its registry and takes tasks.
    Registered,
    /// A task ended. The worker says before this which objects of the arguments it keeps.
    Done {
        /// The task.
        id: ObjectId,
        /// Its slot, which is free again.
        slot: TaskSlot,
        /// The number of this use of the slot.
        attempt: Attempt,
        /// The result.
        outcome: Outcome,
    },
    /// A task has returned an error, and runs again in the same slot. This run is one of its
    /// retries.
    Again {
        /// The task.
        id: ObjectId,
        /// Its slot.
        slot: TaskSlot,
        /// The number of this use of the slot.
        attempt: Attempt,
    },
    /// A task with a time limit begins.
    Started {
        /// The task.
        id: ObjectId,
        /// Its slot.
        slot: TaskSlot,
        /// The number of this use of the slot.
        attempt: Attempt,
    },
    /// The progress of this run of a task. The run may have ended.
    Progress(Attempt, TaskProgress),
    /// The driver should cancel the tasks that make these objects.
    Cancel {
        /// The objects.
        ids: Vec<ObjectId>,
        /// The options of the cancellation.
        options: CancelOptions,
    },
    /// A task that the worker submits, and the run that makes the call, if it is known. The worker
    /// holds the result.
    Spawn(TaskSpec, MaybeRun),
    /// The worker keeps calls of its tasks to itself from now on. That ends with
    /// [`Done`](FromWorker::Done) or [`Blocked`](FromWorker::Blocked).
    Keeps,
    /// The worker has kept a call and run it. The call's result is an object from now on. The
    /// worker holds it.
    Ran {
        /// Its id.
        id: ObjectId,
        /// The result.
        outcome: Outcome,
    },
    /// A new object of the worker. The worker holds it.
    Put {
        /// Its id.
        id: ObjectId,
        /// Its value.
        value: Arc<Value>,
    },
    /// The worker keeps this object longer than the task or message that it came with.
    Hold(ObjectId),
    /// The worker no longer holds the object.
    Release(ObjectId),
    /// Each element of this result is to be an object of its own. The worker holds these objects.
    /// The result is that of a call with the option [`split`](crate::TaskOptions::split).
    Split {
        /// The result.
        result: ObjectId,
        /// One object for each element.
        ids: Vec<ObjectId>,
    },
    /// No caller will ask for the result of this task. The task runs all the same.
    Detach(ObjectId),
    /// The driver should tell the worker when this object is ready.
    Watch(ObjectId),
    /// The worker keeps a decoded value of this object. That is no reference to the object. The
    /// driver sends [`ToWorker::Forget`] when the object is freed.
    Decoded(ObjectId),
    /// A task of the worker waits for an object, so other tasks may use its place.
    Blocked,
    /// A task that waited goes on.
    Unblocked,
    /// A task with resources begins or ends to wait. Its cores are free while it waits.
    Paused {
        /// The run of the task, among the worker's runs.
        attempt: Attempt,
        /// Whether it waits.
        paused: bool,
    },
    /// Whether no thread of this worker takes tasks from the lane. Then all its threads wait, and
    /// the system gives the worker no further thread.
    Stalled(bool),
    /// The worker has become too large, and should be replaced. It should get no further task.
    Retire,
    /// The worker asks for this many further bytes in its segment.
    NeedBytes(u64),
    /// A new actor of the worker. The worker holds it.
    CreateActor {
        /// The actor's object.
        id: ObjectId,
        /// The function that makes the actor's value.
        constructor: FunctionIndex,
        /// The arguments of the constructor.
        args: Args<ArgSpec>,
        /// The actor's options.
        options: Box<ActorOptions>,
        /// If an actor of the name lives, the worker wants that one, and no actor is made. Then
        /// this object refers to the living actor. The worker holds it.
        found: Option<ObjectId>,
    },
    /// A new object that refers to the living actor of this name, or fails. The worker holds it.
    FindActor {
        /// The object.
        id: ObjectId,
        /// The name.
        name: String,
    },
    /// The driver should end this actor at once.
    KillActor(ObjectId),
    /// The worker asks for parts of a shared array. Each becomes an object that the worker holds.
    /// If the driver refuses one, all of them fail.
    Lend {
        /// The array.
        array: ObjectId,
        /// The parts.
        parts: Vec<(ObjectId, PartRange)>,
    },
    /// A new object that is ready when all parts of a shared array are back. The worker holds it.
    Settle {
        /// The object. Its value lists the incomplete parts.
        id: ObjectId,
        /// The array.
        array: ObjectId,
    },
    /// A new object that a shared array turns into. The worker holds it.
    Seal {
        /// The object.
        id: ObjectId,
        /// The array.
        array: ObjectId,
        /// The format of the new object.
        format: Format,
        /// The run that asks, if it is known.
        run: MaybeRun,
    },
    /// A new queue of the worker. The worker holds it.
    CreateQueue {
        /// The queue's object.
        id: ObjectId,
        /// The number of values that have room.
        capacity: u32,
    },
    /// The worker puts values into a queue, all at once. It holds the answer.
    QueuePut {
        /// The answer, which is ready when the values are in.
        id: ObjectId,
        /// The queue.
        queue: ObjectId,
        /// The values. Arguments that are objects are ready.
        values: Args<ArgSpec>,
        /// Whether the request waits for room.
        waits: bool,
    },
    /// The worker takes values out of a queue, all at once. It holds the answers.
    QueueGet {
        /// One answer for each value.
        ids: Vec<ObjectId>,
        /// The queue.
        queue: ObjectId,
        /// Whether the request waits until the queue has as many values.
        waits: bool,
    },
    /// No caller waits for these answers any more. All are of one request. Pending answers fail.
    QueueGiveUp {
        /// The answers.
        ids: Vec<ObjectId>,
        /// Whether the values of ready answers go back to the queue.
        returns: bool,
    },
    /// The caller has the values of these answers. They do not go back to the queue when the worker
    /// dies.
    QueueTook(Vec<ObjectId>),
    /// A new object that says how many values a queue has, and whether it is closed. The worker
    /// holds it.
    QueueAsk {
        /// The object.
        id: ObjectId,
        /// The queue.
        queue: ObjectId,
        /// Whether the driver closes the queue before.
        close: bool,
    },
    /// The process ends itself by `exit`, with code 0. The driver relies on this if it cannot learn
    /// the exit status, since another part of the program has collected it.
    Exits,
    /// The answer to [`ToWorker::Close`].
    Closed(Loc),
    /// The only answer to [`ToWorker::Trim`]: the number of bytes that the worker gives back, or 0.
    ReturnBytes(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The compiler moves longer values by calls of `memcpy`, several for each message.
    #[test]
    fn a_message_is_moved_in_place() {
        assert!(size_of::<FromWorker>() <= 128);
        assert!(size_of::<ToWorker>() <= 128);
    }
}
