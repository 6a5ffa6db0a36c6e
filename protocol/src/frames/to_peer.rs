//! What the process says to its peer.

use serde::{Deserialize, Serialize};

use super::{Bytes, PeerArg, PeerId, PeerOutcome, PeerValue};
use crate::{
    Error, Result,
    ids::FunctionIndex,
    message::{ArgSpec, FromWorker, TaskSpec},
    options::{ActorOptions, TaskOptions},
    registry::{Registry, Role},
    resources::{CPUS, MEMORY, Resources},
};

/// The options of a call that the peer acts on, and all of them for the process that runs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerOptions {
    /// How often the task may run again.
    pub retries: Option<u32>,
    /// Whether it runs again after an error, in its process.
    pub retry_errors: bool,
    /// How long one run may take, in seconds.
    pub timeout: Option<f64>,
    /// How long after its submission it must have ended, in seconds.
    pub deadline: Option<f64>,
    /// Whether it runs again after a run that has taken too long.
    pub retry_timeouts: bool,
    /// How long a run that is to end may go on, in seconds.
    pub grace: f64,
    /// How many calls of its function a process runs.
    pub max_calls: Option<u32>,
    /// Whether each element of the result is an object.
    pub split: bool,
    /// Cores.
    pub cpus: Option<f64>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Declared resources.
    pub resources: Vec<(String, f64)>,
    /// The group of the method.
    pub group: Option<String>,
    /// On which node.
    pub node: Option<String>,
    /// Whether calls are spread over all nodes.
    pub spread: bool,
    /// All of the call's own options, for the process that runs it.
    pub own: Option<Bytes>,
}

/// How an actor is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerActorOptions {
    /// Under which it is found.
    pub name: Option<String>,
    /// How often it is made anew.
    pub max_restarts: u32,
    /// How often a call runs again after its process has died.
    pub max_call_retries: u32,
    /// Calls at a time.
    pub max_concurrency: u32,
    /// Calls at a time of each group.
    pub groups: Vec<(String, u32)>,
    /// Calls that may wait or run.
    pub max_pending_calls: Option<u32>,
    /// How long its end may take, in seconds.
    pub grace: f64,
}

/// What the process says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToPeer {
    /// The first frame: [`VERSION`](super::VERSION), the names of all functions, the bytes of the
    /// segment that the next descriptor on the socket belongs to, the process, the value of `()`,
    /// and the value that stands for its one reference.
    Hello(u32, Vec<String>, u64, u32, Bytes, Bytes),
    /// Tasks may come.
    Registered,
    /// A call: its object, the function, the arguments, the options, the actor, the run that makes
    /// it.
    Spawn(
        PeerId,
        u32,
        Vec<PeerArg>,
        PeerOptions,
        Option<PeerId>,
        Option<u64>,
    ),
    /// An object of the process.
    Put(PeerId, PeerValue),
    /// A run has ended: its number, and how.
    Done(u64, PeerOutcome),
    /// A run has returned an error, and begins again.
    Again(u64),
    /// The process keeps this object.
    Hold(PeerId),
    /// The process does not keep it any more.
    Release(PeerId),
    /// Nobody asks for the result, but the work is wanted.
    Detach(PeerId),
    /// The process is to be told when the object is ready.
    Watch(PeerId),
    /// The process is to be told when the object is gone.
    Decoded(PeerId),
    /// The tasks of these objects are to be cancelled; whether with their children, whether they
    /// are killed, and after how many seconds.
    Cancel(Vec<PeerId>, bool, bool, Option<f64>),
    /// Each element of a result is to be an object.
    Split(PeerId, Vec<PeerId>),
    /// An actor: its object, the constructor, the arguments, the options, the options of the
    /// constructor, and the object that names the one which there is, if one is wanted.
    CreateActor(
        PeerId,
        u32,
        Vec<PeerArg>,
        PeerActorOptions,
        PeerOptions,
        Option<PeerId>,
    ),
    /// An object that names the actor of this name.
    FindActor(PeerId, String),
    /// This actor ends at once.
    KillActor(PeerId),
    /// A queue with so much room.
    CreateQueue(PeerId, u32),
    /// Values are to go into a queue: the answer, the queue, the values, whether to wait.
    QueuePut(PeerId, PeerId, Vec<PeerArg>, bool),
    /// Values are to come out of a queue: the answers, the queue, whether to wait.
    QueueGet(Vec<PeerId>, PeerId, bool),
    /// Nobody waits for these answers; whether their values go back.
    QueueGiveUp(Vec<PeerId>, bool),
    /// The values of these answers are the process' own.
    QueueTook(Vec<PeerId>),
    /// What is in a queue, which may be closed before.
    QueueAsk(PeerId, PeerId, bool),
    /// How far a run is, and of how much.
    Progress(u64, u64, u64),
    /// A task waits.
    Blocked,
    /// A task that waited goes on.
    Unblocked,
    /// The process is to be replaced.
    Retire,
    /// The process ends itself.
    Exits,
    /// The peer is to answer with the same number when all calls have ended.
    Idle(u64),
    /// The peer is to answer with the same number, and the nodes that there are.
    Nodes(u64),
    /// The peer is to end, after calls whose results nobody asks for, within so many seconds.
    Shutdown(f64),
}

impl ToPeer {
    /// Returns what is said to the peer; `None`: nothing has to be said.
    ///
    /// # Errors
    /// The message has no form for the peer (`is_usage`).
    pub fn of(message: &FromWorker, registry: &Registry) -> Result<Option<ToPeer>> {
        let ids = |ids: &[crate::ObjectId]| ids.iter().map(|id| PeerId::from(*id)).collect();
        Ok(Some(match message {
            FromWorker::Registered => ToPeer::Registered,
            FromWorker::Spawn(task, parent) => spawn(task, parent.map(|run| run.0), registry)?,
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
            // The peer keeps the time of runs, and gives cores back by what it is told of waits.
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
        Ok(match arg {
            ArgSpec::Value(value) => PeerArg::Value(PeerValue::of(value)?),
            ArgSpec::Object(id) => PeerArg::Object((*id).into(), None),
            ArgSpec::Gather(ids) => {
                PeerArg::Gather(ids.iter().map(|id| ((*id).into(), None)).collect())
            }
        })
    };
    args.iter().map(arg).collect()
}

impl PeerOptions {
    /// Of the constructor: with the resources of the actor.
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

    /// Notes what is needed, in the place of what was noted before.
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
    rmp_serde::to_vec(options)
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
