//! The sink into which a function that gives a stream puts its items.

use std::{collections::VecDeque, sync::Arc};

use mobula_protocol::{CallArg, Engine, Inputs, ObjectHandle, Payload, Result, message::Args};

use crate::{
    ObjectRef, check_cancelled,
    scheduler::QueueState,
    typed::{
        codecs::{decode_value, encode_value, single},
        engine::current_engine,
        place::Place,
    },
};

/// The stream that the present run of a function fills. Not public API.
#[derive(Debug)]
pub struct Sink {
    engine: Arc<dyn Engine>,
    queue: Arc<ObjectHandle>,
    /// The number of items that earlier runs have made.
    passed_over: u64,
    /// The number of items that this run has made.
    made: u64,
    /// Answers of puts that may wait for room, at most `window` of them.
    waiting: VecDeque<ObjectRef<()>>,
    window: usize,
}

impl Sink {
    /// The stream of the call whose other arguments were taken.
    ///
    /// # Errors
    /// The runtime was shut down, or these are not the arguments of such a call.
    pub fn open(inputs: &mut Inputs) -> Result<Sink> {
        let (window, _) = single::<u64>(inputs.take()?)?;
        let window: u64 = decode_value(window)?;
        let id = inputs.take_object()?;
        let engine = current_engine()?;
        let queue = engine.handle(id, None);
        let state = engine.need_queues()?.ask(&queue, false);
        let (_, _, accepted): QueueState = ObjectRef::from_entry(state).get()?;
        Ok(Sink {
            engine,
            queue,
            passed_over: accepted,
            made: 0,
            waiting: VecDeque::new(),
            window: usize::try_from(window).unwrap_or(usize::MAX),
        })
    }

    /// Puts all items into the stream. The result of the call: how many there are.
    ///
    /// # Errors
    /// An item is an error or cannot be encoded, the store is full, or the task is cancelled.
    pub fn feed<I: IntoIterator>(
        mut self,
        items: I,
        mut encode: impl FnMut(I::Item) -> Result<Payload>,
    ) -> Result<Payload> {
        for item in items {
            check_cancelled()?;
            let Some(put) = self.begin(encode(item)?)? else {
                continue;
            };
            put.entry().wait(None);
            if !is_in(&put)? {
                break;
            }
        }
        encode_value(&self.made, Place::Current)
    }

    /// Does what [`feed`](Sink::feed) does, for a function that returns `impl Stream`.
    ///
    /// # Errors
    /// The errors of `feed`.
    pub async fn feed_stream<S: StreamItems>(
        mut self,
        items: S,
        mut encode: impl FnMut(S::Item) -> Result<Payload>,
    ) -> Result<Payload> {
        let mut items = std::pin::pin!(items);
        while let Some(item) =
            std::future::poll_fn(|context| items.as_mut().poll_item(context)).await
        {
            let Some(put) = self.begin(encode(item)?)? else {
                continue;
            };
            // A failed put is ready, too.
            let _ = std::future::poll_fn(|context| put.poll_ready(context)).await;
            if !is_in(&put)? {
                break;
            }
        }
        encode_value(&self.made, Place::Current)
    }

    /// Puts an item into the stream. Returns the answer of an earlier put for which the caller has
    /// to wait.
    fn begin(&mut self, item: Payload) -> Result<Option<ObjectRef<()>>> {
        self.made += 1;
        if self.made <= self.passed_over {
            return Ok(None);
        }
        let values = Args::from_iter([CallArg::Value(item)]);
        let put = self.engine.need_queues()?.put(&self.queue, values, true);
        self.waiting.push_back(ObjectRef::from_entry(put));
        match self.waiting.len() > self.window {
            true => Ok(self.waiting.pop_front()),
            false => Ok(None),
        }
    }
}

/// Returns whether an item is in the stream. Returns `false` if the stream has no reader any more.
///
/// # Errors
/// The item could not be put in.
fn is_in(put: &ObjectRef<()>) -> Result<bool> {
    match put.entry().outcome() {
        Some(Err(error)) if error.is_closed() => Ok(false),
        Some(Err(error)) => Err(error.clone()),
        _ => Ok(true),
    }
}

/// Types that a function may return as `impl Stream`: `futures::Stream`, with the feature `stream`.
/// Not public API.
#[diagnostic::on_unimplemented(
    message = "a remote function that returns `impl Stream` needs the feature `stream` of `mobula`",
    note = "turn the feature on, or return `impl Iterator`"
)]
pub trait StreamItems {
    /// The items.
    type Item;

    /// Does what `Stream::poll_next` does.
    fn poll_item(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>>;
}

#[cfg(feature = "stream")]
impl<S: futures_core::Stream> StreamItems for S {
    type Item = S::Item;

    fn poll_item(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        self.poll_next(context)
    }
}
