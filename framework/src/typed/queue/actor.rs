//! The actor behind a queue.

use std::{
    collections::{HashSet, VecDeque},
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, time::timeout};

use super::{asked::PATIENCE, item::Item};
use crate::remote;

/// Names a request that waits, so that it can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) process: u32,
    pub(super) number: u64,
}

/// Until when a request waits. Of the system's clock, since it travels between processes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Until(SystemTime);

impl Until {
    /// From now on; `None` is as good as for ever.
    pub(super) fn after(limit: Duration) -> Option<Until> {
        // Beyond a century the time cannot be sent.
        let limit = (limit < Duration::from_secs(100 * 365 * 24 * 3600)).then_some(limit)?;
        SystemTime::now().checked_add(limit).map(Until)
    }

    /// How long that is; `None`, if whoever asked has given up by now.
    fn left(self) -> Option<Duration> {
        match self.0.duration_since(SystemTime::now()) {
            Ok(left) => Some(left),
            // Half of it, since the answer has a way to go.
            Err(late) => (late.duration() < PATIENCE / 2).then_some(Duration::ZERO),
        }
    }
}

/// What became of a request.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// It was done; with the values, if it asked for some.
    Done(Vec<Item>),
    /// Nothing was done within the limit.
    Late,
    /// Nothing was done, and nothing of the kind will be.
    Closed,
    /// Nothing was done, and nobody wants it any more.
    TakenBack,
}

/// The values of a queue. It does not know their types, so that one actor is enough for all.
pub(super) struct QueueActor {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    putters: VecDeque<Waiting<Vec<Item>>>,
    getters: VecDeque<Waiting<usize>>,
    closed: bool,
    /// Requests that were taken back and have not ended.
    taken_back: HashSet<Ticket>,
}

/// A request that waits, for items to be put in or for a number of items.
struct Waiting<W> {
    ticket: Ticket,
    what: W,
    answer: oneshot::Sender<Answer>,
}

// Those who wait to put are in another group than those who wait to get: so neither can take the
// places of those whom they wait for, and who does not wait is in neither. The number in each is that of the threads they may take;
// further ones wait in the driver. What comes back waits for the request's end, and holds up nothing else.
#[remote(max_concurrency = 1, groups = [("put", 1000), ("get", 1000), ("back", 1)], crate = crate)]
impl QueueActor {
    pub(super) fn new(capacity: usize) -> Self {
        QueueActor {
            capacity,
            state: Mutex::default(),
        }
    }

    /// Puts all items in when there is room.
    #[remote(group = "put")]
    pub(super) async fn put(
        &self,
        ticket: Ticket,
        items: Vec<Item>,
        until: Option<Until>,
    ) -> Answer {
        let enter = |state: &mut State, waiting: Waiting<()>| {
            if state.closed {
                return Some(Answer::Closed);
            }
            state.putters.push_back(waiting.with(items));
            None
        };
        self.request(ticket, until, enter).await
    }

    /// Puts all items in if there is room, and nobody waits for it.
    pub(super) fn try_put(&self, items: Vec<Item>) -> Answer {
        let mut state = self.state.lock();
        if state.closed {
            return Answer::Closed;
        }
        if !state.putters.is_empty() || self.capacity < state.items.len() + items.len() {
            return Answer::Late;
        }
        state.items.extend(items);
        state.serve(self.capacity);
        Answer::Done(Vec::new())
    }

    /// Takes items out when there are so many.
    #[remote(group = "get")]
    pub(super) async fn get(&self, ticket: Ticket, count: usize, until: Option<Until>) -> Answer {
        let enter = |state: &mut State, waiting: Waiting<()>| {
            state.getters.push_back(waiting.with(count));
            None
        };
        self.request(ticket, until, enter).await
    }

    /// Takes items out if there are so many, and nobody waits for them.
    pub(super) fn try_get(&self, count: usize) -> Answer {
        let mut state = self.state.lock();
        if !state.getters.is_empty() || state.items.len() < count {
            return match state.closed {
                true => Answer::Closed,
                false => Answer::Late,
            };
        }
        let items = state.items.drain(..count).collect();
        state.serve(self.capacity);
        Answer::Done(items)
    }

    /// Ends a request at once, whether it has come or not. [`back`](QueueActor::back) follows.
    pub(super) fn take_back(&self, ticket: Ticket) {
        let mut state = self.state.lock();
        state.taken_back.insert(ticket);
        state.strike(ticket);
        state.serve(self.capacity);
    }

    /// What a request that was taken back had taken out comes to the front again, beyond the capacity
    /// too.
    #[remote(group = "back")]
    pub(super) fn back(&self, ticket: Ticket, answer: Answer) {
        let mut state = self.state.lock();
        state.taken_back.remove(&ticket);
        if let Answer::Done(items) = answer {
            state.give_back(items);
            state.serve(self.capacity);
        }
    }

    /// Takes nothing more in. Who waits to put fails.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        for putter in std::mem::take(&mut state.putters) {
            let _ = putter.answer.send(Answer::Closed);
        }
        state.serve(self.capacity);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().items.len()
    }
}

impl QueueActor {
    /// Enters a request, and waits for its answer. `enter` may have one at once.
    async fn request(
        &self,
        ticket: Ticket,
        until: Option<Until>,
        enter: impl FnOnce(&mut State, Waiting<()>) -> Option<Answer>,
    ) -> Answer {
        let (answer, mut answered) = oneshot::channel();
        let limit = match until.map(Until::left) {
            None => None,
            Some(Some(left)) => Some(left),
            Some(None) => return Answer::Late,
        };
        {
            let mut state = self.state.lock();
            if state.taken_back.contains(&ticket) {
                return Answer::TakenBack;
            }
            let waiting = Waiting {
                ticket,
                what: (),
                answer,
            };
            if let Some(answer) = enter(&mut state, waiting) {
                return answer;
            }
            state.serve(self.capacity);
        }
        let answered = match limit {
            None => answered.await.ok(),
            Some(limit) => match timeout(limit, &mut answered).await {
                Ok(answer) => answer.ok(),
                Err(_) => {
                    let mut state = self.state.lock();
                    if state.strike(ticket) {
                        state.serve(self.capacity);
                        return Answer::Late;
                    }
                    // It was answered just before.
                    answered.try_recv().ok()
                }
            },
        };
        answered.unwrap_or(Answer::TakenBack)
    }
}

impl<W> Waiting<W> {
    fn with<V>(self, what: V) -> Waiting<V> {
        let Waiting { ticket, answer, .. } = self;
        Waiting {
            ticket,
            what,
            answer,
        }
    }
}

impl State {
    /// Does what can be done, in the order of those who wait.
    fn serve(&mut self, capacity: usize) {
        loop {
            let (room, there) = (capacity.saturating_sub(self.items.len()), self.items.len());
            if let Some(putter) = pop_if(&mut self.putters, |putter| putter.what.len() <= room) {
                self.items.extend(putter.what);
                let _ = putter.answer.send(Answer::Done(Vec::new()));
                continue;
            }
            let closed = self.closed;
            let getter = pop_if(&mut self.getters, |getter| getter.what <= there || closed);
            let Some(getter) = getter else { break };
            if getter.what > there {
                let _ = getter.answer.send(Answer::Closed);
                continue;
            }
            let items = self.items.drain(..getter.what).collect();
            if let Err(Answer::Done(items)) = getter.answer.send(Answer::Done(items)) {
                self.give_back(items);
            }
        }
    }

    fn give_back(&mut self, items: Vec<Item>) {
        for item in items.into_iter().rev() {
            self.items.push_front(item);
        }
    }

    /// Removes a request; whether it was there.
    fn strike(&mut self, ticket: Ticket) -> bool {
        let waiting = self.getters.len() + self.putters.len();
        self.getters.retain(|getter| getter.ticket != ticket);
        self.putters.retain(|putter| putter.ticket != ticket);
        self.getters.len() + self.putters.len() < waiting
    }
}

/// The first one, if it is like that.
fn pop_if<W>(waiting: &mut VecDeque<W>, is_so: impl FnOnce(&W) -> bool) -> Option<W> {
    waiting
        .front()
        .is_some_and(is_so)
        .then(|| waiting.pop_front())
        .flatten()
}
