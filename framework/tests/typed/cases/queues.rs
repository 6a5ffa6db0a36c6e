//! Queues between tasks.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use mobula::{Array, Queue, Value, prelude::*};
use serde::{Deserialize, Serialize};

use super::Rt;

pub(crate) fn all(rt: &Rt) {
    what_goes_in_first_comes_out_first(rt);
    a_full_queue_takes_nothing(rt);
    an_empty_queue_gives_nothing(rt);
    many_go_in_and_out_together_or_not_at_all(rt);
    more_than_the_capacity_is_an_error(rt);
    values_of_all_kinds_go_through(rt);
    a_queue_travels(rt);
    a_queue_of_another_type_does_not_arrive(rt);
}

pub(crate) async fn all_async(rt: &Rt) -> mobula::Result<()> {
    let queue = rt.queue(2)?;
    queue.put_async(&1_u32).await?;
    queue.put_timeout_async(&2, Duration::MAX).await?;
    let late = queue.put_timeout_async(&3, Duration::from_millis(1)).await;
    assert!(late.unwrap_err().is_timeout());
    assert_eq!(queue.get_async().await?, 1);
    assert_eq!(queue.get_timeout_async(Duration::ZERO).await?, 2);
    let late = queue.get_timeout_async(Duration::from_millis(1)).await;
    assert!(late.unwrap_err().is_timeout());
    Ok(())
}

fn what_goes_in_first_comes_out_first(rt: &Rt) {
    let queue = rt.queue(10).unwrap();
    assert!(queue.is_empty().unwrap());
    for n in 0..10 {
        queue.put(&n).unwrap();
    }
    assert!(queue.is_full().unwrap() && queue.len().unwrap() == 10);
    for n in 0..10 {
        assert_eq!(queue.get().unwrap(), n);
    }
    assert!(queue.is_empty().unwrap());
    let text = format!("{queue:?}");
    assert!(text.contains("Queue<i32>(10)"), "{text}");
}

fn a_full_queue_takes_nothing(rt: &Rt) {
    let queue = Queue::bounded(1).unwrap();
    assert_eq!(queue.capacity(), 1);
    assert!(queue.try_put(&"first".to_owned()).unwrap());
    assert!(!queue.try_put(&"second".to_owned()).unwrap());
    for limit in [Duration::ZERO, Duration::from_millis(2)] {
        let error = queue.put_timeout(&"third".to_owned(), limit).unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert!(error.to_string().contains(&format!("{limit:?}")), "{error}");
    }
    assert_eq!(queue.len().unwrap(), 1);
    assert_eq!(queue.get_timeout(Duration::MAX).unwrap(), "first");
    queue
        .put_timeout(&"fourth".to_owned(), Duration::ZERO)
        .unwrap();
    assert_eq!(queue.get().unwrap(), "fourth");
    drop(queue);
    let _ = rt;
}

fn an_empty_queue_gives_nothing(rt: &Rt) {
    let queue: Queue<u8> = rt.queue(3).unwrap();
    assert_eq!(queue.try_get().unwrap(), None);
    for limit in [Duration::ZERO, Duration::from_millis(2)] {
        assert!(queue.get_timeout(limit).unwrap_err().is_timeout());
    }
    queue.put(&7).unwrap();
    assert_eq!(queue.try_get().unwrap(), Some(7));
}

fn many_go_in_and_out_together_or_not_at_all(rt: &Rt) {
    let queue = rt.queue(4).unwrap();
    queue.put_all(&[1, 2, 3]).unwrap();
    assert!(!queue.try_put_all(&[4, 5]).unwrap());
    let late = queue.put_all_timeout(&[4, 5], Duration::from_millis(2));
    assert!(late.unwrap_err().is_timeout());
    assert_eq!(queue.len().unwrap(), 3);
    assert!(queue.try_put_all(&[4]).unwrap() && queue.try_put_all(&[]).unwrap());
    assert_eq!(queue.get_many(2).unwrap(), [1, 2]);
    assert_eq!(queue.try_get_many(3).unwrap(), None);
    let late = queue.get_many_timeout(3, Duration::from_millis(2));
    assert!(late.unwrap_err().is_timeout());
    assert_eq!(queue.len().unwrap(), 2);
    assert_eq!(queue.try_get_many(2).unwrap(), Some(vec![3, 4]));
    assert_eq!(queue.get_many(0).unwrap(), []);
    // The request that came too late holds up no other caller.
    queue
        .put_all_timeout(&[5, 6, 7, 8], Duration::ZERO)
        .unwrap();
    assert_eq!(
        queue.get_many_timeout(4, Duration::ZERO).unwrap(),
        [5, 6, 7, 8]
    );
}

fn more_than_the_capacity_is_an_error(rt: &Rt) {
    assert!(rt.queue::<u8>(0).unwrap_err().is_usage());
    assert!(rt.queue::<u8>(usize::MAX).unwrap_err().is_usage());
    let queue = rt.queue(2).unwrap();
    for error in [
        queue.put_all(&[1, 2, 3]).unwrap_err(),
        queue.try_put_all(&[1, 2, 3]).unwrap_err(),
        queue.get_many(3).unwrap_err(),
        queue.try_get_many(3).unwrap_err(),
    ] {
        assert!(
            error.is_usage() && error.to_string().contains('3'),
            "{error}"
        );
    }
    assert!(queue.is_empty().unwrap());
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Message {
    parts: BTreeMap<u32, Array<f64>>,
    next: Option<ObjectRef<u64>>,
    text: String,
}

fn values_of_all_kinds_go_through(rt: &Rt) {
    fn through<T: Value + PartialEq + Debug>(rt: &Rt, value: T) {
        let queue = rt.queue(1).unwrap();
        queue.put(&value).unwrap();
        assert_eq!(queue.get().unwrap(), value);
    }
    through(rt, ());
    through(rt, -7_i128);
    through(rt, String::from("text"));
    through(rt, vec![1.5; 3]);
    through(rt, vec![1.5; 100_000]);
    through(rt, "long text ".repeat(10_000));
    through(rt, Array::from(vec![1_u16; 50_000]));
    through(rt, Some(vec![String::from("a")]));
    let next = rt.put(&5_u64).unwrap();
    through(
        rt,
        Message {
            parts: [
                (1, Array::from(vec![1.0; 3])),
                (2, Array::from(vec![2.0; 30_000])),
            ]
            .into(),
            next: Some(next.clone()),
            text: "x".repeat(40_000),
        },
    );
    // The queue keeps the refs in its values.
    let queue = rt.queue(1).unwrap();
    let message = Message {
        parts: BTreeMap::new(),
        next: Some(next),
        text: String::new(),
    };
    queue.put(&message).unwrap();
    drop(message);
    let back: Message = queue.get().unwrap();
    assert_eq!(back.next.unwrap().get().unwrap(), 5);
}

#[remote]
fn produce(queue: Queue<String>, n: u32) -> mobula::Result<()> {
    (0..n).try_for_each(|i| queue.put(&format!("item {i}")))
}

fn a_queue_travels(rt: &Rt) {
    let queue = rt.queue(5).unwrap();
    rt.spawn(produce::remote(&queue, 5)).get().unwrap();
    let items: Vec<String> = (0..5).map(|_| queue.get().unwrap()).collect();
    assert_eq!(items[4], "item 4");
    let copy = rt.put(&queue).unwrap().get().unwrap();
    assert_eq!(copy, queue.clone());
    assert_ne!(copy, rt.queue(5).unwrap());
    assert_eq!(copy.capacity(), 5);
}

/// Writes a queue of one type and reads one of another.
#[derive(Debug)]
enum Lies {
    Numbers(Queue<u64>),
    Texts,
}

impl Serialize for Lies {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Lies::Numbers(queue) => queue.serialize(serializer),
            Lies::Texts => serializer.serialize_none(),
        }
    }
}

impl<'de> Deserialize<'de> for Lies {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Lies, D::Error> {
        <Queue<String>>::deserialize(deserializer).map(|_| Lies::Texts)
    }
}

fn a_queue_of_another_type_does_not_arrive(rt: &Rt) {
    let queue = rt.queue::<u64>(1).unwrap();
    let stored = rt.put(&Lies::Numbers(queue)).unwrap();
    let error = stored.get().unwrap_err();
    assert!(
        error.is_codec() && error.to_string().contains("String"),
        "{error}"
    );
}
