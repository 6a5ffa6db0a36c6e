//! Actors that are not `Send + Sync`: one thread runs all that they do.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    thread::ThreadId,
    time::Duration,
};

use mobula::prelude::*;

use super::LONG;
use crate::support::{Marks, eventually, mark, runtime, whole};

#[remote]
fn sum(numbers: &[u64]) -> u64 {
    numbers.iter().sum()
}

/// Neither `Send` nor `Sync`, as the handle of a native library is.
struct Bound {
    home: ThreadId,
    seen: Rc<RefCell<Vec<u64>>>,
    inside: Cell<bool>,
    marks: String,
}

impl Bound {
    /// Notes the number, and checks where it is and that no other call is under way.
    fn enter(&self, n: u64) {
        assert_eq!(std::thread::current().id(), self.home);
        assert!(!self.inside.replace(true));
        self.seen.borrow_mut().push(n);
    }

    fn leave(&self) -> u64 {
        assert_eq!(std::thread::current().id(), self.home);
        self.inside.set(false);
        self.seen.borrow().len() as u64
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if std::thread::current().id() == self.home {
            mark(&self.marks);
        }
    }
}

#[remote]
impl Bound {
    /// Waits, so that a stand-in would take over the worker if one might.
    async fn new(marks: &str) -> Self {
        tokio::time::sleep(Duration::from_millis(2)).await;
        sum::remote(&[1, 2]).spawn().await.unwrap();
        Bound {
            home: std::thread::current().id(),
            seen: Rc::default(),
            inside: Cell::new(false),
            marks: marks.to_owned(),
        }
    }

    fn note(&self, n: u64) -> u64 {
        self.enter(n);
        self.leave()
    }

    fn note_alone(&mut self, n: u64) -> u64 {
        self.enter(n);
        self.leave()
    }

    /// Waits for a task meanwhile.
    fn blocks(&self, n: u64) -> u64 {
        self.enter(n);
        assert_eq!(sum::remote(&[n, 1]).spawn().get().unwrap(), n + 1);
        self.leave()
    }

    async fn waits(&self, n: u64) -> u64 {
        self.enter(n);
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.leave()
    }

    fn panics(&self) {
        let _inside = self.seen.borrow_mut();
        panic!("on purpose");
    }

    fn seen(&self) -> Vec<u64> {
        self.seen.borrow().clone()
    }
}

#[mobula::test]
fn an_actor_that_is_not_send_stays_on_one_thread() {
    let rt = runtime(1);
    let marks = Marks::new();
    let bound = rt.spawn_actor(Bound::remote(marks.path()));
    let calls: Vec<_> = (0..60)
        .map(|n| match n % 4 {
            0 => bound.note(n).spawn(),
            1 => bound.blocks(n).spawn(),
            2 => bound.waits(n).spawn(),
            _ => bound.note_alone(n).spawn(),
        })
        .collect();
    for (n, call) in calls.iter().enumerate() {
        assert_eq!(call.get_timeout(LONG).unwrap(), n as u64 + 1);
    }
    assert!(bound.panics().spawn().get().unwrap_err().is_panic());
    assert_eq!(bound.note(60).spawn().get().unwrap(), 61);
    let seen = bound.seen().spawn().get().unwrap();
    assert_eq!(seen, (0..=60).collect::<Vec<u64>>());

    drop((bound, calls));
    eventually("the value was dropped on its thread", || marks.count() == 1);
}

#[mobula::test]
fn an_actor_that_is_not_send_is_not_concurrent() {
    let marks = Marks::new();
    let rt = runtime(1);
    let call = Bound::remote(marks.path()).max_concurrency(2);
    let error = ActorRef::ready(&rt.spawn_actor(call)).unwrap_err();
    assert!(error.is_usage(), "{error:?}");
    assert!(whole(&error).contains("Send + Sync"), "{error:?}");
    let call = Bound::remote(marks.path()).max_concurrency(1);
    ActorRef::ready(&rt.spawn_actor(call)).unwrap();
}
