//! What the monitor knows of one worker, and what it does to it.

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

/// How long a process may take to end after it was killed. One that waits for a device takes
/// longer, and one that may not be killed does not end.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the end of a process may come after the end of its socket.
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
    /// When the monitor saw that it was registered.
    pub(in crate::engines::processes) ready: Option<Instant>,
    pub(in crate::engines::processes) signs: Signs,
    /// The cores that it has, if it is pinned. They are free when this is dropped.
    pub(in crate::engines::processes) _place: Option<Place>,
}

/// What the monitor has seen of a worker beside its end.
#[derive(Debug, Default)]
pub(in crate::engines::processes) struct Signs {
    /// When it was killed first, and why the system refused that.
    killed: Option<(Instant, Option<Errno>)>,
    /// That it outlives this was said.
    told: bool,
    /// When its end of the socket was closed.
    hung_up: Option<Instant>,
    /// That it is stopped was said.
    stopped: bool,
    /// The function that it shows to the system, by what it was told last.
    pub(in crate::engines::processes) shown: Option<FunctionIndex>,
}

impl Watched {
    pub(in crate::engines::processes) fn is_registered(&self) -> bool {
        self.registered.load(Ordering::Acquire)
    }

    /// Kills the worker and what it has started.
    pub(in crate::engines::processes) fn kill(&mut self) {
        let refused = self.life.kill().err();
        self.signs.killed.get_or_insert((Instant::now(), refused));
    }

    /// Whether it should have ended by now, and has not. Says so, once.
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

    /// Its end of the socket is closed.
    pub(in crate::engines::processes) fn hangs_up(&mut self) {
        self.signs.hung_up.get_or_insert_with(Instant::now);
    }

    /// Whether the socket has something to tell.
    pub(in crate::engines::processes) fn socket_matters(&self) -> bool {
        self.signs.hung_up.is_none() && !self.life.is_told_by_socket()
    }

    /// Whether the process goes on without a socket: it runs another program.
    pub(in crate::engines::processes) fn has_replaced_itself(&self, now: Instant) -> bool {
        self.signs.killed.is_none() && self.signs.hung_up.is_some_and(|at| now >= at + LAST)
    }

    /// When the monitor has to look again because of what it has seen.
    pub(in crate::engines::processes) fn next_look(&self) -> Option<Instant> {
        let end = self.signs.killed.filter(|_| !self.signs.told);
        let last = self.signs.hung_up.filter(|_| self.signs.killed.is_none());
        let times = [end.map(|(at, _)| at + PATIENCE), last.map(|at| at + LAST)];
        times.into_iter().flatten().min()
    }

    /// Says that the worker is stopped, once for each time.
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

/// Processes that dead workers have left in their groups, where this process is who collects them:
/// as process 1 of a container, or as a subreaper.
#[derive(Debug, Default)]
pub(in crate::engines::processes) struct Orphaned {
    /// The groups, which were killed, and since when.
    groups: Vec<(Pid, Instant)>,
    delay: Duration,
}

impl Orphaned {
    const FIRST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(500);

    /// A worker has ended and was collected; its group was killed.
    pub(in crate::engines::processes) fn add(&mut self, pid: u32) {
        if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            self.groups.push((group, Instant::now()));
            self.delay = Orphaned::FIRST;
        }
    }

    /// Collects those that have ended. Only members of the groups are looked at: all other children
    /// of this process are the program's own.
    pub(in crate::engines::processes) fn collect(&mut self) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        self.groups.retain(|(group, since)| {
            loop {
                match waitid(WaitId::Pgid(Some(*group)), options) {
                    Ok(Some(_)) | Err(Errno::INTR) => {}
                    // Some are still ending.
                    Ok(None) => return since.elapsed() < PATIENCE,
                    // None of them is a child of this process.
                    Err(_) => return false,
                }
            }
        });
    }

    /// When to look again, if ever.
    pub(in crate::engines::processes) fn next(&mut self, now: Instant) -> Option<Instant> {
        if self.groups.is_empty() {
            return None;
        }
        self.delay = (self.delay * 2).min(Orphaned::LONGEST);
        Some(now + self.delay)
    }

    /// Collects all of them, unless that takes very long.
    pub(in crate::engines::processes) fn collect_all(&mut self) {
        while let Some(next) = self.next(Instant::now()) {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            self.collect();
        }
    }
}
