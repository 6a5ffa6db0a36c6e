//! The type [`Worker`], and how its tasks give up and take back the turn.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use mobula_store::{Heap, SegmentFile, SegmentId, Segments, Writables};
use parking_lot::{Condvar, Mutex};

use super::{
    beside::Beside,
    budget::Grants,
    cancellations::{Cancellations, this_run},
    here::{Here, Number, Paused, Served},
    lanes::TaskLane,
    own_calls::OwnActor,
    printed::Printed,
    shortage::Shortage,
    table::Table,
    tasks,
    turn::Turn,
};
use crate::{
    ActorState, context,
    link::{Claims, Link, Out},
    teardown::Locals,
};
use mobula_protocol::{
    Attempt, Control, Decoded, Engine, Error, FunctionIndex, ObjectId, Registry, Resources, Result,
    TaskProgress, WorkerId, message::FromWorker, sync::ProcessSlot,
};

/// A worker, tied to its driver by `L`.
pub(crate) struct Worker<L: Link> {
    pub(super) this: Weak<Worker<L>>,
    number: Number,
    pub(super) id: WorkerId,
    pub(super) process_slot: ProcessSlot,
    pub(super) registry: &'static Registry,
    pub(super) table: Mutex<Table<L::Out>>,
    pub(super) tasks: Mutex<TaskLane<L::Lane>>,
    /// Decides whether a queued task starts here or the driver takes it back.
    pub(super) state: L::Claims,
    /// `None` where nobody passes on the output of the worker's tasks.
    pub(super) printed: Option<Printed>,
    pub(super) turn: Turn,
    pub(super) cancellations: Cancellations,
    pub(super) shortage: Shortage,
    /// The actor that lives here, if there is one.
    pub(super) own_actor: OwnActor,
    /// The resources of the actor, if it needs any.
    pub(super) resources_of_actor: OnceLock<Resources>,
    /// The value, if this worker is an actor.
    pub(super) actor: Arc<ActorState>,
    /// The number of threads that run the task loop.
    pub(super) loops: AtomicUsize,
    /// The number of task-loop threads that run no task at the moment.
    pub(super) idle_loops: AtomicUsize,
    /// True from the return of the set-up functions to the first tear-down function. Before that,
    /// the driver takes no message. After that, the driver answers none.
    pub(super) registered: AtomicBool,
    /// Set when no further task is to begin.
    pub(super) closing: AtomicBool,
    pub(super) grants: Arc<Grants>,
    pub(super) decoded: Decoded,
    pub(super) heap: Arc<Heap>,
    pub(super) segments: Arc<Segments>,
    pub(super) writables: Writables,
    /// Segments that arrived and could not be mapped, with the reason.
    pub(super) failed_segments: Mutex<HashMap<SegmentId, String>>,
    pub(super) segment_arrived: Condvar,
    pub(super) next_id: AtomicU64,
    /// How many workers the runtime has.
    pub(super) workers: usize,
    /// The stack of each thread that runs tasks, in bytes.
    pub(super) stack: usize,
    /// The worker asks to be replaced when its own memory exceeds this number of bytes.
    pub(super) max_rss: Option<u64>,
    /// `Some` if the worker's threads are threads of a program, and not of a worker process.
    pub(super) beside: Option<Arc<Beside>>,
    /// The values of [`WorkerLocal`](crate::WorkerLocal)s, where a process has several workers.
    pub(super) locals: Locals,
    /// The runtime as a whole, where this process has started it.
    pub(super) runtime: OnceLock<Arc<dyn Control + Send + Sync>>,
}

/// The facts that a worker gets at its start.
pub(super) struct Settings {
    pub(super) number: Number,
    pub(super) id: WorkerId,
    pub(super) process_slot: ProcessSlot,
    pub(super) registry: &'static Registry,
    /// The worker's own segment, with both descriptors.
    pub(super) segment: (SegmentId, SegmentFile),
    /// The mappings through which the worker reads segments of others.
    pub(super) segments: Arc<Segments>,
    pub(super) workers: u32,
    pub(super) stack: u64,
    /// The worker asks to be replaced when its own memory exceeds this number of bytes.
    pub(super) max_rss: Option<u64>,
    pub(super) printed: Option<Printed>,
    pub(super) beside: Option<Arc<Beside>>,
}

impl<L: Link> Worker<L> {
    /// Creates a worker with its ends of a link. The thread that serves the control lane has the
    /// remaining ends.
    ///
    /// # Errors
    /// The worker's segment cannot be mapped.
    pub(super) fn new(
        settings: Settings,
        (out, tasks, claims): (L::Out, L::Lane, L::Claims),
    ) -> Result<Arc<Worker<L>>> {
        let (segment, file) = settings.segment;
        let decoded = decoded_limit(file.len(), settings.workers);
        let this: Arc<OnceLock<Weak<Worker<L>>>> = Arc::default();
        let asks = this.clone();
        let grants = Arc::new(Grants::new(move |message| {
            if let Some(worker) = asks.get().and_then(Weak::upgrade) {
                worker.table.lock().finish(&message);
            }
        }));
        let heap = Heap::new(segment, file, grants.clone())?;
        let worker = Arc::new_cyclic(|this| Worker {
            this: this.clone(),
            number: settings.number,
            id: settings.id,
            process_slot: settings.process_slot,
            registry: settings.registry,
            table: Mutex::new(Table::new(out)),
            tasks: Mutex::new(TaskLane::new(tasks, heap.clone())),
            state: claims,
            printed: settings.printed,
            turn: Turn::default(),
            cancellations: Default::default(),
            shortage: Default::default(),
            own_actor: OwnActor::default(),
            resources_of_actor: OnceLock::new(),
            actor: Arc::default(),
            loops: AtomicUsize::new(1),
            idle_loops: AtomicUsize::new(0),
            registered: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            grants,
            decoded: Decoded::new(decoded),
            heap,
            segments: settings.segments,
            writables: Writables::new(),
            failed_segments: Mutex::default(),
            segment_arrived: Condvar::new(),
            next_id: AtomicU64::new(0),
            workers: settings.workers as usize,
            max_rss: settings.max_rss,
            stack: usize::try_from(settings.stack).unwrap_or(usize::MAX),
            beside: settings.beside,
            locals: Locals::default(),
            runtime: OnceLock::new(),
        });
        let _ = this.set(Arc::downgrade(&worker));
        Ok(worker)
    }

    pub(super) fn mint(&self) -> ObjectId {
        ObjectId {
            origin: self.id,
            seq: self.next_id.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Checks whether the driver can be asked for anything.
    ///
    /// # Errors
    /// This process was forked from the worker and does not have the rings, or the worker has
    /// ended.
    #[inline]
    pub(super) fn usable(&self) -> Result<()> {
        if mobula_store::is_forked_child() {
            return Err(Error::forked());
        }
        match &self.beside {
            Some(beside) if beside.is_cut() => Err(Error::shutdown()),
            _ => Ok(()),
        }
    }

    /// Whether the worker's segment contains anything that is not an object yet.
    pub(super) fn has_extents(&self) -> bool {
        // The worker and its lane have one reference each.
        Arc::strong_count(&self.heap) > 2
    }

    /// Notes that this run has the turn from now on.
    #[inline]
    pub(super) fn has_turn(&self, run: Attempt) {
        if let Some(beside) = &self.beside {
            beside.has_turn(run);
        }
    }

    /// Notes that the run of this thread gives up its turn. Returns `false` if the turn was taken
    /// away before; then the driver knows that.
    #[inline]
    fn gives_turn(&self) -> bool {
        match (&self.beside, this_run()) {
            (Some(beside), Some(run)) => beside.gives_turn(run),
            _ => true,
        }
    }

    /// Prepares the end of this thread's run. From here on nobody takes its turn away. If the turn
    /// was taken away before, waits until the run has it back.
    #[inline]
    pub(super) fn keep_turn_to_the_end(&self) {
        if !self.gives_turn() {
            self.turn.resume();
            self.table.lock().out.push(&FromWorker::Unblocked);
            self.end_shortage();
        }
    }

    pub(super) fn arc(&self) -> Arc<Worker<L>> {
        self.this
            .upgrade()
            .expect("whoever calls a worker holds it")
    }
}

impl<L: Link> Here for Worker<L> {
    fn id(&self) -> WorkerId {
        self.id
    }

    fn number(&self) -> Number {
        self.number
    }

    fn locals(&self) -> Option<&Locals> {
        self.beside.as_ref().map(|_| &self.locals)
    }

    fn engine(&self) -> Result<Arc<dyn Engine>> {
        if self.registered.load(Ordering::Acquire) {
            return Ok(self.arc());
        }
        if self.closing.load(Ordering::SeqCst) {
            return Err(Error::shutdown());
        }
        Err(Error::usage(
            "a set-up function of the workers (`worker_setup!`) cannot spawn, put or get: its worker takes part \
             in the runtime when all set-up functions have returned; do this in a task, or in the program, and \
             pass the result to the tasks that need it",
        ))
    }

    fn cancellations(&self) -> &Cancellations {
        &self.cancellations
    }

    fn report(&self, run: Attempt, progress: TaskProgress) {
        if !mobula_store::is_forked_child() {
            let report = FromWorker::Progress(run, progress);
            self.table.lock().out.push(&report);
        }
    }

    fn set_function(&self, function: FunctionIndex) {
        self.state.set_function(function);
    }

    fn sleeps(&self) -> bool {
        tasks::give_up_turn();
        let has_turn = self.gives_turn();
        if has_turn {
            self.turn.end();
        }
        let mut table = self.table.lock();
        pass_on_cores(&mut table.out, true);
        let spent = match has_turn {
            true => table.leave(&FromWorker::Blocked),
            false => Vec::new(),
        };
        drop(table);
        drop(spent);
        tasks::stand_in(self).is_ok()
    }

    fn pause(&self) -> Paused<'_> {
        let has_stand_in = self.sleeps();
        Paused::new(self, has_stand_in)
    }

    fn try_resume(&self) -> bool {
        self.turn.try_resume()
    }

    fn resumed(&self, has_turn: bool) {
        if !has_turn {
            self.turn.resume();
        }
        tasks::take_turn_back();
        let mut table = self.table.lock();
        table.out.push(&FromWorker::Unblocked);
        pass_on_cores(&mut table.out, false);
        drop(table);
        if let Some(run) = this_run() {
            self.has_turn(run);
        }
    }

    fn look_for_stand_in(&self) -> Served {
        self.look_for_thread()
    }

    fn ends_shortage(&self) {
        self.end_shortage();
    }
}

/// If the task of this thread has resources of its own, tells the driver that the task waits or
/// goes on. The task's cores are free while it waits.
fn pass_on_cores(out: &mut impl Out, paused: bool) {
    if context::passes_cores_on()
        && let Some(attempt) = this_run()
    {
        out.push(&FromWorker::Paused { attempt, paused });
    }
}

impl<L: Link> fmt::Debug for Worker<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Returns how many encoded bytes of decoded values a worker keeps.
///
/// The values of all workers of a runtime may take a quarter of the store's capacity together. A
/// segment is at most twice as long as that capacity. Each worker may keep at least 64 MiB.
fn decoded_limit(segment_len: u64, workers: u32) -> usize {
    let share = segment_len / 8 / u64::from(workers.max(1));
    usize::try_from(share).unwrap_or(usize::MAX).max(64 << 20)
}
