//! A runtime beside tasks that do the worst to their workers: every call ends, every value is
//! right, and the runtime goes on.
//!
//! The events come in random order. `MOBULA_SOAK_SECONDS` says for how long (default 3), and
//! `MOBULA_SOAK_SEED` repeats an order.

use std::{
    fs::OpenOptions,
    os::unix::fs::FileExt,
    time::{Duration, Instant},
};

use mobula::prelude::*;
use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};

use crate::support::{nothing_is_left, runtime};

/// How long a call may take to end: only a hang takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// The events that a task inflicts on its worker.
const EVENTS: [&str; 13] = [
    "abort",
    "exit",
    "panic",
    "segfault",
    "overflow",
    "exec",
    "kill",
    "stop",
    "close",
    "state words",
    "scribble",
    "no threads",
    "closed stdio",
];

/// The random numbers of one order of events (splitmix64, by Steele, Lea and Flood).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn hash(n: u64) -> u64 {
    Random(n).next()
}

#[remote(retries = 100)]
fn hashed(n: u64) -> u64 {
    hash(n)
}

#[remote(retries = 100)]
fn sum(numbers: &[u64], from: usize) -> u64 {
    numbers[from..].iter().fold(0, |sum, n| sum ^ n)
}

#[remote(retries = 100)]
fn nested(n: u64) -> mobula::Result<u64> {
    let rt = Runtime::current()?;
    let parts = rt.spawn_all((0..4).map(|k| hashed::remote(n + k)));
    Ok(rt.get(parts)?.into_iter().fold(0, |sum, n| sum ^ n))
}

#[remote]
fn misbehaves(event: &str, seed: u64) -> mobula::Result<u64> {
    match event {
        "abort" => std::process::abort(),
        "exit" => std::process::exit(seed as i32 & 0x7f),
        "panic" => panic!("on purpose"),
        // SAFETY: nothing is mapped at address 8, so the process gets SIGSEGV and reads nothing.
        "segfault" => return Ok(unsafe { std::ptr::without_provenance::<u64>(8).read_volatile() }),
        "overflow" => return Ok(overflow(seed)),
        "exec" => {
            use std::os::unix::process::CommandExt;
            let error = std::process::Command::new("/bin/true").exec();
            panic!("{error}");
        }
        "kill" => signal_self(Signal::KILL),
        // Only the runtime's owner can continue a stopped process. The process ends instead.
        "stop" => {
            let continued = std::process::Command::new("/bin/sh")
                .args([
                    "-c",
                    &format!("sleep 0.1; kill -CONT {}", std::process::id()),
                ])
                .spawn();
            if continued.is_ok() {
                signal_self(Signal::STOP);
            }
        }
        "close" => close_from(3),
        "closed stdio" => close_from(0),
        // A worker that goes on with a ruined mailbox may leave results pending: see README.
        "state words" => {
            overwrite(|_, word| (word < 2048).then_some(0), seed);
            std::process::abort()
        }
        "scribble" => {
            overwrite(
                |random, _| {
                    let value = [0, u64::MAX, random.next()][random.below(3) as usize];
                    (random.below(1000) == 0).then_some(value)
                },
                seed,
            );
            std::process::abort()
        }
        "no threads" => {
            // No thread can have a stack now, so a task that waits cannot hand on its worker.
            let before = getrlimit(Resource::As);
            let limit = Rlimit {
                current: Some(1 << 20),
                ..before
            };
            let _ = setrlimit(Resource::As, limit);
            let child = hashed::remote(seed).spawn();
            let value = child.get();
            let _ = setrlimit(Resource::As, before);
            return value;
        }
        other => panic!("there is no event {other}"),
    }
    Ok(hash(seed))
}

fn signal_self(signal: Signal) {
    let _ = kill_process(getpid(), signal);
}

#[expect(unconditional_recursion, reason = "the stack is to overflow")]
fn overflow(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 512]);
    frame[0] ^ overflow(frame[1] + 1)
}

fn close_from(first: u32) {
    unsafe extern "C" {
        fn close_range(first: u32, last: u32, flags: i32) -> i32;
    }
    // SAFETY: descriptors are numbers; what uses these gets an error or another file.
    unsafe { close_range(first, u32::MAX, 0) };
}

/// Overwrites words of the memory that this process shares with its driver: those for which
/// `with` gives a value, by their number in the mapping.
fn overwrite(mut with: impl FnMut(&mut Random, u64) -> Option<u64>, seed: u64) {
    let mut random = Random(seed);
    let Ok(memory) = OpenOptions::new().write(true).open("/proc/self/mem") else {
        return;
    };
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for line in maps.lines().filter(|line| line.contains(" rw-s ")) {
        let range = line
            .split(' ')
            .next()
            .and_then(|range| range.split_once('-'));
        let address = |text| u64::from_str_radix(text, 16).unwrap_or(0);
        let Some((begin, end)) = range.map(|(begin, end)| (address(begin), address(end))) else {
            continue;
        };
        // Mailboxes: not the driver's doorbell, nor the store's sparse segments, whose pages would
        // be made.
        if !(8192..1 << 20).contains(&(end - begin)) {
            continue;
        }
        for word in 0..(end - begin) / 8 {
            if let Some(value) = with(&mut random, word) {
                let _ = memory.write_all_at(&value.to_ne_bytes(), begin + 8 * word);
            }
        }
    }
}

#[mobula::test]
fn calls_end_and_values_are_right_whatever_tasks_do_to_their_workers() -> mobula::Result<()> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seconds = number("MOBULA_SOAK_SECONDS").unwrap_or(3);
    let seed = number("MOBULA_SOAK_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("MOBULA_SOAK_SEED={seed}");
    let mut random = Random(seed);
    let rt = runtime(3);
    let numbers: Vec<u64> = (0..100_000).map(hash).collect();
    let array = rt.put(&numbers)?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut ends = std::collections::BTreeMap::new();
    while Instant::now() < end {
        let first = random.next() >> 1;
        let hashes = rt.spawn_all((0..50).map(|n| hashed::remote(first + n)));
        let from = random.below(numbers.len() as u64) as usize;
        let sums: Vec<_> = (0..5)
            .map(|_| rt.spawn(sum::remote(&array, from)))
            .collect();
        let trees = rt.spawn_all((0..3).map(|n| nested::remote(first + n)));
        let bad: Vec<_> = (0..2)
            .map(|_| {
                let event = EVENTS[random.below(EVENTS.len() as u64) as usize];
                let seed = random.next() >> 1;
                (event, seed, rt.spawn(misbehaves::remote(event, seed)))
            })
            .collect();
        for (n, value) in (first..).zip(&hashes) {
            assert_eq!(value.get_timeout(PATIENCE)?, hash(n));
        }
        let sum = numbers[from..].iter().fold(0, |sum, n| sum ^ n);
        for value in &sums {
            assert_eq!(value.get_timeout(PATIENCE)?, sum);
        }
        for (n, value) in (first..).zip(&trees) {
            let expected = (0..4).fold(0, |sum, k| sum ^ hash(n + k));
            assert_eq!(value.get_timeout(PATIENCE)?, expected);
        }
        for (event, seed, value) in bad {
            let how = match value.get_timeout(PATIENCE) {
                Ok(value) => {
                    assert_eq!(value, hash(seed), "after {event}");
                    "value"
                }
                Err(error) => {
                    assert!(!error.is_timeout(), "no end after {event}: {error}");
                    "error"
                }
            };
            *ends.entry((event, how)).or_insert(0_u32) += 1;
        }
    }
    println!("{ends:?}");
    assert_eq!(rt.spawn(hashed::remote(1)).get_timeout(PATIENCE)?, hash(1));
    drop(array);
    nothing_is_left(&rt);
    Ok(())
}
