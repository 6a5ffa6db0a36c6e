//! The checks of workers' claims about memory, which the scheduler cannot check.

use mobula_protocol::{Body, Format, WorkerId, message::FromWorker};

use crate::engines::processes::peers::Peers;

impl Peers {
    /// Records the location of a new object's body, if the store contains the body.
    ///
    /// # Errors
    /// The body is not in the worker's own segment, overlaps with another object, or is a result in
    /// shared memory.
    pub(in crate::engines::processes) fn take_body(
        &mut self,
        id: WorkerId,
        message: &FromWorker,
    ) -> Result<(), String> {
        let value = match message {
            FromWorker::Done {
                outcome: Ok(value), ..
            }
            | FromWorker::Ran {
                outcome: Ok(value), ..
            }
            | FromWorker::Put { value, .. } => value,
            _ => return Ok(()),
        };
        let Body::Stored(loc) = value.body else {
            return Ok(());
        };
        if let (Format::Shared { .. }, FromWorker::Done { .. } | FromWorker::Ran { .. }) =
            (&value.format, message)
        {
            return Err("it said that a result of its is shared memory".to_owned());
        }
        let file = self
            .files
            .get(&loc.segment)
            .filter(|_| loc.segment.0 == id.0);
        let end = loc.offset.checked_add(loc.len);
        let end = match (file, end) {
            (Some(file), Some(end)) if end <= file.len() => end,
            _ => return Err(format!("it said that a result of its lies at {loc:?}")),
        };
        let Some(peer) = self.peers.get_mut(id).filter(|_| loc.len > 0) else {
            return Ok(());
        };
        let before = peer.bodies.range(..end).next_back();
        if before.is_some_and(|(_, other)| *other > loc.offset) {
            return Err(format!("it said that two objects of its lie at {loc:?}"));
        }
        peer.bodies.insert(loc.offset, end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mobula_protocol::{
        ObjectId, SharedKind, TypeTag, Value,
        mailbox::{self, DriverEnd},
        sync::ProcessSlot,
    };
    use mobula_store::{
        Backing, Block, Budget, Capacity, Heap, Loc, SegmentFile, SegmentId, Segments, descriptors,
    };

    use super::*;
    use crate::{
        engines::processes::{peers::peer::Peer, shared_words},
        scheduler::Host as _,
    };

    const LEN: u64 = 1 << 20;
    const W1: WorkerId = WorkerId(1);
    const W2: WorkerId = WorkerId(2);

    /// Makes the peers of two workers without processes.
    fn peers() -> Peers {
        let capacity = Arc::new(Capacity::new(LEN));
        let file = || SegmentFile::create(LEN, LEN, Backing::Auto).unwrap();
        let budget = capacity.clone() as Arc<dyn Budget>;
        let heap = Heap::new(SegmentId(0), file(), budget).unwrap();
        let segments = Arc::new(Segments::new());
        let mut peers = Peers::new(heap, segments, Arc::default(), capacity);
        for id in [W1, W2] {
            let (_, words) = shared_words(mailbox::bytes() as u64).unwrap();
            let end = DriverEnd::create(&words).unwrap();
            let socket = Arc::new(descriptors::event().unwrap());
            let process_slot = ProcessSlot::new(id.0 as u16).unwrap();
            let segment = SegmentId(id.0);
            let peer = Peer::new(
                end,
                0,
                socket,
                None,
                (segment, process_slot),
                Arc::default(),
            );
            peers.add(id, peer, (segment, file()));
        }
        peers
    }

    fn loc(segment: u32, offset: u64, len: u64) -> Loc {
        Loc {
            segment: SegmentId(segment),
            offset,
            len,
        }
    }

    fn put(format: Format, loc: Loc) -> FromWorker {
        FromWorker::Put {
            id: ObjectId { origin: W1, seq: 0 },
            value: Arc::new(Value {
                format,
                body: Body::Stored(loc),
                attachments: vec![],
            }),
        }
    }

    #[test]
    fn a_body_lies_in_the_workers_own_segment_and_in_no_other_object() {
        let mut peers = peers();
        let takes = |peers: &mut Peers, loc| peers.take_body(W1, &put(Format::Text, loc));
        for lie in [
            loc(0, 0, 64),
            loc(2, 0, 64),
            loc(9, 0, 64),
            loc(1, LEN - 64, 128),
            loc(1, u64::MAX, 64),
        ] {
            takes(&mut peers, lie).unwrap_err();
        }
        takes(&mut peers, loc(1, 1024, 1024)).unwrap();
        for lie in [
            loc(1, 1024, 1024),
            loc(1, 1024, 64),
            loc(1, 0, 1025),
            loc(1, 2047, 64),
            loc(1, 1500, 64),
            loc(1, 0, LEN),
        ] {
            takes(&mut peers, lie).unwrap_err();
        }
        takes(&mut peers, loc(1, 0, 1024)).unwrap();
        takes(&mut peers, loc(1, 2048, 1024)).unwrap();
        takes(&mut peers, loc(1, 1500, 0)).unwrap();
        peers.free(loc(1, 1024, 1024));
        takes(&mut peers, loc(1, 1100, 64)).unwrap();
    }

    #[test]
    fn no_result_is_shared_memory() {
        let mut peers = peers();
        let format = Format::Shared {
            kind: SharedKind::Array,
            of: TypeTag(1),
            shape: [8][..].into(),
        };
        let message = put(format, loc(1, 0, 64));
        let FromWorker::Put { id, value } = &message else {
            unreachable!()
        };
        let done = FromWorker::Done {
            id: *id,
            slot: mobula_protocol::TaskSlot(0),
            attempt: mobula_protocol::Attempt(0),
            outcome: Ok(value.clone()),
        };
        peers.take_body(W1, &done).unwrap_err();
        peers.take_body(W1, &message).unwrap();
    }

    #[test]
    fn who_gives_memory_back_was_asked_and_has_it() {
        let mut peers = peers();
        peers.need(W1, 4096).unwrap();
        peers.returned(W1, 0).unwrap_err();
        peers.trim_all();
        peers.returned(W1, 4097).unwrap_err();
        peers.get(W1).unwrap().trimming = true;
        peers.returned(W1, 4096).unwrap();
        peers.returned(W1, 0).unwrap_err();
    }

    #[test]
    fn who_asks_for_memory_waits_for_the_answers() {
        let mut peers = peers();
        // All of it, so that others wait.
        peers.need(W2, LEN).unwrap();
        let asked = (0..1000).take_while(|_| peers.need(W1, 4096).is_ok());
        assert_eq!(asked.count(), 16);
    }

    #[test]
    fn who_says_that_it_has_closed_memory_was_asked_to() {
        let mut peers = peers();
        let memory = loc(0, 0, 1 << 16);
        peers.closed(W1, memory).unwrap_err();
        peers.introduce_shared(W1, memory, SharedKind::Array);
        peers.closed(W1, memory).unwrap_err();
        let id = ObjectId { origin: W1, seq: 1 };
        let value = Value {
            format: Format::Text,
            body: Body::Inline(Block::default()),
            attachments: vec![],
        };
        peers.close(memory, Some((id, value)));
        peers.closed(W2, memory).unwrap_err();
        peers.closed(W1, loc(0, 0, 1 << 15)).unwrap_err();
        peers.closed(W1, memory).unwrap();
        peers.closed(W1, memory).unwrap_err();
    }
}
