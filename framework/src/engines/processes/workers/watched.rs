//! The monitor's knowledge of one worker, and its actions on that worker.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use mobula_protocol::{FunctionIndex, WorkerId};
use mobula_store::SegmentId;
use rustix::{
    io::Errno,
    process::{Pid, WaitId, WaitIdOptions, waitid},
};

use crate::engines::processes::{
    output::Stream, workers::cores::Place, workers::death, workers::life::Life,
};

/// How long a process may take to end after it was killed. A process that waits for a device takes
/// longer. A process that may not be killed does not end.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long after the end of its socket a process may end.
const LAST: Duration = Duration::from_secs(2);

/// A worker, as the monitor sees it.
#[derive(Debug)]
pub(in crate::engines::processes) struct Watched {
    pub(in crate::engines::processes) id: WorkerId,
    pub(in crate::engines::processes) segment: SegmentId,
    pub(in crate::engines::processes) pid: u32,
    pub(in crate::engines::processes) life: Life,
    pub(in crate::engines::processes) stdout: Arc<Stream>,
    pub(in crate::engines::processes) stderr: Arc<Stream>,
    pub(in crate::engines::processes) registered: Arc<AtomicBool>,
    pub(in crate::engines::processes) began: Instant,
    /// When the monitor saw that the worker was registered.
    pub(in crate::engines::processes) ready: Option<Instant>,
    pub(in crate::engines::processes) signs: Signs,
    /// The worker's cores, if it is pinned. They are free when this is dropped.
    pub(in crate::engines::processes) _place: Option<Place>,
}

/// The signs that the monitor has seen of a worker, beside its end.
#[derive(Debug, Default)]
pub(in crate::engines::processes) struct Signs {
    /// When the worker was killed first, and why the system refused that.
    killed: Option<(Instant, Option<Errno>)>,
    /// Whether it was reported that the worker outlives this.
    told: bool,
    /// When the worker's end of the socket was closed.
    hung_up: Option<Instant>,
    /// Whether it was reported that the worker is stopped.
    stopped: bool,
    /// The function that the worker shows to the system, by the last message to it.
    pub(in crate::engines::processes) shown: Option<FunctionIndex>,
}

impl Watched {
    pub(in crate::engines::processes) fn is_registered(&self) -> bool {
        self.registered.load(Ordering::Acquire)
    }

    /// Kills the worker and the processes that it has started.
    pub(in crate::engines::processes) fn kill(&mut self) {
        let refused = self.life.kill().err();
        self.signs.killed.get_or_insert((Instant::now(), refused));
    }

    /// Whether the worker should have ended by now, and has not. Reports this once.
    pub(in crate::engines::processes) fn outlives_its_end(&mut self, now: Instant) -> bool {
        let Some((_, refused)) = self.signs.killed.filter(|(at, _)| now >= *at + PATIENCE) else {
            return false;
        };
        if !std::mem::replace(&mut self.signs.told, true) {
            let why = match refused {
                Some(error) => format!("the system does not let this process kill it: {error}"),
                None => "the system has not ended it; it may wait for a device".to_owned(),
            };
            eprintln!(
                "mobula: a worker (pid {}) is still there {PATIENCE:?} after its end: {why}",
                self.pid
            );
        }
        true
    }

    /// Notes that the worker's end of the socket is closed.
    pub(in crate::engines::processes) fn hangs_up(&mut self) {
        self.signs.hung_up.get_or_insert_with(Instant::now);
    }

    /// Whether the socket can bring news.
    pub(in crate::engines::processes) fn socket_matters(&self) -> bool {
        self.signs.hung_up.is_none() && !self.life.is_told_by_socket()
    }

    /// Whether the process goes on without its socket, which means that it runs another program.
    pub(in crate::engines::processes) fn has_replaced_itself(&self, now: Instant) -> bool {
        self.signs.killed.is_none() && self.signs.hung_up.is_some_and(|at| now >= at + LAST)
    }

    /// Returns when the monitor has to look again because of the signs that it has seen.
    pub(in crate::engines::processes) fn next_look(&self) -> Option<Instant> {
        let end = self.signs.killed.filter(|_| !self.signs.told);
        let last = self.signs.hung_up.filter(|_| self.signs.killed.is_none());
        let times = [end.map(|(at, _)| at + PATIENCE), last.map(|at| at + LAST)];
        times.into_iter().flatten().min()
    }

    /// Reports that the worker is stopped, once for each time.
    pub(in crate::engines::processes) fn tell_if_stopped(&mut self) {
        let signal = self.life.stopped_by();
        let told = std::mem::replace(&mut self.signs.stopped, signal.is_some());
        if let Some(signal) = signal.filter(|_| !told) {
            let function = self.stderr.function().unwrap_or("no function");
            eprintln!(
                "mobula: a worker (pid {0}) is stopped by {1}, in `{function}`: its tasks wait until it goes on, for example by `kill -CONT {0}`",
                self.pid,
                death::signal(signal),
            );
        }
    }
}

/// Processes that dead workers have left in their groups. This process collects them if it is
/// process 1 of a container, or a subreaper.
#[derive(Debug, Default)]
pub(in crate::engines::processes) struct Orphaned {
    /// The groups, which were killed, and since when.
    groups: Vec<(Pid, Instant)>,
    delay: Duration,
}

impl Orphaned {
    const FIRST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(500);

    /// Adds the group of a worker that has ended and was collected. The group was killed.
    pub(in crate::engines::processes) fn add(&mut self, pid: u32) {
        if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            self.groups.push((group, Instant::now()));
            self.delay = Orphaned::FIRST;
        }
    }

    /// Collects the processes that have ended. Looks only at members of the groups: all other
    /// children of this process belong to the program.
    pub(in crate::engines::processes) fn collect(&mut self) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        self.groups.retain(|(group, since)| {
            loop {
                match waitid(WaitId::Pgid(Some(*group)), options) {
                    Ok(Some(_)) | Err(Errno::INTR) => {}
                    // Some processes are still ending.
                    Ok(None) => return since.elapsed() < PATIENCE,
                    // None of the processes is a child of this process.
                    Err(_) => return false,
                }
            }
        });
    }

    /// Returns when to look again, if ever.
    pub(in crate::engines::processes) fn next(&mut self, now: Instant) -> Option<Instant> {
        if self.groups.is_empty() {
            return None;
        }
        self.delay = (self.delay * 2).min(Orphaned::LONGEST);
        Some(now + self.delay)
    }

    /// Collects all processes, unless that takes longer than `PATIENCE`.
    pub(in crate::engines::processes) fn collect_all(&mut self) {
        while let Some(next) = self.next(Instant::now()) {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            self.collect();
        }
    }
}
