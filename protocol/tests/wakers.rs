//! Wakers are the code of others: nothing of theirs runs under the lock of a handle.

use std::{
    sync::{Arc, Mutex, Weak, mpsc},
    task::{RawWaker, RawWakerVTable, Waker},
    thread,
    time::{Duration, Instant},
};

use mobula_protocol::{
    Awaited, Call, Engine, ObjectHandle, ObjectId, ObjectStore, Value, WorkerId,
};

/// Stands for an engine that is gone.
#[derive(Debug)]
struct Gone;

impl Engine for Gone {
    fn this(&self) -> Arc<dyn Engine> {
        unreachable!("gone")
    }

    fn submit(&self, _: Call) -> Arc<ObjectHandle> {
        unreachable!("gone")
    }

    fn handle(&self, _: ObjectId, _: Option<&Arc<Value>>) -> Arc<ObjectHandle> {
        unreachable!("gone")
    }

    fn release(&self, _: &ObjectHandle) {}

    fn watch(&self, _: &ObjectHandle) {}

    fn wait(&self, _: &dyn Awaited, _: Option<Instant>) -> bool {
        false
    }

    fn workers(&self) -> usize {
        0
    }

    fn store(&self) -> &dyn ObjectStore {
        unreachable!("gone")
    }
}

/// The handle that each clone and each drop of a waker polls.
static ENTRY: Mutex<Option<Arc<ObjectHandle>>> = Mutex::new(None);

fn poll_with_another() {
    let entry = ENTRY.lock().unwrap().clone();
    if let Some(entry) = entry {
        entry.subscribe(Waker::noop());
    }
}

static TABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        poll_with_another();
        RawWaker::new(data, &TABLE)
    },
    |_| poll_with_another(),
    |_| {},
    |_| poll_with_another(),
);

/// Returns a waker that is told from others by its address. No code reads the address's memory.
fn waker(number: usize) -> Waker {
    let data = std::ptr::without_provenance(number + 1);
    // SAFETY: the functions of the table take any address, and look at none.
    unsafe { Waker::new(data, &TABLE) }
}

#[test]
fn a_waker_may_poll_the_same_ref_when_it_is_cloned_or_dropped() {
    let id = ObjectId {
        origin: WorkerId::DRIVER,
        seq: 1,
    };
    let gone: Weak<dyn Engine> = Weak::<Gone>::new();
    let entry = ObjectHandle::new(id, gone, None);
    *ENTRY.lock().unwrap() = Some(entry.clone());
    let (done, ends) = mpsc::channel();
    thread::spawn(move || {
        // Enough that the list sweeps some times, and has registered wakers too, the same one
        // twice.
        for number in 0..300 {
            assert!(entry.subscribe(&waker(number)));
            // The list gives this one back.
            assert!(entry.subscribe(&waker(number)));
            assert!(entry.register(waker(1000 + number / 2)));
        }
        for number in 0..150 {
            entry.unregister(&waker(1000 + number));
        }
        *ENTRY.lock().unwrap() = None;
        done.send(()).unwrap();
    });
    let ended = ends.recv_timeout(Duration::from_secs(120));
    assert!(
        ended.is_ok(),
        "it waits for a lock that it has, or has panicked"
    );
}
