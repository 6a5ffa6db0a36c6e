//! More workers than cores: short tasks stay with few of them, and others are not held up by that.

use std::{
    fs,
    path::Path,
    process,
    time::{Duration, Instant},
};

use mobula::prelude::*;

use crate::support::{eventually, nothing_is_left, runtime};

const WORKERS: usize = 6;

#[remote]
fn square(x: u64) -> u64 {
    x * x
}

/// Ends when as many tasks run as there are workers.
#[remote]
fn meets(place: &str) -> bool {
    let place = Path::new(place);
    fs::write(place.join(process::id().to_string()), "").unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::read_dir(place).map_or(0, Iterator::count) < WORKERS {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

#[mobula::test]
fn tasks_that_need_all_workers_get_them_after_a_flood_of_short_ones() {
    let rt = runtime(WORKERS);
    for round in 0..3 {
        let flood = rt.spawn_all((0..5_000).map(square::remote));
        assert_eq!(rt.get(&flood).unwrap()[7], 49);
        drop(flood);
        let place = std::env::temp_dir().join(format!("mobula-meet-{}-{round}", process::id()));
        fs::create_dir(&place).unwrap();
        let meeting = rt.spawn_all((0..WORKERS).map(|_| meets::remote(place.to_str().unwrap())));
        // Nobody waits in the runtime meanwhile.
        eventually("all workers have a task", || {
            fs::read_dir(&place).unwrap().count() == WORKERS
        });
        assert_eq!(rt.get(&meeting).unwrap(), [true; WORKERS]);
        fs::remove_dir_all(&place).unwrap();
    }
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_stream_of_short_tasks_goes_on_beside_long_ones() {
    let rt = runtime(WORKERS);
    let place = std::env::temp_dir().join(format!("mobula-stream-{}", process::id()));
    fs::create_dir(&place).unwrap();
    let long = rt.spawn_all((0..WORKERS - 1).map(|_| meets::remote(place.to_str().unwrap())));
    // All but one worker wait for one task more.
    for n in 0..20_000 {
        assert_eq!(rt.spawn(square::remote(n)).get().unwrap(), n * n);
    }
    let last = rt.spawn(meets::remote(place.to_str().unwrap()));
    assert!(last.get().unwrap() && rt.get(&long).unwrap().into_iter().all(|met| met));
    fs::remove_dir_all(&place).unwrap();
    drop((long, last));
    nothing_is_left(&rt);
}
