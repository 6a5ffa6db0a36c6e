//! Models of handles. A lost wake-up is a deadlock, which loom reports.

use std::{
    sync::atomic::{AtomicIsize, Ordering::Relaxed},
    task::{Wake, Waker},
};

use loom::{
    model::Builder,
    sync::{Condvar, Mutex as Lock},
    thread,
};
use mobula_store::{Block, Heap};

use super::*;
use crate::{ObjectStore, Payload, Result, Value, engine::Call};

fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// A thread that sleeps until its waker is called.
#[derive(Default)]
struct Sleeper {
    woken: Lock<bool>,
    changed: Condvar,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

impl Sleeper {
    fn sleep(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.changed.wait(woken).unwrap();
        }
        *woken = false;
    }
}

/// Counts the handles that are watched.
#[derive(Debug, Default)]
struct Watches(AtomicIsize);

impl Engine for Watches {
    fn this(&self) -> Arc<dyn Engine> {
        unreachable!("not asked for")
    }

    fn submit(&self, _: Call) -> Arc<ObjectHandle> {
        unreachable!("not asked for")
    }

    fn handle(&self, _: ObjectId, _: Option<&Arc<Value>>) -> Arc<ObjectHandle> {
        unreachable!("not asked for")
    }

    fn release(&self, _: &ObjectHandle) {}

    fn watch(&self, _: &ObjectHandle) {
        self.0.fetch_add(1, Relaxed);
    }

    fn unwatch(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    fn wait(&self, _: &dyn crate::engine::Awaited, _: Option<Instant>) -> bool {
        unreachable!("not asked for")
    }

    fn workers(&self) -> usize {
        0
    }

    fn store(&self) -> &dyn ObjectStore {
        self
    }
}

impl ObjectStore for Watches {
    fn put(&self, _: Payload) -> Result<Arc<ObjectHandle>> {
        unreachable!("not asked for")
    }

    fn register(&self, _: Value) -> Arc<ObjectHandle> {
        unreachable!("not asked for")
    }

    fn block(&self, _: Loc, _: Arc<ObjectHandle>, _: EnginePromise) -> Result<Block> {
        unreachable!("not asked for")
    }

    fn heap(&self) -> &Arc<Heap> {
        unreachable!("not asked for")
    }
}

fn pending(engine: &Arc<Watches>) -> Arc<ObjectHandle> {
    let engine: Arc<dyn Engine> = engine.clone();
    let id = ObjectId {
        origin: crate::WorkerId::DRIVER,
        seq: 1,
    };
    ObjectHandle::new(id, Arc::downgrade(&engine), None)
}

fn outcome() -> Outcome {
    Err(Error::shutdown())
}

/// One thread polls, and one registers its waker, while the outcome comes.
#[test]
fn loom_nobody_sleeps_beside_an_outcome() {
    check(3, || {
        let engine = Arc::new(Watches::default());
        let entry = pending(&engine);
        let polls = {
            let entry = entry.clone();
            thread::spawn(move || {
                let sleeper = Arc::new(Sleeper::default());
                let waker = Waker::from(sleeper.clone());
                while entry.subscribe(&waker) {
                    sleeper.sleep();
                }
                assert!(entry.outcome().is_some());
            })
        };
        let registers = {
            let entry = entry.clone();
            thread::spawn(move || {
                let sleeper = Arc::new(Sleeper::default());
                if entry.register(sleeper.clone().into()) {
                    sleeper.sleep();
                }
                assert!(entry.outcome().is_some());
            })
        };
        entry.complete(outcome(), ENGINE);
        polls.join().unwrap();
        registers.join().unwrap();
    });
}

/// The engine is told to unwatch as often as to watch, in any order of the threads.
#[test]
fn loom_what_is_watched_is_unwatched_once() {
    check(3, || {
        let engine = Arc::new(Watches::default());
        let entry = pending(&engine);
        let watches = [(); 2].map(|()| {
            let (entry, engine) = (entry.clone(), engine.clone());
            thread::spawn(move || entry.watch(&*engine))
        });
        entry.complete(outcome(), ENGINE);
        for watch in watches {
            watch.join().unwrap();
        }
        assert!(!entry.waiting.lock().watched);
        assert_eq!(engine.0.load(Relaxed), 0);
    });
}

/// A value is read and its handles are kept while its outcome is set. All waiting threads are
/// woken.
#[test]
fn loom_handles_that_are_kept_displace_no_waiter() {
    check(3, || {
        let engine = Arc::new(Watches::default());
        let entry = pending(&engine);
        let reads = {
            let entry = entry.clone();
            thread::spawn(move || {
                if entry.outcome().is_some() {
                    entry.keep(&[]);
                }
            })
        };
        let waits = {
            let entry = entry.clone();
            thread::spawn(move || {
                let sleeper = Arc::new(Sleeper::default());
                let waker = Waker::from(sleeper.clone());
                while entry.subscribe(&waker) {
                    sleeper.sleep();
                }
            })
        };
        entry.complete(outcome(), ENGINE);
        reads.join().unwrap();
        waits.join().unwrap();
    });
}
