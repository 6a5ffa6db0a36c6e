//! How far a bar is, in parts of steps, since a step may be a task that says how far it is.

use std::{
    sync::{Arc, Weak, mpsc},
    thread::{Builder, JoinHandle},
    time::Duration,
};

use mobula_protocol::{Awaited, ObjectHandle, TaskProgress};
use parking_lot::Mutex;

use crate::promise::ENGINE;

/// Parts of a step.
pub(super) const PARTS: u64 = 1_000;

/// The steps of a bar.
#[derive(Debug, Default)]
pub(super) struct Steps(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    done: u64,
    /// Tasks that are a step each and do not count yet. A bar keeps no object.
    running: Vec<Weak<ObjectHandle>>,
}

impl Steps {
    /// Adds steps that are done.
    pub(super) fn advance(&self, steps: u64) {
        self.0.lock().done += steps;
    }

    /// How many steps are done.
    pub(super) fn done(&self) -> u64 {
        self.0.lock().done
    }

    /// A task is one of the steps.
    pub(super) fn begin(&self, task: &Arc<ObjectHandle>) {
        self.0.lock().running.push(Arc::downgrade(task));
    }

    /// The task does not run any more.
    pub(super) fn end(&self, task: &Arc<ObjectHandle>) {
        let mut state = self.0.lock();
        let is_task = |other: &Weak<ObjectHandle>| other.as_ptr() == Arc::as_ptr(task);
        if let Some(at) = state.running.iter().position(is_task) {
            state.running.swap_remove(at);
        }
    }

    /// How much is done, with what tasks say that run. Costs a question to the engine for each.
    pub(super) fn parts(&self) -> u64 {
        let (done, running) = {
            let state = self.0.lock();
            (state.done, state.running.clone())
        };
        let running = running.iter().filter_map(Weak::upgrade);
        running.map(|task| parts_of(&task)).sum::<u64>() + done.saturating_mul(PARTS)
    }
}

/// How much of a task is done.
fn parts_of(task: &ObjectHandle) -> u64 {
    if task.is_known() {
        return PARTS;
    }
    let said = || task.engine(ENGINE)?.control()?.progress(task);
    said().map_or(0, parts)
}

/// A total that is not known is none.
fn parts(TaskProgress { done, total }: TaskProgress) -> u64 {
    let parts = u128::from(done) * u128::from(PARTS);
    let parts = parts.checked_div(total.into()).unwrap_or(0);
    u64::try_from(parts).unwrap_or(PARTS).min(PARTS)
}

/// A thread that does something again and again, until this is dropped.
#[derive(Debug)]
pub(super) struct Ticker {
    stop: Option<mpsc::Sender<()>>,
    /// `None` where the system gives no thread: a bar without it moves with the steps only.
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(super) fn start(interval: Duration, tick: impl Fn() + Send + 'static) -> Ticker {
        let (stop, stopped) = mpsc::channel();
        let thread = Builder::new().name("mobula-bar".to_owned()).spawn(move || {
            while stopped.recv_timeout(interval) == Err(mpsc::RecvTimeoutError::Timeout) {
                tick();
            }
        });
        Ticker {
            stop: Some(stop),
            thread: thread.ok(),
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_the_total_that_a_task_says() {
        let of = |done, total| parts(TaskProgress { done, total });
        assert_eq!(
            (of(0, 4), of(1, 4), of(4, 4), of(9, 4)),
            (0, 250, 1_000, 1_000)
        );
        assert_eq!(
            (of(7, 0), of(u64::MAX, u64::MAX), of(1, 3)),
            (0, 1_000, 333)
        );
    }

    #[test]
    fn a_ticker_ends_with_its_owner() {
        let (said, heard) = mpsc::channel();
        let ticker = Ticker::start(Duration::from_millis(1), move || {
            let _ = said.send(());
        });
        heard.recv().unwrap();
        drop(ticker);
        while heard.try_recv().is_ok() {}
        assert_eq!(heard.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }
}
