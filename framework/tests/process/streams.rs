//! Functions that give their results one by one.

use std::time::Duration;

use mobula::prelude::*;

use crate::support::{Marks, eventually, mark, nothing_is_left, runtime};

/// For what only a hang explains.
const LONG: Duration = Duration::from_secs(60);

/// Marks each item that it makes.
#[remote]
fn marked(path: &str, n: u64) -> impl Iterator<Item = u64> {
    (0..n).inspect(|_| {
        mark(path);
    })
}

/// Marks each of its items, and dies behind this one in its first run.
#[remote]
fn dies_once(path: &str, behind: u64, n: u64) -> impl Iterator<Item = u64> {
    (0..n).inspect(move |i| {
        if mark(path) == behind + 2 {
            assert_eq!(*i, behind + 1);
            // The items before are on their way.
            std::process::abort();
        }
    })
}

#[remote]
fn large(n: u64, len: usize) -> impl Iterator<Item = Vec<f64>> {
    (0..n).map(move |i| vec![i as f64; len])
}

#[remote]
fn first_and_last(block: &[f64]) -> (f64, f64) {
    (block[0], block[block.len() - 1])
}

#[remote]
fn sleeps_before(items: Vec<u64>) -> impl Iterator<Item = u64> {
    items
        .into_iter()
        .inspect(|n| std::thread::sleep(Duration::from_millis(*n)))
}

/// Reads a stream inside of a task.
#[remote]
fn sum_of_stream(path: &str, n: u64) -> mobula::Result<u64> {
    let mut sum = 0;
    for item in marked::remote(path, n).spawn() {
        sum += item?;
    }
    Ok(sum)
}

#[remote(retry_errors)]
fn fails_once(path: &str, n: u64) -> impl Iterator<Item = Result<u64, String>> {
    (0..n).map(move |i| match i == 3 && mark(path) == 1 {
        true => Err("not at the first time".to_owned()),
        false => Ok(i),
    })
}

#[remote]
fn plus_one(n: u64) -> u64 {
    n + 1
}

#[mobula::test]
fn a_function_runs_ahead_by_its_buffer_and_waits() {
    let (rt, marks) = (runtime(1), Marks::new());
    for buffer in [1, 4, 10] {
        let before = marks.count();
        let mut stream = marked::remote(marks.path(), 100).buffer(buffer).spawn();
        // One more is in the making.
        let most = buffer as u64 + 1;
        eventually("it runs ahead", || marks.count() == before + most);
        // Its worker is free for others.
        assert_eq!(plus_one::remote(1).spawn().get().unwrap(), 2);
        assert_eq!(marks.count(), before + most);
        assert_eq!(stream.next().unwrap().unwrap(), 0);
        eventually("it goes on", || marks.count() == before + most + 1);
        assert_eq!(stream.by_ref().count(), 99);
        assert_eq!(marks.count(), before + 100);
    }
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_stream_that_is_dropped_ends_its_function() {
    let (rt, marks) = (runtime(1), Marks::new());
    for taken in 0..3 {
        let before = marks.count();
        let mut stream = marked::remote(marks.path(), u64::MAX).spawn();
        for item in 0..taken {
            assert_eq!(stream.next().unwrap().unwrap(), item);
        }
        eventually("it runs", || marks.count() > before);
        drop(stream);
        nothing_is_left(&rt);
        // The only worker is free, and was not killed for that.
        assert_eq!(plus_one::remote(1).spawn().get().unwrap(), 2);
    }
}

#[mobula::test]
fn a_cancelled_stream_gives_its_items_and_the_error() {
    let (rt, marks) = (runtime(1), Marks::new());
    let mut stream = marked::remote(marks.path(), u64::MAX).spawn();
    assert_eq!(stream.next().unwrap().unwrap(), 0);
    stream.cancel();
    let (mut next, mut error) = (1, None);
    for item in stream.by_ref() {
        match item {
            Ok(item) => {
                assert_eq!(item, next);
                next += 1;
            }
            Err(cause) => error = Some(cause),
        }
    }
    let error = error.expect("it was cancelled");
    assert!(error.is_cancelled(), "{error}");
    assert!(stream.next().is_none());
    drop(stream);
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_further_run_gives_each_item_once() {
    let marks = Marks::new();
    let rt = runtime(1);
    let stream = dies_once::remote(marks.path(), 5, 20).retries(1).spawn();
    let items: Vec<u64> = stream.map(Result::unwrap).collect();
    assert_eq!(items, (0..20).collect::<Vec<_>>());
    assert_eq!(marks.count(), 7 + 20);
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_crash_is_an_error_behind_the_items_before_it() {
    let marks = Marks::new();
    let rt = runtime(1);
    let mut stream = dies_once::remote(marks.path(), 5, 20).spawn();
    let mut items = Vec::new();
    let error = loop {
        match stream.next().expect("the error comes first") {
            Ok(item) => items.push(item),
            Err(error) => break error,
        }
    };
    assert!(error.is_crash(), "{error}");
    assert!(error.to_string().contains("dies_once"), "{error}");
    assert!(items.iter().copied().eq(0..items.len() as u64));
    assert!(items.len() <= 6);
    assert!(stream.next().is_none());
    drop(stream);
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_run_after_an_error_gives_each_item_once() {
    let (rt, marks) = (runtime(1), Marks::new());
    let stream = fails_once::remote(marks.path(), 10).retries(2).spawn();
    let items: Vec<u64> = stream.map(Result::unwrap).collect();
    assert_eq!(items, (0..10).collect::<Vec<_>>());
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_stream_may_be_longer_than_the_store_is_large() {
    let rt = Runtime::builder()
        .workers(1)
        .store_capacity(64 << 20)
        .start()
        .unwrap();
    // 100 items of 8 MB.
    let stream = rt.spawn_stream(large::remote(100, 1 << 20));
    for (place, item) in stream.refs().enumerate() {
        let block = item.unwrap().view().unwrap();
        assert_eq!(
            (block[0], block[(1 << 20) - 1]),
            (place as f64, place as f64)
        );
    }
    let stream = rt.spawn_stream(large::remote(100, 1 << 20));
    let ends = stream
        .refs()
        .map(|item| first_and_last::remote(item.unwrap()).spawn().get());
    for (place, ends) in ends.enumerate() {
        assert_eq!(ends.unwrap(), (place as f64, place as f64));
    }
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_task_reads_streams_of_its_own() {
    let marks = Marks::new();
    for workers in [1, 2] {
        let rt = runtime(workers);
        let sums: Vec<_> = (0..4)
            .map(|n| rt.spawn(sum_of_stream::remote(marks.path(), n * 10)))
            .collect();
        assert_eq!(rt.get(&sums).unwrap(), [0, 45, 190, 435]);
        drop(sums);
        nothing_is_left(&rt);
    }
}

#[mobula::test]
fn an_item_that_is_late_is_not_lost() {
    let rt = runtime(1);
    let mut stream = sleeps_before::remote(vec![100, 0]).spawn();
    let error = stream
        .next_timeout(Duration::from_millis(1))
        .unwrap()
        .unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(stream.next_timeout(LONG).unwrap().unwrap(), 100);
    assert_eq!(stream.next().unwrap().unwrap(), 0);
    assert!(stream.next().is_none());
    drop(stream);
    nothing_is_left(&rt);
}

#[mobula::test]
async fn a_future_that_is_dropped_loses_no_item() -> mobula::Result<()> {
    let rt = runtime(1);
    let mut stream = rt.spawn_stream(sleeps_before::remote((0..20).collect::<Vec<_>>()));
    let (mut items, mut dropped) = (Vec::new(), 0);
    loop {
        tokio::select! {
            biased;
            item = stream.next_async() => match item {
                Some(item) => items.push(item?),
                None => break,
            },
            () = tokio::time::sleep(Duration::from_millis(2)) => dropped += 1,
        }
    }
    assert_eq!(items, (0..20).collect::<Vec<_>>());
    assert!(dropped > 0);
    drop(stream);
    nothing_is_left(&rt);
    Ok(())
}

#[mobula::test]
fn a_stream_has_a_deadline_too() {
    let rt = runtime(1);
    let call = sleeps_before::remote(vec![0, 600_000]);
    let limit = Duration::from_millis(300);
    let mut stream = call
        .deadline(limit)
        .grace(Duration::from_millis(10))
        .spawn();
    assert_eq!(stream.next().unwrap().unwrap(), 0);
    let error = stream.next().unwrap().unwrap_err();
    assert!(error.is_task_timeout(), "{error}");
    assert!(stream.next().is_none());
    drop(stream);
    nothing_is_left(&rt);
}

#[mobula::test]
fn the_end_of_the_runtime_ends_its_streams() {
    let (rt, marks) = (runtime(1), Marks::new());
    let mut stream = marked::remote(marks.path(), u64::MAX).spawn();
    assert_eq!(stream.next().unwrap().unwrap(), 0);
    rt.clone().shutdown();
    let error = stream.find_map(Result::err).expect("it has an error");
    assert!(error.is_shutdown(), "{error}");
    assert!(stream.next().is_none());
    let mut late = rt.spawn_stream(marked::remote(marks.path(), 3));
    assert!(late.next().unwrap().is_err());
}
