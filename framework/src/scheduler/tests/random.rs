//! Random histories, with all invariants checked after each step.

use mobula_protocol::Error;

use super::world::World;

/// Returns `count` seeds from `first` on. `$MOBULA_TEST_HISTORIES` multiplies their number.
fn seeds(first: u64, count: u64) -> std::ops::Range<u64> {
    let times = std::env::var("MOBULA_TEST_HISTORIES").map(|times| times.parse().unwrap());
    first..first + count * times.unwrap_or(1)
}

/// Performs a random action of one part of the world.
fn step(world: &mut World) {
    let index = match world.workers.len() {
        0 => {
            if !world.start_wanted() {
                world.pool += 1;
                world.start_worker();
            }
            0
        }
        n => world.dice.below(n),
    };
    match world.dice.below(46) {
        40..42 => drop(world.start_wanted()),
        42 => drop(world.reap()),
        43 => drop(world.close_one()),
        44..46 => drop(world.leave(index)),
        0..8 => world.drive(),
        8..14 => world.pump(),
        14..24 => drop(world.deliver(index)),
        24..28 => drop(world.read(index)),
        28..37 => world.act(index),
        37 => world.quiesce(),
        38 if world.workers.len() < 4 => {
            world.pool += 1;
            world.start_worker();
        }
        39 if world.dice.one_in(2) => world.kill(index),
        _ => {}
    }
}

#[test]
fn everything_ends_and_nothing_is_left() {
    for seed in seeds(0, 150) {
        let mut world = World::new(seed);
        for _ in 0..400 {
            step(&mut world);
        }
        world.finish();
        world.let_go();
    }
}

#[test]
fn the_end_may_come_at_any_moment() {
    for seed in seeds(100_000, 120) {
        let mut world = World::new(seed);
        for _ in 0..seed * 7 % 300 {
            step(&mut world);
        }
        world.scheduler.fail_all(Error::shutdown(), &mut world.host);
        world.settle();
        assert!(!world.scheduler.pending_work());
        // Running tasks go on for a while.
        for _ in 0..100 {
            late_step(&mut world);
        }
        while !world.workers.is_empty() {
            world.kill(0);
        }
        while !world.handles.is_empty() {
            world.release_one();
        }
        while world.close_one() {}
        assert!(world.scheduler.is_quiet());
        assert_eq!(
            (world.scheduler.object_count(), world.scheduler.used_bytes()),
            (0, 0)
        );
    }
}

/// Performs a random action after the end of the runtime.
fn late_step(world: &mut World) {
    if world.workers.is_empty() {
        return;
    }
    let index = world.dice.below(world.workers.len());
    match world.dice.below(20) {
        0 => world.release_one(),
        1 => world.pump(),
        2..8 => drop(world.deliver(index)),
        8..12 => drop(world.read(index)),
        12..19 => world.act(index),
        _ => world.kill(index),
    }
}
