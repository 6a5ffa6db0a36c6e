//! The table of all peers, by worker.

use mobula_protocol::WorkerId;

use crate::engines::processes::peers::peer::Peer;

/// The peers in one piece of memory, sorted by the workers' ids. A waiting thread checks all peers
/// many times per microsecond, for which a tree is too slow.
#[derive(Debug, Default)]
pub(in crate::engines::processes) struct PeerTable(Vec<(WorkerId, Peer)>);

impl PeerTable {
    fn position(&self, id: WorkerId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |(id, _)| *id)
    }

    /// Adds a peer, or replaces the worker's peer. Moves no other peer if the id is the highest so
    /// far, like the id of a new worker.
    pub(in crate::engines::processes) fn insert(&mut self, id: WorkerId, peer: Peer) {
        match self.position(id) {
            Ok(at) => self.0[at].1 = peer,
            Err(at) => self.0.insert(at, (id, peer)),
        }
    }

    /// Removes a peer. Costs the number of peers behind it.
    pub(in crate::engines::processes) fn remove(&mut self, id: WorkerId) -> Option<Peer> {
        let at = self.position(id).ok()?;
        Some(self.0.remove(at).1)
    }

    pub(in crate::engines::processes) fn get(&self, id: WorkerId) -> Option<&Peer> {
        self.position(id).ok().map(|at| &self.0[at].1)
    }

    pub(in crate::engines::processes) fn get_mut(&mut self, id: WorkerId) -> Option<&mut Peer> {
        self.position(id).ok().map(|at| &mut self.0[at].1)
    }

    pub(in crate::engines::processes) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(in crate::engines::processes) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Peer)> {
        self.0.iter().map(|(id, peer)| (*id, peer))
    }

    pub(in crate::engines::processes) fn iter_mut(
        &mut self,
    ) -> impl Iterator<Item = (WorkerId, &mut Peer)> {
        self.0.iter_mut().map(|(id, peer)| (*id, peer))
    }
}
