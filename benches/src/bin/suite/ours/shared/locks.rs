//! Rows of locks between processes, beside locks between threads.

use std::{
    convert::Infallible,
    hint::black_box,
    process,
    sync::{Barrier, Mutex, PoisonError, RwLock, atomic::AtomicU64},
};

use mobula::{AtomicArray, SharedBarrier, SharedMutex, prelude::*};
use mobula_benches::{
    handover::{LOCKS, hand_over},
    sampling::{Sampler, Summary, timed},
};

use super::{
    super::{Out, runtime},
    gather, on_threads,
};
use crate::Result;

/// The number of pairs of calls in one sample.
const CALLS: usize = 1000;

/// Returns the seconds of one of many calls.
fn each(mut call: impl FnMut() -> mobula::Result<u64>) -> mobula::Result<f64> {
    let mut sum = Ok(0);
    let seconds = timed(|| {
        sum = (0..CALLS).try_fold(0_u64, |sum, _| Ok(sum.wrapping_add(call()?)));
    });
    sum.map(|sum: u64| {
        black_box(sum);
        seconds / CALLS as f64
    })
}

/// Measures locks without contention.
pub(super) fn alone(out: &Out) -> Result<()> {
    let rt = runtime()?;
    let (mutex, rwlock) = (rt.shared_mutex(0_u64)?, rt.shared_rwlock(0_u64)?);
    let (std_mutex, std_rwlock) = (Mutex::new(0_u64), RwLock::new(0_u64));
    let plan = out.slow(50, 1.0);
    let mut samplers: [Sampler; 4] = std::array::from_fn(|_| Sampler::new(plan));
    let [ours, std_ours, reading, std_reading] = &mut samplers;
    let mut samples = 0_u64;
    while ours.more() {
        samples += 1;
        ours.add(each(|| {
            let mut value = mutex.lock()?;
            *value += 1;
            Ok(*value)
        })?);
        std_ours.add(each(|| {
            let mut value = std_mutex.lock().unwrap_or_else(PoisonError::into_inner);
            *value += 1;
            Ok(*value)
        })?);
        reading.add(each(|| Ok(*rwlock.read()?))?);
        std_reading.add(each(|| {
            Ok(*std_rwlock.read().unwrap_or_else(PoisonError::into_inner))
        })?);
    }
    if *mutex.lock()? != samples * CALLS as u64 {
        return Err("the mutex was not taken each time".into());
    }
    let [ours, std_ours, reading, std_reading] = samplers.map(Sampler::summary);
    out.row("mutex", ours);
    out.floor("std_mutex", std_ours);
    out.row("rwlock_read", reading);
    out.floor("std_rwlock_read", std_reading);
    Ok(())
}

/// Plays this many games. Returns the seconds of a hand-over in each, and the process id.
#[remote]
fn plays(
    locks: Vec<SharedMutex<u64>>,
    arrived: &AtomicArray<AtomicU64>,
    barrier: &SharedBarrier,
    player: usize,
    games: usize,
    turns: usize,
) -> mobula::Result<(Vec<f64>, u32)> {
    gather(arrived);
    let game = |_| {
        // A ready player has its first locks, and no player has a lock of the last game.
        barrier.wait()?;
        let ready = || barrier.wait().map(drop);
        hand_over(player, turns, |n| locks[n].lock(), ready)
    };
    let times: mobula::Result<_> = (0..games).map(game).collect();
    Ok((times?, process::id()))
}

pub(super) fn handed_over(out: &Out) -> Result<()> {
    let rt = runtime()?;
    let (games, turns) = (out.size(20, 5), out.size(3000, 300));
    let locks: mobula::Result<Vec<_>> = (0..LOCKS).map(|_| rt.shared_mutex(0_u64)).collect();
    let locks = locks?;
    let barrier = rt.shared_barrier(2)?;
    let arrived = rt.atomic_array(1)?;
    let calls =
        (0..2).map(|player| plays::remote(&locks, &arrived, &barrier, player, games, turns));
    let played = rt.get(rt.spawn_all(calls))?;
    let [(times, one), (_, other)] = &played[..] else {
        return Err("there are two players".into());
    };
    if one == other {
        return Err("both players were in one process".into());
    }
    let values = locks.iter().map(|lock| Ok(*lock.lock()?));
    if values.sum::<mobula::Result<u64>>()? != (games * turns) as u64 {
        return Err("a lock was not handed over each time".into());
    }
    out.row("mutex_handover", Summary::of(times.clone()));

    let locks = [0; LOCKS].map(Mutex::new);
    let barrier = Barrier::new(2);
    let times = on_threads(|player| {
        let game = |_| {
            barrier.wait();
            let lock = |n: usize| {
                Ok::<_, Infallible>(locks[n].lock().unwrap_or_else(PoisonError::into_inner))
            };
            let Ok(seconds) = hand_over(player, turns, lock, || {
                barrier.wait();
                Ok(())
            });
            seconds
        };
        (0..games).map(game).collect::<Vec<f64>>()
    })?;
    out.floor("std_handover", Summary::of(times[0].clone()));
    Ok(())
}
