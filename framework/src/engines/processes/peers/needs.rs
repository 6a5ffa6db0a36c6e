//! The workers that request memory, and the workers that the driver asks to return some.

use std::collections::VecDeque;

use mobula_protocol::{WorkerId, message::ToWorker};
use mobula_store::Budget as _;

use crate::engines::processes::peers::{Peers, refusal};
use crate::scheduler::Host as _;

/// The maximum number of waiting requests of one worker. A worker repeats a request after 60 s.
const QUESTIONS: usize = 16;

/// Workers that wait for memory, in the order of their requests.
#[derive(Debug, Default)]
pub(in crate::engines::processes) struct Needs {
    waiting: VecDeque<(WorkerId, u64)>,
}

impl Peers {
    /// Handles a worker's request to commit further bytes.
    ///
    /// # Errors
    /// `QUESTIONS` requests of the worker wait already.
    pub(in crate::engines::processes) fn need(
        &mut self,
        worker: WorkerId,
        bytes: u64,
    ) -> Result<(), String> {
        let same = |(waiting, _): &&(WorkerId, u64)| *waiting == worker;
        if self.needs.waiting.iter().filter(same).count() >= QUESTIONS {
            return Err(format!(
                "it asked for memory {QUESTIONS} times without the answers"
            ));
        }
        self.needs.waiting.push_back((worker, bytes));
        if !self.try_needs() {
            self.trim_all();
            self.settle_needs();
        }
        Ok(())
    }

    /// Handles a worker's answer to `Trim`.
    ///
    /// # Errors
    /// The worker returns more than it has, or was not asked.
    pub(in crate::engines::processes) fn returned(
        &mut self,
        worker: WorkerId,
        bytes: u64,
    ) -> Result<(), String> {
        let Some(peer) = self.get(worker) else {
            return Ok(());
        };
        if !std::mem::take(&mut peer.trimming) {
            return Err("it gave back memory that nobody had asked for".to_owned());
        }
        if peer.granted < bytes {
            return Err(format!(
                "it gave back {bytes} bytes of memory, but had {}",
                peer.granted
            ));
        }
        peer.granted -= bytes;
        self.capacity.release(bytes);
        self.settle_needs();
        Ok(())
    }

    /// Asks all workers with memory to return the memory that they do not use. Also trims the
    /// driver's own heap.
    pub(in crate::engines::processes) fn trim_all(&mut self) {
        self.own_trim();
        let ids: Vec<WorkerId> = self
            .iter_mut()
            .filter(|(_, peer)| peer.granted > 0 && !peer.trimming && !peer.broken)
            .map(|(id, peer)| {
                peer.trimming = true;
                id
            })
            .collect();
        for id in ids {
            self.send(id, ToWorker::Trim);
        }
    }

    /// Returns whether an answer to `Trim` is missing.
    pub(in crate::engines::processes) fn trimming(&mut self) -> bool {
        self.iter_mut()
            .any(|(_, peer)| peer.trimming && !peer.broken)
    }

    /// Grants the waiting requests while there is memory. If no answer to `Trim` is missing, also
    /// refuses requests, from the first on, until the next one can be granted.
    pub(in crate::engines::processes) fn settle_needs(&mut self) {
        if self.try_needs() || self.trimming() {
            return;
        }
        while let Some((worker, bytes)) = self.needs.waiting.pop_front() {
            let error = refusal(bytes, &self.capacity);
            self.send(worker, ToWorker::Grant(Err(error)));
            if self.try_needs() {
                return;
            }
        }
    }

    /// Grants requests in order while there is memory. Returns whether no request waits any more.
    fn try_needs(&mut self) -> bool {
        while let Some(&(worker, bytes)) = self.needs.waiting.front() {
            if !self.capacity.try_charge(bytes) {
                return false;
            }
            self.needs.waiting.pop_front();
            match self.get(worker) {
                Some(peer) => {
                    peer.granted += bytes;
                    self.send(worker, ToWorker::Grant(Ok(bytes)));
                }
                None => self.capacity.release(bytes),
            }
        }
        true
    }

    /// Removes the requests of a dead worker.
    pub(in crate::engines::processes) fn forget_need(&mut self, worker: WorkerId) {
        self.needs.waiting.retain(|(waiting, _)| *waiting != worker);
    }
}
