//! The table's part for the calls that this worker keeps. The table tells the driver of a kept call
//! before it says anything that names the call's result.

use std::sync::Arc;

use super::{Place, Slot, Spent, Table};
use crate::{link::Out, process::kept::KeptCall};
use mobula_protocol::{
    Attempt, CancelOptions, FunctionIndex, ObjectHandle, ObjectId, Outcome, message::FromWorker,
};

/// The result of [`Table::publish`].
#[derive(Debug)]
pub(in crate::process) enum Published {
    /// The driver knows the object.
    Yes(Spent),
    /// A thread of this worker runs the call that makes the object.
    Runs,
}

impl<O: Out> Table<O> {
    /// Keeps a call to this worker. Returns the handle of its result, which `make` makes.
    pub(in crate::process) fn keep(
        &mut self,
        call: Box<KeptCall>,
        make: impl FnOnce() -> Arc<ObjectHandle>,
    ) -> (Arc<ObjectHandle>, Spent) {
        let entry = make();
        let slot = Slot {
            entry: Arc::downgrade(&entry),
            entries: 1,
            held: false,
            watched: false,
            place: Place::Kept,
        };
        self.handles.insert(call.id, slot);
        self.kept.push(call);
        if !self.kept.told {
            self.kept.told = true;
            self.out.push(&FromWorker::Keeps);
        }
        let spent = match self.kept.wanted {
            true => self.share(false),
            false => Spent::new(),
        };
        (entry, spent)
    }

    /// Takes out a call that nobody has begun and that `run` has made. The caller is to run the
    /// call.
    pub(in crate::process) fn begin_kept(
        &mut self,
        id: ObjectId,
        run: Option<Attempt>,
    ) -> Option<Box<KeptCall>> {
        let slot = self.handles.get_mut(id)?;
        if slot.place != Place::Kept {
            return None;
        }
        let call = self.kept.take_if(id, |call| Some(call.parent) == run)?;
        slot.place = Place::Runs(call.function);
        Some(call)
    }

    /// Whether the object is the result of a call that has ended here and that the driver does not
    /// know.
    pub(in crate::process) fn is_untold(&self, id: ObjectId) -> bool {
        let slot = self.handles.get(id);
        slot.is_some_and(|slot| slot.place == Place::Ended)
    }

    /// Notes that a call has ended. `outcome` is `Some` if the driver has to know the result and
    /// the objects which the result refers to.
    pub(in crate::process) fn end_kept(&mut self, id: ObjectId, outcome: Option<&Outcome>) {
        let Some(slot) = self.handles.get_mut(id) else {
            return;
        };
        match outcome {
            None => slot.place = Place::Ended,
            Some(outcome) => {
                slot.place = Place::Driver;
                slot.held = true;
                let outcome = outcome.clone();
                self.out.push(&FromWorker::Ran { id, outcome });
            }
        }
    }

    /// Has the driver know an object.
    pub(in crate::process) fn publish(&mut self, id: ObjectId) -> Published {
        let Some(slot) = self.handles.get_mut(id) else {
            return Published::Yes(Spent::new());
        };
        match slot.place {
            Place::Driver => Published::Yes(Spent::new()),
            Place::Kept => Published::Yes(self.send_kept(id)),
            Place::Runs(_) => Published::Runs,
            Place::Ended => {
                let entry = slot.entry.upgrade();
                if let Some(outcome) = entry.as_ref().and_then(|entry| entry.outcome()) {
                    self.end_kept(id, Some(outcome));
                }
                Published::Yes(entry.into_iter().collect())
            }
        }
    }

    /// Tells the driver of a call, if nobody has begun it.
    pub(super) fn send_kept(&mut self, id: ObjectId) -> Spent {
        match self.kept.take(id) {
            Some(call) => self.send_call(*call),
            None => Spent::new(),
        }
    }

    fn send_call(&mut self, call: KeptCall) -> Spent {
        let (id, expected) = (call.id, call.expected);
        let (spawn, spent) = call.into_spawn();
        self.out.push(&spawn);
        if let Some(slot) = self.handles.get_mut(id) {
            slot.place = Place::Driver;
            slot.held = true;
            if expected {
                slot.watched = true;
                self.out.push(&FromWorker::Watch(id));
            }
        }
        spent
    }

    /// Tells the driver of all calls that nobody has begun.
    #[inline]
    fn send_all_kept(&mut self) -> Spent {
        if !self.kept.told {
            // Without a kept call since the last of these.
            return Spent::new();
        }
        let mut spent = Spent::new();
        for call in self.kept.take_all() {
            spent.append(&mut self.send_call(*call));
        }
        self.kept.told = false;
        self.kept.wanted = false;
        spent
    }

    /// Notes that an idle worker wants kept calls, and gives some away.
    pub(in crate::process) fn want_share(&mut self) -> Spent {
        // Otherwise the driver asks again when it hears of the next kept call.
        self.kept.wanted = self.kept.told;
        self.share(false)
    }

    /// Gives calls to the driver if they are wanted. The caller calls this now and then. Returns
    /// whether the caller should do so again.
    pub(in crate::process) fn look_at_kept(&mut self) -> (bool, Spent) {
        if !self.kept.wanted {
            return (false, Spent::new());
        }
        let spent = self.share(true);
        (self.kept.wanted, spent)
    }

    fn share(&mut self, is_look: bool) -> Spent {
        let mut spent = Spent::new();
        for call in self.kept.take_share(is_look) {
            spent.append(&mut self.send_call(*call));
        }
        spent
    }

    /// Takes out the calls of a run that nobody has begun, since nobody is to begin them. Returns
    /// them with their functions. They fail here.
    pub(in crate::process) fn cancel_kept_of(
        &mut self,
        parent: Attempt,
    ) -> (Vec<(ObjectId, FunctionIndex)>, Spent) {
        let (mut here, mut spent) = (Vec::new(), Spent::new());
        for call in self.kept.take_of(parent) {
            self.end_kept(call.id, None);
            here.push((call.id, call.function));
            spent.extend(call.keep);
        }
        (here, spent)
    }

    /// Sends `message`, with which a task ends or gives up its turn. Before that, sends all kept
    /// calls.
    pub(in crate::process) fn leave(&mut self, message: &FromWorker) -> Spent {
        let spent = self.send_all_kept();
        self.finish(message);
        spent
    }

    /// Like [`watch`](Table::watch), for a task that may come to run the call itself.
    pub(in crate::process) fn expect(&mut self, id: ObjectId) -> Spent {
        match self.kept.get_mut(id) {
            Some(call) => {
                call.expected = true;
                Spent::new()
            }
            None => self.watch(id),
        }
    }

    /// Has the driver cancel the tasks that make these objects. There are handles of the objects.
    /// Returns the objects that the driver does not know of, with their functions. They fail here.
    pub(in crate::process) fn cancel(
        &mut self,
        mut ids: Vec<ObjectId>,
        options: CancelOptions,
    ) -> (Vec<(ObjectId, FunctionIndex)>, Spent) {
        let (mut here, mut spent) = (Vec::new(), Spent::new());
        ids.retain(|id| {
            let slot = self.handles.get_mut(*id);
            match slot.as_ref().map_or(Place::Driver, |slot| slot.place) {
                Place::Driver => return true,
                Place::Ended => {}
                // The call goes on within its caller.
                Place::Runs(function) => here.push((*id, function)),
                Place::Kept => {
                    if let (Some(call), Some(slot)) = (self.kept.take(*id), slot) {
                        slot.place = Place::Ended;
                        here.push((*id, call.function));
                        spent.extend(call.keep);
                    }
                }
            }
            false
        });
        if !ids.is_empty() {
            self.out.push(&FromWorker::Cancel { ids, options });
        }
        (here, spent)
    }
}
