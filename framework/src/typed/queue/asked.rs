//! Requests to a queue's actor, which are taken back when nobody waits for them any more.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use mobula_worker::{Error, Result};

use super::{
    actor::{Answer, QueueActor, Ticket, Until},
    alarm,
    item::Item,
};
use crate::{ActorRef, ObjectRef};

/// How long beyond its limit a caller waits for the actor, which keeps the limit itself if it can: long
/// enough for an answer on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// A request whose answer somebody waits for. Dropped before that is there, it is taken back: then
/// what it would have put in is not put in, and what it has taken out goes back.
#[must_use = "a request that is dropped is taken back"]
pub(super) struct Asked {
    actor: ActorRef<QueueActor>,
    ticket: Ticket,
    answer: Option<ObjectRef<Answer>>,
    limit: Option<Duration>,
}

impl Asked {
    pub(super) fn put(
        actor: &ActorRef<QueueActor>,
        items: Vec<Item>,
        limit: Option<Duration>,
    ) -> Asked {
        Asked::spawn(actor, limit, |ticket, until| {
            actor.put(ticket, items, until).spawn()
        })
    }

    pub(super) fn get(
        actor: &ActorRef<QueueActor>,
        count: usize,
        limit: Option<Duration>,
    ) -> Asked {
        Asked::spawn(actor, limit, |ticket, until| {
            actor.get(ticket, count, until).spawn()
        })
    }

    fn spawn(
        actor: &ActorRef<QueueActor>,
        limit: Option<Duration>,
        request: impl FnOnce(Ticket, Option<Until>) -> ObjectRef<Answer>,
    ) -> Asked {
        let ticket = next_ticket();
        Asked {
            actor: actor.clone(),
            ticket,
            answer: Some(request(ticket, limit.and_then(Until::after))),
            limit,
        }
    }

    /// Blocks for the answer; the limit holds whatever the actor does.
    ///
    /// # Errors
    /// There is none in time (`is_timeout`), or the actor is dead.
    pub(super) fn wait(mut self) -> Result<Answer> {
        let Some(answer) = &self.answer else {
            return Err(unanswered(self.limit));
        };
        let got = match self.limit {
            None => answer.get(),
            Some(limit) => match answer.wait_timeout(limit.saturating_add(PATIENCE)) {
                Err(error) if error.is_timeout() => return Err(unanswered(self.limit)),
                _ => answer.get(),
            },
        };
        self.answer = None;
        got
    }

    /// As [`wait`](Asked::wait), for futures. Takes the answer and ends the request in one poll, so that it is
    /// either taken back or answered.
    pub(super) async fn answer(mut self) -> Result<Answer> {
        let Some(answer) = &self.answer else {
            return Err(unanswered(self.limit));
        };
        let deadline = self.limit.and_then(|limit| {
            let limit = limit.saturating_add(PATIENCE);
            Instant::now().checked_add(limit)
        });
        let got = match deadline {
            None => answer.await,
            Some(deadline) => match alarm::before(deadline, answer).await {
                Some(got) => got,
                None => return Err(unanswered(self.limit)),
            },
        };
        self.answer = None;
        got
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            drop(self.actor.take_back(self.ticket).spawn());
            // When the request has ended, which it does now.
            drop(self.actor.back(self.ticket, &answer).spawn());
        }
    }
}

fn next_ticket() -> Ticket {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    Ticket {
        process: std::process::id(),
        number: NEXT.fetch_add(1, Ordering::Relaxed),
    }
}

fn unanswered(limit: Option<Duration>) -> Error {
    Error::timeout(format!(
        "the process of the queue did not answer within {:?} and {PATIENCE:?} more: it is stopped, or could not be started yet; \
         what was to be put in is put in at most if the process had begun with that",
        limit.unwrap_or_default()
    ))
}
