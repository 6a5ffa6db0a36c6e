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

/// A handle that this process has of an object. Clones of an `ObjectRef` share one, and so do all
/// refs to an object that is pending; when it is dropped, the engine is told.
pub struct ObjectHandle {
    // The parts of the id: so `is_actor` takes no room, and an entry with its counts no more than
    // two cache lines, which the compiler copies without a call.
    origin: WorkerId,
    /// See [`ObjectHandle::of_actor`].
    is_actor: bool,
    /// Somebody has read its failure.
    heard: AtomicBool,
    seq: u64,
    /// `None` for the handle of a call that could not be started.
    engine: Option<Weak<dyn Engine>>,
    cell: OutcomeCell,
    waiting: Mutex<Waiting>,
}

/// What becomes of an object. Many handles are made of objects that are there, and an assignment
/// costs less than what a cell takes for several threads.
enum OutcomeCell {
    Known(Outcome),
    Awaited(OnceLock<Outcome>),
}

/// Changed under a lock. [`ObjectHandle::complete`] sets the outcome before it takes that: so who
/// finds no outcome under the lock is found there by `complete`.
struct Waiting {
    list: List,
    /// [`Engine::watch`] was called, or is about to be, and `unwatch` was not.
    watched: bool,
}

/// Who waits for the outcome, and then what the value refers to.
enum List {
    Waiters(Waiters),
    /// The handles of a value that was read, where those are [`MANY`]: to make them takes longer
    /// than all the rest, and the value keeps their objects anyway.
    Handles(Arc<Vec<Arc<ObjectHandle>>>),
}

/// How many handles of this process have failed.
static FAILURES: AtomicU64 = AtomicU64::new(0);

/// So many handles are kept as long as that of the value whose they are.
const MANY: usize = 64;

impl ObjectHandle {
    /// A handle that counts at the engine already.
    pub fn new(
        id: ObjectId,
        engine: Weak<dyn Engine>,
        outcome: Option<Outcome>,
    ) -> Arc<ObjectHandle> {
        Arc::new(ObjectHandle::with(id, Some(engine), outcome))
    }

    /// The same for an object that stands for something else, whose end the last handle is: an
    /// actor, or a queue, which may keep actors.
    pub fn of_actor(
        id: ObjectId,
        engine: Weak<dyn Engine>,
        outcome: Option<Outcome>,
    ) -> Arc<ObjectHandle> {
        let mut entry = ObjectHandle::with(id, Some(engine), outcome);
        entry.is_actor = true;
        Arc::new(entry)
    }

    /// A handle of nothing, for calls that could not be started.
    pub fn failed(error: Error) -> Arc<ObjectHandle> {
        let id = ObjectId {
            origin: WorkerId::DRIVER,
            seq: u64::MAX,
        };
        ObjectHandle::unowned(id, Err(error))
    }

    /// A handle of no engine.
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

    /// Which object.
    #[inline]
    pub fn id(&self) -> ObjectId {
        ObjectId {
            origin: self.origin,
            seq: self.seq,
        }
    }

    /// The engine that the object belongs to, while that lives. Programs meet handles behind hidden
    /// items, since generated code passes them on; safe code of theirs reaches neither the engine
    /// nor its memory by them.
    ///
    /// The caller keeps to the contracts of the engine's methods.
    pub fn engine(&self, _: EnginePromise) -> Option<Arc<dyn Engine>> {
        self.engine.as_ref()?.upgrade()
    }

    /// Whether `engine` is the engine that the object belongs to.
    pub fn belongs_to(&self, engine: &dyn Engine) -> bool {
        self.engine
            .as_ref()
            .is_some_and(|own| std::ptr::addr_eq(own.as_ptr(), engine))
    }

    /// Whether both stand for one object of one engine. A process may have several handles of an
    /// object that is finished.
    pub fn is_same_object(&self, other: &ObjectHandle) -> bool {
        let same_engine = match (&self.engine, &other.engine) {
            (Some(one), Some(other)) => std::ptr::addr_eq(one.as_ptr(), other.as_ptr()),
            _ => false,
        };
        std::ptr::eq(self, other) || same_engine && self.id() == other.id()
    }

    /// Whether the object is known to keep nothing beside some bytes inside of its value, or to
    /// have failed.
    #[inline]
    pub fn is_small(&self) -> bool {
        match self.outcome().filter(|_| !self.is_actor) {
            Some(Ok(value)) => value.items.is_empty() && matches!(value.body, Body::Inline(_)),
            Some(Err(_)) => true,
            None => false,
        }
    }

    /// Whether an actor may end with the last handle of this object: it is one, or its value
    /// refers to objects, or that is not known here yet: it may be known elsewhere by now.
    pub fn may_end_an_actor(&self) -> bool {
        self.is_actor
            || match self.outcome() {
                None => true,
                Some(Ok(value)) => !value.items.is_empty(),
                Some(Err(_)) => false,
            }
    }

    /// What became of the object, if that is known here.
    #[inline]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.cell {
            OutcomeCell::Known(outcome) => Some(outcome),
            OutcomeCell::Awaited(cell) => cell.get(),
        }
    }

    /// Says that somebody learns of the failure of the object, should it fail.
    #[cold]
    pub fn hear(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has learnt of its failure.
    #[inline]
    pub fn is_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Tells the outcome, once, and wakes all who wait. Never under a lock of the engine, since
    /// wakers run user code.
    ///
    /// *Pinned while leased*: memory that the outcome names is that of this object, or of what it
    /// refers to.
    pub fn complete(&self, outcome: Outcome, _: EnginePromise) {
        let failed = outcome.is_err();
        if let OutcomeCell::Awaited(cell) = &self.cell {
            let _ = cell.set(outcome);
        }
        // After the outcome: who sees the number finds that.
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

    /// How many handles of this process have failed: whoever looks for failures among many need not
    /// look while there are none, or again while there are as many.
    pub fn failures() -> u64 {
        FAILURES.load(Ordering::Acquire)
    }

    /// Leaves the waker of a poll, unless the outcome is there: then `false`. A waker that would
    /// wake the same task replaces the one left before. The waker may be called before the outcome
    /// is there: whoever is woken has to subscribe again.
    ///
    /// Wakers that are left behind cost a bounded number of places, each call constant time on
    /// average.
    pub fn subscribe(&self, waker: &Waker) -> bool {
        if self.outcome().is_some() {
            return false;
        }
        // Wakers are user code: cloned before the lock, dropped after it.
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

    /// Leaves a waker that is called once the outcome is there and not before, unless it is there:
    /// then `false`. Its owner calls [`unregister`](ObjectHandle::unregister) when it waits no
    /// longer.
    pub fn register(&self, waker: Waker) -> bool {
        // What is left over is dropped here, without the lock.
        self.with_waiters(|waiters| waiters.register(waker))
            .is_some()
    }

    /// Removes a waker that [`register`](ObjectHandle::register) left, if it is still there.
    pub fn unregister(&self, waker: &Waker) {
        let removed = match &mut self.waiting.lock().list {
            List::Waiters(waiters) => waiters.unregister(waker),
            List::Handles(_) => None,
        };
        // It is dropped here, without the lock: that runs user code.
        drop(removed);
    }

    /// `None` if the outcome is there. `f` runs no user code: it is under the lock.
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

    /// Has the engine see to it that [`complete`](ObjectHandle::complete) is called soon. After
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

    /// Blocks until the outcome is there or the deadline has passed; `false` if it has.
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

    /// Whether the object is known to stand for shared memory.
    pub fn is_shared_memory(&self) -> bool {
        self.outcome().is_some_and(|outcome| {
            let format = outcome.as_ref().map(|value| &value.format);
            matches!(format, Ok(Format::Shared { .. }))
        })
    }

    /// Where the shared memory lies that the object stands for.
    ///
    /// # Errors
    /// The object is pending, has failed, or is something else.
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

    /// The value with readable bytes, once the outcome is there.
    ///
    /// # Errors
    /// The object failed, or its runtime is gone.
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
            && value.items.is_empty()
        {
            let (format, block) = (value.format.clone(), block.clone());
            return Ok(Payload {
                format,
                block,
                side: Vec::new(),
            });
        }
        let engine = self.engine(ENGINE).ok_or_else(Error::shutdown)?;
        let handles = self.handles(&*engine, value);
        readable_with(&*engine, value, Some(self), handles)
    }

    /// The handles of what the value refers to.
    fn handles(&self, engine: &dyn Engine, value: &Value) -> Vec<Arc<ObjectHandle>> {
        if value.items.len() < MANY {
            return handles_of(engine, &value.items);
        }
        let kept = match &self.waiting.lock().list {
            List::Handles(kept) => Some(kept.clone()),
            List::Waiters(_) => None,
        };
        if let Some(kept) = kept {
            return kept.to_vec();
        }
        let handles = handles_of(engine, &value.items);
        self.keep(&handles);
        handles
    }

    /// Keeps handles for the next reader of the value, unless others are kept, or `complete` has
    /// not collected the waiters yet.
    fn keep(&self, handles: &[Arc<ObjectHandle>]) {
        // Dropped after the lock, where it is not needed.
        let handles = Arc::new(handles.to_vec());
        let mut waiting = self.waiting.lock();
        if matches!(&waiting.list, List::Waiters(waiters) if waiters.is_empty()) {
            waiting.list = List::Handles(handles.clone());
        }
    }
}

impl Drop for ObjectHandle {
    fn drop(&mut self) {
        // In a child that user code forked, the engine's locks and mappings are not there.
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

    /// Else a failure among many would be found late.
    #[test]
    fn handles_that_fail_at_once_are_counted() {
        let before = ObjectHandle::failures();
        ObjectHandle::failed(Error::shutdown());
        assert!(ObjectHandle::failures() > before);
    }

    /// A reader can be there between the two steps of `complete`.
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
