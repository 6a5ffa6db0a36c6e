//! The messages of the process to its peer.

use serde::{Deserialize, Serialize};

use super::{Bytes, PeerArg, PeerId, PeerOutcome, PeerValue, PythonFrame};
use crate::{
    Error, Result,
    ids::FunctionIndex,
    message::{ArgSpec, FromWorker, TaskSpec},
    messagepack,
    options::{ActorOptions, TaskOptions},
    python::PYTHON,
    registry::{Registry, Role},
    resources::{CPUS, MEMORY, Resources},
};

/// The options of a call that the peer acts on. `own` has all of the call's own options, for the
/// process that runs the call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerOptions {
    /// How often the task may run again.
    pub retries: Option<u32>,
    /// Whether the task runs again after an error, in its process.
    pub retry_errors: bool,
    /// The time limit of one run, in seconds.
    pub timeout: Option<f64>,
    /// The time from the submission to the latest end, in seconds.
    pub deadline: Option<f64>,
    /// Whether the task runs again after a run that has passed `timeout`.
    pub retry_timeouts: bool,
    /// The time that a run may go on after it was told to end, in seconds.
    pub grace: f64,
    /// The most calls of the function that one process runs.
    pub max_calls: Option<u32>,
    /// Whether each element of the result becomes an object.
    pub split: bool,
    /// The number of cores that the call uses.
    pub cpus: Option<f64>,
    /// The bytes of memory that the call needs.
    pub memory: Option<u64>,
    /// The declared resources that the call needs: names and amounts.
    pub resources: Vec<(String, f64)>,
    /// The concurrency group of the method.
    pub group: Option<String>,
    /// The node on which the call runs, if the call names one.
    pub node: Option<String>,
    /// Whether calls are spread over all nodes.
    pub spread: bool,
    /// All of the call's own options, encoded, for the process that runs the call.
    pub own: Option<Bytes>,
}

/// The options of an actor that the peer acts on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerActorOptions {
    /// The name by which callers find the actor.
    pub name: Option<String>,
    /// How often the actor is made anew after its process has died.
    pub max_restarts: u32,
    /// How often a call runs again after the actor's process has died.
    pub max_call_retries: u32,
    /// The most calls without a group that run at a time.
    pub max_concurrency: u32,
    /// The most calls of each group that run at a time.
    pub groups: Vec<(String, u32)>,
    /// The most calls that may wait or run.
    pub max_pending_calls: Option<u32>,
    /// The time that the drop of the actor's value may take, in seconds.
    pub grace: f64,
}

/// A message of the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToPeer {
    /// The first frame. Its fields are:
    ///
    /// * [`VERSION`](super::VERSION);
    /// * the names of all functions;
    /// * the length in bytes of the process' segment, whose descriptor is the next on the socket;
    /// * the process id;
    /// * the value of `()`, encoded;
    /// * the value that stands for its one reference, encoded.
    Hello(u32, Vec<String>, u64, u32, Bytes, Bytes),
    /// The process is ready for tasks.
    Registered,
    /// A call. Its fields are its object, the function, the arguments, the options, the actor, and
    /// the run that makes the call.
    Spawn(
        PeerId,
        u32,
        Vec<PeerArg>,
        PeerOptions,
        Option<PeerId>,
        Option<u64>,
    ),
    /// A call of a Python function. Its fields are its object, the function, the options, and the
    /// run that makes the call.
    Python(PeerId, PythonFrame, PeerOptions, Option<u64>),
    /// A new object of the process.
    Put(PeerId, PeerValue),
    /// A run has ended. The fields are its number and its outcome.
    Done(u64, PeerOutcome),
    /// This run has returned an error, and begins again.
    Again(u64),
    /// The process keeps this object.
    Hold(PeerId),
    /// The process does not keep this object any more.
    Release(PeerId),
    /// No caller will ask for the result of this task. The task runs all the same.
    Detach(PeerId),
    /// The peer should tell the process when this object is ready.
    Watch(PeerId),
    /// The process keeps a decoded value of this object. The peer should tell it when the object is
    /// gone.
    Decoded(PeerId),
    /// The peer should cancel the tasks of these objects. The other fields say whether it cancels
    /// their children, whether it kills them, and the grace time in seconds.
    Cancel(Vec<PeerId>, bool, bool, Option<f64>),
    /// Each element of this result becomes one of these objects.
    Split(PeerId, Vec<PeerId>),
    /// A new actor. Its fields are its object, the constructor, the arguments, the actor's options,
    /// and the constructor's options. If the last field is set, the process wants a living actor of
    /// the name instead, and that object names it.
    CreateActor(
        PeerId,
        u32,
        Vec<PeerArg>,
        PeerActorOptions,
        PeerOptions,
        Option<PeerId>,
    ),
    /// A new object that names the living actor of this name.
    FindActor(PeerId, String),
    /// The peer should end this actor at once.
    KillActor(PeerId),
    /// A new queue. The second field is the number of values that have room.
    CreateQueue(PeerId, u32),
    /// The process puts values into a queue. The fields are the answer, the queue, the values, and
    /// whether the request waits for room.
    QueuePut(PeerId, PeerId, Vec<PeerArg>, bool),
    /// The process takes values out of a queue. The fields are the answers, the queue, and whether
    /// the request waits for values.
    QueueGet(Vec<PeerId>, PeerId, bool),
    /// No caller waits for these answers any more. The flag says whether their values go back.
    QueueGiveUp(Vec<PeerId>, bool),
    /// The caller has the values of these answers, which never go back to the queue.
    QueueTook(Vec<PeerId>),
    /// A new object with the state of a queue. The fields are the object, the queue, and whether
    /// the peer closes the queue before.
    QueueAsk(PeerId, PeerId, bool),
    /// The progress of a run: its number, the work done, and the total.
    Progress(u64, u64, u64),
    /// A task of the process waits for an object.
    Blocked,
    /// A task that waited goes on.
    Unblocked,
    /// The process has become too large, and should be replaced.
    Retire,
    /// The process ends itself by `exit`.
    Exits,
    /// The peer should answer with the same number when all calls have ended.
    Idle(u64),
    /// The peer should answer with the same number and the nodes of the cluster.
    Nodes(u64),
    /// The peer should end. It waits at most this many seconds for detached calls.
    Shutdown(f64),
}

impl ToPeer {
    /// Returns the message to the peer, or `None` if the peer needs none.
    ///
    /// # Errors
    /// The message has no form for the peer (`is_usage`).
    pub fn of(message: &FromWorker, registry: &Registry) -> Result<Option<ToPeer>> {
        let ids = |ids: &[crate::ObjectId]| ids.iter().map(|id| PeerId::from(*id)).collect();
        Ok(Some(match message {
            FromWorker::Registered => ToPeer::Registered,
            FromWorker::Spawn(task, parent) => {
                spawn(task, parent.get().map(|run| run.0), registry)?
            }
            FromWorker::Put { id, value } => ToPeer::Put((*id).into(), PeerValue::of(value)?),
            FromWorker::Done {
                attempt, outcome, ..
            } => ToPeer::Done(attempt.0, PeerOutcome::of(outcome)),
            FromWorker::Again { attempt, .. } => ToPeer::Again(attempt.0),
            FromWorker::Hold(id) => ToPeer::Hold((*id).into()),
            FromWorker::Release(id) => ToPeer::Release((*id).into()),
            FromWorker::Detach(id) => ToPeer::Detach((*id).into()),
            FromWorker::Watch(id) => ToPeer::Watch((*id).into()),
            FromWorker::Decoded(id) => ToPeer::Decoded((*id).into()),
            FromWorker::Cancel {
                ids: which,
                options,
            } => ToPeer::Cancel(
                ids(which),
                options.is_recursive(),
                options.kills(),
                options.grace_time().map(|grace| grace.as_secs_f64()),
            ),
            FromWorker::Split { result, ids: which } => ToPeer::Split((*result).into(), ids(which)),
            FromWorker::CreateActor {
                id,
                constructor,
                args: with,
                options,
                found,
            } => ToPeer::CreateActor(
                (*id).into(),
                constructor.0,
                args(with)?,
                PeerActorOptions::of(options),
                PeerOptions::of_actor(options, *constructor, registry)?,
                found.map(PeerId::from),
            ),
            FromWorker::FindActor { id, name } => ToPeer::FindActor((*id).into(), name.clone()),
            FromWorker::KillActor(id) => ToPeer::KillActor((*id).into()),
            FromWorker::CreateQueue { id, capacity } => {
                ToPeer::CreateQueue((*id).into(), *capacity)
            }
            FromWorker::QueuePut {
                id,
                queue,
                values,
                waits,
            } => ToPeer::QueuePut((*id).into(), (*queue).into(), args(values)?, *waits),
            FromWorker::QueueGet {
                ids: which,
                queue,
                waits,
            } => ToPeer::QueueGet(ids(which), (*queue).into(), *waits),
            FromWorker::QueueGiveUp {
                ids: which,
                returns,
            } => ToPeer::QueueGiveUp(ids(which), *returns),
            FromWorker::QueueTook(which) => ToPeer::QueueTook(ids(which)),
            FromWorker::QueueAsk { id, queue, close } => {
                ToPeer::QueueAsk((*id).into(), (*queue).into(), *close)
            }
            FromWorker::Progress(run, progress) => {
                ToPeer::Progress(run.0, progress.done, progress.total)
            }
            FromWorker::Blocked => ToPeer::Blocked,
            FromWorker::Unblocked => ToPeer::Unblocked,
            FromWorker::Retire => ToPeer::Retire,
            FromWorker::Exits => ToPeer::Exits,
            // The peer keeps the time of runs itself. It gives cores back on `Blocked` and
            // `Unblocked`.
            FromWorker::Started { .. }
            | FromWorker::Paused { .. }
            | FromWorker::Stalled(_)
            | FromWorker::NeedBytes(_)
            | FromWorker::ReturnBytes(_) => return Ok(None),
            FromWorker::Keeps | FromWorker::Ran { .. } => {
                return Err(Error::internal("a worker of a peer keeps calls to itself"));
            }
            FromWorker::Lend { .. }
            | FromWorker::Settle { .. }
            | FromWorker::Seal { .. }
            | FromWorker::Closed(_) => {
                return Err(Error::usage(
                    "memory that processes share for writing does not leave its machine",
                ));
            }
        }))
    }
}

fn spawn(task: &TaskSpec, parent: Option<u64>, registry: &Registry) -> Result<ToPeer> {
    if registry.index_of(&PYTHON).ok() == Some(task.function) {
        let options = PeerOptions::of(task.options.as_deref(), task.function, registry)?;
        return Ok(ToPeer::Python(
            task.id.into(),
            PythonFrame::of(&task.args)?,
            options,
            parent,
        ));
    }
    Ok(ToPeer::Spawn(
        task.id.into(),
        task.function.0,
        args(&task.args)?,
        PeerOptions::of(task.options.as_deref(), task.function, registry)?,
        task.actor.map(PeerId::from),
        parent,
    ))
}

fn args(args: &[ArgSpec]) -> Result<Vec<PeerArg>> {
    let arg = |arg: &ArgSpec| {
        let arg = arg.map_ref(|value| PeerValue::of(value), |id| ((*id).into(), None));
        arg.try_map(|value| value, Ok)
    };
    args.iter().map(arg).collect()
}

impl PeerOptions {
    /// Returns the options of the constructor's call, with the resources and the node of the actor.
    fn of_actor(
        actor: &ActorOptions,
        constructor: FunctionIndex,
        registry: &Registry,
    ) -> Result<PeerOptions> {
        let mut peer = PeerOptions::of(None, constructor, registry)?;
        peer.need(&actor.resources);
        peer.node = actor.node.as_deref().map(str::to_owned);
        Ok(peer)
    }

    /// Replaces the resources by these.
    fn need(&mut self, resources: &Resources) {
        (self.cpus, self.memory) = (None, None);
        self.resources.clear();
        for demand in resources.demands() {
            let parts = demand.amount.parts() as f64 / crate::Amount::ONE.parts() as f64;
            match &*demand.name {
                CPUS => self.cpus = Some(parts),
                MEMORY => self.memory = Some(demand.amount.wholes()),
                name => self.resources.push((name.to_owned(), parts)),
            }
        }
    }

    fn of(
        own: Option<&TaskOptions>,
        function: FunctionIndex,
        registry: &Registry,
    ) -> Result<PeerOptions> {
        let remote = registry
            .function(function)
            .ok_or_else(|| Error::internal("a call of no function"))?;
        let options = own.unwrap_or(&remote.options);
        let mut peer = PeerOptions {
            retries: options.retries,
            retry_errors: options.retry_errors,
            timeout: options.timeout.map(|time| time.as_secs_f64()),
            deadline: options.deadline.map(|time| time.as_secs_f64()),
            retry_timeouts: options.retry_timeouts,
            grace: options.grace.unwrap_or(TaskOptions::GRACE).as_secs_f64(),
            max_calls: options.max_calls,
            split: options.split,
            group: match remote.role {
                Role::Method { group, .. } => group.map(str::to_owned),
                Role::Function | Role::Constructor { .. } => None,
            },
            node: options.node.as_deref().map(str::to_owned),
            spread: options.spread,
            own: own.map(packed).transpose()?,
            ..PeerOptions::default()
        };
        peer.need(&options.resources);
        Ok(peer)
    }
}

fn packed(options: &TaskOptions) -> Result<Bytes> {
    messagepack::to_vec(options)
        .map(Bytes)
        .map_err(|error| Error::codec(format!("options cannot be encoded: {error}")))
}

impl PeerActorOptions {
    fn of(options: &ActorOptions) -> PeerActorOptions {
        PeerActorOptions {
            name: options.name.clone(),
            max_restarts: options.max_restarts,
            max_call_retries: options.max_call_retries,
            max_concurrency: options.max_concurrency,
            groups: options.groups.clone(),
            max_pending_calls: options.max_pending_calls,
            grace: options.grace.as_secs_f64(),
        }
    }
}
