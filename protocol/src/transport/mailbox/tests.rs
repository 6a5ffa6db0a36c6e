//! Both ends of one mailbox, in two mappings like those of two processes.

use std::{sync::Arc, thread, time::Duration};

use mobula_store::{Backing, Block, Loc, SegmentFile, SegmentId};

use super::*;
use crate::{
    doorbell::DriverDoorbell,
    ids::{Attempt, FunctionIndex, ObjectId, TaskSlot, WorkerId},
    message::{Arg, FromWorker, TaskMessage, ToWorker},
    value::{Body, Format, Value},
};

const LONG: Option<Duration> = Some(Duration::from_secs(600));

/// Returns two mappings of a file of `len` bytes.
fn map(len: usize) -> [Region; 2] {
    let len = len as u64;
    let file = SegmentFile::create(len, len, Backing::Anonymous).unwrap();
    [(); 2].map(|()| Region::new(SharedWords::map(&file).unwrap()))
}

struct Pair {
    driver: DriverEnd,
    driver_doorbell: DriverDoorbell,
    worker: WorkerEnd,
}

fn pair() -> Pair {
    let [here, there] = map(bytes());
    let [doorbell_here, doorbell_there] = map(SharedWords::NARROW_BYTES + 8);
    Pair {
        driver: DriverEnd::create(&here).unwrap(),
        driver_doorbell: DriverDoorbell::new(doorbell_here),
        worker: WorkerEnd::open(&there, &DriverDoorbell::new(doorbell_there)).unwrap(),
    }
}

fn text(text: &[u8]) -> Arc<Value> {
    Arc::new(Value {
        format: Format::Text,
        body: Body::Inline(Block::copy_of(text, 1)),
        attachments: Vec::new(),
    })
}

fn id(seq: u64) -> ObjectId {
    ObjectId {
        origin: WorkerId::DRIVER,
        seq,
    }
}

fn task(seq: u64, argument: &[u8]) -> ToWorker {
    ToWorker::Task(TaskMessage {
        id: id(seq),
        slot: TaskSlot(seq as u32 % TASK_SLOTS as u32),
        attempt: Attempt(seq),
        function: FunctionIndex(3),
        args: vec![Arg::Value(Box::new((*text(argument)).clone()))].into(),
        options: None,
        retries: 0,
        revocable: true,
    })
}

#[test]
fn tasks_and_control_have_lanes_of_their_own() {
    let Pair {
        mut driver,
        mut worker,
        ..
    } = pair();
    driver.send(&task(1, b"a")).unwrap();
    driver.send(&ToWorker::Trim).unwrap();
    assert!(!worker.task.ready() && !worker.control.ready());
    assert!(driver.flush().unwrap());
    let Ok(Some(ToWorker::Trim)) = worker.control.receive() else {
        panic!("the control lane is not behind the task lane");
    };
    let Ok(Some(ToWorker::Task(task))) = worker.task.receive() else {
        panic!("no task");
    };
    assert_eq!((task.id, task.attempt), (id(1), Attempt(1)));
    assert!(worker.task.receive().unwrap().is_none());
    assert!(worker.control.receive().unwrap().is_none());

    worker.out.stage(&FromWorker::Hold(id(7))).unwrap();
    assert!(!driver.out.ready());
    worker.out.send(&FromWorker::Blocked).unwrap();
    assert!(driver.out.ready());
    assert!(matches!(driver.out.receive(), Ok(Some(FromWorker::Hold(seven))) if seven == id(7)));
    assert!(matches!(
        driver.out.receive(),
        Ok(Some(FromWorker::Blocked))
    ));
    assert!(driver.out.receive().unwrap().is_none());
}

#[test]
fn a_queued_task_is_started_or_revoked() {
    let Pair { driver, worker, .. } = pair();
    let (driver, worker) = (driver.state, worker.state);
    let (slot, first, second) = (TaskSlot(9), Attempt(0), Attempt(1));
    assert!(!worker.start(slot, first, true), "nothing is queued");
    driver.queue(slot, first);
    assert!(!worker.start(slot, second, true), "another use");
    assert!(worker.start(slot, first, true));
    assert!(!worker.start(slot, first, true), "only once");
    assert!(!driver.revoke(slot, first), "too late");
    assert!(driver.started(slot, first));
    assert!(!driver.started(slot, second));

    driver.queue(slot, second);
    assert!(!driver.started(slot, first) && !driver.started(slot, second));
    assert!(driver.revoke(slot, second));
    assert!(!worker.start(slot, second, true), "too late");
    assert!(!driver.started(slot, second));

    for wild in [TaskSlot(TASK_SLOTS as u32), TaskSlot(u32::MAX)] {
        driver.queue(wild, first);
        assert!(!worker.start(wild, first, true));
        assert!(!driver.revoke(wild, first) && !driver.started(wild, first));
    }

    assert_eq!(driver.function(), None);
    worker.set_function(FunctionIndex(0));
    assert_eq!(driver.function(), Some(FunctionIndex(0)));
    worker.set_function(FunctionIndex(u32::MAX));
    assert_eq!(driver.function(), Some(FunctionIndex(u32::MAX)));
}

#[test]
fn the_text_of_a_panic_is_kept_as_far_as_there_is_room() {
    let Pair { driver, worker, .. } = pair();
    let (driver, worker) = (driver.panicked, worker.panicked);
    assert_eq!(driver.text(), None);
    worker.add("a.rs:1:2: first");
    worker.add("; then\nthe second");
    assert!(!worker.is_empty());
    assert_eq!(
        driver.text().as_deref(),
        Some("a.rs:1:2: first; then; the second")
    );
    worker.clear();
    assert!(worker.is_empty() && driver.text().is_none());
    for _ in 0..100 {
        worker.add(&"\u{e9}".repeat(500));
    }
    assert_eq!(driver.text().unwrap().chars().count(), 1024);
}

#[test]
fn each_run_has_a_number_of_its_own() {
    let Pair { driver, worker, .. } = pair();
    let (driver, worker) = (driver.state, worker.state);
    assert_eq!(driver.run(), 0);
    for run in 1..4 {
        worker.set_function(FunctionIndex(u32::MAX));
        assert_eq!(driver.run(), run);
        assert_eq!(driver.function(), Some(FunctionIndex(u32::MAX)));
    }
}

#[test]
fn what_was_printed_counts_as_passed_on_when_the_driver_says_so() {
    let Pair { driver, worker, .. } = pair();
    let (driver, worker) = (driver.printed, worker.printed);
    let both = [Stream::Stdout, Stream::Stderr];
    assert!(worker.is_settled());
    for stream in both {
        assert_eq!(worker.target(stream, || 0), Some(0));
        assert!(worker.reached(stream, 0) && !worker.reached(stream, 1));
        let while_taking = driver.take(stream, || {
            assert!(!worker.is_settled());
            assert_eq!(worker.target(stream, || 5), None, "5 or 0 bytes are left");
            5
        });
        assert_eq!(while_taking, 5);
        assert!(!worker.is_settled());
        let target = worker.target(stream, || 7).unwrap();
        assert_eq!(target, 12);
        driver.pass_on(stream, driver.taken(stream));
        assert!(worker.is_settled() && !worker.reached(stream, target));
        driver.take(stream, || 7);
        assert!(!worker.reached(stream, target));
        driver.pass_on(stream, driver.taken(stream));
        assert!(worker.reached(stream, target));
    }
}

#[test]
fn a_task_that_stays_is_started_without_asking() {
    let Pair {
        mut driver, worker, ..
    } = pair();
    let (slot, first, second) = (TaskSlot(3), Attempt(3), Attempt(3 + TASK_SLOTS as u64));
    driver.send(&task(3, b"")).unwrap();
    assert!(worker.state.start(slot, first, true));

    let mut stays = task(second.0, b"");
    if let ToWorker::Task(task) = &mut stays {
        task.revocable = false;
    }
    driver.send(&stays).unwrap();
    assert!(driver.state.started(slot, first), "the slot is as it was");
    assert!(!driver.state.started(slot, second), "not yet");
    assert!(!driver.state.revoke(slot, second));
    assert!(worker.state.start(slot, second, false));
    assert!(driver.state.started(slot, second));
    assert!(!worker.state.start(TaskSlot(u32::MAX), second, false));
}

#[test]
fn sending_a_task_queues_its_slot() {
    let Pair {
        mut driver, worker, ..
    } = pair();
    driver.send(&task(5, b"")).unwrap();
    assert!(worker.state.start(TaskSlot(5), Attempt(5), true));
}

#[test]
fn other_memory_is_refused() {
    let [short, _] = map(bytes() / 2);
    let error = DriverEnd::create(&short).unwrap_err();
    assert!(matches!(error, MailboxError::TooShort { .. }));
    assert!(error.to_string().contains(&bytes().to_string()));

    let [fresh, doorbell] = map(bytes());
    let doorbell = DriverDoorbell::new(doorbell);
    let open = || WorkerEnd::open(&fresh, &doorbell).unwrap_err();
    assert_eq!(open(), MailboxError::Foreign { found: [0, 0] });
    DriverEnd::create(&fresh).unwrap();
    WorkerEnd::open(&fresh, &doorbell).unwrap();
    Word::store(&fresh.words()[LAYOUT_AT], LAYOUT + 1, Ordering::Relaxed);
    assert!(matches!(open(), MailboxError::Foreign { .. }));
}

#[test]
fn what_is_no_message_is_an_error() {
    let [here, there] = map(bytes());
    let [doorbell, _] = map(SharedWords::NARROW_BYTES + 8);
    let mut driver = DriverEnd::create(&here).unwrap();
    let parts = Parts::of(&there).unwrap();
    let mut wild = parts.out.producer();
    assert!(wild.stage(b"\xff no message", &mut 0).unwrap());
    wild.publish();
    assert!(matches!(driver.out.receive(), Err(TransportError::Wire(_))));
    // Garbage is all over the lane, wherever the next frame may begin.
    let scribble = |lane: &[std::sync::atomic::AtomicU64]| {
        for word in lane {
            Word::store(word, u64::MAX / 2, Ordering::Relaxed);
        }
    };
    scribble(&here.words()[OUT_AT..END]);
    assert!(matches!(driver.out.receive(), Err(TransportError::Ring(_))));

    let mut worker = WorkerEnd::open(&there, &DriverDoorbell::new(doorbell)).unwrap();
    scribble(&here.words()[TASK_AT..CONTROL_AT]);
    let error = worker.task.receive().unwrap_err();
    assert!(matches!(
        error,
        TransportError::Ring(RingError::Corrupt { .. })
    ));
}

/// The driver sends more than the lane holds, sleeps until the worker has made room, and goes on.
#[test]
fn a_driver_with_more_than_fits_is_called_back() {
    const MESSAGES: u64 = 20_000;
    let Pair {
        mut driver,
        driver_doorbell,
        worker,
    } = pair();
    let extents = |n: u64| {
        let loc = Loc {
            segment: SegmentId(1),
            offset: n,
            len: 1 << 40,
        };
        vec![loc; n as usize % 9]
    };
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut control = worker.control;
            for n in 0..MESSAGES {
                let message = loop {
                    match control.receive().unwrap() {
                        Some(message) => break message,
                        None => control.wait(LONG),
                    }
                };
                let ToWorker::Free(locs) = message else {
                    panic!("{message:?}");
                };
                assert_eq!(locs, extents(n));
            }
        });
        for n in 0..MESSAGES {
            driver.send(&ToWorker::Free(extents(n))).unwrap();
        }
        assert!(driver.control.pending() > 0);
        while !driver.flush().unwrap() {
            driver_doorbell.sleep_background(LONG, |_| driver.ready());
        }
    });
    assert_eq!(driver.control.pending(), 0);
}

/// The worker sends more than the lane holds, and large messages between small ones. The driver is
/// the leader, and sleeps when there is no message.
#[test]
fn a_worker_waits_for_the_driver_to_drain() {
    const MESSAGES: u64 = 3_000;
    let Pair {
        mut driver,
        driver_doorbell,
        worker,
    } = pair();
    let bytes = |n: u64| {
        let len = if n.is_multiple_of(500) {
            700_000
        } else {
            n as usize % 700
        };
        (0..len).map(|i| (i as u64 ^ n) as u8).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut out = worker.out;
            for n in 0..MESSAGES {
                let value = text(&bytes(n));
                let message = FromWorker::Put { id: id(n), value };
                if n.is_multiple_of(3) {
                    out.stage(&message).unwrap();
                } else {
                    out.send(&message).unwrap();
                }
            }
            out.flush();
        });
        let mut leader = driver_doorbell.lead().unwrap();
        for n in 0..MESSAGES {
            let message = loop {
                match driver.out.receive().unwrap() {
                    Some(message) => break message,
                    None => leader.sleep(LONG, || driver.out.ready()),
                }
            };
            let FromWorker::Put { id: got, value } = message else {
                panic!("{message:?}");
            };
            assert_eq!(got, id(n));
            let Body::Inline(block) = &value.body else {
                panic!("{value:?}");
            };
            assert!(block.bytes() == bytes(n), "message {n}");
        }
        leader.leave(|| false);
    });
    assert!(driver.out.receive().unwrap().is_none());
}

/// Tasks go to the worker and results back, with all doorbells, like in a program of many small
/// tasks.
#[test]
fn tasks_and_results_go_round() {
    const TASKS: u64 = 5_000;
    let Pair {
        mut driver,
        driver_doorbell,
        worker,
    } = pair();
    thread::scope(|scope| {
        scope.spawn(move || {
            let WorkerEnd {
                mut task,
                mut out,
                state,
                ..
            } = worker;
            for n in 0..TASKS {
                let message = loop {
                    match task.receive().unwrap() {
                        Some(message) => break message,
                        None => task.wait(LONG),
                    }
                };
                let ToWorker::Task(task) = message else {
                    panic!("{message:?}");
                };
                assert_eq!(task.attempt, Attempt(n));
                assert!(state.start(task.slot, task.attempt, task.revocable));
                let Arg::Value(value) = &task.args[0] else {
                    panic!("{task:?}");
                };
                let done = FromWorker::Done {
                    id: task.id,
                    slot: task.slot,
                    attempt: task.attempt,
                    outcome: Ok(Arc::new((**value).clone())),
                };
                out.send(&done).unwrap();
            }
        });
        let (mut sent, mut received) = (0, 0);
        while received < TASKS {
            while sent < TASKS && sent - received < 1 + received % 64 {
                driver.send(&task(sent, &sent.to_le_bytes())).unwrap();
                sent += 1;
            }
            driver.flush().unwrap();
            let Some(message) = driver.out.receive().unwrap() else {
                driver_doorbell.sleep_background(LONG, |led| {
                    assert!(!led);
                    driver.out.ready()
                });
                continue;
            };
            let FromWorker::Done {
                id: got, outcome, ..
            } = message
            else {
                panic!("{message:?}");
            };
            assert_eq!(got, id(received));
            let Body::Inline(block) = &outcome.unwrap().body else {
                panic!("stored");
            };
            assert_eq!(block.bytes(), received.to_le_bytes());
            assert!(
                driver
                    .state
                    .started(TaskSlot(received as u32 % 1024), Attempt(received))
            );
            received += 1;
        }
    });
}
