//! Small numbers of workers.

use mobula_protocol::WorkerId;

/// The number of a worker among the live workers. When the worker is gone, another one gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WorkerIndex(pub(super) usize);

/// The indexes that are in use, with their workers.
#[derive(Debug, Default)]
pub(super) struct WorkerIndexes {
    workers: Vec<WorkerId>,
    free: Vec<WorkerIndex>,
}

impl WorkerIndexes {
    /// Gives the worker an index that no other worker has.
    pub(super) fn enter(&mut self, id: WorkerId) -> WorkerIndex {
        match self.free.pop() {
            Some(index) => {
                self.workers[index.0] = id;
                index
            }
            None => {
                self.workers.push(id);
                WorkerIndex(self.workers.len() - 1)
            }
        }
    }

    /// Takes the index of a worker that is gone.
    pub(super) fn leave(&mut self, index: WorkerIndex) {
        self.free.push(index);
    }

    /// Returns the worker that had this index last.
    #[inline]
    pub(super) fn worker(&self, index: WorkerIndex) -> WorkerId {
        self.workers[index.0]
    }

    /// Returns how many indexes are in use.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.workers.len() - self.free.len()
    }
}
