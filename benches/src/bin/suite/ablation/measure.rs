//! The rows of an ablation. Each row depends on at least one mechanism of waiting. A row takes
//! about a tenth of a second and prints the seconds of one unit.

use std::{env, time::Duration};

use mobula::{AtomicArray, SharedBarrier, SharedMutex, UnspawnedCall, prelude::*};
use mobula_benches::{
    busy::beside_work,
    handover::{LOCKS, hand_over},
    neighbour::Neighbour,
    sampling::{Plan, Sampler, measure as sample, timed},
};
use std::sync::atomic::AtomicU64;

use crate::{
    Result,
    ours::{
        WORKERS,
        calls::blocking,
        many,
        maps::{same, work},
        nothing, runtime,
        shared::gather,
    },
};

/// The environment variable that names the rows to measure, separated by commas.
pub(super) const ROWS: &str = "MOBULA_ABLATION_ROWS";

/// The ids and labels of the rows.
pub(super) const LABELS: &[(&str, &str)] = &[
    ("roundtrip", "blocking round trip"),
    (
        "roundtrip_neighbour",
        "the same beside half a core's neighbour",
    ),
    (
        "roundtrip_busy",
        "the same, two threads of the driver compute",
    ),
    ("await", "`.await` of a task"),
    ("await_neighbour", "the same beside half a core's neighbour"),
    ("await_busy", "the same, two threads of the driver compute"),
    ("joined", "future of 1,000 that are awaited together"),
    (
        "joined_long",
        "future of 200 tasks of 50 µs that are awaited together",
    ),
    ("inflight", "task of 1,000 in flight"),
    ("spawned", "task of 1,000 that are spawned one by one"),
    ("nested", "child that a task waits for"),
    ("map_trivial", "trivial item of a map"),
    ("map_single", "trivial item that is handed out by itself"),
    ("map_busy", "item of 100 µs while the driver computes"),
    ("put", "put of a small value"),
    ("worker_puts", "put of a small value in a worker"),
    ("roundtrip_64", "blocking round trip with 64 workers"),
    ("roundtrip_256", "blocking round trip with 256 workers"),
    ("naps_64", "task of 1,000 that sleep for 20 µs, 64 workers"),
    ("workers_16", "task of 10,000 on 16 workers"),
    ("workers_64", "task of 10,000 on 64 workers"),
    ("handover", "hand-over of a mutex between two workers"),
    ("actor", "call of an actor, one by one"),
    ("actor_inflight", "call of 1,000 of an actor"),
    ("async_actor", "call of an async actor, one by one"),
    (
        "async_actor_inflight",
        "call of 1,000 of an async actor, all at a time",
    ),
];

/// The time for which a row is measured.
const TIME: Duration = Duration::from_millis(70);

const FAST: Plan = Plan {
    warm_up: 500,
    least: 20,
    most: 500_000,
    time: TIME,
};

const SLOW: Plan = Plan {
    warm_up: 1,
    least: 3,
    most: 10_000,
    time: TIME,
};

#[remote]
fn naps() {
    std::thread::sleep(Duration::from_micros(20));
}

/// Returns the seconds of one child. The task awaits its children one by one.
#[remote]
fn parent(children: usize) -> mobula::Result<f64> {
    let mut done = Ok(());
    let seconds = timed(|| done = (0..children).try_for_each(|_| nothing::remote().spawn().get()));
    done.map(|()| seconds / children as f64)
}

/// Returns the seconds of one `put`. The task keeps all refs.
#[remote]
fn puts(count: usize) -> mobula::Result<f64> {
    let rt = Runtime::current()?;
    let mut kept: mobula::Result<Vec<_>> = Ok(Vec::new());
    let seconds = timed(|| kept = (0..count).map(|_| rt.put(&0_i64)).collect());
    kept.map(|kept| seconds / kept.len() as f64)
}

struct Plain;

#[remote]
impl Plain {
    fn new() -> Self {
        Plain
    }

    fn nothing(&self) {}
}

struct Async;

#[remote(max_concurrency = 1000)]
impl Async {
    fn new() -> Self {
        Async
    }

    async fn nothing(&self) {}
}

/// Measures the rows, and prints one line for each.
///
/// # Errors
/// A runtime does not start, or a task fails.
pub(crate) fn part() -> Result<()> {
    let wanted = env::var(ROWS).ok();
    let is_wanted = |row: &str| {
        let names = wanted.as_ref().map(|rows| rows.split(','));
        names.is_none_or(|mut names| names.any(|name| name == row))
    };
    let row = |row: &str, measure: &mut dyn FnMut() -> Result<f64>| -> Result<()> {
        if is_wanted(row) {
            println!("{row} {}", measure()?);
        }
        Ok(())
    };
    let rt = runtime()?;
    let tokio = tokio::runtime::Builder::new_current_thread().build()?;
    row("roundtrip", &mut || roundtrip(&rt))?;
    row("roundtrip_neighbour", &mut || {
        let _neighbour = Neighbour::start()?;
        roundtrip(&rt)
    })?;
    row("roundtrip_busy", &mut || beside_work(2, || roundtrip(&rt)))?;
    row("await", &mut || tokio.block_on(awaited(&rt)))?;
    row("await_neighbour", &mut || {
        let _neighbour = Neighbour::start()?;
        tokio.block_on(awaited(&rt))
    })?;
    row("await_busy", &mut || {
        beside_work(2, || tokio.block_on(awaited(&rt)))
    })?;
    row("joined", &mut || {
        let times = sample(SLOW, || -> Result<f64> {
            let start = std::time::Instant::now();
            let tasks = (0..1000).map(|_| nothing::remote());
            tokio.block_on(joined(&rt, tasks))?;
            Ok(start.elapsed().as_secs_f64() / 1000.0)
        })?;
        Ok(times.median)
    })?;
    row("joined_long", &mut || {
        let times = sample(SLOW, || -> Result<f64> {
            let start = std::time::Instant::now();
            let tasks = (0..200).map(|_| work::remote(50_000));
            tokio.block_on(joined(&rt, tasks))?;
            Ok(start.elapsed().as_secs_f64() / 200.0)
        })?;
        Ok(times.median)
    })?;
    row("inflight", &mut || batch(&rt, 1000))?;
    row("spawned", &mut || {
        each(1000, || {
            let refs: Vec<_> = (0..1000).map(|_| rt.spawn(nothing::remote())).collect();
            rt.get(&refs).map(drop)
        })
    })?;
    row("nested", &mut || {
        Ok(sample(SLOW, || rt.spawn(parent::remote(1000)).get())?.median)
    })?;
    row("map_trivial", &mut || {
        each(200_000, || {
            rt.map_fn(same::remote, 0..200_000).get().map(drop)
        })
    })?;
    row("map_single", &mut || {
        each(5_000, || {
            let map = rt.map_fn(same::remote, 0..5_000).chunk_size(1);
            map.get().map(drop)
        })
    })?;
    row("map_busy", &mut || {
        let items = vec![100_000; 1_000];
        beside_work(1, || {
            each(items.len(), || {
                rt.map_fn(work::remote, items.iter().copied())
                    .get()
                    .map(drop)
            })
        })
    })?;
    row("put", &mut || {
        each(1000, || {
            (0..1000).try_for_each(|_| rt.put(&0_i64).map(drop))
        })
    })?;
    row("worker_puts", &mut || {
        Ok(sample(SLOW, || rt.spawn(puts::remote(5_000)).get())?.median)
    })?;
    row("handover", &mut || handed_over(&rt))?;
    if ["actor", "actor_inflight"].into_iter().any(is_wanted) {
        let actor = rt.spawn_actor(Plain::remote());
        row("actor", &mut || called(&rt, || actor.nothing()))?;
        row("actor_inflight", &mut || {
            called_at_once(&rt, || actor.nothing())
        })?;
    }
    if ["async_actor", "async_actor_inflight"]
        .into_iter()
        .any(is_wanted)
    {
        let actor = rt.spawn_actor(Async::remote());
        row("async_actor", &mut || called(&rt, || actor.nothing()))?;
        row("async_actor_inflight", &mut || {
            called_at_once(&rt, || actor.nothing())
        })?;
    }
    drop(rt);
    for workers in [16, 64] {
        row(&format!("workers_{workers}"), &mut || {
            let many = Runtime::builder().workers(workers).start()?;
            batch(&many, 1000)?;
            batch(&many, 10_000)
        })?;
    }
    row("roundtrip_256", &mut || {
        roundtrip(&Runtime::builder().workers(256).start()?)
    })?;
    if is_wanted("roundtrip_64") || is_wanted("naps_64") {
        let many = Runtime::builder().workers(64).start()?;
        row("roundtrip_64", &mut || roundtrip(&many))?;
        row("naps_64", &mut || {
            each(1_000, || {
                let refs = many.spawn_all((0..1_000).map(|_| naps::remote()));
                many.get(&refs).map(drop)
            })
        })?;
    }
    Ok(())
}

fn roundtrip(rt: &Runtime) -> Result<f64> {
    Ok(sample(FAST, || blocking(rt))?.median)
}

/// Seconds of a call that is waited for.
fn called(rt: &Runtime, call: impl Fn() -> UnspawnedCall<()>) -> Result<f64> {
    let times = sample(FAST, || {
        let mut done = Ok(());
        let seconds = timed(|| done = rt.spawn(call()).get());
        done.map(|()| seconds)
    })?;
    Ok(times.median)
}

/// Seconds of a call of 1,000 that are in flight.
fn called_at_once(rt: &Runtime, call: impl Fn() -> UnspawnedCall<()>) -> Result<f64> {
    each(1000, || {
        let refs = rt.spawn_all((0..1000).map(|_| call()));
        rt.get(&refs).map(drop)
    })
}

async fn awaited(rt: &Runtime) -> Result<f64> {
    let mut sampler = Sampler::new(FAST);
    while sampler.more() {
        let start = std::time::Instant::now();
        rt.spawn(nothing::remote()).await?;
        sampler.add(start.elapsed().as_secs_f64());
    }
    Ok(sampler.summary().median)
}

/// Awaits the results of these calls. An asynchronous task of its own awaits each result.
async fn joined<R: 'static>(
    rt: &Runtime,
    calls: impl Iterator<Item = UnspawnedCall<R>>,
) -> Result<()>
where
    ObjectRef<R>: Future<Output = mobula::Result<R>>,
{
    let local = tokio::task::LocalSet::new();
    let all: Vec<_> = calls
        .map(|call| local.spawn_local(rt.spawn(call)))
        .collect();
    local
        .run_until(async {
            for one in all {
                one.await??;
            }
            Ok(())
        })
        .await
}

/// Returns the seconds of one task of a batch.
fn batch(rt: &Runtime, tasks: usize) -> Result<f64> {
    Ok(sample(SLOW, || many::batch(rt, tasks))?.median / tasks as f64)
}

/// Returns the seconds of one unit. Each call of `work` does `count` units.
fn each(count: usize, mut work: impl FnMut() -> mobula::Result<()>) -> Result<f64> {
    let times = sample(SLOW, || {
        let mut done = Ok(());
        let seconds = timed(|| done = work());
        done.map(|()| seconds)
    })?;
    Ok(times.median / count as f64)
}

/// Plays one of two players in two workers. Returns the seconds of a hand-over.
#[remote]
fn plays(
    locks: Vec<SharedMutex<u64>>,
    arrived: &AtomicArray<AtomicU64>,
    barrier: &SharedBarrier,
    player: usize,
) -> mobula::Result<f64> {
    gather(arrived);
    barrier.wait()?;
    let ready = || barrier.wait().map(drop);
    hand_over(player, 2_000, |n| locks[n].lock(), ready)
}

fn handed_over(rt: &Runtime) -> Result<f64> {
    let locks: mobula::Result<Vec<_>> = (0..LOCKS).map(|_| rt.shared_mutex(0_u64)).collect();
    let locks = locks?;
    let barrier = rt.shared_barrier(2)?;
    let arrived = rt.atomic_array(1)?;
    let calls = (0..2).map(|player| plays::remote(&locks, &arrived, &barrier, player));
    let times = rt.get(rt.spawn_all(calls))?;
    Ok(times.into_iter().sum::<f64>() / WORKERS as f64)
}
