//! Back-pressure: calls of the program wait for a place.

use std::sync::Arc;

use mobula_protocol::{Admission, Call, ObjectHandle, ObjectId};

use crate::engines::processes::Driver;

impl Driver {
    /// Blocks until there is a place for the call, and starts it.
    #[cold]
    pub(super) fn submit_in_turn(&self, call: Call) -> Arc<ObjectHandle> {
        if let Err(error) = self.usable() {
            return ObjectHandle::failed(error);
        }
        if self.try_place() {
            return self.submit_placed(call);
        }
        let place = self.ask_for_place();
        self.wait_for(&*place, None);
        match place.outcome() {
            Some(Err(error)) => ObjectHandle::failed(error.clone()),
            _ => self.submit_placed(call),
        }
    }
}

impl Admission for Driver {
    fn most(&self) -> usize {
        self.config.max_pending.unwrap_or(usize::MAX)
    }

    fn try_place(&self) -> bool {
        // A task whose end no thread has read yet still has its place. So this reads all answers if
        // there is no free place.
        let try_take = || self.with(|scheduler, _| scheduler.try_take_place());
        try_take() || {
            self.with(|scheduler, peers| peers.drain_all(scheduler));
            try_take()
        }
    }

    fn ask_for_place(&self) -> Arc<ObjectHandle> {
        self.promised(|id, scheduler, peers| scheduler.ask_for_place(id, peers))
    }

    fn give_up_place(&self, asked: Option<ObjectId>) {
        if mobula_store::is_forked_child() {
            return;
        }
        self.with(|scheduler, peers| match asked {
            Some(id) => scheduler.give_up_place(id, peers),
            None => scheduler.leave_place(peers),
        });
    }

    fn submit_placed(&self, call: Call) -> Arc<ObjectHandle> {
        let (call, mut keep) = match self.lower(call) {
            Ok(lowered) => lowered,
            Err(error) => {
                self.give_up_place(None);
                return ObjectHandle::failed(error);
            }
        };
        let handle = self.with_priority(
            |scheduler, peers| {
                let id = self.submit((call, &mut keep), scheduler, peers);
                match &id {
                    Ok(id) => scheduler.use_place(*id, peers),
                    Err(_) => scheduler.leave_place(peers),
                }
                id
            },
            |scheduler, id| self.submitted(scheduler, id),
        );
        // See `Driver::submit_now`.
        drop(keep);
        handle
    }
}
