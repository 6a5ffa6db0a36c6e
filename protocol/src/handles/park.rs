//! Blocks a thread until a wait is over.

use std::{
    sync::Arc,
    task::{Wake, Waker},
    thread::{self, Thread},
    time::Instant,
};

use crate::engine::Awaited;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Returns a waker that unparks the calling thread.
pub fn current_thread_waker() -> Waker {
    fn new() -> Waker {
        Waker::from(Arc::new(Unpark(thread::current())))
    }
    thread_local! {
        static WAKER: Waker = new();
    }
    // While the thread is torn down, destructors may still wait.
    WAKER.try_with(Clone::clone).unwrap_or_else(|_| new())
}

/// Parks this thread until the wait is over or the deadline has passed. Returns `false` in the
/// second case.
pub fn wait(what: &dyn Awaited, deadline: Option<Instant>) -> bool {
    let waker = current_thread_waker();
    while what.subscribe(&waker) {
        match deadline {
            None => thread::park(),
            Some(deadline) => {
                let now = Instant::now();
                if now >= deadline {
                    return what.is_known();
                }
                thread::park_timeout(deadline - now);
            }
        }
    }
    true
}
