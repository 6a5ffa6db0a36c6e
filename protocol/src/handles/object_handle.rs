//! Handles of objects.

#[cfg(all(test, loom))]
mod models;

use std::{
    fmt, mem,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
    time::Instant,
};

use mobula_store::{EnginePromise, Loc};

use crate::{
    Error, Result,
    engine::{Engine, handles_of, readable_with},
    ids::{ObjectId, WorkerId},
    payload::Payload,
    promise::ENGINE,
    threads::{Mutex, OnceLock},
    value::{Body, Format, Outcome, Value},
    waiters::{Taken, Waiters},
};

/// A handle of an object in this process. Clones of an `ObjectRef` share one handle, and so do all
/// refs to a pending object. The drop of a handle tells the engine.
pub struct ObjectHandle {
    // The two parts of the id. In this order `is_actor` takes no room, and a handle with its counts
    // fits into two cache lines. The compiler copies that much without a call.
    origin: WorkerId,
    /// See [`ObjectHandle::of_actor`].
    is_actor: bool,
    /// Whether a thread has read the object's failure.
    heard: AtomicBool,
    seq: u64,
    /// `None` for the handle of a call that could not be started.
    engine: Option<Weak<dyn Engine>>,
    cell: OutcomeCell,
    waiting: Mutex<Waiting>,
}

/// The outcome of an object. Many handles belong to objects that are finished, and a plain
/// assignment costs less than a cell for several threads.
enum OutcomeCell {
    Known(Outcome),
    Awaited(OnceLock<Outcome>),
}

/// State under a lock. [`ObjectHandle::complete`] sets the outcome before it takes the lock. So a
/// thread that finds no outcome under the lock leaves a waker that `complete` finds.
struct Waiting {
    list: List,
    /// Whether [`Engine::watch`] was called, or is about to be, and `unwatch` was not.
    watched: bool,
}

/// The threads that wait for the outcome, and later the handles of the value's attachments.
enum List {
    Waiters(Waiters),
    /// The handles of a value's attachments after a read, if there are [`MANY`] or more. To make
    /// them takes longer than the rest of a read. The value keeps their objects anyway.
    Handles(Arc<Vec<Arc<ObjectHandle>>>),
}

/// The number of handles of this process that have failed.
static FAILURES: AtomicU64 = AtomicU64::new(0);

/// A value with this many refs or more caches their handles while its own handle lives.
const MANY: usize = 64;

impl ObjectHandle {
    /// Returns a handle that the engine counts already.
    pub fn new(
        id: ObjectId,
        engine: Weak<dyn Engine>,
        outcome: Option<Outcome>,
    ) -> Arc<ObjectHandle> {
        Arc::new(ObjectHandle::with(id, Some(engine), outcome))
    }

    /// Returns a handle of an object that stands for an actor, or for a queue, which may keep
    /// actors. The last handle of the object ends the actor or the queue.
    pub fn of_actor(
        id: ObjectId,
        engine: Weak<dyn Engine>,
        outcome: Option<Outcome>,
    ) -> Arc<ObjectHandle> {
        let mut entry = ObjectHandle::with(id, Some(engine), outcome);
        entry.is_actor = true;
        Arc::new(entry)
    }

    /// Returns a handle without an object, for calls that could not be started.
    pub fn failed(error: Error) -> Arc<ObjectHandle> {
        let id = ObjectId {
            origin: WorkerId::DRIVER,
            seq: u64::MAX,
        };
        ObjectHandle::unowned(id, Err(error))
    }

    /// Returns a handle without an engine.
    pub fn unowned(id: ObjectId, outcome: Outcome) -> Arc<ObjectHandle> {
        Arc::new(ObjectHandle::with(id, None, Some(outcome)))
    }

    fn with(
        id: ObjectId,
        engine: Option<Weak<dyn Engine>>,
        outcome: Option<Outcome>,
    ) -> ObjectHandle {
        let cell = match outcome {
            Some(outcome) => {
                if outcome.is_err() {
                    FAILURES.fetch_add(1, Ordering::Release);
                }
                OutcomeCell::Known(outcome)
            }
            None => OutcomeCell::Awaited(OnceLock::new()),
        };
        ObjectHandle {
            origin: id.origin,
            is_actor: false,
            heard: AtomicBool::new(false),
            seq: id.seq,
            engine,
            cell,
            waiting: Mutex::new(Waiting {
                list: List::Waiters(Waiters::default()),
                watched: false,
            }),
        }
    }

    /// Returns the id of the object.
    #[inline]
    pub fn id(&self) -> ObjectId {
        ObjectId {
            origin: self.origin,
            seq: self.seq,
        }
    }

    /// Returns the engine that the object belongs to, while it lives. Programs see handles in
    /// hidden items only, since generated code passes them on. Safe code of programs reaches
    /// neither the engine nor its memory by them.
    ///
    /// The caller keeps to the contracts of the engine's methods.
    pub fn engine(&self, _: EnginePromise) -> Option<Arc<dyn Engine>> {
        self.engine.as_ref()?.upgrade()
    }

    /// Returns whether the object belongs to `engine`.
    pub fn belongs_to(&self, engine: &dyn Engine) -> bool {
        self.engine
            .as_ref()
            .is_some_and(|own| std::ptr::addr_eq(own.as_ptr(), engine))
    }

    /// Returns whether both handles are of one object of one engine. A process may have several
    /// handles of a finished object.
    pub fn is_same_object(&self, other: &ObjectHandle) -> bool {
        let same_engine = match (&self.engine, &other.engine) {
            (Some(one), Some(other)) => std::ptr::addr_eq(one.as_ptr(), other.as_ptr()),
            _ => false,
        };
        std::ptr::eq(self, other) || same_engine && self.id() == other.id()
    }

    /// Returns whether the object is known to have failed, or to keep nothing but bytes inside its
    /// value.
    #[inline]
    pub fn is_small(&self) -> bool {
        match self.outcome().filter(|_| !self.is_actor) {
            Some(Ok(value)) => {
                value.attachments.is_empty() && matches!(value.body, Body::Inline(_))
            }
            Some(Err(_)) => true,
            None => false,
        }
    }

    /// Returns whether an actor may end with the last handle of this object. That is so if it is an
    /// actor, if its value refers to objects, or if this process does not know the outcome. Another
    /// process may know it by now.
    pub fn may_end_an_actor(&self) -> bool {
        self.is_actor
            || match self.outcome() {
                None => true,
                Some(Ok(value)) => !value.attachments.is_empty(),
                Some(Err(_)) => false,
            }
    }

    /// Returns the outcome of the object, if this process knows it.
    #[inline]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.cell {
            OutcomeCell::Known(outcome) => Some(outcome),
            OutcomeCell::Awaited(cell) => cell.get(),
        }
    }

    /// Records that a thread learns of the object's failure if it fails.
    #[cold]
    pub fn hear(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Returns whether a thread has learnt of the object's failure.
    #[inline]
    pub fn is_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Sets the outcome, once, and wakes all waiting threads. Must not be called under a lock of
    /// the engine, since wakers run user code.
    ///
    /// *Pinned while leased*: memory that the outcome names belongs to this object, or to an object
    /// that it refers to.
    pub fn complete(&self, outcome: Outcome, _: EnginePromise) {
        let failed = outcome.is_err();
        if let OutcomeCell::Awaited(cell) = &self.cell {
            let _ = cell.set(outcome);
        }
        // After the outcome is set: a thread that sees the new number also finds the outcome.
        if failed {
            FAILURES.fetch_add(1, Ordering::Release);
        }
        let (taken, watched) = {
            let mut waiting = self.waiting.lock();
            let watched = mem::take(&mut waiting.watched);
            match &mut waiting.list {
                List::Waiters(Waiters::Nobody) | List::Handles(_) if !watched => return,
                List::Waiters(waiters) => (waiters.take(), watched),
                List::Handles(_) => (Taken::default(), watched),
            }
        };
        if watched && let Some(engine) = self.engine(ENGINE) {
            engine.unwatch();
        }
        taken.wake_all();
    }

    /// Returns the number of handles of this process that have failed. A search for failures among
    /// many handles can be left out while the number is 0, or has not changed.
    pub fn failures() -> u64 {
        FAILURES.load(Ordering::Acquire)
    }

    /// Leaves the waker of a poll. Returns `false` if the outcome is there. If a waker of the same
    /// task is there already, that one stays alone. A waker may be called before the outcome is
    /// there, so a woken task must subscribe again.
    ///
    /// The number of wakers that are left behind is bounded. Each call takes constant time on
    /// average.
    pub fn subscribe(&self, waker: &Waker) -> bool {
        if self.outcome().is_some() {
            return false;
        }
        // Wakers are user code, so the clone comes before the lock and the drop after it.
        let own = waker.clone();
        match self.with_waiters(|waiters| waiters.poll(own)) {
            None => false,
            Some(Ok(Some(swept))) => {
                swept.early.wake_all();
                true
            }
            Some(Ok(None) | Err(_)) => true,
        }
    }

    /// Leaves a waker that is called when the outcome is there, and not before. Returns `false` if
    /// the outcome is there already. The waker's owner calls
    /// [`unregister`](ObjectHandle::unregister) when it waits no longer.
    pub fn register(&self, waker: Waker) -> bool {
        // A returned waker is dropped here, without the lock.
        self.with_waiters(|waiters| waiters.register(waker))
            .is_some()
    }

    /// Removes a waker that [`register`](ObjectHandle::register) left, if it is still there.
    pub fn unregister(&self, waker: &Waker) {
        let removed = match &mut self.waiting.lock().list {
            List::Waiters(waiters) => waiters.unregister(waker),
            List::Handles(_) => None,
        };
        // The drop runs user code, so it comes here, without the lock.
        drop(removed);
    }

    /// Calls `f` under the lock, so `f` must run no user code. Returns `None` if the outcome is
    /// there.
    fn with_waiters<R>(&self, f: impl FnOnce(&mut Waiters) -> R) -> Option<R> {
        let mut waiting = self.waiting.lock();
        let List::Waiters(waiters) = &mut waiting.list else {
            return None;
        };
        match self.outcome() {
            Some(_) => None,
            None => Some(f(waiters)),
        }
    }

    /// Asks the engine to call [`complete`](ObjectHandle::complete) soon. Must come after
    /// [`subscribe`](ObjectHandle::subscribe).
    pub fn watch(&self, engine: &dyn Engine) {
        let mut waiting = self.waiting.lock();
        if waiting.watched || self.outcome().is_some() {
            return;
        }
        waiting.watched = true;
        drop(waiting);
        engine.watch(self);
    }

    /// Blocks until the outcome is there or the deadline has passed. Returns `false` in the second
    /// case.
    pub fn wait(&self, deadline: Option<Instant>) -> bool {
        if self.outcome().is_some() {
            return true;
        }
        match self.engine(ENGINE) {
            Some(_) if mobula_store::is_forked_child() => {
                self.complete(Err(Error::forked()), ENGINE);
                true
            }
            Some(engine) => engine.wait(self, deadline),
            None => {
                self.complete(Err(Error::shutdown()), ENGINE);
                true
            }
        }
    }

    /// Returns whether the object is known to stand for shared memory.
    pub fn is_shared_memory(&self) -> bool {
        self.outcome().is_some_and(|outcome| {
            let format = outcome.as_ref().map(|value| &value.format);
            matches!(format, Ok(Format::Shared { .. }))
        })
    }

    /// Returns the location of the shared memory that the object stands for.
    ///
    /// # Errors
    /// Fails if the object is pending, has failed, or is no shared memory.
    pub fn shared_memory(&self) -> Result<Loc> {
        match self.outcome() {
            Some(Ok(value)) => match (&value.format, &value.body) {
                (Format::Shared { .. }, Body::Stored(loc)) => Ok(*loc),
                _ => Err(Error::type_mismatch(
                    "expected shared memory, found another object",
                )),
            },
            Some(Err(error)) => Err(error.clone()),
            None => Err(Error::internal("shared memory that is not there yet")),
        }
    }

    /// Returns the value with readable bytes.
    ///
    /// # Errors
    /// Fails if the object is pending or has failed, or if its runtime has ended.
    pub fn payload(self: &Arc<Self>) -> Result<Payload> {
        let value = match self.outcome() {
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                self.hear();
                return Err(error.clone());
            }
            None => {
                return Err(Error::internal(format!(
                    "object {} is still pending",
                    self.id()
                )));
            }
        };
        if let Body::Inline(block) = &value.body
            && value.attachments.is_empty()
        {
            let (format, block) = (value.format.clone(), block.clone());
            return Ok(Payload {
                format,
                block,
                attachments: Vec::new(),
            });
        }
        let engine = self.engine(ENGINE).ok_or_else(Error::shutdown)?;
        let handles = self.handles(&*engine, value);
        readable_with(&*engine, value, Some(self), handles)
    }

    /// Returns the handles of the objects that the value refers to.
    fn handles(&self, engine: &dyn Engine, value: &Value) -> Vec<Arc<ObjectHandle>> {
        if value.attachments.len() < MANY {
            return handles_of(engine, &value.attachments);
        }
        let kept = match &self.waiting.lock().list {
            List::Handles(kept) => Some(kept.clone()),
            List::Waiters(_) => None,
        };
        if let Some(kept) = kept {
            return kept.to_vec();
        }
        let handles = handles_of(engine, &value.attachments);
        self.keep(&handles);
        handles
    }

    /// Keeps handles for the next reader of the value. Does nothing if other handles are kept, or
    /// if `complete` has not collected the waiters yet.
    fn keep(&self, handles: &[Arc<ObjectHandle>]) {
        // The clone is dropped after the lock, if the list does not take it.
        let handles = Arc::new(handles.to_vec());
        let mut waiting = self.waiting.lock();
        if matches!(&waiting.list, List::Waiters(waiters) if waiters.is_empty()) {
            waiting.list = List::Handles(handles.clone());
        }
    }
}

impl Drop for ObjectHandle {
    fn drop(&mut self) {
        // A child that user code forked does not have the engine's locks and mappings.
        if let Some(engine) = self.engine(ENGINE)
            && !mobula_store::is_forked_child()
        {
            if self.waiting.get_mut().watched {
                engine.unwatch();
            }
            engine.release(self);
        }
    }
}

impl fmt::Debug for ObjectHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.outcome() {
            None => "pending",
            Some(Ok(_)) => "ready",
            Some(Err(_)) => "failed",
        };
        write!(f, "ObjectHandle({}, {state})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, task::Wake};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn an_entry_and_its_counts_take_two_cache_lines() {
        assert!(size_of::<ObjectHandle>() + 2 * size_of::<usize>() <= 128);
    }

    /// Otherwise a failure among many would be found late.
    #[test]
    fn handles_that_fail_at_once_are_counted() {
        let before = ObjectHandle::failures();
        ObjectHandle::failed(Error::shutdown());
        assert!(ObjectHandle::failures() > before);
    }

    /// A reader can come between the two steps of `complete`.
    #[test]
    fn who_waits_is_woken_though_handles_are_kept() {
        let outcome = || Err(Error::shutdown());
        for early in [true, false] {
            let count = Arc::new(Count::default());
            let entry =
                ObjectHandle::with(ObjectHandle::failed(Error::shutdown()).id(), None, None);
            assert!(entry.subscribe(&count.clone().into()));
            if early && let OutcomeCell::Awaited(cell) = &entry.cell {
                let _ = cell.set(outcome());
                entry.keep(&[]);
            }
            entry.complete(outcome(), ENGINE);
            assert_eq!(count.0.load(Ordering::SeqCst), 1);
            entry.keep(&[]);
            assert!(matches!(&entry.waiting.lock().list, List::Handles(_)));
            assert!(!entry.subscribe(&count.clone().into()));
            entry.complete(outcome(), ENGINE);
            assert!(matches!(&entry.waiting.lock().list, List::Handles(_)));
        }
    }
}
