//! Pools of actors.

use std::time::Duration;

use mobula::{ActorPool, prelude::*};

use super::Rt;

pub(crate) fn all(rt: &Rt) {
    a_map_keeps_the_order(rt);
    a_map_takes_items_as_it_needs_them(rt);
    unordered_results_are_all_there(rt);
    errors_come_in_place(rt);
    a_dead_actor_is_left_out(rt);
    submissions_come_back_in_order(rt);
    a_map_leaves_submissions_alone(rt);
    actors_come_and_go(rt);
    a_pool_without_actors_says_so(rt);
}

struct Scale {
    factor: i64,
    calls: u64,
}

#[remote]
impl Scale {
    fn new(factor: i64) -> Self {
        Scale { factor, calls: 0 }
    }

    fn apply(&mut self, x: i64) -> Result<i64, String> {
        self.calls += 1;
        match x {
            13 => Err("thirteen".to_owned()),
            x => Ok(self.factor * x),
        }
    }

    fn calls(&self) -> u64 {
        self.calls
    }
}

fn scales(rt: &Rt, n: usize) -> Vec<ActorRef<Scale>> {
    (0..n).map(|_| rt.spawn_actor(Scale::remote(2))).collect()
}

fn a_map_keeps_the_order(rt: &Rt) {
    let actors = scales(rt, 3);
    let mut pool = ActorPool::new(actors.clone());
    let doubled: Vec<i64> = pool
        .map(|actor, x| actor.apply(x), 100..200)
        .collect::<mobula::Result<_>>()
        .unwrap();
    assert_eq!(doubled, (100..200).map(|x| 2 * x).collect::<Vec<_>>());
    let calls = actors
        .iter()
        .map(|actor| actor.calls().spawn().get().unwrap());
    assert_eq!(calls.sum::<u64>(), 100);
    let none = pool.map(|actor, x: i64| actor.apply(x), Vec::new());
    assert_eq!(none.count(), 0);
}

fn a_map_takes_items_as_it_needs_them(rt: &Rt) {
    let mut pool = ActorPool::new(scales(rt, 2));
    let mut endless = pool.map(|actor, x| actor.apply(x), 14..);
    for x in 14..1000 {
        assert_eq!(endless.next().unwrap().unwrap(), 2 * x);
    }
    drop(endless);
    assert!(!pool.has_next());
    assert_eq!(pool.len(), 2);
    let again: Vec<_> = pool
        .map(|actor, x| actor.apply(x), [1, 2])
        .map(Result::unwrap)
        .collect();
    assert_eq!(again, [2, 4]);
}

fn unordered_results_are_all_there(rt: &Rt) {
    let mut pool = ActorPool::new(scales(rt, 4));
    let mut results: Vec<_> = pool
        .map_unordered(|actor, x| actor.apply(x), 20..60)
        .map(Result::unwrap)
        .collect();
    results.sort_unstable();
    assert_eq!(results, (20..60).map(|x| 2 * x).collect::<Vec<_>>());
}

fn errors_come_in_place(rt: &Rt) {
    let mut pool = ActorPool::new(scales(rt, 2));
    let results: Vec<_> = pool.map(|actor, x| actor.apply(x), 10..17).collect();
    assert_eq!(results.len(), 7);
    for (x, result) in (10..17).zip(results) {
        match x {
            13 => {
                let error = result.unwrap_err();
                assert_eq!(error.application::<String>().as_deref(), Some("thirteen"));
            }
            x => assert_eq!(result.unwrap(), 2 * x),
        }
    }
    assert_eq!(pool.len(), 2);
}

fn a_dead_actor_is_left_out(rt: &Rt) {
    let actors = scales(rt, 3);
    let mut pool = ActorPool::new(actors.clone());
    ActorRef::kill(&actors[1]);
    let results: Vec<_> = pool.map(|actor, x| actor.apply(x), 20..40).collect();
    assert_eq!(results.len(), 20);
    let errors: Vec<_> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .collect();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].is_actor_dead(), "{:?}", errors[0]);
    assert_eq!(pool.len(), 2);
    assert!(!pool.into_actors().contains(&actors[1]));
}

fn submissions_come_back_in_order(rt: &Rt) {
    let mut pool = ActorPool::new(scales(rt, 2));
    assert!(pool.get_next().is_none() && !pool.has_next());
    for x in [1, 13, 3, 4] {
        pool.submit(|actor, x| actor.apply(x), x);
    }
    assert!(pool.has_next());
    assert_eq!(pool.get_next().unwrap().unwrap(), 2);
    assert!(pool.get_next().unwrap().unwrap_err().is_application());
    assert_eq!(pool.get_next_timeout(Duration::MAX).unwrap().unwrap(), 6);
    assert_eq!(pool.get_next_unordered().unwrap().unwrap(), 8);
    assert!(pool.get_next_unordered().is_none() && !pool.has_next());
    assert!(pool.get_next_timeout(Duration::ZERO).is_none());
    assert!(pool.get_next_unordered_timeout(Duration::ZERO).is_none());
}

fn a_map_leaves_submissions_alone(rt: &Rt) {
    let mut pool = ActorPool::new(scales(rt, 1));
    pool.submit(|actor, x| actor.apply(x), 50);
    pool.submit(|actor, x| actor.apply(x), 60);
    let mapped: Vec<_> = pool
        .map(|actor, x| actor.apply(x), [1, 2])
        .map(Result::unwrap)
        .collect();
    assert_eq!(mapped, [2, 4]);
    assert_eq!(pool.get_next().unwrap().unwrap(), 100);
    assert_eq!(pool.get_next().unwrap().unwrap(), 120);
}

fn actors_come_and_go(rt: &Rt) {
    let mut pool: ActorPool<Scale, i64> = ActorPool::new(scales(rt, 1));
    assert!(pool.has_idle());
    let taken = pool.pop_idle().unwrap();
    assert!(pool.is_empty() && pool.pop_idle().is_none() && !pool.has_idle());
    pool.push(taken);
    pool.push(scales(rt, 1).remove(0));
    assert_eq!(pool.len(), 2);
    assert!(format!("{pool:?}").contains("actors: 2"));
    assert_eq!(pool.into_actors().len(), 2);
}

fn a_pool_without_actors_says_so(rt: &Rt) {
    let mut pool = ActorPool::new(Vec::<ActorRef<Scale>>::new());
    let results: Vec<_> = pool.map(|actor, x| actor.apply(x), 0..3).collect();
    assert_eq!(results.len(), 3);
    for result in results {
        assert!(result.unwrap_err().is_usage());
    }
    // A submitted call waits for an actor, until a caller wants its result.
    pool.submit(|actor, x| actor.apply(x), 7);
    pool.push(scales(rt, 1).remove(0));
    assert_eq!(pool.get_next().unwrap().unwrap(), 14);
    let _taken = pool.pop_idle().unwrap();
    pool.submit(|actor, x| actor.apply(x), 8);
    let error = pool.get_next().unwrap().unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("Scale"),
        "{error}"
    );
}
