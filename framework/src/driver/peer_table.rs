//! The peers of all workers, by worker.

use mobula_protocol::WorkerId;

use super::peer::Peer;

/// The peers in one piece of memory, sorted by the workers' ids. A thread that waits looks at all
/// peers many times in a microsecond, which a tree would make slow.
#[derive(Debug, Default)]
pub(super) struct PeerTable(Vec<(WorkerId, Peer)>);

impl PeerTable {
    fn position(&self, id: WorkerId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |(id, _)| *id)
    }

    /// Adds a peer, or replaces the worker's. Constant time for the highest id so far, as that of a
    /// new worker is.
    pub(super) fn insert(&mut self, id: WorkerId, peer: Peer) {
        match self.position(id) {
            Ok(at) => self.0[at].1 = peer,
            Err(at) => self.0.insert(at, (id, peer)),
        }
    }

    /// Takes a peer out. Costs the number of peers behind it.
    pub(super) fn remove(&mut self, id: WorkerId) -> Option<Peer> {
        let at = self.position(id).ok()?;
        Some(self.0.remove(at).1)
    }

    pub(super) fn get(&self, id: WorkerId) -> Option<&Peer> {
        self.position(id).ok().map(|at| &self.0[at].1)
    }

    pub(super) fn get_mut(&mut self, id: WorkerId) -> Option<&mut Peer> {
        self.position(id).ok().map(|at| &mut self.0[at].1)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Peer)> {
        self.0.iter().map(|(id, peer)| (*id, peer))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (WorkerId, &mut Peer)> {
        self.0.iter_mut().map(|(id, peer)| (*id, peer))
    }
}
