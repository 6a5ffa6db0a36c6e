//! More workers than cores: short tasks stay with few of them, and others are not held up by that.

use std::{
    fs,
    path::Path,
    process,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::{Duration, Instant},
};

use mobula::{AtomicArray, prelude::*};

use crate::support::{eventually, nothing_is_left, runtime};

/// More than this machine has cores.
fn many() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from) + 4
}

#[remote]
fn square(x: u64) -> u64 {
    x * x
}

/// Ends when as many tasks run as there are workers.
#[remote]
fn meets(place: &str, workers: usize) -> bool {
    let place = Path::new(place);
    fs::write(place.join(process::id().to_string()), "").unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::read_dir(place).map_or(0, Iterator::count) < workers {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

#[mobula::test]
fn tasks_that_need_all_workers_get_them_after_a_flood_of_short_ones() {
    let workers = many();
    let rt = runtime(workers);
    for round in 0..3 {
        let flood = rt.spawn_all((0..5_000).map(square::remote));
        assert_eq!(rt.get(&flood).unwrap()[7], 49);
        drop(flood);
        let place = std::env::temp_dir().join(format!("mobula-meet-{}-{round}", process::id()));
        fs::create_dir(&place).unwrap();
        let meeting =
            rt.spawn_all((0..workers).map(|_| meets::remote(place.to_str().unwrap(), workers)));
        // Meanwhile no thread waits in the runtime.
        eventually("all workers have a task", || {
            fs::read_dir(&place).unwrap().count() == workers
        });
        assert_eq!(rt.get(&meeting).unwrap(), vec![true; workers]);
        fs::remove_dir_all(&place).unwrap();
    }
    nothing_is_left(&rt);
}

/// Ends when all workers of a pool are here, so that each of them is up.
#[remote]
fn gathers(state: &AtomicArray<AtomicU64>, workers: u64) {
    state[0].fetch_add(1, SeqCst);
    while state[0].load(SeqCst) < workers {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Blocks its worker until the state says that its parent's timer has ended; whether it has.
#[remote]
fn outlasts_the_timer(state: &AtomicArray<AtomicU64>) -> (u32, bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while state[1].load(SeqCst) == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    (process::id(), state[1].load(SeqCst) == 1)
}

#[remote]
async fn has_a_timer(state: &AtomicArray<AtomicU64>) -> mobula::Result<(u32, u32, bool)> {
    let child = outlasts_the_timer::remote(state).spawn();
    tokio::time::sleep(Duration::from_millis(1)).await;
    state[1].store(1, SeqCst);
    let (child, told) = child.await?;
    Ok((process::id(), child, told))
}

#[mobula::test]
fn a_timer_ends_beside_a_child_that_blocks_while_another_worker_is_idle() {
    for workers in [2, 4] {
        let rt = runtime(workers as usize);
        let all = rt.atomic_array::<AtomicU64>(1).unwrap();
        rt.get(&rt.spawn_all((0..workers).map(|_| gathers::remote(&all, workers))))
            .unwrap();
        for _ in 0..5 {
            let state = rt.atomic_array::<AtomicU64>(2).unwrap();
            let (parent, child, told) = has_a_timer::remote(&state).spawn().get().unwrap();
            assert!(told, "the parent's timer was held up by the child");
            assert_ne!(parent, child);
        }
    }
}

#[mobula::test]
fn a_stream_of_short_tasks_goes_on_beside_long_ones() {
    let workers = many();
    let rt = runtime(workers);
    let place = std::env::temp_dir().join(format!("mobula-stream-{}", process::id()));
    fs::create_dir(&place).unwrap();
    let long =
        rt.spawn_all((0..workers - 1).map(|_| meets::remote(place.to_str().unwrap(), workers)));
    // All but one worker wait for one task more.
    for n in 0..20_000 {
        assert_eq!(rt.spawn(square::remote(n)).get().unwrap(), n * n);
    }
    let last = rt.spawn(meets::remote(place.to_str().unwrap(), workers));
    assert!(last.get().unwrap() && rt.get(&long).unwrap().into_iter().all(|met| met));
    fs::remove_dir_all(&place).unwrap();
    drop((long, last));
    nothing_is_left(&rt);
}
