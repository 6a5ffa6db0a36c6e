//! A worker's share of the store. The worker asks the driver for it in steps.

use std::{fmt, time::Duration};

use mobula_store::{Budget, StoreError};
use parking_lot::{Condvar, Mutex};

use mobula_protocol::{Error, Result, message::FromWorker};

/// The least number of bytes that is asked for at once. Several results of medium size then cost
/// one question.
const STEP: u64 = 4 << 20;

/// How long an answer may take. The driver answers at once, or after other workers have given
/// memory back. This wait must be long enough for a driver that is stopped in a debugger.
const PATIENCE: Duration = Duration::from_secs(60);

/// See the module's text.
pub(crate) struct Grants {
    send: Box<dyn Fn(FromWorker) + Send + Sync>,
    state: Mutex<State>,
    answered: Condvar,
    /// Held by the thread that asks: one question at a time.
    asking: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes that are granted and not in use.
    spare: u64,
    /// How many questions were asked, and how many answers came. Answers come in the order of the
    /// questions.
    asked: u64,
    answers: u64,
    /// The part of the answer that the asker takes before any other thread can.
    reserve: u64,
    /// Why the driver refused the last question.
    refusal: Option<Error>,
}

impl Grants {
    pub(crate) fn new(send: impl Fn(FromWorker) + Send + Sync + 'static) -> Grants {
        Grants {
            send: Box::new(send),
            state: Mutex::default(),
            answered: Condvar::new(),
            asking: Mutex::new(()),
        }
    }

    /// Takes the driver's answer. The control thread calls this.
    pub(crate) fn answer(&self, answer: Result<u64>) {
        let mut state = self.state.lock();
        state.answers += 1;
        match answer {
            Ok(granted) => {
                // Bytes that were asked for are not spare: they must not be given back in between.
                let reserve = if state.answers == state.asked {
                    state.reserve
                } else {
                    0
                };
                state.spare += granted.saturating_sub(reserve);
                state.refusal = None;
            }
            Err(error) => state.refusal = Some(error),
        }
        self.answered.notify_all();
    }

    /// Takes the bytes that are not in use, to give them back. Returns their number.
    pub(crate) fn take_spare(&self) -> u64 {
        std::mem::take(&mut self.state.lock().spare)
    }

    fn take(&self, bytes: u64) -> bool {
        let mut state = self.state.lock();
        let enough = state.spare >= bytes;
        if enough {
            state.spare -= bytes;
        }
        enough
    }

    /// Asks for `wish` bytes and takes `bytes` of them.
    fn ask(&self, wish: u64, bytes: u64) -> Result<()> {
        let question = {
            let mut state = self.state.lock();
            state.asked += 1;
            state.reserve = bytes;
            state.asked
        };
        (self.send)(FromWorker::NeedBytes(wish));
        let mut state = self.state.lock();
        while state.answers < question {
            if self.answered.wait_for(&mut state, PATIENCE).timed_out() && state.answers < question
            {
                // If the answer still comes, all of it is spare.
                state.reserve = 0;
                return Err(Error::internal(
                    "the driver did not answer a worker's request for memory within 60 s",
                ));
            }
        }
        state.refusal.take().map_or(Ok(()), Err)
    }
}

impl Budget for Grants {
    fn acquire(&self, bytes: u64) -> Result<(), StoreError> {
        if self.take(bytes) {
            return Ok(());
        }
        let _turn = self.asking.lock();
        if self.take(bytes) {
            return Ok(());
        }
        // The step is a wish. If less is left, the worker asks for the bytes that it needs.
        let mut asked = self.ask(bytes.max(STEP), bytes);
        if asked.is_err() && bytes < STEP {
            asked = self.ask(bytes, bytes);
        }
        asked.map_err(|error| StoreError::full_because(error.to_string()))
    }

    fn release(&self, bytes: u64) {
        // Kept for the next need. The driver gets the bytes when it asks.
        self.state.lock().spare += bytes;
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, OnceLock, Weak};

    /// Returns grants whose driver answers from a number of bytes, and trims after each answer.
    fn grants(left: u64) -> Arc<Grants> {
        let this: Arc<OnceLock<Weak<Grants>>> = Arc::default();
        let (me, left) = (this.clone(), Mutex::new(left));
        let grants = Arc::new(Grants::new(move |message| {
            let FromWorker::NeedBytes(bytes) = message else {
                panic!("not a question")
            };
            let mut left = left.lock();
            let grants = me.get().and_then(Weak::upgrade).unwrap();
            if *left >= bytes {
                *left -= bytes;
                grants.answer(Ok(bytes));
            } else {
                grants.answer(Err(Error::internal("no more")));
            }
            *left += grants.take_spare();
        }));
        this.set(Arc::downgrade(&grants)).unwrap();
        grants
    }

    #[test]
    fn what_was_asked_for_cannot_be_trimmed_away() {
        let grants = grants(STEP + 10);
        grants.acquire(100).unwrap();
        grants.acquire(STEP - 200).unwrap();
        assert!(grants.acquire(1 << 30).unwrap_err().is_full());
        // The wish does not fit any more, but the need does.
        grants.acquire(110).unwrap();
        assert!(grants.acquire(1).unwrap_err().is_full());
        grants.release(100);
        grants.acquire(60).unwrap();
        grants.acquire(40).unwrap();
    }
}
