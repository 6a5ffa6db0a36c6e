//! The monitor's looks at workers that live. It kills the late ones, and reports those that are
//! stopped or outlive their end.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use mobula_protocol::WorkerId;

use crate::engines::processes::{Driver, workers::watched::Watched};

/// While tasks are under way, how often the monitor looks for stopped workers, and at the functions
/// that workers run.
const LOOK: Duration = Duration::from_millis(500);

impl Driver {
    /// Kills workers that do not register or that run another program. Kills all workers when the
    /// runtime's end has come, except workers with a later time of their own.
    pub(super) fn end_the_late(
        &self,
        workers: &mut [Watched],
        (end, ends): (Option<Instant>, &[(WorkerId, Instant)]),
        reasons: &mut Vec<(WorkerId, String)>,
    ) {
        let now = Instant::now();
        for worker in workers {
            if end.is_some_and(|end| end <= now) {
                if !ends.iter().any(|(id, at)| *id == worker.id && *at > now) {
                    worker.kill();
                }
            } else if !worker.is_registered()
                && now.duration_since(worker.began) >= self.config.start_timeout
                && !reasons.iter().any(|(id, _)| *id == worker.id)
            {
                reasons.push((
                    worker.id,
                    format!(
                        "it was not ready within {:?}; what stands before `mobula::init()` in `main` runs in each worker, and must be short",
                        self.config.start_timeout
                    ),
                ));
                worker.kill();
            } else if worker.has_replaced_itself(now) {
                let why = "its process has replaced itself by another program (`exec`), which no task may do";
                reasons.push((worker.id, why.to_owned()));
                worker.kill();
            }
        }
    }

    /// Reports stopped workers, from time to time while tasks are under way. Returns the time of
    /// the next look, or `None` as long as there is nothing to do. So an idle runtime does not wake
    /// up.
    pub(super) fn look_for_stopped(
        &self,
        workers: &mut [Watched],
        at: Option<Instant>,
        now: Instant,
    ) -> Option<Instant> {
        let next = now + LOOK;
        if !self.monitor.armed.load(Ordering::Relaxed) {
            return None;
        }
        match at {
            None => return Some(next),
            Some(at) if at > now => return Some(at),
            Some(_) => workers.iter_mut().for_each(Watched::tell_if_stopped),
        }
        // A thread that submits a task after the look at pending work sees this.
        self.monitor.armed.store(false, Ordering::Relaxed);
        let pending = self.pending_work();
        // A run whose task has failed may go on.
        let again = self.show_functions(workers) || pending;
        self.monitor.armed.fetch_or(again, Ordering::Relaxed);
        Some(next).filter(|_| again)
    }

    /// Reports workers that outlive their end. At the end of the runtime, stops waiting for them.
    pub(super) fn give_up(&self, workers: &mut Vec<Watched>, closing: bool) {
        let now = Instant::now();
        for worker in workers.extract_if(.., |worker| worker.outlives_its_end(now) && closing) {
            worker.stdout.finish();
            worker.stderr.finish();
            self.output.notify();
        }
    }
}
