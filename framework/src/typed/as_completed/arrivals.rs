//! The refs that have become ready, in order.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Wake, Waker},
};

use parking_lot::Mutex;

/// The refs that have become ready, by number.
#[derive(Default)]
pub(super) struct Arrivals(pub(super) Mutex<Reached>);

#[derive(Default)]
pub(super) struct Reached {
    pub(super) arrived: VecDeque<usize>,
    pub(super) waiting: Option<Waker>,
}

impl Arrivals {
    fn arrive(&self, number: usize) {
        let waiting = {
            let mut queue = self.0.lock();
            queue.arrived.push_back(number);
            queue.waiting.take()
        };
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}

/// Wakes the thread or task that iterates, and says which ref is ready.
pub(super) struct Arrival {
    pub(super) number: usize,
    pub(super) to: Arc<Arrivals>,
}

impl Wake for Arrival {
    fn wake(self: Arc<Self>) {
        self.to.arrive(self.number);
    }
}
