//! Pools of actors, and queues.

use std::time::{Duration, Instant};

use mobula::{ActorPool, Queue, prelude::*};

use super::{Busy, LONG, Log};
use crate::support::{nothing_is_left, runtime};

#[mobula::test]
fn a_pool_spreads_work_and_keeps_order() {
    let rt = runtime(1);
    let logs: Vec<_> = (0..4).map(|_| rt.spawn_actor(Log::remote())).collect();
    logs.iter().for_each(|log| ActorRef::ready(log).unwrap());
    let mut pool = ActorPool::new(logs);
    let sizes: Vec<usize> = pool
        .map(|log, n| log.add_slowly(n), 0..100)
        .collect::<mobula::Result<_>>()
        .unwrap();
    assert_eq!(sizes.len(), 100);
    let mut seen = Vec::new();
    for log in pool.into_actors() {
        let entries = log.entries().spawn().get().unwrap();
        assert!(entries.len() >= 10, "an actor had only {}", entries.len());
        assert!(entries.is_sorted());
        seen.extend(entries);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
}

#[mobula::test]
fn a_pool_gives_early_results_first_and_goes_on_without_the_dead() {
    let rt = runtime(1);
    let busy: Vec<_> = (0..2).map(|_| rt.spawn_actor(Busy::remote())).collect();
    let mut pool = ActorPool::new(busy.clone());
    let began = Instant::now();
    let mut results = pool.map_unordered(|busy, ms| busy.work(ms), [5_000, 1, 1, 1]);
    for _ in 0..3 {
        results.next().unwrap().unwrap();
    }
    assert!(began.elapsed() < Duration::from_millis(4_000));
    ActorRef::kill(&busy[0]);
    ActorRef::kill(&busy[1]);
    let last = results.next().unwrap();
    assert!(last.unwrap_err().is_actor_dead());
    assert!(results.next().is_none());
    drop(results);
    pool.push(rt.spawn_actor(Busy::remote()));
    let after: Vec<_> = pool.map(|busy, ms| busy.work(ms), [1, 1, 1]).collect();
    assert_eq!(after.len(), 3);
    let dead = after.iter().filter(|result| result.is_err()).count();
    assert_eq!(dead, 1, "one of the dead was not known to be dead");
}

#[remote]
fn produce(queue: Queue<u64>, items: Vec<u64>) -> mobula::Result<()> {
    items.iter().try_for_each(|item| queue.put(item))
}

#[remote]
async fn consume(queue: Queue<u64>, n: usize) -> mobula::Result<Vec<u64>> {
    let mut items = Vec::new();
    for _ in 0..n {
        items.push(queue.get_async().await?);
    }
    Ok(items)
}

#[mobula::test]
fn a_queue_joins_tasks_that_wait_for_each_other() {
    let rt = runtime(3);
    let queue = rt.queue(2).unwrap();
    let consumers: Vec<_> = (0..2)
        .map(|_| consume::remote(&queue, 50).spawn())
        .collect();
    let producer = produce::remote(&queue, (0..100).collect::<Vec<u64>>()).spawn();
    producer.get_timeout(LONG).unwrap();
    let mut seen = Vec::new();
    for consumer in consumers {
        let items = consumer.get_timeout(LONG).unwrap();
        assert!(items.is_sorted());
        seen.extend(items);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
}

#[mobula::test]
fn a_full_queue_blocks_and_a_limit_ends_that() {
    let rt = runtime(1);
    let queue = rt.queue(1).unwrap();
    queue.put(&1_u64).unwrap();
    let began = Instant::now();
    let late = queue.put_timeout(&2, Duration::from_millis(50));
    assert!(late.unwrap_err().is_timeout());
    assert!(began.elapsed() >= Duration::from_millis(50));
    std::thread::scope(|scope| {
        let putting = scope.spawn(|| queue.put(&3));
        std::thread::sleep(Duration::from_millis(30));
        assert!(!putting.is_finished() && !queue.try_put(&4).unwrap());
        assert_eq!(queue.get().unwrap(), 1);
        putting.join().unwrap().unwrap();
    });
    assert_eq!(queue.get().unwrap(), 3);
    std::thread::scope(|scope| {
        let getting = scope.spawn(|| queue.get_many(1));
        std::thread::sleep(Duration::from_millis(30));
        assert!(!getting.is_finished() && queue.try_get().unwrap().is_none());
        queue.put(&5).unwrap();
        assert_eq!(getting.join().unwrap().unwrap(), [5]);
    });
    drop(queue);
    nothing_is_left(&rt);
}
