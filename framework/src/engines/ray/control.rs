//! The `Control` of a runtime on a cluster.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use mobula_protocol::{
    Control, Error, NodeInfo, ObjectHandle, ObjectId, Result, Stats, TaskProgress,
    frames::{FromPeer, ToPeer},
};
use mobula_worker::over_stream::OverStream;
use parking_lot::{Condvar, Mutex};

use super::helper::Helper;
use crate::config::Config;

/// The most tasks whose progress the program remembers.
const MOST_PROGRESS: usize = 10_000;

/// A runtime on a cluster, in the program that started it.
pub(super) struct Cluster {
    name: String,
    capacity: u64,
    grace: Duration,
    helper: Arc<Mutex<Helper>>,
    /// `None` before the start and after the end, since the engine holds the `Cluster`, too.
    over: Mutex<Option<OverStream>>,
    closed: AtomicBool,
    next: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The numbers of answered `ToPeer::Idle` questions.
    idle: Vec<u64>,
    /// The answers to `ToPeer::Nodes` questions, by number.
    nodes: HashMap<u64, Vec<NodeInfo>>,
    progress: HashMap<ObjectId, TaskProgress>,
    /// The helper has ended.
    gone: bool,
}

impl Cluster {
    pub(super) fn new(config: &Config, helper: Arc<Mutex<Helper>>) -> Cluster {
        Cluster {
            name: config.name.clone(),
            capacity: config.capacity,
            grace: config.detached_grace,
            helper,
            over: Mutex::default(),
            closed: AtomicBool::new(false),
            next: AtomicU64::new(0),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Takes the stream of a helper that has joined the cluster.
    pub(super) fn begin(&self, over: OverStream, _: &str) {
        *self.over.lock() = Some(over);
    }

    /// Takes a frame of the helper that answers a question or tells progress.
    pub(super) fn hear(&self, frame: FromPeer) {
        let mut state = self.state.lock();
        match frame {
            FromPeer::Idle(question) => state.idle.push(question),
            FromPeer::Nodes(question, nodes) => {
                let node = |(name, cpus, is_own)| NodeInfo { name, cpus, is_own };
                state
                    .nodes
                    .insert(question, nodes.into_iter().map(node).collect());
            }
            FromPeer::Progress(id, done, total) => {
                let progress = TaskProgress { done, total };
                // Nothing tells of tasks that have ended. A running one reports again soon.
                if state.progress.len() >= MOST_PROGRESS {
                    state.progress.clear();
                }
                state.progress.insert(id.into(), progress);
            }
            _ => {}
        }
        self.changed.notify_all();
    }

    /// Marks the helper as gone. Reports its end on standard error if the runtime is not closed.
    pub(super) fn peer_is_gone(&self, why: Option<Error>) {
        if !self.closed.load(Ordering::SeqCst) {
            let why = why.map_or(String::new(), |why| format!(": {why}"));
            eprintln!("mobula: the helper that connects this program with Ray has ended{why}");
        }
        self.state.lock().gone = true;
        self.changed.notify_all();
        let over = self.over.lock().clone();
        if let Some(over) = over {
            crate::current::remove(&*over.engine());
        }
    }

    fn over(&self) -> Result<OverStream> {
        let over = self.over.lock().clone();
        let over = over.filter(|over| !over.is_cut() && !self.closed.load(Ordering::SeqCst));
        over.ok_or_else(Error::shutdown)
    }

    /// Sends the helper a question with a new number, and blocks until `answer` returns a value for
    /// this number. Returns `None` when `limit` has passed.
    fn ask<T>(
        &self,
        question: impl FnOnce(u64) -> ToPeer,
        limit: Option<Duration>,
        answer: impl Fn(&mut State, u64) -> Option<T>,
    ) -> Result<Option<T>> {
        let over = self.over()?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        over.say(&question(number));
        let deadline = limit.map(|limit| Instant::now() + limit);
        let mut state = self.state.lock();
        loop {
            if let Some(answer) = answer(&mut state, number) {
                return Ok(Some(answer));
            }
            if state.gone {
                return Err(Error::shutdown());
            }
            match deadline {
                None => self.changed.wait(&mut state),
                Some(deadline) => {
                    if self.changed.wait_until(&mut state, deadline).timed_out() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Blocks until all calls have ended. Returns `false` when `limit` has passed.
    fn idle(&self, limit: Option<Duration>) -> Result<bool> {
        let ended = self.ask(ToPeer::Idle, limit, |state, question| {
            let at = state
                .idle
                .iter()
                .position(|answered| *answered == question)?;
            state.idle.swap_remove(at);
            Some(())
        })?;
        Ok(ended.is_some())
    }

    /// Ends the runtime. The helper waits up to `grace` for detached calls.
    fn close(&self, grace: Duration) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        let over = self.over.lock().take();
        let Some(over) = over else {
            return;
        };
        over.say(&ToPeer::Shutdown(grace.as_secs_f64()));
        self.helper.lock().end(Helper::PATIENCE + grace);
        over.cut(&Error::shutdown());
        crate::current::remove(&*over.engine());
    }
}

/// The runtime's methods that no worker has.
impl Control for Cluster {
    fn name(&self) -> &str {
        &self.name
    }

    fn stats(&self) -> Stats {
        let (used_bytes, objects) = self.over.lock().as_ref().map_or((0, 0), OverStream::in_use);
        Stats {
            used_bytes,
            objects,
            committed_bytes: used_bytes,
            capacity_bytes: self.capacity,
        }
    }

    fn worker_pids(&self) -> Vec<u32> {
        Vec::new()
    }

    fn nodes(&self) -> Result<Vec<NodeInfo>> {
        let nodes = self.ask(ToPeer::Nodes, None, |state, question| {
            state.nodes.remove(&question)
        })?;
        Ok(nodes.unwrap_or_default())
    }

    fn progress(&self, object: &ObjectHandle) -> Option<TaskProgress> {
        match object.outcome() {
            None => self.state.lock().progress.get(&object.id()).copied(),
            Some(_) => None,
        }
    }

    fn is_closed(&self) -> bool {
        self.over().is_err()
    }

    fn wait_idle(&self) -> Result<()> {
        self.idle(None).map(drop)
    }

    fn shutdown_after(&self, limit: Duration) -> Result<()> {
        let idle = self.idle(Some(limit));
        self.close(Duration::ZERO);
        match idle? {
            true => Ok(()),
            false => Err(Error::timeout(format!(
                "the runtime was ended after {limit:?}, and calls on the cluster were cut that had not ended"
            ))),
        }
    }

    fn shutdown(&self) {
        self.close(Duration::ZERO);
    }

    fn end(&self) {
        self.close(self.grace);
    }
}
