//! Requests to a queue. A request is given up when its caller does not wait any more.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use mobula_protocol::{
    CallArg, Engine, Error, ObjectHandle, Payload, Result, WireAttachment, message::Args,
};

use super::alarm;
use crate::{ObjectRef, promise::ENGINE};

/// The time beyond its limit that a caller waits for the driver. The driver answers at once, and
/// this time is enough on a busy machine.
const PATIENCE: Duration = Duration::from_secs(1);

/// Stands for the type of an answer.
struct Unseen;

/// A request whose answers a caller waits for. The drop of an unanswered request gives it up. Then
/// the request puts nothing in, and the values that it has taken out go back.
#[must_use = "a request that is dropped is given up"]
pub(super) struct Asked {
    /// Kept, since a queue ends with its last handle.
    queue: Arc<ObjectHandle>,
    answers: Vec<ObjectRef<Unseen>>,
    limit: Option<Duration>,
    gets: bool,
}

/// A request that was done, with its values. The drop makes the values the caller's. If the process
/// dies before the drop, the values go back to the queue.
pub(super) struct Done {
    pub(super) values: Vec<Payload>,
    answers: Vec<ObjectRef<Unseen>>,
    gets: bool,
}

impl Drop for Done {
    fn drop(&mut self) {
        let engine = |answer: &ObjectRef<Unseen>| answer.entry().engine(ENGINE);
        if self.gets
            && let Some(engine) = self.answers.first().and_then(engine)
            && let Some(queues) = engine.queues()
        {
            queues.took(&mut self.answers.iter().map(|answer| answer.entry().id()));
        }
    }
}

impl Asked {
    pub(super) fn put(
        queue: &Arc<ObjectHandle>,
        values: Args<CallArg>,
        waits: bool,
        limit: Option<Duration>,
    ) -> Result<Asked> {
        let answers = vec![engine_of(queue)?.need_queues()?.put(queue, values, waits)];
        Ok(Asked::new(queue, answers, limit, false))
    }

    pub(super) fn get(
        queue: &Arc<ObjectHandle>,
        count: usize,
        waits: bool,
        limit: Option<Duration>,
    ) -> Result<Asked> {
        let answers = match count {
            // No answers, so there is no request.
            0 => Vec::new(),
            count => engine_of(queue)?.need_queues()?.get(queue, count, waits),
        };
        Ok(Asked::new(queue, answers, limit, true))
    }

    fn new(
        queue: &Arc<ObjectHandle>,
        answers: Vec<Arc<ObjectHandle>>,
        limit: Option<Duration>,
        gets: bool,
    ) -> Asked {
        Asked {
            queue: queue.clone(),
            answers: answers.into_iter().map(ObjectRef::from_entry).collect(),
            limit,
            gets,
        }
    }

    /// Blocks until the answers are ready. The limit holds even if the driver does not answer.
    /// Returns `None` if the request was not done at once, or within the limit, and will not be
    /// done.
    ///
    /// # Errors
    /// The request cannot be done, or its outcome is not known in time (`is_timeout`).
    pub(super) fn wait(mut self) -> Result<Option<Done>> {
        if let [_, _, ..] = &*self.answers {
            let entries = &mut self.answers.iter().map(|answer| &**answer.entry());
            engine_of(&self.queue)?.expect(entries);
        }
        if !wait_all(&self.answers, self.deadline(Duration::ZERO)) {
            self.give_up(false);
            if !wait_all(&self.answers, self.deadline(PATIENCE)) {
                return Err(unanswered(self.limit));
            }
        }
        match self.objects() {
            Ok(objects) => {
                wait_all(&objects, None);
                self.end(&objects).map(Some)
            }
            Err(error) => self.not_done(error),
        }
    }

    /// Does for futures what [`wait`](Asked::wait) does for threads. Takes the values and ends the
    /// request in one poll, so that it is either given up or answered.
    pub(super) async fn answer(mut self) -> Result<Option<Done>> {
        if !ready_by(&self.answers, self.deadline(Duration::ZERO)).await? {
            self.give_up(false);
            if !ready_by(&self.answers, self.deadline(PATIENCE)).await? {
                return Err(unanswered(self.limit));
            }
        }
        match self.objects() {
            Ok(objects) => {
                all_ready(&objects).await;
                self.end(&objects).map(Some)
            }
            Err(error) => self.not_done(error),
        }
    }

    /// Returns the time at which a wait from now on ends: after the limit if `later` is zero, else
    /// after `later`. Returns `None` without a limit.
    fn deadline(&self, later: Duration) -> Option<Instant> {
        let limit = match later {
            Duration::ZERO => self.limit?,
            later => self.limit.map(|_| later)?,
        };
        Instant::now().checked_add(limit)
    }

    /// Returns the objects that have the values.
    ///
    /// # Errors
    /// The error of an answer that failed.
    fn objects(&self) -> Result<Vec<ObjectRef<Unseen>>> {
        let object = |answer: &ObjectRef<Unseen>| {
            let value = match answer.entry().outcome() {
                Some(Ok(value)) => value,
                Some(Err(error)) => return Err(error.clone()),
                None => return Err(Error::internal("a request to a queue without an answer")),
            };
            let handle = |id, known| -> Result<_> {
                let handle = engine_of(&self.queue)?.handle(id, known);
                Ok(ObjectRef::from_entry(handle))
            };
            match value.stands_for() {
                None | Some(WireAttachment::InlineArray(_)) => Ok(answer.clone()),
                Some(WireAttachment::Array { id, value }) => handle(*id, Some(value)),
                Some(WireAttachment::Ref { id }) => handle(*id, None),
            }
        };
        self.answers.iter().map(object).collect()
    }

    fn end(&mut self, objects: &[ObjectRef<Unseen>]) -> Result<Done> {
        let kept = std::mem::take(&mut self.answers);
        let values = objects.iter().map(|object| object.entry().payload());
        Ok(Done {
            values: values.collect::<Result<_>>()?,
            answers: kept,
            gets: self.gets,
        })
    }

    fn not_done(&mut self, error: Error) -> Result<Option<Done>> {
        self.answers.clear();
        match error.is_timeout() {
            true => Ok(None),
            false => Err(error),
        }
    }

    fn give_up(&self, returns: bool) {
        if let Ok(engine) = engine_of(&self.queue)
            && let Some(queues) = engine.queues()
        {
            let mut ids = self.answers.iter().map(|answer| answer.entry().id());
            queues.give_up(&mut ids, returns);
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let known = |answer: &ObjectRef<Unseen>| answer.entry().engine(ENGINE).is_some();
        if self.answers.first().is_some_and(known) {
            self.give_up(true);
        }
    }
}

/// Returns the engine of a queue.
///
/// # Errors
/// The engine is gone, or the queue could not be made.
pub(super) fn engine_of(queue: &ObjectHandle) -> Result<Arc<dyn Engine>> {
    match (queue.engine(ENGINE), queue.outcome()) {
        (_, Some(Err(error))) => Err(error.clone()),
        (Some(engine), _) => Ok(engine),
        (None, _) => Err(Error::shutdown()),
    }
}

/// Blocks until all objects are ready or the deadline has passed. Returns whether all are ready.
fn wait_all(objects: &[ObjectRef<Unseen>], deadline: Option<Instant>) -> bool {
    objects.iter().all(|object| object.entry().wait(deadline))
}

/// Does for futures what [`wait_all`] does for threads.
///
/// # Errors
/// The system refuses a thread for the clock.
async fn ready_by(objects: &[ObjectRef<Unseen>], deadline: Option<Instant>) -> Result<bool> {
    let ready = all_ready(objects);
    match deadline {
        None => ready.await,
        Some(deadline) => return Ok(alarm::before(deadline, ready).await?.is_some()),
    }
    Ok(true)
}

async fn all_ready(objects: &[ObjectRef<Unseen>]) {
    let mut left = objects;
    let next = |context: &mut Context<'_>| {
        while let [first, rest @ ..] = left {
            // A failed answer is ready, too.
            let _ = ready!(first.poll_ready(context));
            left = rest;
        }
        Poll::Ready(())
    };
    poll_fn(next).await;
}

fn unanswered(limit: Option<Duration>) -> Error {
    Error::timeout(format!(
        "the driver did not answer a request to a queue within {:?} and {PATIENCE:?} more: it is stopped, or has no time; \
         what was to be put in is put in at most if the driver had begun with that",
        limit.unwrap_or_default()
    ))
}
