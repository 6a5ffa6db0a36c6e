//! Maps and completions.

use std::{
    collections::{BTreeMap, HashSet},
    process,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use mobula::{Array, SharedBarrier, prelude::*};

use crate::support::{Marks, mark, nothing_is_left, runtime};

#[remote]
fn square(x: u64) -> u64 {
    x * x
}

#[remote]
fn pid_after(milliseconds: u64) -> u32 {
    std::thread::sleep(Duration::from_millis(milliseconds));
    process::id()
}

#[remote]
fn odd_fails(x: u32) -> Result<u32, std::num::TryFromIntError> {
    if x % 2 == 1 {
        u8::try_from(x + 255)?;
    }
    Ok(x)
}

#[remote]
fn panics_at(x: u32, at: u32) -> u32 {
    assert_ne!(x, at, "this one");
    x
}

#[remote]
fn dies_at(x: u32, at: u32) -> u32 {
    if x == at {
        process::abort();
    }
    x
}

#[remote]
fn scaled(numbers: &[f64], by: f64) -> Array<f64> {
    numbers.iter().map(|x| x * by).collect()
}

#[remote]
fn sums(rows: Vec<f64>, more: &[f64]) -> (f64, String) {
    let sum = rows.iter().chain(more).sum::<f64>();
    (sum, format!("{sum}"))
}

#[remote]
fn put_on(n: u64) -> ObjectRef<Vec<u64>> {
    let rt = Runtime::current().unwrap();
    rt.put(&vec![n; 3]).unwrap()
}

#[remote]
fn first(numbers: &[u64]) -> u64 {
    numbers[0]
}

/// How many of these calls run in this process.
#[remote]
async fn sleeps(milliseconds: u64) -> usize {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    running
}

#[remote]
fn nested(n: u64) -> u64 {
    let rt = Runtime::current().unwrap();
    rt.map_fn(square::remote, 0..n).get().unwrap().iter().sum()
}

#[mobula::test]
fn map_keeps_order_at_any_length_and_chunk_size() {
    let rt = runtime(2);
    for len in [0, 1, 2, 7, 1_000, 30_000] {
        let expected: Vec<u64> = (0..len).map(|x| x * x).collect();
        assert_eq!(rt.map_fn(square::remote, 0..len).get().unwrap(), expected);
        for size in [0, 1, 13, 100_000] {
            if len / (size as u64).max(1) < 5_000 {
                let map = rt.map_fn(square::remote, 0..len).chunk_size(size);
                assert_eq!(map.get().unwrap(), expected);
            }
        }
        let each: Result<Vec<u64>, _> = rt.map_fn(square::remote, 0..len).iter().collect();
        assert_eq!(each.unwrap(), expected);
        let any: BTreeMap<usize, u64> = rt
            .map_fn(square::remote, 0..len)
            .unordered()
            .map(|(place, result)| (place, result.unwrap()))
            .collect();
        assert!(any.into_iter().eq(expected.iter().copied().enumerate()));
    }
    nothing_is_left(&rt);
}

#[mobula::test]
async fn a_map_can_be_awaited() {
    let rt = runtime(2);
    let squares = rt.map_fn(square::remote, 0..5_000).await.unwrap();
    assert!(squares.into_iter().eq((0..5_000).map(|x| x * x)));
    let failed = rt.map((0..100).map(|x| panics_at::remote(x, 50))).await;
    assert!(failed.unwrap_err().is_panic());
}

#[mobula::test]
fn map_spreads_work() {
    let rt = runtime(4);
    // One is ready when the runtime has started, the others a little later.
    let mut ready = HashSet::new();
    while ready.len() < 4 {
        ready.extend(rt.map_fn(pid_after::remote, [1; 8]).get().unwrap());
    }
    let pids = rt.map_fn(pid_after::remote, [5; 100]).get().unwrap();
    let workers: HashSet<u32> = pids.iter().copied().collect();
    assert_eq!(workers.len(), 4);
    for worker in workers {
        let share = pids.iter().filter(|pid| **pid == worker).count();
        assert!(share >= 10, "{share} of 100");
    }
}

#[mobula::test]
fn a_failure_names_its_call_and_the_others_go_on() {
    let rt = runtime(2);
    let error = rt.map_fn(odd_fails::remote, [0, 2, 4, 5, 6]).get();
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("call 3 of a map") && text.contains("odd_fails"),
        "{text}"
    );

    let results: Vec<_> = rt.map_fn(odd_fails::remote, 0..500).iter().collect();
    for (n, result) in results.into_iter().enumerate() {
        match result {
            Ok(x) => assert!(n % 2 == 0 && x == n as u32),
            Err(error) => assert!(n % 2 == 1 && error.is_application(), "{error}"),
        }
    }
    let calls = (0..500).map(|x| panics_at::remote(x, 77));
    for (place, result) in rt.map(calls).unordered() {
        match result {
            Ok(x) => assert_eq!(x as usize, place),
            Err(error) => {
                assert!(place == 77 && error.is_panic());
                assert!(error.to_string().contains("this one"), "{error}");
            }
        }
    }
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_dead_worker_costs_what_was_sent_with_the_call_and_nothing_else() {
    let rt = runtime(2);
    let calls = || (0..200).map(|x| dies_at::remote(x, 90));
    let lost: Vec<usize> = rt
        .map(calls())
        .chunk_size(10)
        .unordered()
        .filter_map(|(place, result)| match result {
            Ok(x) => {
                assert_eq!(x as usize, place);
                None
            }
            Err(error) => {
                assert!(error.is_crash(), "{error}");
                assert!(error.to_string().contains("10 calls"), "{error}");
                Some(place)
            }
        })
        .collect();
    assert_eq!(lost.len(), 10);
    assert!(lost.contains(&90));
    let alone = rt.map(calls()).chunk_size(1).unordered();
    let failed: Vec<usize> = alone
        .filter(|(_, r)| r.is_err())
        .map(|(at, _)| at)
        .collect();
    assert_eq!(failed, [90]);
    nothing_is_left(&rt);
}

#[remote]
fn half_of_a_part(part: &mut [u64], how: &str) -> Result<(), String> {
    let half = part.len() / 2;
    part[..half].fill(7);
    match how {
        "error" => return Err("in the middle".to_owned()),
        "panic" => panic!("in the middle"),
        "abort" => process::abort(),
        _ => part.fill(7),
    }
    Ok(())
}

#[mobula::test]
fn a_map_says_which_parts_its_failed_calls_left_incomplete() {
    let rt = runtime(2);
    let array = rt.shared_array::<u64>(4_000, 0).unwrap();
    for size in [1, 4] {
        let hows = ["whole", "error", "panic", "abort"];
        let parts = array.chunks_mut(1_000).unwrap().into_iter().zip(hows);
        let calls = parts.map(|(part, how)| half_of_a_part::remote(part, how));
        let results: Vec<_> = rt.map(calls).chunk_size(size).iter().collect();
        let failed: Vec<bool> = results.iter().map(Result::is_err).collect();
        assert_eq!(failed, [false, true, true, true]);
        let mut incomplete = array.settle().unwrap();
        incomplete.sort_by_key(|incomplete| incomplete.part.bounds());
        let starts: Vec<_> = incomplete
            .iter()
            .map(|incomplete| incomplete.part.bounds())
            .collect();
        let of = |start| Some((start, start + 1_000));
        assert_eq!(starts, [of(1_000), of(2_000), of(3_000)]);
        assert!(incomplete[0].error.is_application() && incomplete[1].error.is_panic());
        assert!(incomplete[2].error.is_crash());
    }
    drop(array);
    nothing_is_left(&rt);
}

/// Dies at the first call for its file.
#[remote]
fn adds_one(part: &mut [u64], dies: Option<String>) {
    part[0] += 1;
    if dies.is_some_and(|path| mark(&path) == 1) {
        process::abort();
    }
}

#[mobula::test]
fn a_call_that_has_ended_does_not_run_again_on_its_part() {
    let rt = runtime(1);
    let (array, marks) = (rt.shared_array::<u64>(4, 0).unwrap(), Marks::new());
    let parts = array.chunks_mut(1).unwrap().into_iter().enumerate();
    let dies = |n| (n == 3).then(|| marks.path().to_owned());
    let calls = parts.map(|(n, part)| adds_one::remote(part, dies(n)).retries(1));
    rt.map(calls).chunk_size(4).get().unwrap();
    assert!(array.settle().unwrap().is_empty());
    assert_eq!(array.with(|all| all.to_vec()).unwrap(), [1, 1, 1, 2]);
    drop(array);
    nothing_is_left(&rt);
}

/// Marks each run, and dies in some.
#[remote]
fn dies_in_its_first_runs(x: u64, runs: u64, path: &str) -> u64 {
    if mark(path) <= runs {
        process::abort();
    }
    x
}

#[mobula::test]
fn with_retries_a_call_that_ends_its_worker_each_time_fails_alone() {
    let rt = runtime(2);
    let marks: Vec<Marks> = (0..30).map(|_| Marks::new()).collect();
    let deaths = |n| match n {
        7 => u64::MAX, // fails
        13 => 1,       // succeeds at its second run
        _ => 0,
    };
    let call = |n: usize| dies_in_its_first_runs::remote(n as u64, deaths(n), marks[n].path());
    for (place, result) in rt
        .map((0..30).map(|n| call(n).retries(2)))
        .chunk_size(10)
        .iter()
        .enumerate()
    {
        match result {
            Ok(x) => assert_eq!(x, place as u64),
            Err(error) => assert!(place == 7 && error.is_crash(), "{place}: {error}"),
        }
    }
    // None has run more often than its retries allow.
    let runs: Vec<u64> = marks.iter().map(Marks::count).collect();
    assert!(runs.iter().all(|runs| (1..=3).contains(runs)), "{runs:?}");
    assert!(runs[7] == 3 && runs[13] >= 2, "{runs:?}");
    nothing_is_left(&rt);
}

#[mobula::test]
async fn a_map_that_is_awaited_runs_lost_calls_again() {
    let rt = runtime(1);
    let marks: Vec<Marks> = (0..10).map(|_| Marks::new()).collect();
    let deaths = |n| u64::from(n == 9);
    let call = |n: usize| dies_in_its_first_runs::remote(n as u64, deaths(n), marks[n].path());
    // The last of all: nothing else is on its way when it is to run again.
    let map = rt.map((0..10).map(|n| call(n).retries(1))).chunk_size(10);
    assert!(map.await.unwrap().into_iter().eq(0..10));
}

#[remote]
fn meets(place: &(String, SharedBarrier)) -> mobula::Result<()> {
    place.1.wait_timeout(Duration::from_secs(60))?;
    Ok(())
}

#[mobula::test]
fn calls_that_wait_for_each_other_are_not_sent_together() {
    let rt = runtime(1);
    let barrier = rt.shared_barrier(2).unwrap();
    let place = rt.put(&("here".to_owned(), barrier)).unwrap();
    let calls = (0..2).map(|_| meets::remote(&place));
    rt.map(calls).chunk_size(2).get().unwrap();
    drop(place);
    nothing_is_left(&rt);
}

#[mobula::test]
fn objects_are_shared_and_arrays_come_back_in_place() {
    let rt = runtime(2);
    let numbers = rt.put(&vec![1.0; 10_000][..]).unwrap();
    let calls = (0..60).map(|by| scaled::remote(&numbers, f64::from(by)));
    for (by, array) in rt.map(calls).iter().enumerate() {
        let array = array.unwrap();
        assert!(array.len() == 10_000 && array[77] == by as f64);
    }
    let few = rt.put(&[1.5][..]).unwrap();
    let results = rt
        .map((0..300).map(|n| sums::remote(vec![f64::from(n); 3], &few)))
        .get()
        .unwrap();
    assert_eq!(results[7], (22.5, "22.5".to_owned()));
    drop((numbers, few));
    nothing_is_left(&rt);
}

#[mobula::test]
fn large_and_pending_inputs_and_refs_go_by_themselves() {
    let rt = runtime(2);
    let inputs = rt.spawn_all((0..50).map(put_on::remote));
    let refs = rt.get(&inputs).unwrap();
    assert_eq!(
        rt.map(refs.iter().map(first::remote)).get().unwrap()[49],
        49
    );
    // The results of calls that have not run yet.
    let vectors: Vec<ObjectRef<Vec<u64>>> = (0..40_u64)
        .map(|n| rt.spawn(make::remote(n, 50_000)))
        .collect();
    let firsts = rt.map(vectors.iter().map(first::remote)).get().unwrap();
    assert!(firsts.into_iter().eq(0..40));
    let large = (0..20_u64).map(|n| first::remote(vec![n; 20_000]));
    assert!(rt.map(large).get().unwrap().into_iter().eq(0..20));
    let made = rt.map_fn(put_on::remote, 0..100).get().unwrap();
    assert_eq!(made[42].get().unwrap(), [42; 3]);
    drop((inputs, refs, vectors, made));
    nothing_is_left(&rt);
}

#[remote]
fn make(n: u64, len: usize) -> Vec<u64> {
    vec![n; len]
}

#[mobula::test]
fn asynchronous_calls_run_side_by_side() {
    let rt = runtime(1);
    let running = rt.map_fn(sleeps::remote, [200; 40]).get().unwrap();
    assert!(running.iter().max() > Some(&4), "{running:?}");
}

#[mobula::test]
fn maps_nest() {
    let rt = runtime(2);
    let sums = rt.map_fn(nested::remote, [10, 100, 1_000]).get().unwrap();
    assert_eq!(sums, [285, 328_350, 332_833_500]);
    nothing_is_left(&rt);
}

#[mobula::test]
fn an_endless_iterator_is_taken_as_far_as_results_are() {
    let rt = runtime(2);
    let taken = AtomicUsize::new(0);
    let calls = (0_u64..).map(|n| {
        taken.fetch_add(1, Ordering::Relaxed);
        square::remote(n)
    });
    let mut map = rt.map(calls).chunk_size(10).iter();
    for n in 0..500_u64 {
        assert_eq!(map.next().unwrap().unwrap(), n * n);
    }
    drop(map);
    let taken = taken.into_inner();
    assert!((500..5_000).contains(&taken), "{taken}");
    nothing_is_left(&rt);
}

#[mobula::test]
fn early_finishers_come_first() {
    let rt = runtime(2);
    let calls = [300, 1, 2, 3].map(|ms| pid_after::remote(ms).spawn());
    let ids: Vec<ObjectRef<u32>> = calls.to_vec();
    let order: Vec<usize> = rt
        .as_completed(calls)
        .map(|done| ids.iter().position(|id| *id == done).unwrap())
        .collect();
    assert_eq!(order.last(), Some(&0), "{order:?}");
    assert_eq!(order.len(), 4);
    drop(ids);
    let place = rt
        .map_fn(pid_after::remote, [300, 1, 2, 3])
        .unordered()
        .next();
    assert_ne!(place.unwrap().0, 0);
}

#[mobula::test]
fn refs_can_be_added_while_others_complete() {
    let rt = runtime(2);
    let mut running = rt.as_completed((0..100).map(|n| square::remote(n).spawn()));
    running.push(rt.put(&7_u64).unwrap());
    let (mut sum, mut added) = (0, 0);
    while let Some(done) = running.next() {
        sum += done.get().unwrap();
        if added < 50 {
            added += 1;
            running.push(square::remote(1).spawn());
        }
    }
    assert_eq!(sum, (0..100).map(|n| n * n).sum::<u64>() + 7 + 50);
    let mut failing = rt.as_completed([panics_at::remote(1, 1).spawn()]);
    assert!(failing.next().unwrap().get().unwrap_err().is_panic());
    assert!(failing.next().is_none() && failing.is_empty());
    nothing_is_left(&rt);
}

#[mobula::test]
fn refs_of_two_runtimes_complete_side_by_side() {
    let (one, two) = (runtime(1), runtime(1));
    let mut running = one.as_completed([one.spawn(pid_after::remote(1))]);
    for n in 0..20 {
        running.push(one.spawn(pid_after::remote(n % 3)));
        running.push(two.spawn(pid_after::remote(n % 5)));
    }
    let pids: HashSet<u32> = running.by_ref().map(|done| done.get().unwrap()).collect();
    assert_eq!((pids.len(), running.len()), (2, 0));
    // The end of the first runtime completes its unfinished refs.
    running.push(one.spawn(pid_after::remote(60_000)));
    running.push(two.spawn(pid_after::remote(1)));
    one.shutdown();
    let ended: Vec<bool> = running.map(|done| done.get().is_ok()).collect();
    assert_eq!(ended.iter().filter(|ok| **ok).count(), 1);
}

#[mobula::test]
fn in_a_task_completions_can_be_asked_for() {
    let rt = runtime(2);
    assert_eq!(rt.spawn(asks::remote(30)).get().unwrap(), 30);
    nothing_is_left(&rt);
}

#[remote]
fn asks(n: u64) -> u64 {
    let rt = Runtime::current().unwrap();
    let mut running = rt.as_completed((0..n).map(|n| square::remote(n).spawn()));
    let mut count = 0;
    while !running.is_empty() {
        match running.try_next() {
            Some(done) => count += u64::from(done.get().is_ok()),
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    count
}

#[mobula::test]
fn a_panic_of_the_iterator_is_the_callers_and_ends_the_map() {
    let rt = runtime(2);
    let calls = (0..100_u64).map(|n| {
        assert!(n < 50, "no more");
        square::remote(n)
    });
    let mut map = rt.map(calls).chunk_size(7).iter();
    let mut got = Vec::new();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for result in map.by_ref() {
            got.push(result.unwrap());
        }
    }));
    assert!(caught.is_err());
    got.extend(map.map(Result::unwrap));
    assert!(got.len() <= 50 && got.iter().copied().eq((0..got.len() as u64).map(|n| n * n)));
    nothing_is_left(&rt);
}
