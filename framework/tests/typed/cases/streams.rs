//! Functions that give their results one by one.

use std::time::Duration;

use mobula::prelude::*;

use super::{Rt, functions::*};

/// For what only a hang explains.
const LONG: Duration = Duration::from_secs(60);

#[remote]
fn numbers(n: u64) -> impl Iterator<Item = u64> {
    0..n
}

#[remote]
fn checked(items: Vec<i64>) -> impl Iterator<Item = Result<i64, String>> {
    let check = |n| match n {
        0.. => Ok(n),
        _ => Err(format!("{n} is negative")),
    };
    items.into_iter().map(check)
}

#[remote]
fn opens(name: &str) -> Result<impl Iterator<Item = String>, String> {
    match name {
        "" => Err("no name".to_owned()),
        name => Ok(name
            .chars()
            .map(String::from)
            .collect::<Vec<_>>()
            .into_iter()),
    }
}

#[remote]
fn panics_at(n: u32) -> impl Iterator<Item = u32> {
    (0..).inspect(move |i| assert!(*i < n, "this is {i}"))
}

#[remote]
fn lines_of(text: &str, times: f64) -> impl ExactSizeIterator<Item = (String, f64)> {
    let lines: Vec<_> = text.lines().map(|line| (line.to_owned(), times)).collect();
    lines.into_iter()
}

#[remote]
fn not_a_number(text: &str) -> Result<u64, std::num::ParseIntError> {
    text.parse()
}

#[remote]
fn total(block: &[f64]) -> f64 {
    block.iter().sum()
}

#[remote]
fn blocks(n: u32, len: usize) -> impl Iterator<Item = Vec<f64>> {
    (0..n).map(move |i| vec![f64::from(i); len])
}

#[remote]
async fn awaited(n: u64) -> impl Iterator<Item = u64> {
    tokio::time::sleep(Duration::from_millis(1)).await;
    (0..n).map(|i| 10 * i)
}

#[cfg(feature = "stream")]
#[remote]
fn ticks(n: u64) -> impl futures::Stream<Item = u64> {
    futures::stream::unfold(0, move |i| async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        (i < n).then_some((i, i + 1))
    })
}

#[cfg(feature = "stream")]
#[remote]
async fn tries(n: i64) -> Result<impl futures::Stream<Item = Result<i64, String>>, String> {
    if n < 0 {
        return Err("it is negative".to_owned());
    }
    Ok(futures::stream::iter((0..=n).map(move |i| match i == n {
        true => Err(format!("this is {n}")),
        false => Ok(i),
    })))
}

struct Counter(u64);

#[remote]
impl Counter {
    fn new(start: u64) -> Counter {
        Counter(start)
    }

    fn next_ones(&mut self, n: u64) -> impl Iterator<Item = u64> {
        (0..n).map(|_| {
            self.0 += 1;
            self.0
        })
    }

    fn now(&self) -> u64 {
        self.0
    }
}

pub(crate) fn all(rt: &Rt) {
    items_come_in_order(rt);
    arguments_may_be_borrowed(rt);
    an_error_comes_after_the_items_before_it(rt);
    a_call_that_cannot_run_gives_its_error(rt);
    items_can_be_passed_on(rt);
    refs_of_items_stand_beside_others(rt);
    a_stream_has_a_limit_of_time(rt);
    a_buffer_has_bounds(rt);
    a_stream_that_is_left_ends_its_call(rt);
    methods_give_streams(rt);
}

fn items_come_in_order(rt: &Rt) {
    for (n, buffer) in [(0, 4), (1, 1), (100, 1), (100, 2), (1000, 10_000)] {
        let stream = rt.spawn_stream(numbers::remote(n).buffer(buffer));
        let items: Vec<u64> = stream.collect::<mobula::Result<_>>().unwrap();
        assert_eq!(items, (0..n).collect::<Vec<_>>());
    }
    let mut stream = awaited::remote(3).spawn();
    let items: Vec<u64> = stream.by_ref().map(Result::unwrap).collect();
    assert_eq!(items, [0, 10, 20]);
    assert!(stream.is_ready() && stream.next().is_none());
}

fn arguments_may_be_borrowed(rt: &Rt) {
    let text = rt.put("a\nb").unwrap();
    let lines = lines_of::remote(&text, square::remote(2.0).spawn()).spawn();
    let lines: Vec<_> = lines.map(Result::unwrap).collect();
    assert_eq!(lines, [("a".to_owned(), 4.0), ("b".to_owned(), 4.0)]);
}

fn an_error_comes_after_the_items_before_it(rt: &Rt) {
    let mut stream = rt.spawn_stream(checked::remote(vec![1, 2, -3, 4]));
    assert_eq!(stream.next().unwrap().unwrap(), 1);
    assert_eq!(stream.next().unwrap().unwrap(), 2);
    let error = stream.next().unwrap().unwrap_err();
    assert!(error.is_application(), "{error}");
    assert!(error.to_string().contains("-3 is negative"), "{error}");
    assert!(stream.next().is_none());

    let mut stream = panics_at::remote(1).spawn();
    assert_eq!(stream.next().unwrap().unwrap(), 0);
    let error = stream.next().unwrap().unwrap_err();
    assert!(error.is_panic(), "{error}");
    assert!(error.to_string().contains("this is 1"), "{error}");
    assert!(stream.next().is_none());

    let items: Vec<_> = opens::remote("ab").spawn().map(Result::unwrap).collect();
    assert_eq!(items, ["a", "b"]);
    let mut stream = opens::remote("").spawn();
    let error = stream.next().unwrap().unwrap_err();
    assert!(error.to_string().contains("no name"), "{error}");
    assert!(stream.next().is_none());
}

fn a_call_that_cannot_run_gives_its_error(rt: &Rt) {
    let failed = not_a_number::remote("x").spawn();
    let mut stream = rt.spawn_stream(numbers::remote(&failed));
    let error = stream.next().unwrap().unwrap_err();
    assert!(error.is_dependency(), "{error}");
    assert!(error.to_string().contains("numbers"), "{error}");
    assert!(stream.next().is_none());
    let mut stream = rt.spawn_stream(numbers::remote(&failed));
    let error = stream.next_ref().get().unwrap_err();
    assert!(error.is_dependency(), "{error}");
}

fn items_can_be_passed_on(rt: &Rt) {
    // Inline, and in the store.
    for len in [10, 10_000] {
        let refs = rt.spawn_stream(blocks::remote(10, len)).refs();
        let sums = refs.map(|block| total::remote(block.unwrap()).spawn());
        let sums: Vec<f64> = sums.map(|sum| sum.get().unwrap()).collect();
        let expected: Vec<_> = (0..10).map(|i| f64::from(i) * len as f64).collect();
        assert_eq!(sums, expected);
    }
    let mut stream = rt.spawn_stream(blocks::remote(2, 10_000));
    let (first, second, third) = (stream.next_ref(), stream.next_ref(), stream.next_ref());
    assert_eq!(second.view().unwrap()[9_999], 1.0);
    assert_eq!(first.get().unwrap(), [0.0; 10_000]);
    let error = third.get().unwrap_err();
    assert!(error.is_closed(), "{error}");
    assert!(
        error.to_string().contains("the stream has ended"),
        "{error}"
    );
    assert!(stream.next().is_none());
    // It can stand inside of values, too.
    let nested = rt.put(&vec![first, second]).unwrap().get().unwrap();
    assert_eq!(nested[1].view().unwrap()[0], 1.0);
}

fn refs_of_items_stand_beside_others(rt: &Rt) {
    let mut stream = rt.spawn_stream(numbers::remote(2));
    let refs = [
        rt.put(&7_u64).unwrap(),
        stream.next_ref(),
        stream.next_ref(),
    ];
    let (ready, pending) = rt.wait(&refs, 3, Some(LONG)).unwrap();
    assert_eq!((ready.len(), pending.len()), (3, 0));
    let mut values: Vec<_> = rt
        .as_completed(refs)
        .map(|item| item.get().unwrap())
        .collect();
    values.sort_unstable();
    assert_eq!(values, [0, 1, 7]);
}

fn a_stream_has_a_limit_of_time(rt: &Rt) {
    let mut stream = rt.spawn_stream(numbers::remote(2));
    assert_eq!(stream.next_timeout(LONG).unwrap().unwrap(), 0);
    assert_eq!(stream.next_timeout(LONG).unwrap().unwrap(), 1);
    assert!(stream.next_timeout(LONG).is_none());
    assert!(stream.next_timeout(Duration::ZERO).is_none());
}

fn a_buffer_has_bounds(rt: &Rt) {
    for buffer in [0, usize::MAX] {
        let mut stream = rt.spawn_stream(numbers::remote(2).buffer(buffer));
        let error = stream.next().unwrap().unwrap_err();
        assert!(error.is_usage(), "{error}");
        assert!(error.to_string().contains("`buffer`"), "{error}");
        assert!(stream.next().is_none());
    }
}

fn a_stream_that_is_left_ends_its_call(rt: &Rt) {
    for _ in 0..10 {
        let found = rt
            .spawn_stream(numbers::remote(1000))
            .find(|item| matches!(item, Ok(3)));
        assert_eq!(found.unwrap().unwrap(), 3);
    }
    drop(numbers::remote(1000).spawn());
    assert_eq!(square::remote(2.0).spawn().get().unwrap(), 4.0);
}

fn methods_give_streams(rt: &Rt) {
    let counter = rt.spawn_actor(Counter::remote(10));
    let items = counter.next_ones(3).spawn().map(Result::unwrap);
    assert_eq!(items.collect::<Vec<_>>(), [11, 12, 13]);
    assert_eq!(counter.now().spawn().get().unwrap(), 13);
}

/// Checks asynchronous code.
pub(crate) async fn all_async(rt: &Rt) -> mobula::Result<()> {
    let mut stream = rt.spawn_stream(checked::remote(vec![1, 2, -3]));
    let mut items = Vec::new();
    while let Some(item) = stream.next_async().await {
        items.push(item);
    }
    assert_eq!(items.len(), 3);
    assert!(items[2].as_ref().is_err_and(mobula::Error::is_application));
    #[cfg(feature = "stream")]
    polled_streams(rt).await?;
    Ok(())
}

#[cfg(feature = "stream")]
async fn polled_streams(rt: &Rt) -> mobula::Result<()> {
    use futures::{StreamExt, TryStreamExt};
    let items: Vec<u64> = rt.spawn_stream(ticks::remote(10)).try_collect().await?;
    assert_eq!(items, (0..10).collect::<Vec<_>>());
    let mut stream = rt.spawn_stream(tries::remote(2));
    assert_eq!(StreamExt::next(&mut stream).await.unwrap()?, 0);
    assert_eq!(StreamExt::next(&mut stream).await.unwrap()?, 1);
    let error = StreamExt::next(&mut stream).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("this is 2"), "{error}");
    assert!(StreamExt::next(&mut stream).await.is_none());
    let mut stream = rt.spawn_stream(tries::remote(-1));
    assert!(stream.next_async().await.unwrap().is_err());
    Ok(())
}
