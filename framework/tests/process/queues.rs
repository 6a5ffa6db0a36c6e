//! Queues: requests that are given up, the end, and processes that do not answer.

use std::{
    future::Future,
    pin::pin,
    process::Command,
    sync::mpsc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::{StreamExt as _, executor::block_on};
use mobula::{Queue, prelude::*};

use crate::support::{eventually, nothing_is_left, runtime};

const LONG: Duration = Duration::from_secs(60);

/// Polls a future once; it must not have ended.
#[track_caller]
fn poll_once(future: impl Future) {
    let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending));
}

#[mobula::test]
fn a_get_that_was_given_up_takes_nothing() {
    let rt = runtime(1);
    let queue = rt.queue(4).unwrap();
    for n in 0..20_u64 {
        poll_once(queue.get_async());
        // Not even polled.
        drop(queue.get_async());
        queue.put(&n).unwrap();
        assert_eq!(queue.get_timeout(LONG).unwrap(), n);
    }
    drop(queue);
    nothing_is_left(&rt);
}

#[mobula::test]
fn what_came_too_late_for_a_get_goes_back_to_the_front() {
    let rt = runtime(1);
    let queue = rt.queue(4).unwrap();
    for n in 0..20_u64 {
        let got = queue.get_async();
        queue.put_all(&[n, n + 1]).unwrap();
        // It has the first value, and nobody has looked at it.
        eventually("one value is taken out", || queue.len().unwrap() == 1);
        drop(got);
        eventually("it is back", || queue.len().unwrap() == 2);
        assert_eq!(queue.get_many(2).unwrap(), [n, n + 1]);
    }
    drop(queue);
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_put_that_was_given_up_is_not_put_in() {
    let rt = runtime(1);
    let queue = rt.queue(1).unwrap();
    queue.put(&0_u64).unwrap();
    for n in 0..20 {
        poll_once(queue.put_async(&1_000));
        // Comes after what was just said.
        assert_eq!(queue.len().unwrap(), 1);
        assert_eq!(queue.get().unwrap(), n);
        queue.put_timeout(&(n + 1), LONG).unwrap();
    }
    drop(queue);
    nothing_is_left(&rt);
}

/// Gives up often.
#[remote]
async fn takes_impatiently(queue: Queue<u64>) -> mobula::Result<Vec<u64>> {
    let mut got = Vec::new();
    loop {
        let limit = Duration::from_micros(300 * (1 + got.len() as u64 % 3));
        match tokio::time::timeout(limit, queue.get_async()).await {
            Ok(Ok(n)) => got.push(n),
            Ok(Err(error)) if error.is_closed() => return Ok(got),
            Ok(Err(error)) => return Err(error),
            Err(_) => {}
        }
    }
}

#[mobula::test]
fn impatient_consumers_get_each_value_once() {
    let rt = runtime(2);
    let queue = rt.queue(3).unwrap();
    let consumers = [(); 2].map(|()| takes_impatiently::remote(&queue).spawn());
    for n in 0..200_u64 {
        queue.put_timeout(&n, LONG).unwrap();
        if n % 10 == 0 {
            // Lets them find it empty.
            eventually("the queue is empty", || queue.is_empty().unwrap());
        }
    }
    queue.close().unwrap();
    let mut seen: Vec<u64> = consumers
        .iter()
        .flat_map(|consumer| consumer.get_timeout(LONG).unwrap())
        .collect();
    // Some may come back from requests that were given up, after both have seen the end.
    eventually("all values are there", || {
        seen.extend(queue.try_get().ok().flatten());
        seen.len() >= 200
    });
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..200));
}

#[mobula::test]
fn a_closed_queue_gives_what_is_in_it_and_takes_nothing() {
    let rt = runtime(1);
    let queue = rt.queue(3).unwrap();
    queue.put_all(&[1_u64, 2, 3]).unwrap();
    assert!(!queue.is_closed().unwrap());
    std::thread::scope(|scope| {
        let putting = scope.spawn(|| queue.put(&4));
        let (sender, receiver) = mpsc::channel();
        let closing = queue.clone();
        scope.spawn(move || {
            receiver.recv().unwrap();
            closing.close().unwrap();
        });
        sender.send(()).unwrap();
        // It waits, or comes too late: either way it is not put in.
        assert!(putting.join().unwrap().unwrap_err().is_closed());
    });
    assert!(queue.is_closed().unwrap());
    assert!(queue.try_put(&5).unwrap_err().is_closed());
    assert!(queue.put_timeout(&5, LONG).unwrap_err().is_closed());
    assert_eq!(queue.get().unwrap(), 1);
    assert_eq!(queue.try_get().unwrap(), Some(2));
    assert!(queue.get_many(2).unwrap_err().is_closed());
    assert_eq!(queue.get_timeout(LONG).unwrap(), 3);
    let error = queue.get().unwrap_err();
    assert!(error.is_closed(), "{error}");
    assert!(error.to_string().contains("the queue is closed"), "{error}");
    assert!(queue.try_get().unwrap_err().is_closed());
    queue.close().unwrap();
    drop(queue);
    nothing_is_left(&rt);
}

#[remote]
fn produces(queue: &Queue<u64>, numbers: u64) -> mobula::Result<()> {
    (0..numbers).try_for_each(|n| queue.put(&n))?;
    queue.close()
}

#[remote]
fn adds_up(queue: Queue<u64>) -> mobula::Result<u64> {
    queue.into_iter().sum()
}

#[mobula::test]
fn consumers_iterate_to_the_end() {
    let rt = runtime(3);
    let queue = rt.queue(5).unwrap();
    let consumers = [(); 2].map(|()| adds_up::remote(&queue).spawn());
    let producer = produces::remote(&queue, 500).spawn();
    let sums = consumers.map(|sum| sum.get_timeout(LONG).unwrap());
    assert_eq!(sums[0] + sums[1], (0..500).sum::<u64>());
    producer.get().unwrap();
    assert!((&queue).into_iter().next().is_none());

    let queue = rt.queue(5).unwrap();
    let producer = produces::remote(&queue, 100).spawn();
    // A stream gives up its request when it is dropped, and loses nothing.
    let first: Vec<u64> = block_on(queue.stream().take(10).map(Result::unwrap).collect());
    let rest: Vec<u64> = block_on(queue.stream().map(Result::unwrap).collect());
    assert!(first.into_iter().chain(rest).eq(0..100));
    producer.get().unwrap();
}

/// Processes that are stopped, until this is dropped or a time has passed that only a hang explains.
struct Stopped {
    pids: Vec<u32>,
    _rescue: mpsc::Sender<()>,
}

/// One that has ended meanwhile is passed over.
fn signal(name: &str, pids: &[u32]) {
    let pids = pids.iter().map(u32::to_string);
    let _ = Command::new("kill").arg(name).args(pids).output().unwrap();
}

/// Whether no thread of the process runs; it may have ended.
fn is_stopped(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return true;
    };
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        matches!(state, Some('T' | 'Z' | 'X') | None)
    })
}

impl Stopped {
    fn new(rt: &Runtime) -> Stopped {
        let pids = rt.worker_pids();
        signal("-STOP", &pids);
        // It takes effect a little later.
        eventually("all of them are stopped", || {
            pids.iter().all(|pid| is_stopped(*pid))
        });
        let (_rescue, over) = mpsc::channel();
        let hanging = pids.clone();
        std::thread::spawn(move || {
            if over.recv_timeout(LONG) == Err(mpsc::RecvTimeoutError::Timeout) {
                signal("-CONT", &hanging);
            }
        });
        Stopped { pids, _rescue }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal("-CONT", &self.pids);
    }
}

#[mobula::test]
fn limits_hold_while_the_process_of_the_queue_is_stopped() {
    let rt = runtime(1);
    let queue = rt.queue(4).unwrap();
    let limit = Duration::from_millis(20);
    for n in 0..2_u64 {
        queue.put(&n).unwrap();
        let stopped = Stopped::new(&rt);
        let (put, got) = match n {
            0 => (queue.put_timeout(&7, limit), queue.get_timeout(limit)),
            _ => (
                block_on(queue.put_timeout_async(&7, limit)),
                block_on(queue.get_timeout_async(limit)),
            ),
        };
        for error in [put.unwrap_err(), got.unwrap_err()] {
            let text = error.to_string();
            assert!(
                error.is_timeout() && text.contains("did not answer"),
                "{text}"
            );
        }
        drop(stopped);
        // Nothing was put in or taken out meanwhile, or it is back.
        assert_eq!(queue.get_timeout(LONG).unwrap(), n);
        assert_eq!(queue.len().unwrap(), 0);
    }
    drop(queue);
    nothing_is_left(&rt);
}
