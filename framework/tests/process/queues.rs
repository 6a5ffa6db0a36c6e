//! Queues: requests that are given up, the end, and processes that do not answer.

use std::{
    future::Future,
    pin::pin,
    process::Command,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

#[cfg(feature = "stream")]
use futures::StreamExt as _;
use futures::executor::block_on;
use mobula::{Array, AtomicArray, Queue, prelude::*};

use crate::{
    programs::{CASE, Program},
    support::{eventually, nothing_is_left, runtime},
};

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
        // The future has the first value, but was not polled.
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
}

#[cfg(feature = "stream")]
#[mobula::test]
fn consumers_stream_to_the_end() {
    let rt = runtime(3);
    let queue = rt.queue(5).unwrap();
    let producer = produces::remote(&queue, 100).spawn();
    // A stream gives up its request when it is dropped, and loses nothing.
    let first: Vec<u64> = block_on(queue.stream().take(10).map(Result::unwrap).collect());
    let rest: Vec<u64> = block_on(queue.stream().map(Result::unwrap).collect());
    assert!(first.into_iter().chain(rest).eq(0..100));
    producer.get().unwrap();
}

/// Processes that are stopped, until this is dropped or a time has passed that only a hang
/// explains.
struct Stopped {
    pids: Vec<u32>,
    _rescue: mpsc::Sender<()>,
}

/// Sends a signal to processes. A process that has ended meanwhile is passed over.
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
fn a_queue_works_while_all_workers_are_stopped() {
    let rt = runtime(1);
    let queue = rt.queue(1).unwrap();
    let limit = Duration::from_millis(20);
    let stopped = Stopped::new(&rt);
    queue.put_timeout(&7, LONG).unwrap();
    let late = [
        queue.put_timeout(&8, limit).unwrap_err(),
        block_on(queue.put_timeout_async(&8, limit)).unwrap_err(),
    ];
    assert_eq!(queue.get_timeout(LONG).unwrap(), 7);
    let early = [
        queue.get_timeout(limit).unwrap_err(),
        block_on(queue.get_timeout_async(limit)).unwrap_err(),
    ];
    for error in late.into_iter().chain(early) {
        assert!(error.is_timeout(), "{error}");
    }
    drop(stopped);
    assert_eq!(queue.len().unwrap(), 0);
    drop(queue);
    nothing_is_left(&rt);
}

/// The processes that this one has started and that are not collected.
fn children() -> Vec<u32> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parent = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields = stat.rsplit(") ").next()?.split(' ').nth(1)?.to_owned();
        Some(fields)
    };
    pids.filter(|pid| parent(pid).as_ref() == Some(&own))
        .collect()
}

#[remote]
fn five_hundred() -> mobula::Result<Vec<Queue<u64>>> {
    (0..500).map(|_| Queue::bounded(2)).collect()
}

#[test]
fn queues_start_no_process() {
    let output = Program::command("queues::program_with_many_queues", "queues")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("no process was started"), "{text}\n{errors}");
}

/// A program of its own, so that no other test starts processes here.
#[mobula::test]
#[ignore = "a program of other tests"]
fn program_with_many_queues() {
    if std::env::var_os(CASE).is_none() {
        return;
    }
    let rt = runtime(1);
    let workers = rt.worker_pids();
    assert_eq!(children(), workers);
    let here: Vec<Queue<u64>> = (0..500).map(|_| rt.queue(2).unwrap()).collect();
    let there = five_hundred::remote().spawn();
    let queues: Vec<_> = here.into_iter().chain(there.get().unwrap()).collect();
    drop(there);
    for (n, queue) in (0..).zip(&queues) {
        queue.put(&n).unwrap();
    }
    for (n, queue) in (0..).zip(&queues) {
        assert_eq!(queue.get().unwrap(), n);
    }
    assert_eq!((rt.worker_pids(), children()), (workers.clone(), workers));
    drop(queues);
    nothing_is_left(&rt);
    println!("no process was started");
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Large {
    name: String,
    numbers: Array<f64>,
    next: Queue<Large>,
}

/// Takes values out, and puts them in again.
#[remote]
fn passes_on(from: Queue<Large>, to: Queue<Large>) -> mobula::Result<()> {
    from.into_iter().try_for_each(|value| to.put(&value?))
}

#[mobula::test]
fn large_values_go_from_worker_to_worker() {
    let rt = runtime(2);
    let lines: Vec<Queue<Large>> = (0..3).map(|_| rt.queue(2).unwrap()).collect();
    let passing: Vec<_> = lines
        .windows(2)
        .map(|pair| passes_on::remote(&pair[0], &pair[1]).spawn())
        .collect();
    // Small, with a large array, and large itself.
    for (name, numbers) in [(1, 10), (1, 10_000), (40_000, 10), (40_000, 10_000)] {
        let value = Large {
            name: "x".repeat(name),
            numbers: vec![1.5; numbers].into(),
            next: lines[1].clone(),
        };
        lines[0].put(&value).unwrap();
        assert_eq!(lines[2].get_timeout(LONG).unwrap(), value);
    }
    lines[0].close().unwrap();
    passing[0].get().unwrap();
    lines[1].close().unwrap();
    passing[1].get().unwrap();
    drop((lines, passing));
    nothing_is_left(&rt);
}

/// Takes values out until it is killed, and says which it has got.
#[remote]
fn takes_until_killed(queue: Queue<u64>, seen: &AtomicArray<AtomicU64>) -> mobula::Result<()> {
    loop {
        let n = queue.get()?;
        seen[n as usize].fetch_add(1, Ordering::SeqCst);
    }
}

/// Puts numbers in until it is killed, and says how many are in.
#[remote]
fn puts_until_killed(queue: Queue<u64>, done: &AtomicArray<AtomicU64>) -> mobula::Result<()> {
    for n in 0.. {
        queue.put(&n)?;
        done[0].store(n + 1, Ordering::SeqCst);
    }
    Ok(())
}

/// Kills all workers, which are replaced.
fn kill_all(rt: &Runtime) {
    signal("-KILL", &rt.worker_pids());
}

#[mobula::test]
fn a_consumer_that_is_killed_takes_no_value_with_it_that_it_had_not_got() {
    const ROUNDS: u64 = 12;
    let rt = runtime(1);
    let queue = rt.queue(1_000).unwrap();
    let seen = rt.atomic_array::<AtomicU64>(20_000).unwrap();
    let mut next = 0;
    for round in 0..ROUNDS {
        let consumer = takes_until_killed::remote(&queue, &seen).spawn();
        queue.put(&next).unwrap();
        next += 1;
        eventually("it has taken all there was", || queue.is_empty().unwrap());
        // The consumer waits in `get`, or is busy.
        if round % 2 == 1 {
            let more: Vec<u64> = (next..next + 900).collect();
            next += 900;
            queue.put_all(&more).unwrap();
        }
        kill_all(&rt);
        assert!(consumer.get().unwrap_err().is_crash());
    }
    let mut left = Vec::new();
    while let Some(n) = queue.try_get().unwrap() {
        left.push(n);
    }
    assert!(left.is_sorted(), "in order: {left:?}");
    let mut lost = 0;
    for n in 0..next {
        let times = seen[n as usize].load(Ordering::SeqCst) + u64::from(left.contains(&n));
        assert!(times <= 1, "{n} was there {times} times");
        lost += u64::from(times == 0);
    }
    // Between `get` and the note of it, a kill ends the value with its owner.
    assert!(lost <= ROUNDS, "{lost} values are lost");
}

#[mobula::test]
fn what_a_killed_producer_has_put_in_is_there() {
    let rt = runtime(1);
    for _ in 0..6 {
        let queue: Queue<u64> = rt.queue(50).unwrap();
        let done = rt.atomic_array::<AtomicU64>(1).unwrap();
        let producer = puts_until_killed::remote(&queue, &done).spawn();
        // Then it waits for room, or is about to.
        eventually("the queue is full", || queue.is_full().unwrap());
        kill_all(&rt);
        assert!(producer.get().unwrap_err().is_crash());
        let mut got = Vec::new();
        while let Some(n) = queue.try_get().unwrap() {
            got.push(n);
        }
        // The last one may have been sent only.
        let done = done[0].load(Ordering::SeqCst);
        let there = got.len() as u64;
        assert!(got.into_iter().eq(0..there), "each once, in order");
        assert!((done..=done + 1).contains(&there), "{done} of {there}");
    }
}

#[mobula::test]
fn the_end_of_the_runtime_ends_waits() {
    let rt = runtime(1);
    let (full, empty) = (rt.queue(1).unwrap(), rt.queue::<u64>(1).unwrap());
    full.put(&1_u64).unwrap();
    let got = empty.get_async();
    std::thread::scope(|scope| {
        let putting = scope.spawn(|| full.put(&2));
        let getting = scope.spawn(|| empty.get());
        rt.shutdown();
        for error in [
            putting.join().unwrap().unwrap_err(),
            getting.join().unwrap().unwrap_err(),
            block_on(got).unwrap_err(),
            full.get().unwrap_err(),
            full.len().unwrap_err(),
        ] {
            assert!(error.is_shutdown(), "{error}");
        }
    });
}
