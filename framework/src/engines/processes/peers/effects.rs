//! The effects of the scheduler's decisions on the peers.

use std::{
    sync::{Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use mobula_protocol::{
    Attempt, Error, ObjectHandle, ObjectId, Outcome, TaskSlot, Value, WorkerId,
    mailbox::TransportError,
    message::{ArgRef, FromWorker, TaskMessage, ToWorker},
    ring::RingError,
};
use mobula_store::Loc;

use crate::engines::processes::peers::Peers;
use crate::{promise::ENGINE, scheduler::Host};

impl Host for Peers {
    fn send_task(&mut self, worker: WorkerId, task: TaskMessage<ArgRef<'_>>) {
        self.introduce_all(worker, &task.args);
        let Some(peer) = self.touch(worker) else {
            return;
        };
        let idle = !task.revocable;
        if idle {
            // The frees go before the task, so that the task can use the memory again. In the task
            // lane, they wake no other thread.
            peer.send_frees_with_task();
        }
        let (id, slot, attempt) = (task.id, task.slot, task.attempt);
        match peer.end.send_task(&task) {
            Ok(()) => {}
            Err(error @ TransportError::Ring(RingError::Corrupt { .. })) => {
                self.mark_for_kill(
                    worker,
                    format!("its mailbox does not take messages: {error}"),
                );
            }
            // No other worker could receive the task either.
            Err(error) => {
                let outcome = Err(Error::codec(format!(
                    "the task's arguments cannot be sent to a worker: {error}"
                )));
                self.unsendable.push((
                    worker,
                    FromWorker::Done {
                        id,
                        slot,
                        attempt,
                        outcome,
                    },
                ));
            }
        }
        if idle {
            // The message would otherwise wait for the rest of this step.
            self.flush_last(worker);
        }
    }

    fn send(&mut self, worker: WorkerId, message: ToWorker) {
        if let ToWorker::Ready {
            outcome: Ok(value), ..
        } = &message
        {
            self.introduce(worker, &value.clone());
        }
        if let Some(peer) = self.touch(worker) {
            peer.send(&message);
        }
    }

    fn revoke(&mut self, worker: WorkerId, slot: TaskSlot, attempt: Attempt) -> bool {
        self.peers
            .get(worker)
            .is_some_and(|peer| peer.end.state.revoke(slot, attempt))
    }

    fn started(&mut self, worker: WorkerId, slot: TaskSlot, attempt: Attempt) -> bool {
        self.peers
            .get(worker)
            .is_none_or(|peer| peer.end.state.started(slot, attempt))
    }

    fn complete(&mut self, _: ObjectId, handle: Weak<ObjectHandle>, outcome: Outcome) {
        self.completions.push((handle, outcome));
    }

    fn start_worker(&mut self) {
        self.seldom().to_start += 1;
    }

    fn make_actor(&mut self, worker: WorkerId, threads: u32) {
        self.has_actors.store(true, Ordering::Relaxed);
        if let Some(peer) = self.touch(worker)
            && let Err(error) = peer.end.task.send(&ToWorker::Actor { threads })
        {
            self.mark_for_kill(
                worker,
                format!("its mailbox does not take messages: {error}"),
            );
        }
    }

    fn say(&mut self, line: String) {
        self.seldom().said.push(line);
    }

    fn kill(&mut self, worker: WorkerId, why: String) {
        self.mark_for_kill(worker, why);
    }

    fn end_run(&mut self, worker: WorkerId, run: Attempt, why: String) -> bool {
        let can_be_killed = self.get(worker).is_none_or(|peer| !peer.shares_mappings);
        match can_be_killed {
            true => self.mark_for_kill(worker, why),
            false => self.seldom().runs_to_end.push((worker, run, why)),
        }
        can_be_killed
    }

    fn end_within(&mut self, worker: WorkerId, grace: Duration) {
        self.seldom().ends.push((worker, grace));
    }

    fn now(&mut self) -> Instant {
        Instant::now()
    }

    fn wake_at(&mut self, at: Instant) {
        let wake_at = &mut self.seldom().wake_at;
        *wake_at = Some(wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    fn close(&mut self, loc: Loc, then: Option<(ObjectId, Value)>) {
        self.close_shared(loc, then);
    }

    fn free(&mut self, loc: Loc) {
        if loc.segment == self.heap.id() {
            if let Err(error) = self.heap.free(loc, ENGINE) {
                eprintln!("mobula: freeing an object: {error}");
            }
        } else if let Some(peer) = self.touch(WorkerId(loc.segment.0)) {
            peer.bodies.remove(&loc.offset);
            peer.frees.push(loc);
        } else if let Some(file) = self.files.get(&loc.segment) {
            let freed = self.orphans.free(loc, file);
            mobula_store::Budget::release(&*self.capacity, freed.bytes);
            if freed.last {
                self.drop_segment(loc.segment);
            }
        }
    }
}
