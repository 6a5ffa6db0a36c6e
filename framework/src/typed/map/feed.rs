//! The calls of a map that are on their way. The feed takes them from the iterator when workers
//! have room, and they end in any order.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

use mobula_protocol::{
    Awaited, Call, CallArg, CallOptions, CancelOptions, Engine, Error, FunctionIndex, ObjectHandle,
    Payload, Registry, RemoteFn, Result, TaskOptions, message::Args,
};
use mobula_worker::batch::{BatchResults, BatchWriter};

use super::sizes::Sizes;
use crate::{
    bars::Bar,
    typed::{
        UnspawnedCall, Value,
        bound::Bound,
        codecs::{decode_value, next_value},
    },
};

/// The most batches on their way for each worker. One runs, and the others keep the worker from
/// waiting.
const BATCHES_EACH: usize = 3;

/// The most calls on their way for each worker that no batch takes and that need little memory.
/// Such calls have parts, or call an actor or an asynchronous function, whose calls run side by
/// side.
const CALLS_EACH: usize = 64;

/// The time for which calls are collected for a batch. `LOOK_EVERY` is the number of calls between
/// two looks at the clock.
const COLLECT: Duration = Duration::from_millis(1);
const LOOK_EVERY: usize = 16;

/// A call that is ready to be sent.
struct Ready {
    function: FunctionIndex,
    call: Bound,
    options: CallOptions,
}

/// Some calls that were sent together.
#[derive(Debug)]
struct Sent {
    /// The place of the first call.
    first: usize,
    calls: usize,
    kind: Kind,
    /// The calls, if they may run again after the death of the worker.
    kept: Option<Kept>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Batch,
    /// One call as a task of its own, with much to send.
    Heavy,
    /// One call as a task of its own, with little to send.
    Light,
}

/// The calls that a batch was made of.
#[derive(Debug)]
struct Kept {
    function: FunctionIndex,
    /// The options of the next run.
    options: TaskOptions,
    calls: Vec<Args<CallArg>>,
}

impl Kept {
    /// Returns room for the calls of a batch, or `None` if its calls run only once.
    fn of(function: &RemoteFn, index: FunctionIndex, options: &CallOptions) -> Option<Kept> {
        let options = TaskOptions::of(options, &function.options);
        let retries = options.retries.unwrap_or(0).checked_sub(1)?;
        Some(Kept {
            function: index,
            options: TaskOptions {
                retries: Some(retries),
                ..options.clone()
            },
            calls: Vec::new(),
        })
    }

    fn push(kept: &mut Option<Kept>, args: &[CallArg]) {
        if let Some(kept) = kept {
            kept.calls.push(args.iter().cloned().collect());
        }
    }

    /// Returns the calls as single tasks that have run once.
    fn again(self) -> impl Iterator<Item = Call> {
        let options = Some(Arc::new(self.options));
        self.calls.into_iter().map(move |args| Call {
            function: self.function,
            args,
            options: options.clone(),
            actor: None,
        })
    }
}

/// The results of calls that were sent together, in order.
pub(super) enum Finished {
    Single(Option<Result<Payload>>),
    Batch(BatchResults),
    /// All calls have failed with this error. The number is the number of calls.
    Failed(Error, usize),
}

/// The calls of a map on their way: see the [module](self).
pub(super) struct Feed<I> {
    engine: Arc<dyn Engine>,
    calls: std::iter::Fuse<I>,
    /// A call that did not fit into the batch before it.
    held_over: Option<Result<Ready>>,
    sizes: Sizes,
    /// The number of calls that were taken, without the call in `held_over`.
    taken: usize,
    entries: Vec<Arc<ObjectHandle>>,
    /// The calls of each entry.
    sent: Vec<Sent>,
    /// Calls to be sent again, each with its place.
    again: VecDeque<(usize, Call)>,
    /// Whether no further call is taken from the iterator.
    stopped: bool,
    /// Shows the number of ended calls, and the progress of calls that are single tasks.
    bar: Bar,
}

/// Cancels the calls on their way, whose results no caller can ask for.
impl<I> Drop for Feed<I> {
    fn drop(&mut self) {
        if !self.entries.is_empty() {
            let mut entries = self.entries.iter().map(|entry| &**entry);
            self.engine.cancel(&mut entries, CancelOptions::new());
        }
    }
}

impl<R, I: Iterator<Item = UnspawnedCall<R>>> Feed<I> {
    pub(super) fn new(engine: Arc<dyn Engine>, calls: I, size: Option<usize>, bar: Bar) -> Feed<I> {
        Feed {
            sizes: Sizes::new(size, engine.batch_time()),
            engine,
            calls: calls.fuse(),
            held_over: None,
            taken: 0,
            entries: Vec::new(),
            sent: Vec::new(),
            again: VecDeque::new(),
            stopped: false,
            bar,
        }
    }

    /// Returns the least number of calls that the iterator promises.
    pub(super) fn left(&self) -> usize {
        self.calls.size_hint().0
    }

    /// Sends calls while workers have room for more, and while fewer than `ahead` entries are on
    /// their way.
    pub(super) fn fill(&mut self, ahead: usize) {
        while !self.stopped && self.has_room() && self.sent.len() < ahead {
            // If the iterator panics, no further item is taken from it.
            self.stopped = true;
            self.stopped = !self.send();
        }
    }

    fn has_room(&self) -> bool {
        let each = match self.sent.last().map(|sent| sent.kind) {
            Some(Kind::Light) => CALLS_EACH,
            _ => BATCHES_EACH,
        };
        self.sent.len() < self.engine.workers() * each
    }

    /// Returns the most batches that all workers together may have on their way.
    pub(super) fn window(&self) -> usize {
        self.engine.workers() * CALLS_EACH
    }

    /// Sends no more calls.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.again.clear();
    }

    /// Returns whether no call is on its way and no further call will be sent.
    pub(super) fn is_over(&mut self) -> bool {
        let over = self.stopped && self.sent.is_empty() && self.again.is_empty();
        if over {
            self.bar = Bar::none();
        }
        over
    }

    /// Sends calls of lost batches as single tasks, while workers have room.
    fn send_again(&mut self) {
        let most = self.window().max(1);
        while self.sent.len() < most
            && let Some((place, call)) = self.again.pop_front()
        {
            let entry = self.engine.submit_now(call);
            self.bar.begin(&entry);
            self.entries.push(entry);
            self.sent.push(Sent {
                first: place,
                calls: 1,
                kind: Kind::Light,
                kept: None,
            });
        }
    }

    fn next_call(&mut self) -> Option<Result<Ready>> {
        if let Some(call) = self.held_over.take() {
            return Some(call);
        }
        let call = self.calls.next()?;
        Some(self.ready(call))
    }

    fn ready(&self, call: UnspawnedCall<R>) -> Result<Ready> {
        let (call, options) = call.into_parts(&self.engine)?;
        Ok(Ready {
            function: Registry::get()?.index_of(call.function)?,
            call,
            options,
        })
    }

    /// Sends the next calls. Returns `false` if there are none.
    fn send(&mut self) -> bool {
        let known = self.calls.size_hint();
        let left = (known.1 == Some(known.0)).then_some(known.0);
        let size = self.sizes.next(left, self.engine.workers());
        let first = match self.next_call() {
            None => return false,
            Some(Ok(first)) => first,
            Some(Err(error)) => {
                self.sent(ObjectHandle::failed(error), 1, Kind::Light, None);
                return true;
            }
        };
        let mut batch = BatchWriter::new(first.function, first.options.clone());
        let fits = batch.takes(
            first.call.function,
            first.function,
            &first.options,
            &first.call.args,
        );
        // A batch is a task of any worker, but calls of an actor run in the actor's process.
        let alone = first.call.function.asynchronous || first.call.actor.is_some();
        if alone || !fits {
            let kind = match alone || BatchWriter::is_light(&first.call.args) {
                true => Kind::Light,
                false => Kind::Heavy,
            };
            let entry = self.engine.submit_now(Call {
                function: first.function,
                args: first.call.args,
                options: first.options,
                actor: first.call.actor,
            });
            self.sent(entry, 1, kind, None);
            return true;
        }
        let mut kept = Kept::of(first.call.function, first.function, &first.options);
        batch.push(&first.call.args);
        Kept::push(&mut kept, &first.call.args);
        let began = Instant::now();
        while batch.len() < size && !batch.is_full() {
            // A slow iterator must not delay the calls that it has given.
            let look = batch.len() < LOOK_EVERY || batch.len().is_multiple_of(LOOK_EVERY);
            if look && began.elapsed() >= COLLECT {
                break;
            }
            let next = self.calls.next();
            // Mostly it is one more call of the same function. The call is not moved, since moves
            // would take longer than all other steps.
            if let Some(call) = &next
                && let Some(args) = call.plain_args(first.call.function, &first.options)
                && batch.takes_args(args)
            {
                batch.push(args);
                Kept::push(&mut kept, args);
                continue;
            }
            let Some(call) = next else {
                break;
            };
            let call = self.ready(call);
            if let Ok(next) = &call
                && next.call.actor.is_none()
                && batch.takes(
                    next.call.function,
                    next.function,
                    &next.options,
                    &next.call.args,
                )
            {
                batch.push(&next.call.args);
                Kept::push(&mut kept, &next.call.args);
            } else {
                self.held_over = Some(call);
                break;
            }
        }
        let calls = batch.len();
        let entry = match batch.finish() {
            Ok(call) => self.engine.submit_now(Call {
                options: TaskOptions::of(&first.options, &first.call.function.options).of_batch(),
                ..call
            }),
            Err(error) => ObjectHandle::failed(error),
        };
        self.sent(entry, calls, Kind::Batch, kept);
        true
    }

    fn sent(&mut self, entry: Arc<ObjectHandle>, calls: usize, kind: Kind, kept: Option<Kept>) {
        if calls == 1 {
            self.bar.begin(&entry);
        }
        self.entries.push(entry);
        self.sent.push(Sent {
            first: self.taken,
            calls,
            kind,
            kept,
        });
        self.taken += calls;
    }

    /// Returns ready results, with the place of the first result.
    pub(super) fn take_finished(&mut self) -> Option<(usize, Finished)> {
        loop {
            let at = self.entries.iter().position(|entry| entry.is_known())?;
            // The oldest entries are removed first, since they mostly finish first.
            let entry = self.entries.remove(at);
            let Sent {
                first,
                calls,
                kind,
                kept,
            } = self.sent.remove(at);
            if calls == 1 {
                self.bar.end(&entry);
            }
            let payload = entry.payload();
            if let (Err(error), Some(kept)) = (&payload, kept)
                && error.is_crash()
            {
                self.again.extend((first..).zip(kept.again()));
                self.send_again();
                continue;
            }
            let finished = match kind {
                Kind::Heavy | Kind::Light => Finished::Single(Some(payload)),
                Kind::Batch => {
                    match payload.and_then(|payload| BatchResults::open(payload, calls)) {
                        Ok(results) => {
                            self.sizes.measured(calls, results.took());
                            Finished::Batch(results)
                        }
                        Err(error) => Finished::Failed(lost(error, calls), calls),
                    }
                }
            };
            self.send_again();
            self.bar.advance(finished.len());
            return Some((first, finished));
        }
    }

    /// Blocks until an entry is finished or the deadline has passed. Returns `false` if the
    /// deadline has passed.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> bool {
        self.entries.is_empty() || self.engine.wait(&self.entries, deadline)
    }

    /// Registers a waker for the end of an entry. Returns `false` if an entry is finished.
    pub(super) fn subscribe(&self, waker: &Waker) -> bool {
        if let Some(first) = self.entries.first() {
            self.engine.linger(first);
        }
        if !self.entries.subscribe(waker) {
            return false;
        }
        self.entries
            .iter()
            .for_each(|entry| entry.watch(&*self.engine));
        true
    }
}

/// Returns the error of the calls of a lost batch.
fn lost(error: Error, calls: usize) -> Error {
    if calls == 1 || error.is_shutdown() {
        return error;
    }
    let why = match error.is_crash() {
        true => format!("one of {calls} calls that were sent together ended the worker"),
        false => format!("{calls} calls that were sent together could not hand over their results"),
    };
    error.at(format!(
        "{why}, and the results of all of them are lost (`chunk_size(1)` sends calls one by one)"
    ))
}

impl Finished {
    /// Returns the next result, or `None` after the last.
    #[inline]
    pub(super) fn next<R: Value>(&mut self) -> Option<Result<R>> {
        match self {
            Finished::Batch(results) => next_value(results),
            Finished::Single(result) => Some(result.take()?.and_then(decode_value)),
            Finished::Failed(error, left) => {
                *left = left.checked_sub(1)?;
                Some(Err(error.clone()))
            }
        }
    }

    /// Returns the number of results that are left.
    pub(super) fn len(&self) -> usize {
        match self {
            Finished::Single(result) => usize::from(result.is_some()),
            Finished::Batch(results) => results.len(),
            Finished::Failed(_, left) => *left,
        }
    }
}
