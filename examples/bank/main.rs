//! Transfers money between accounts while the processes that transfer it are killed. No money is
//! lost.
//!
//! Each account is a value under a lock of its own, in shared memory. A transfer locks two accounts
//! in the order of their numbers. If a process dies with locks, the next owners learn that the
//! locks are *poisoned*: the values may be half changed. So an account holds its balance and the
//! intended transfer: the other account and the new balance. A transfer has four steps:
//!
//! 1. It writes the new balances of both accounts.
//! 2. It names in each account the other account. With the second name, the transfer counts.
//! 3. It sets both balances.
//! 4. It clears the names.
//!
//! A process that finds a poisoned account looks at that account and at the account that it names.
//! If they name each other, the process repeats step 3, which has the same effect each time.
//! Otherwise the balances are unchanged, or the transfer is complete. Then the process clears the
//! names and the poison. If it is killed meanwhile, the next process does the same.
//!
//! The driver kills workers at random moments, and some tasks abort at chosen moments. In the end
//! the total is unchanged. After repeated deaths soon after the start, the runtime starts the next
//! worker after a growing pause. So the run with deaths takes much longer than its transfers.
//!
//! `cargo run --release -p mobula-examples --example bank [-- --small]`

use std::{
    process,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use mobula::prelude::*;
use mobula_examples::{Random, compare::small, table};
use rustix::process::{Pid, Signal, kill_process};

mod accounts;

use accounts::{ACCOUNTS, BALANCE, Bank, Count, MOMENTS, transfer};

/// In a run with deaths, one in this many tasks aborts. The driver kills as many workers.
const DYING: usize = 8;

/// Returns two different accounts and an amount.
fn chosen(random: &mut Random) -> ([usize; 2], i64) {
    let mut below = |n: usize| (random.uniform() * n as f64) as usize;
    let (one, other) = (below(ACCOUNTS), below(ACCOUNTS - 1));
    let other = other + usize::from(other >= one);
    let amount = below(100) as i64 - 50;
    ([one.min(other), one.max(other)], amount)
}

/// Makes this many transfers. `dies_at` is the moment of the last transfer at which the task
/// aborts.
#[remote]
fn transfers(bank: &Bank, seed: u64, count: usize, dies_at: Option<usize>) -> mobula::Result<()> {
    let mut random = Random::new(4, seed);
    for left in (0..count).rev() {
        let (pair, amount) = chosen(&mut random);
        let mut guards = bank.lock(pair[0], pair[1])?;
        transfer(pair, &mut guards, amount, |moment| {
            if left == 0 && dies_at == Some(moment) {
                process::abort();
            }
        });
        bank.count(Count::Transfers).fetch_add(1, Relaxed);
    }
    Ok(())
}

/// Kills workers at random times until `over` is set, or `most` workers are dead. Returns their
/// number.
fn kill_workers(rt: &Runtime, most: usize, over: &AtomicBool) -> Result<usize> {
    let mut random = Random::new(5, 0);
    let mut killed = 0;
    while killed < most && !over.load(Relaxed) {
        thread::sleep(Duration::from_secs_f64(0.04 * random.uniform()));
        let pids = rt.worker_pids();
        let at = (random.uniform() * pids.len() as f64) as usize;
        let pid = pids.get(at).and_then(|pid| Pid::from_raw(*pid as i32));
        // The worker may have just died by itself.
        if let Some(pid) = pid {
            killed += usize::from(kill_process(pid, Signal::KILL).is_ok());
        }
    }
    Ok(killed)
}

/// Returns the seconds of transfers in one process, without locks and deaths.
fn alone(count: usize) -> Result<f64> {
    let mut balances = [BALANCE; ACCOUNTS];
    let mut random = Random::new(4, 0);
    let start = Instant::now();
    for _ in 0..count {
        let ([low, high], amount) = chosen(&mut random);
        balances[low] -= amount;
        balances[high] += amount;
    }
    let seconds = start.elapsed().as_secs_f64();
    ensure!(balances.iter().sum::<i64>() == ACCOUNTS as i64 * BALANCE);
    Ok(count as f64 / seconds)
}

/// Lets a task die at each moment of a transfer, one after the other. Checks the total after each.
fn each_moment() -> Result<()> {
    let rt = Runtime::builder().workers(1).start()?;
    let bank = Bank::open(&rt)?;
    for moment in 0..MOMENTS {
        let died = transfers::remote(&bank, moment as u64, 10, Some(moment)).spawn();
        ensure!(died.get().is_err_and(|error| error.is_crash()));
        bank.check_total()?;
    }
    // Both names stand at three of the moments. At each other moment, the accounts are repaired one
    // by one.
    let counts = [Count::Completed, Count::Dropped].map(|what| bank.count(what).load(Relaxed));
    ensure!(counts == [3, 8], "completed and put in order: {counts:?}");
    Ok(())
}

/// The result of a run.
struct Run {
    per_second: f64,
    /// The number of tasks whose worker died.
    died: usize,
    killed: usize,
    counts: Vec<u64>,
}

/// Runs `tasks` tasks of `each` transfers, with or without deaths.
fn run(rt: &Runtime, workers: usize, tasks: usize, each: usize, deadly: bool) -> Result<Run> {
    let bank = Bank::open(rt)?;
    let all = rt.put(&bank)?;
    let start = Instant::now();
    let mut calls = (0..tasks).map(|n| {
        // The tasks that abort do so at each moment in turn.
        let dies_at = (deadly && n % DYING == 0).then_some(n / DYING % MOMENTS);
        rt.spawn(transfers::remote(&all, n as u64, each, dies_at))
    });
    let over = AtomicBool::new(false);
    let (ends, killed) = thread::scope(|scope| {
        let killer = scope.spawn(|| match deadly {
            true => kill_workers(rt, tasks / DYING, &over),
            false => Ok(0),
        });
        // A worker begins another task while its task waits for a lock, and both die with the
        // worker. So the driver keeps few tasks in flight.
        let mut running = rt.as_completed(calls.by_ref().take(2 * workers));
        let mut ends = Vec::new();
        while let Some(done) = running.next() {
            ends.push(done.get());
            calls.next().into_iter().for_each(|call| running.push(call));
        }
        over.store(true, Relaxed);
        (ends, killer.join())
    });
    let seconds = start.elapsed().as_secs_f64();
    let killed = killed.ok().context("the killer panicked")??;
    ensure!(ends.len() == tasks, "{} of {tasks} tasks ended", ends.len());
    let mut died = 0;
    for error in ends.into_iter().filter_map(Result::err) {
        ensure!(error.is_crash(), "a task failed: {error}");
        died += 1;
    }
    bank.check_total()?;
    let counts = bank.counts.to_vec();
    Ok(Run {
        per_second: counts[Count::Transfers as usize] as f64 / seconds,
        died,
        killed,
        counts,
    })
}

#[mobula::main]
fn main() -> Result<()> {
    let rounds = if small()? { 1 } else { 2 };
    let (tasks, each) = (rounds * DYING * MOMENTS, rounds * 50_000);
    let rt = Runtime::start()?;
    each_moment()?;
    let alone = alone(tasks * each)?;
    let workers = rt.workers();
    let calm = run(&rt, workers, tasks, each, false)?;
    let deadly = run(&rt, workers, tasks, each, true)?;
    println!("{tasks} tasks of {each} transfers between {ACCOUNTS} accounts, {workers} workers:");
    let row = |name: &str, per_second: f64| {
        [
            name.to_owned(),
            format!("{:.2} M/s", per_second / 1e6),
            format!("{:.3}", per_second / alone),
        ]
    };
    table::print(
        ["", "transfers", "of one loop's"],
        [
            row("one loop, without locks", alone),
            row("tasks, two locks each", calm.per_second),
            row("the same, while workers are killed", deadly.per_second),
        ],
    );
    let [_, poisoned, completed, dropped] = deadly.counts[..] else {
        unreachable!("four counts");
    };
    println!(
        "killed {} workers, {} tasks died; locks found poisoned {poisoned}, \
         transfers completed for the dead {completed}, accounts put in order {dropped}",
        deadly.killed, deadly.died
    );
    ensure!(calm.died == 0 && calm.counts[Count::Poisoned as usize] == 0);
    ensure!(
        deadly.died > 0 && completed + dropped > 0,
        "too few died to show anything"
    );
    println!("The total is what it was, also after a death at each moment of a transfer.");
    Ok(())
}
