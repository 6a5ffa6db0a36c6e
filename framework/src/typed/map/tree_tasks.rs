//! The tasks on their way of a tree of combinations.

use std::{ops::Range, sync::Arc, task::Waker};

use mobula_protocol::{
    Awaited, Call, CancelOptions, Engine, Error, ObjectHandle, Registry, Result,
};
use mobula_worker::batch::BatchWriter;

use super::gather::at;
use crate::{
    bars::Bar,
    typed::{ObjectRef, UnspawnedCall},
};

/// The most tasks on their way for each worker: calls with small arguments, and combinations.
const TASKS_EACH: usize = 64;

/// The most calls on their way for each worker if they have large arguments.
const HEAVY_EACH: usize = 3;

/// The tasks on their way. The drop cancels them.
pub(super) struct Tasks {
    engine: Arc<dyn Engine>,
    entries: Vec<Arc<ObjectHandle>>,
    /// The purpose of each task.
    sent: Vec<Sent>,
    /// The number of calls of the map among the tasks.
    calls: usize,
    /// The most calls of the map at a time.
    most_calls: usize,
    /// Shows the number of ended calls of the map.
    bar: Bar,
}

enum Sent {
    Call(usize),
    Combination(Range<usize>),
}

impl Sent {
    fn at(&self, error: Error) -> Error {
        match self {
            Sent::Call(place) => at(*place, error),
            Sent::Combination(places) => error.at(format!(
                "combining the results of calls {} to {} of a map",
                places.start,
                places.end - 1
            )),
        }
    }
}

impl Tasks {
    pub(super) fn new(engine: Arc<dyn Engine>, bar: Bar) -> Tasks {
        Tasks {
            most_calls: TASKS_EACH * engine.workers().max(1),
            engine,
            entries: Vec::new(),
            sent: Vec::new(),
            calls: 0,
            bar,
        }
    }

    /// Returns whether a further task may be sent. Combinations count, so that results do not pile
    /// up if combinations take longer than calls.
    pub(super) fn has_room(&self) -> bool {
        let most = TASKS_EACH * self.engine.workers().max(1);
        self.entries.len() < most && self.calls < self.most_calls
    }

    fn add<R>(&mut self, entry: Arc<ObjectHandle>, sent: Sent) -> ObjectRef<R> {
        self.entries.push(entry.clone());
        self.sent.push(sent);
        ObjectRef::from_entry(entry)
    }

    pub(super) fn call<R>(&mut self, call: UnspawnedCall<R>, place: usize) -> ObjectRef<R> {
        let entry = match self.ready(call) {
            Ok(call) => self.engine.submit_now(call),
            Err(error) => ObjectHandle::failed(error),
        };
        self.calls += 1;
        self.add(entry, Sent::Call(place))
    }

    fn ready<R>(&mut self, call: UnspawnedCall<R>) -> Result<Call> {
        let (bound, options) = call.into_parts(&self.engine)?;
        let each = match BatchWriter::is_light(&bound.args) {
            true => TASKS_EACH,
            false => HEAVY_EACH,
        };
        self.most_calls = each * self.engine.workers().max(1);
        Ok(Call {
            function: Registry::get()?.index_of(bound.function)?,
            args: bound.args,
            options,
            actor: bound.actor,
        })
    }

    pub(super) fn combination<R>(
        &mut self,
        call: UnspawnedCall<R>,
        places: Range<usize>,
    ) -> ObjectRef<R> {
        let entry = call.spawn_on(&self.engine).into_entry();
        self.add(entry, Sent::Combination(places))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Blocks until a task is finished.
    pub(super) fn wait(&self) {
        if !self.is_empty() {
            self.engine.wait(&self.entries, None);
        }
    }

    /// Registers a waker for the end of a task. Returns `false` if a task is finished.
    pub(super) fn subscribe(&self, waker: &Waker) -> bool {
        if let Some(first) = self.entries.first() {
            self.engine.linger(first);
        }
        let waits = self.entries.subscribe(waker);
        if waits {
            let entries = self.entries.iter();
            entries.for_each(|entry| entry.watch(&*self.engine));
        }
        waits
    }

    /// Forgets the finished tasks.
    ///
    /// # Errors
    /// The failure of a task.
    pub(super) fn take_finished(&mut self) -> Result<()> {
        // The oldest entry comes first. So a failed call comes before the combinations that fail
        // because of it.
        while let Some(at) = self.entries.iter().position(|entry| entry.is_known()) {
            let (entry, sent) = (self.entries.remove(at), self.sent.remove(at));
            if let Sent::Call(_) = sent {
                self.calls -= 1;
                self.bar.advance(1);
            }
            if let Some(Err(error)) = entry.outcome() {
                entry.hear();
                return Err(sent.at(error.clone()));
            }
        }
        Ok(())
    }
}

/// Cancels the tasks, whose results no caller can ask for.
impl Drop for Tasks {
    fn drop(&mut self) {
        if !self.entries.is_empty() {
            let mut entries = self.entries.iter().map(|entry| &**entry);
            self.engine.cancel(&mut entries, CancelOptions::new());
        }
    }
}
