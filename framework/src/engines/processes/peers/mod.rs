//! The driver's ends of all workers' mailboxes.

pub(super) mod claims;
pub(super) mod closing;
pub(super) mod deferred;
pub(super) mod effects;
pub(super) mod needs;
pub(super) mod peer;
pub(super) mod recovery;

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering},
};

use mobula_protocol::{
    Body, Error, Format, ObjectHandle, ObjectId, Outcome, WorkerId,
    message::{FromWorker, ToWorker},
    waiting::BATCH,
};
use mobula_store::{Capacity, Heap, Loc, NumberMap, SegmentFile, SegmentId, Segments, Writables};

use crate::engines::processes::{
    memory::orphans::Orphans,
    peers::{
        closing::Closings,
        deferred::{Completions, Deferred, Seldom},
        needs::Needs,
        peer::Peer,
        recovery::ProcessSlots,
    },
    waiting::task_duration::TaskDurationEstimate,
};
use crate::{scheduler::Scheduler, worker_table::WorkerTable};

/// A list with more capacity than this is not kept for reuse.
const KEEP_SCRATCH: usize = 1 << 14;

/// A handle and the outcome for it.
pub(in crate::engines::processes) type Completion = (Weak<ObjectHandle>, Outcome);

/// The peers of all workers, and the state for the effects of the scheduler.
#[derive(Debug)]
pub(in crate::engines::processes) struct Peers {
    pub(in crate::engines::processes) peers: WorkerTable<Peer>,
    /// The workers that the current read covers. It keeps its memory.
    ready: Vec<WorkerId>,
    /// The files of the segments, whose descriptors the driver sends to workers.
    pub(in crate::engines::processes) files: NumberMap<SegmentId, SegmentFile>,
    pub(in crate::engines::processes) heap: Arc<Heap>,
    pub(in crate::engines::processes) segments: Arc<Segments>,
    pub(in crate::engines::processes) capacity: Arc<Capacity>,
    /// Segments of dead workers with live objects.
    pub(in crate::engines::processes) orphans: Orphans,
    /// The writable mappings of this process in segments of other processes.
    pub(in crate::engines::processes) writables: Arc<Writables>,
    pub(in crate::engines::processes) closings: Closings,
    pub(in crate::engines::processes) process_slots: ProcessSlots,
    /// Workers that wait for memory.
    pub(in crate::engines::processes) needs: Needs,
    /// Finished objects whose waiters the driver wakes after the lock is released.
    pub(in crate::engines::processes) completions: Vec<Completion>,
    /// The effects, besides completions, that follow after the lock is released.
    seldom: Option<Box<Seldom>>,
    /// Whether actors exist or have existed. A thread then has to notice the end of their last
    /// handles.
    pub(in crate::engines::processes) has_actors: Arc<AtomicBool>,
    /// Tasks that could not be sent, as failures that their workers seem to report.
    pub(in crate::engines::processes) unsendable: Vec<(WorkerId, FromWorker)>,
    pub(in crate::engines::processes) task_duration: TaskDurationEstimate,
    /// Whether the last step has left released handles to the next step. Threads read and change
    /// the field only under the lock.
    pub(in crate::engines::processes) defers_releases: bool,
    /// Peers that may have messages to send.
    unflushed: Vec<WorkerId>,
    /// Like `spare_completions`, an empty list that is kept for its memory.
    scratch: Vec<ObjectId>,
    spare_completions: Vec<Completion>,
}

impl Peers {
    pub(in crate::engines::processes) fn new(
        heap: Arc<Heap>,
        segments: Arc<Segments>,
        writables: Arc<Writables>,
        capacity: Arc<Capacity>,
    ) -> Peers {
        Peers {
            peers: WorkerTable::default(),
            files: NumberMap::default(),
            heap,
            segments,
            capacity,
            orphans: Orphans::default(),
            writables,
            closings: Closings::default(),
            process_slots: ProcessSlots::default(),
            needs: Needs::default(),
            completions: Vec::new(),
            seldom: None,
            ready: Vec::new(),
            has_actors: Arc::default(),
            unsendable: Vec::new(),
            task_duration: TaskDurationEstimate::new(),
            defers_releases: false,
            unflushed: Vec::new(),
            scratch: Vec::new(),
            spare_completions: Vec::new(),
        }
    }

    /// Returns an empty list, which may have memory.
    pub(in crate::engines::processes) fn take_scratch(&mut self) -> Vec<ObjectId> {
        std::mem::take(&mut self.scratch)
    }

    /// Keeps the memory of an empty list of completions, unless it is larger than `KEEP_SCRATCH`.
    pub(in crate::engines::processes) fn keep_completions(&mut self, list: Vec<Completion>) {
        if list.capacity() <= KEEP_SCRATCH {
            self.spare_completions = list;
        }
    }

    /// Keeps the memory of an empty list of ids, unless it is larger than `KEEP_SCRATCH`.
    pub(in crate::engines::processes) fn keep_scratch(&mut self, list: Vec<ObjectId>) {
        if list.capacity() <= KEEP_SCRATCH {
            self.scratch = list;
        }
    }

    /// Fails the tasks that could not be sent. Returns whether there were any.
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

    /// Returns free memory of the driver's own heap to the budget.
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

    /// Returns the peer for a message, and lists the peer for the next flush.
    pub(in crate::engines::processes) fn touch(&mut self, id: WorkerId) -> Option<&mut Peer> {
        let peer = self.peers.get_mut(id)?;
        if !peer.listed {
            peer.listed = true;
            self.unflushed.push(id);
        }
        Some(peer)
    }

    pub(in crate::engines::processes) fn iter_mut(
        &mut self,
    ) -> impl Iterator<Item = (WorkerId, &mut Peer)> {
        self.peers.iter_mut()
    }

    /// Returns whether any worker has sent unread messages, or has made room for messages that
    /// found none.
    #[inline]
    pub(in crate::engines::processes) fn any_ready(&self) -> bool {
        let mut peers = self.peers.iter();
        peers.any(|(_, peer)| !peer.broken && peer.end.ready())
    }

    /// Reads and handles the messages of all workers, up to `BATCH` of each worker. The limit keeps
    /// the lock short, and gives each worker its turn. Returns whether any worker was ready.
    pub(in crate::engines::processes) fn drain_all(&mut self, scheduler: &mut Scheduler) -> bool {
        self.ready.clear();
        for (id, peer) in self.peers.iter() {
            if !peer.broken && peer.end.ready() {
                self.ready.push(id);
            }
        }
        for at in 0..self.ready.len() {
            if let Some(&id) = self.ready.get(at) {
                self.drain(id, scheduler, BATCH);
            }
        }
        !self.ready.is_empty()
    }

    /// Reads and handles up to `most` messages of one worker.
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
                self.seldom().registrations += 1;
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

    /// Marks a worker for the kill, because of `why`. Its earlier messages count. The driver reads
    /// no later ones.
    pub(in crate::engines::processes) fn mark_for_kill(&mut self, id: WorkerId, why: String) {
        if let Some(peer) = self.peers.get_mut(id)
            && !peer.broken
        {
            peer.broken = true;
            self.seldom().to_kill.push((id, why));
        }
    }

    /// Makes all sent messages visible, and notifies the doorbells of sleeping workers. Also
    /// retries the messages that found no room. Returns whether any of them found room.
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

    /// Flushes the peer if it was the last one listed.
    pub(in crate::engines::processes) fn flush_last(&mut self, id: WorkerId) {
        if self.unflushed.last() == Some(&id) && !self.flush_one(id, &mut false) {
            self.unflushed.pop();
            if let Some(peer) = self.peers.get_mut(id) {
                peer.listed = false;
            }
        }
    }

    /// Flushes a peer. Returns whether messages or descriptors are left that found no room.
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

    /// Returns the effects that follow after the lock is released, if there are any.
    #[inline]
    pub(in crate::engines::processes) fn take_deferred(&mut self) -> Option<Deferred> {
        let nothing = self.completions.is_empty() && self.seldom.is_none();
        (!nothing).then(|| self.deferred())
    }

    /// Returns the effects besides completions, to add one.
    pub(in crate::engines::processes) fn seldom(&mut self) -> &mut Seldom {
        self.seldom.get_or_insert_default()
    }

    fn deferred(&mut self) -> Deferred {
        Deferred {
            completions: match self.completions.len() {
                0 | 1 => self
                    .completions
                    .pop()
                    .map_or(Completions::None, Completions::One),
                _ => Completions::Many(std::mem::replace(
                    &mut self.completions,
                    std::mem::take(&mut self.spare_completions),
                )),
            },
            seldom: self.seldom.take(),
        }
    }

    /// Removes a dead worker, after all its messages were read. Its segment stays for the objects
    /// inside.
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

    /// Tells the scheduler about the durations of tasks, if tasks wait although a worker is idle
    /// and the last report is older than `waiting::STUCK`.
    pub(in crate::engines::processes) fn look_at_the_clock(&mut self, scheduler: &mut Scheduler) {
        self.task_duration.look(scheduler);
    }
}

/// Makes the error for a refused request for memory.
pub(in crate::engines::processes) fn refusal(wanted: u64, capacity: &Capacity) -> Error {
    Error::store(&mobula_store::StoreError::full(
        wanted,
        capacity.used(),
        capacity.capacity(),
    ))
}
