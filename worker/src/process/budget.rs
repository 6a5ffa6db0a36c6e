//! A worker's share of the store: asked of the driver, in steps.

use std::{fmt, time::Duration};

use mobula_store::{Budget, StoreError};
use parking_lot::{Condvar, Mutex};

use crate::{Error, Result, message::FromWorker};

/// The least that is asked for at once, so that a row of middling results costs one question.
const STEP: u64 = 4 << 20;

/// How long an answer may take. The driver answers at once or after other workers have given
/// memory back; a driver that is stopped in a debugger is the case that this must not break.
const PATIENCE: Duration = Duration::from_secs(60);

/// See the module's text.
pub(crate) struct Grants {
    send: Box<dyn Fn(FromWorker) + Send + Sync>,
    state: Mutex<State>,
    answered: Condvar,
    /// One question at a time.
    asking: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Granted and not in use.
    spare: u64,
    answer: Option<Result<u64>>,
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

    /// The driver's answer, from the control thread.
    pub(crate) fn answer(&self, answer: Result<u64>) {
        self.state.lock().answer = Some(answer);
        self.answered.notify_all();
    }

    /// Gives back what is not in use; how many bytes that were.
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

    fn ask(&self, bytes: u64) -> Result<()> {
        let mut state = self.state.lock();
        state.answer = None;
        drop(state);
        (self.send)(FromWorker::NeedBytes(bytes));
        state = self.state.lock();
        loop {
            if let Some(answer) = state.answer.take() {
                state.spare += answer?;
                return Ok(());
            }
            if self.answered.wait_for(&mut state, PATIENCE).timed_out() {
                return Err(Error::internal(
                    "the driver did not answer a worker's request for memory within 60 s",
                ));
            }
        }
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
        // The step is a wish: where only less is left, what is needed is asked for.
        let mut asked = self.ask(bytes.max(STEP));
        if asked.is_err() && bytes < STEP {
            asked = self.ask(bytes);
        }
        asked.map_err(|error| StoreError::full_because(error.to_string()))?;
        if self.take(bytes) {
            Ok(())
        } else {
            Err(StoreError::other("a grant was smaller than the request"))
        }
    }

    fn release(&self, bytes: u64) {
        // Kept for the next need; the driver gets it when it asks.
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
