//! The control lane. A thread serves it while tasks run.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mobula_store::SegmentId;

use super::{lanes::free, title, worker::Worker};
use crate::{
    end::unusable,
    link::{Doorbell, Files, Lane, Link, Out},
    promise::ENGINE,
};
use mobula_protocol::{
    ObjectId, Outcome,
    message::{FromWorker, ToWorker},
};

/// Whether a worker's control lane is over.
pub(super) enum Over {
    No,
    /// Not yet, and nobody notifies the thread when it is. The thread looks again after this time.
    LookAgain(Duration),
    Yes,
}

/// Serves the lane until `over` says that the lane is over. `task_doorbell` wakes the task loop
/// when it is to close or to drop decoded values.
pub(super) fn serve<L: Link>(
    worker: &Arc<Worker<L>>,
    mut lane: L::Lane,
    files: &L::Files,
    task_doorbell: &impl Doorbell,
    mut over: impl FnMut() -> Over,
) {
    let doorbell = lane.doorbell();
    let mut kept_pause = Duration::ZERO;
    loop {
        match lane.receive() {
            Ok(Some(message)) => handle(worker, message, files, task_doorbell),
            Ok(None) => {
                let pause = match over() {
                    Over::No => None,
                    Over::LookAgain(pause) => Some(pause),
                    Over::Yes => return,
                };
                let look = worker.look_at_kept(&mut kept_pause);
                let until = look.into_iter().chain(pause).min();
                doorbell.sleep(until, || {
                    lane.ready() || pause.is_none() && !matches!(over(), Over::No)
                });
            }
            Err(error) => unusable(&error),
        }
    }
}

fn handle<L: Link>(
    worker: &Arc<Worker<L>>,
    message: ToWorker,
    files: &L::Files,
    task_doorbell: &impl Doorbell,
) {
    match message {
        ToWorker::Actor { .. } => unusable(&"what belongs to tasks came through the control lane"),
        ToWorker::Task(task) => {
            unusable(&format!("task {} came through the control lane", task.id))
        }
        ToWorker::Ready { id, outcome } => ready(worker, id, outcome),
        ToWorker::Free(locs) => free(&worker.heap, locs),
        ToWorker::Grant(answer) => worker.grants.answer(answer),
        ToWorker::Segment { id, len } => {
            let mapped = files.segment(id, len).and_then(|file| {
                let mapped = worker.segments.insert(id, &file);
                mapped.map_err(|error| error.to_string())
            });
            arrived(worker, id, mapped);
        }
        ToWorker::Writable { id, len } => {
            let mapped = files.writable(id, len).and_then(|file| {
                let mapped = worker.writables.insert(id, &file);
                mapped.map_err(|error| error.to_string())
            });
            arrived(worker, id, mapped);
        }
        ToWorker::Close(loc) => {
            if !worker.writables.close(loc) {
                unusable(&format!("{loc} is to be closed while it is in use"));
            }
            worker.table.lock().out.push(&FromWorker::Closed(loc));
        }
        ToWorker::DropSegment(id) => {
            worker.segments.remove(id);
            worker.writables.remove(id);
        }
        ToWorker::Forget(id) => {
            if worker.decoded.forget(id) {
                // A task loop drops the values, since a drop runs user code.
                task_doorbell.notify();
            }
        }
        ToWorker::Cancel { run, calls } => {
            worker.cancellations.cancel(run, calls);
            if calls {
                let cancelled = worker.table.lock().cancel_kept_of(run);
                worker.fail_cancelled(cancelled);
            }
        }
        ToWorker::Share => worker.want_share(),
        ToWorker::Title(function) => title::show(worker.registry, function),
        ToWorker::Trim => {
            worker.heap.trim(0);
            let spare = worker.grants.take_spare();
            worker
                .table
                .lock()
                .out
                .push(&FromWorker::ReturnBytes(spare));
        }
        ToWorker::Shutdown => {
            worker.closing.store(true, Ordering::SeqCst);
            task_doorbell.notify();
        }
    }
}

/// Completes the handle of an object that this process watches.
pub(super) fn ready<L: Link>(worker: &Worker<L>, id: ObjectId, outcome: Outcome) {
    // The entry must not be dropped under the table's lock.
    let entry = worker.table.lock().watched(id);
    if let Some(entry) = entry {
        entry.complete(outcome, ENGINE);
    }
}

/// Wakes the tasks that wait for a segment.
fn arrived<L: Link>(worker: &Worker<L>, id: SegmentId, mapped: Result<(), String>) {
    // A task that needs the segment reports what went wrong.
    if let Err(why) = mapped {
        worker.failed_segments.lock().insert(id, why);
    } else {
        // A task between its look and its sleep must not miss the wake-up below.
        drop(worker.failed_segments.lock());
    }
    worker.segment_arrived.notify_all();
}
