//! Tests of futures that are dropped before their result is ready.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
};

use super::Rt;
use crate::remote;

#[remote]
fn triple(n: u32) -> u32 {
    3 * n
}

/// The number of living wakers.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

#[derive(Default)]
struct Task {
    woken: AtomicBool,
}

impl Task {
    fn new() -> Arc<Task> {
        ALIVE.fetch_add(1, Ordering::SeqCst);
        Arc::default()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
    }
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> bool {
    let future = Pin::new(future);
    future.poll(&mut Context::from_waker(waker)).is_ready()
}

#[test]
fn a_long_lived_ref_keeps_few_wakers_of_dropped_futures() {
    let rt = Rt::start();
    rt.hold();
    let long_lived = triple::remote(2).spawn();
    let stays = Task::new();
    let waiting = Waker::from(stays.clone());
    let mut waits = pin!(&long_lived);
    assert!(!poll(&mut waits, &waiting));
    for _ in 0..20_000 {
        // A borrow is polled once and then dropped. A `select!` does this if another branch wins.
        assert!(!poll(&mut &long_lived, &Task::new().into()));
        if stays.woken.swap(false, Ordering::SeqCst) {
            assert!(!poll(&mut waits, &waiting));
        }
    }
    let alive = ALIVE.load(Ordering::SeqCst);
    assert!(alive < 150, "{alive} wakers are kept");
    rt.run_held();
    assert!(stays.woken.load(Ordering::SeqCst));
    assert!(poll(&mut waits, &waiting));
    assert_eq!(long_lived.get().unwrap(), 6);
}
