//! The one worker that this process is, and its turn.

use std::{
    collections::HashMap,
    fmt,
    marker::PhantomData,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use mobula_store::{Heap, SegmentId, Segments, Writables};
use parking_lot::{Condvar, Mutex};

use super::{
    budget::Grants,
    cancelled::Cancellations,
    lanes::{OutLane, TaskLane},
    own_calls::OwnActor,
    printed::Printed,
    shortage::Shortage,
    table::{Out, Table},
    tasks,
    turn::Turn,
};
use crate::ActorState;
use mobula_protocol::{
    Decoded, ObjectId, Registry, WorkerId, mailbox::WorkerState, message::FromWorker, sync::Seat,
};

/// The one worker that this process is.
pub(crate) struct Worker {
    pub(super) this: Weak<Worker>,
    pub(super) id: WorkerId,
    pub(super) seat: Seat,
    pub(super) registry: &'static Registry,
    pub(super) table: Mutex<Table<OutLane>>,
    pub(super) tasks: Mutex<TaskLane>,
    /// Who may still decide about a queued task.
    pub(super) state: WorkerState,
    pub(super) printed: Printed,
    pub(super) turn: Turn,
    pub(super) cancellations: Cancellations,
    pub(super) shortage: Shortage,
    /// The actor that lives here, if there is one.
    pub(super) own_actor: OwnActor,
    /// The value, if this worker is an actor.
    pub(super) actor: Arc<ActorState>,
    /// Threads of the task loop.
    pub(super) loops: AtomicUsize,
    /// Threads of the task loop that run no task at the moment.
    pub(super) idle_loops: AtomicUsize,
    /// From the return of the set-up functions to the first tear-down function: before, the driver
    /// takes no message, and behind it, the driver answers none.
    pub(super) registered: AtomicBool,
    /// Set when no further task is to begin.
    pub(super) closing: AtomicBool,
    pub(super) grants: Arc<Grants>,
    pub(super) decoded: Decoded,
    pub(super) heap: Arc<Heap>,
    pub(super) segments: Segments,
    pub(super) writables: Writables,
    /// Segments that came and could not be mapped, and why.
    pub(super) failed_segments: Mutex<HashMap<SegmentId, String>>,
    pub(super) segment_arrived: Condvar,
    pub(super) next_id: AtomicU64,
    /// How many of its kind there are.
    pub(super) workers: usize,
}

impl Worker {
    pub(super) fn mint(&self) -> ObjectId {
        ObjectId {
            origin: self.id,
            seq: self.next_id.fetch_add(1, Ordering::Relaxed),
        }
    }

    pub(super) fn arc(&self) -> Arc<Worker> {
        self.this
            .upgrade()
            .expect("the worker lives as long as its process")
    }

    /// Says that the task of this thread sleeps, and lets another one run until the result is
    /// dropped. The result knows whether some thread of the worker goes on with the lane; see
    /// [`shortage`](super::shortage).
    ///
    /// # Panics
    /// If the thread does not run a task, or has given up its turn already.
    pub(super) fn pause(&self) -> Paused<'_> {
        tasks::give_up_turn();
        self.turn.end();
        let mut paused = Paused {
            worker: self,
            has_turn: false,
            has_stand_in: false,
            on_its_thread: PhantomData,
        };
        self.table.lock().out.push(&FromWorker::Blocked);
        paused.has_stand_in = tasks::stand_in(self).is_ok();
        paused
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The task of this thread has given up its turn, and gets it back when this is dropped, which
/// waits for that. Only a sleep may happen until then, and no code of the user's.
#[must_use]
pub(super) struct Paused<'w> {
    worker: &'w Worker,
    has_turn: bool,
    /// Whether some thread goes on with the lane.
    pub(super) has_stand_in: bool,
    on_its_thread: PhantomData<*const ()>,
}

impl Paused<'_> {
    /// Takes the turn back if that needs no waiting.
    pub(super) fn try_resume(&mut self) -> bool {
        self.has_turn = self.has_turn || self.worker.turn.try_resume();
        self.has_turn
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        if !self.has_turn {
            self.worker.turn.resume();
        }
        tasks::take_turn_back();
        self.worker.table.lock().out.push(&FromWorker::Unblocked);
    }
}

/// This process' worker, for code that has no handle on it.
pub(crate) fn current() -> Option<Arc<Worker>> {
    super::WORKER.get().map(|worker| worker.arc())
}
