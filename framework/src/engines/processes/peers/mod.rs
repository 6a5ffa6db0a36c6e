//! The driver's ends of all mailboxes.

pub(super) mod claims;
pub(super) mod closing;
pub(super) mod effects;
pub(super) mod needs;
pub(super) mod peer;
pub(super) mod peer_table;
pub(super) mod recovery;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use mobula_protocol::{
    Attempt, Body, Error, Format, ObjectHandle, ObjectId, Outcome, WorkerId,
    message::{FromWorker, ToWorker},
    waiting::{ALL_EVERY, BATCH, FEW_WORKERS, Mechanism},
};
use mobula_store::{Capacity, Heap, Loc, SegmentFile, SegmentId, Segments, Writables};

use smallvec::SmallVec;

use crate::engines::processes::{
    memory::orphans::Orphans,
    peers::{
        closing::Closings, needs::Needs, peer::Peer, peer_table::PeerTable, recovery::ProcessSlots,
    },
    waiting::task_duration::TaskDurationEstimate,
};
use crate::scheduler::Scheduler;

/// A list of ids that is longer is not kept.
const KEEP_SCRATCH: usize = 1 << 14;

/// Handles that are to be told an outcome. One alone, which is that of a caller who waits, takes no
/// memory.
pub(in crate::engines::processes) type Completions = SmallVec<[(Weak<ObjectHandle>, Outcome); 1]>;

/// All of them, with what the scheduler's effects need.
#[derive(Debug)]
pub(in crate::engines::processes) struct Peers {
    pub(in crate::engines::processes) peers: PeerTable,
    /// Those that are likely to have something to say.
    busy: Vec<WorkerId>,
    /// How often that list was relied upon.
    looks: u32,
    /// The segments' files, to hand their descriptors on.
    pub(in crate::engines::processes) files: BTreeMap<SegmentId, SegmentFile>,
    pub(in crate::engines::processes) heap: Arc<Heap>,
    pub(in crate::engines::processes) segments: Arc<Segments>,
    pub(in crate::engines::processes) capacity: Arc<Capacity>,
    /// Segments of workers that are dead, with live objects in them.
    pub(in crate::engines::processes) orphans: Orphans,
    /// Where this process writes in segments of others.
    pub(in crate::engines::processes) writables: Arc<Writables>,
    pub(in crate::engines::processes) closings: Closings,
    pub(in crate::engines::processes) process_slots: ProcessSlots,
    /// Workers that wait for memory.
    pub(in crate::engines::processes) needs: Needs,
    /// Finished objects whose waiters are to be woken after the lock.
    pub(in crate::engines::processes) completions: Completions,
    /// Workers to be killed after the lock.
    to_kill: Vec<(WorkerId, String)>,
    /// Runs that have not ended in time, whose workers cannot be killed.
    pub(in crate::engines::processes) runs_to_end: Vec<(WorkerId, Attempt, String)>,
    registrations: usize,
    /// There are, or were, actors: somebody has to notice the end of their last handles.
    pub(in crate::engines::processes) has_actors: Arc<AtomicBool>,
    /// Workers to be started.
    pub(in crate::engines::processes) to_start: usize,
    /// Workers that are to end within this time.
    pub(in crate::engines::processes) ends: Vec<(WorkerId, Duration)>,
    /// When the scheduler wants to be called again.
    pub(in crate::engines::processes) wake_at: Option<Instant>,
    /// Lines for the user of the program.
    pub(in crate::engines::processes) said: Vec<String>,
    /// Tasks that were too large for a message, as if their workers had failed them.
    pub(in crate::engines::processes) unsendable: Vec<(WorkerId, FromWorker)>,
    pub(in crate::engines::processes) task_duration: TaskDurationEstimate,
    /// The last step has left released handles to the next one. Looked at and changed under the
    /// lock only.
    pub(in crate::engines::processes) defers_releases: bool,
    /// Peers that may have something to send.
    unflushed: Vec<WorkerId>,
    /// Empty lists, kept for their memory.
    scratch: Vec<ObjectId>,
    spare_completions: Completions,
}

/// What is to be done after the lock is released.
#[derive(Debug, Default)]
pub(in crate::engines::processes) struct Deferred {
    pub(in crate::engines::processes) completions: Completions,
    pub(in crate::engines::processes) to_kill: Vec<(WorkerId, String)>,
    pub(in crate::engines::processes) runs_to_end: Vec<(WorkerId, Attempt, String)>,
    pub(in crate::engines::processes) registrations: usize,
    pub(in crate::engines::processes) to_start: usize,
    pub(in crate::engines::processes) ends: Vec<(WorkerId, Duration)>,
    pub(in crate::engines::processes) wake_at: Option<Instant>,
    /// Lines for the user of the program.
    pub(in crate::engines::processes) said: Vec<String>,
}

impl Peers {
    pub(in crate::engines::processes) fn new(
        heap: Arc<Heap>,
        segments: Arc<Segments>,
        writables: Arc<Writables>,
        capacity: Arc<Capacity>,
    ) -> Peers {
        Peers {
            peers: PeerTable::default(),
            files: BTreeMap::new(),
            heap,
            segments,
            capacity,
            orphans: Orphans::default(),
            writables,
            closings: Closings::default(),
            process_slots: ProcessSlots::default(),
            needs: Needs::default(),
            completions: Completions::new(),
            to_kill: Vec::new(),
            runs_to_end: Vec::new(),
            registrations: 0,
            busy: Vec::new(),
            looks: 0,
            has_actors: Arc::default(),
            to_start: 0,
            ends: Vec::new(),
            wake_at: None,
            said: Vec::new(),
            unsendable: Vec::new(),
            task_duration: TaskDurationEstimate::new(),
            defers_releases: false,
            unflushed: Vec::new(),
            scratch: Vec::new(),
            spare_completions: Completions::new(),
        }
    }

    /// An empty list that may have memory.
    pub(in crate::engines::processes) fn take_scratch(&mut self) -> Vec<ObjectId> {
        std::mem::take(&mut self.scratch)
    }

    /// The same for the list of completions.
    pub(in crate::engines::processes) fn keep_completions(&mut self, list: Completions) {
        if list.capacity() <= KEEP_SCRATCH {
            self.spare_completions = list;
        }
    }

    /// Keeps the memory of an empty list, unless it is very much.
    pub(in crate::engines::processes) fn keep_scratch(&mut self, list: Vec<ObjectId>) {
        if list.capacity() <= KEEP_SCRATCH {
            self.scratch = list;
        }
    }

    /// Fails the tasks that could not be sent; whether there were any.
    pub(in crate::engines::processes) fn fail_unsendable(
        &mut self,
        scheduler: &mut Scheduler,
    ) -> bool {
        if self.unsendable.is_empty() {
            return false;
        }
        for (worker, done) in std::mem::take(&mut self.unsendable) {
            if let Err(violation) = scheduler.on_message(worker, done, self) {
                eprintln!("mobula: a task that cannot be sent: {violation}");
            }
        }
        true
    }

    /// Gives free memory of the driver's own heap back to the budget.
    pub(in crate::engines::processes) fn own_trim(&self) {
        self.heap.trim(0);
    }

    pub(in crate::engines::processes) fn add(
        &mut self,
        id: WorkerId,
        peer: Peer,
        segment: (SegmentId, SegmentFile),
    ) {
        self.peers.insert(id, peer);
        self.files.insert(segment.0, segment.1);
    }

    pub(in crate::engines::processes) fn get(&mut self, id: WorkerId) -> Option<&mut Peer> {
        self.peers.get_mut(id)
    }

    /// A peer through which something is to be sent: the next flush looks at it.
    pub(in crate::engines::processes) fn touch(&mut self, id: WorkerId) -> Option<&mut Peer> {
        let peer = self.peers.get_mut(id)?;
        if !peer.listed {
            peer.listed = true;
            self.unflushed.push(id);
        }
        if !peer.busy {
            peer.busy = true;
            self.busy.push(id);
        }
        Some(peer)
    }

    pub(in crate::engines::processes) fn iter_mut(
        &mut self,
    ) -> impl Iterator<Item = (WorkerId, &mut Peer)> {
        self.peers.iter_mut()
    }

    /// Whether any worker has said something that was not read, or made room for what had found
    /// none.
    #[inline]
    pub(in crate::engines::processes) fn any_ready(&self) -> bool {
        let mut peers = self.peers.iter();
        peers.any(|(_, peer)| !peer.broken && peer.end.ready())
    }

    /// The same of those workers that are likely to.
    pub(in crate::engines::processes) fn any_busy_ready(&self) -> bool {
        if self.are_few() {
            return self.any_ready();
        }
        let mut busy = self.busy.iter().filter_map(|&id| self.peers.get(id));
        busy.any(|peer| !peer.broken && peer.end.ready())
    }

    /// Reads and acts on what the workers have said; not all of it, where one says very much, so
    /// that the lock is not held for long and others get their turn.
    pub(in crate::engines::processes) fn drain_all(&mut self, scheduler: &mut Scheduler) {
        self.look_at_all();
        self.drain_busy(scheduler);
    }

    /// As [`drain_all`](Peers::drain_all), but where there are many workers, those of whom nothing
    /// was expected may have to wait for some more calls. Says whether there was anything.
    pub(in crate::engines::processes) fn drain_likely(
        &mut self,
        scheduler: &mut Scheduler,
    ) -> bool {
        self.looks = self.looks.wrapping_add(1);
        if self.are_few() || self.looks.is_multiple_of(ALL_EVERY) || !self.any_busy_ready() {
            self.look_at_all();
        }
        self.drain_busy(scheduler);
        !self.busy.is_empty()
    }

    /// Reads and acts on what those workers have said that are likely to have something to say.
    pub(in crate::engines::processes) fn drain_some(&mut self, scheduler: &mut Scheduler) {
        if self.are_few() {
            self.look_at_all();
        }
        self.drain_busy(scheduler);
    }

    /// Whether all workers are looked at each time.
    fn are_few(&self) -> bool {
        self.peers.len() <= FEW_WORKERS || !Mechanism::Likely.is_on()
    }

    fn drain_busy(&mut self, scheduler: &mut Scheduler) {
        for at in 0..self.busy.len() {
            if let Some(&id) = self.busy.get(at) {
                self.drain(id, scheduler, BATCH);
            }
        }
    }

    /// Lists the workers that have something to say now.
    fn look_at_all(&mut self) {
        self.busy.clear();
        for (id, peer) in self.peers.iter_mut() {
            peer.busy = !peer.broken && peer.end.ready();
            if peer.busy {
                self.busy.push(id);
            }
        }
    }

    /// Reads and acts on what one worker has said, up to a number of messages.
    pub(in crate::engines::processes) fn drain(
        &mut self,
        id: WorkerId,
        scheduler: &mut Scheduler,
        most: usize,
    ) {
        for _ in 0..most {
            let Some(peer) = self.peers.get_mut(id) else {
                return;
            };
            if peer.broken {
                return;
            }
            match peer.end.out.receive() {
                Ok(None) => return,
                Ok(Some(message)) => {
                    if let FromWorker::Done { .. } = message {
                        self.task_duration.count(1, scheduler);
                    }
                    if let Err(why) = self.act(id, message, scheduler) {
                        self.mark_for_kill(id, why);
                    }
                }
                Err(error) => self.mark_for_kill(id, error.to_string()),
            }
        }
    }

    fn act(
        &mut self,
        id: WorkerId,
        message: FromWorker,
        scheduler: &mut Scheduler,
    ) -> Result<(), String> {
        match message {
            FromWorker::Registered => {
                scheduler
                    .worker_up(id, self)
                    .map_err(|violation| violation.to_string())?;
                if let Some(peer) = self.peers.get_mut(id) {
                    peer.registered.store(true, Ordering::Release);
                }
                self.registrations += 1;
                Ok(())
            }
            FromWorker::NeedBytes(bytes) => self.need(id, bytes),
            FromWorker::ReturnBytes(bytes) => self.returned(id, bytes),
            FromWorker::Closed(loc) => self.closed(id, loc),
            FromWorker::Exits => {
                if let Some(peer) = self.peers.get_mut(id) {
                    peer.exits = true;
                }
                Ok(())
            }
            other => {
                self.take_body(id, &other)?;
                if let FromWorker::Put { value, .. } = &other
                    && let (Format::Shared { kind, .. }, Body::Stored(loc)) =
                        (&value.format, &value.body)
                {
                    self.introduce_shared(id, *loc, *kind);
                }
                scheduler
                    .on_message(id, other, self)
                    .map_err(|violation| violation.to_string())
            }
        }
    }

    /// A worker whose words make no sense is killed; what it did before counts.
    pub(in crate::engines::processes) fn mark_for_kill(&mut self, id: WorkerId, why: String) {
        if let Some(peer) = self.peers.get_mut(id)
            && !peer.broken
        {
            peer.broken = true;
            self.to_kill.push((id, why));
        }
    }

    /// Makes all that was sent visible, and rings where somebody sleeps. Also tries again what had
    /// found no room; returns whether any of that found some.
    pub(in crate::engines::processes) fn flush(&mut self) -> bool {
        if self.unflushed.is_empty() {
            return false;
        }
        let mut progress = false;
        let mut list = std::mem::take(&mut self.unflushed);
        list.retain(|&id| {
            let pending = self.flush_one(id, &mut progress);
            if !pending && let Some(peer) = self.peers.get_mut(id) {
                peer.listed = false;
            }
            pending
        });
        self.unflushed = list;
        progress
    }

    /// The same for the lane that was listed last.
    pub(in crate::engines::processes) fn flush_last(&mut self, id: WorkerId) {
        if self.unflushed.last() == Some(&id) && !self.flush_one(id, &mut false) {
            self.unflushed.pop();
            if let Some(peer) = self.peers.get_mut(id) {
                peer.listed = false;
            }
        }
    }

    /// Whether something is left that has found no room.
    fn flush_one(&mut self, id: WorkerId, progress: &mut bool) -> bool {
        let Some(peer) = self.peers.get_mut(id) else {
            return false;
        };
        if !peer.unsent.is_empty() && !peer.broken {
            self.send_segments(id);
        }
        let Some(peer) = self.peers.get_mut(id).filter(|peer| !peer.broken) else {
            return false;
        };
        peer.send_frees();
        let waiting = |peer: &Peer| peer.end.task.pending() + peer.end.control.pending();
        let before = waiting(peer);
        match peer.end.flush() {
            Ok(_) => *progress |= before > waiting(peer),
            Err(error) => peer.fault = Some(error.to_string()),
        }
        if let Some(why) = peer.fault.take() {
            self.mark_for_kill(id, why);
            return false;
        }
        waiting(peer) > 0 || !peer.unsent.is_empty()
    }

    /// What is left to be done without the lock, if there is anything.
    pub(in crate::engines::processes) fn take_aftermath(&mut self) -> Option<Deferred> {
        let nothing = self.completions.is_empty()
            && self.to_kill.is_empty()
            && self.runs_to_end.is_empty()
            && self.registrations == 0
            && self.to_start == 0
            && self.ends.is_empty()
            && self.wake_at.is_none()
            && self.said.is_empty();
        (!nothing).then(|| self.aftermath())
    }

    fn aftermath(&mut self) -> Deferred {
        Deferred {
            completions: match self.completions.len() {
                // The list keeps its memory.
                0 | 1 => self.completions.pop().into_iter().collect(),
                _ => std::mem::replace(
                    &mut self.completions,
                    std::mem::take(&mut self.spare_completions),
                ),
            },
            to_kill: std::mem::take(&mut self.to_kill),
            runs_to_end: std::mem::take(&mut self.runs_to_end),
            registrations: std::mem::take(&mut self.registrations),
            to_start: std::mem::take(&mut self.to_start),
            ends: std::mem::take(&mut self.ends),
            wake_at: self.wake_at.take(),
            said: std::mem::take(&mut self.said),
        }
    }

    /// A worker is dead and has been read to the end. Its segment lives on for the objects in it.
    pub(in crate::engines::processes) fn reap(
        &mut self,
        id: WorkerId,
        segment: SegmentId,
        live: Vec<Loc>,
    ) {
        let Some(peer) = self.peers.remove(id) else {
            return;
        };
        self.process_slots.give_back(peer.process_slot);
        self.forget_need(id);
        self.forget_closings(id);
        if let Some(file) = self.files.get(&segment) {
            let kept = self.orphans.adopt(segment, file, (live, peer.granted));
            mobula_store::Budget::release(&*self.capacity, peer.granted.saturating_sub(kept));
            if kept == 0 {
                self.drop_segment(segment);
            }
        }
        self.settle_needs();
    }

    pub(in crate::engines::processes) fn drop_segment(&mut self, segment: SegmentId) {
        self.files.remove(&segment);
        self.segments.remove(segment);
        self.writables.remove(segment);
        let ids: Vec<WorkerId> = self.peers.iter().map(|(id, _)| id).collect();
        for id in ids {
            let Some(peer) = self.touch(id) else { continue };
            if peer.known.contains(&segment) || peer.writable.contains(&segment) {
                peer.known.retain(|known| *known != segment);
                peer.writable.retain(|known| *known != segment);
                peer.writes.retain(|loc| loc.segment != segment);
                peer.send(&ToWorker::DropSegment(segment));
            }
        }
    }

    /// Tells the scheduler what the clock says, if it has to know.
    pub(in crate::engines::processes) fn look_at_the_clock(&mut self, scheduler: &mut Scheduler) {
        self.task_duration.look(scheduler);
    }
}

/// The text of a refusal that has to travel as an error of ours.
pub(in crate::engines::processes) fn refusal(wanted: u64, capacity: &Capacity) -> Error {
    Error::store(&mobula_store::StoreError::full(
        wanted,
        capacity.used(),
        capacity.capacity(),
    ))
}
