//! The limit on pending calls of the driver's program.
//!
//! With a limit, a caller takes a *place* before it submits a call. The end of the task frees the
//! place. A caller without a place requests one: a pending object that becomes ready, in the order
//! of the requests. Calls from tasks need no place, because the call that waits for them has one.

use std::{collections::VecDeque, sync::Arc};

use mobula_protocol::{Body, Error, Format, ObjectId, TypeTag, Value, WorkerId};

use super::{Host, Scheduler, Violation, object::ObjectState};

/// The admission of calls: see the [module](self).
#[derive(Debug)]
pub(super) struct Admission {
    limit: usize,
    /// Number of tasks with a place.
    pub(super) admitted: usize,
    /// Number of places of callers that have not submitted their calls.
    taken: usize,
    /// Requests for a place, the oldest first, including requests that were given up.
    line: VecDeque<ObjectId>,
}

impl Admission {
    pub(super) fn new(limit: Option<usize>) -> Admission {
        Admission {
            limit: limit.unwrap_or(usize::MAX),
            admitted: 0,
            taken: 0,
            line: VecDeque::new(),
        }
    }

    fn has_place(&self) -> bool {
        self.admitted + self.taken < self.limit
    }
}

impl Scheduler {
    /// Takes a place for a call if one is free and no other caller waits.
    pub(crate) fn try_take_place(&mut self) -> bool {
        let free = self.admission.has_place() && self.admission.line.is_empty();
        self.admission.taken += usize::from(free);
        free
    }

    /// Makes an object that is ready when the caller has a place.
    ///
    /// # Errors
    /// The id is not new: see [`submit`](Scheduler::submit).
    pub(crate) fn ask_for_place(
        &mut self,
        id: ObjectId,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        self.check_new(id, WorkerId::DRIVER)?;
        if let Some(error) = self.closed.clone() {
            self.insert(id, ObjectState::Failed(error), WorkerId::DRIVER);
            return Ok(());
        }
        self.insert_request(id, WorkerId::DRIVER);
        self.admission.line.push_back(id);
        self.admit(host);
        Ok(())
    }

    /// Gives up a request for a place, or the place itself.
    pub(crate) fn give_up_place(&mut self, id: ObjectId, host: &mut impl Host) {
        match self.objects.get(id).map(|object| &object.state) {
            Some(ObjectState::Pending(_)) => {
                let error = Error::internal("a call was dropped before there was a place for it");
                self.answer_request(id, Err(error), host);
            }
            Some(ObjectState::Ready(_)) => self.leave_place(host),
            Some(ObjectState::Failed(_)) | None => {}
        }
    }

    /// Frees a place that a caller does not use.
    pub(crate) fn leave_place(&mut self, host: &mut impl Host) {
        self.admission.taken = self.admission.taken.saturating_sub(1);
        self.admit(host);
    }

    /// Passes a caller's place to the task of the submitted call.
    pub(crate) fn use_place(&mut self, id: ObjectId, host: &mut impl Host) {
        let task = self.task_of(id).and_then(|task| self.tasks.get_mut(task));
        if let Some(task) = task {
            task.admitted = true;
            self.admission.admitted += 1;
        }
        self.leave_place(host);
    }

    /// Frees the place of an ended task.
    #[cold]
    pub(super) fn end_admitted(&mut self, host: &mut impl Host) {
        self.admission.admitted -= 1;
        self.admit(host);
    }

    /// Gives free places to the waiting requests.
    fn admit(&mut self, host: &mut impl Host) {
        if self.closed.is_some() {
            return;
        }
        while self.admission.has_place()
            && let Some(id) = self.admission.line.pop_front()
        {
            let waits = self.objects.get(id).is_some_and(|o| o.pending().is_some());
            if waits {
                self.admission.taken += 1;
                self.answer_request(id, Ok(nothing()), host);
            }
        }
    }
}

/// Returns the value for requests that report only that they are ready.
pub(super) fn nothing() -> Arc<Value> {
    Arc::new(Value {
        format: Format::Packed { of: TypeTag(0) },
        body: Body::Inline(Default::default()),
        attachments: Vec::new(),
    })
}
