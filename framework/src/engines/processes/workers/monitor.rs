//! The thread that starts workers and sees them die. With the scheduler it decides what becomes of
//! a dead worker's tasks, and starts another worker in its place.
//!
//! This thread starts all workers, and they end when it ends. `Runtime::start()` returns when the
//! first worker takes tasks. The other workers come up after that.
//!
//! The monitor handles a death in this order:
//! - The monitor kills the process group.
//! - The monitor waits until the exit is certain.
//! - The monitor reads the worker's last messages.
//! - The monitor decides what becomes of the tasks.
//! - Only then the monitor gives the worker's memory back.

use std::{
    os::fd::OwnedFd,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::ThreadId,
    time::{Duration, Instant},
};

use mobula_protocol::{Error, Result, WorkerId};
use mobula_store::{descriptors, limits::Wanted};
use mobula_worker::{CANNOT_GO_ON, SHORT};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::engines::processes::{
    Driver,
    peers::{peer::Peer, recovery},
    workers::backoff::{RestartBackoff, Unready},
    workers::death,
    workers::shortage::Reserve,
    workers::watched::{Orphaned, Watched},
};
use crate::init::WorkerEntry;

/// Longer than any program runs.
const AGES: Duration = Duration::from_secs(1 << 32);

/// While tasks are under way, how often the monitor looks for stopped workers, and at the functions
/// that workers run.
const LOOK: Duration = Duration::from_millis(500);

/// This many start-up deaths in a row, with no registered worker, fail the runtime. Before the
/// first worker has registered, one such death does. The first rule does not hold if a limit of the
/// system has caused the latest death.
const HOPELESS: usize = 10;

/// For how long the readers of the driver's output may delay the errors of a dead worker's tasks.
const PRINT_PATIENCE: Duration = Duration::from_millis(250);

/// The part of the monitor that other threads use.
#[derive(Debug)]
pub(in crate::engines::processes) struct Monitor {
    entry: WorkerEntry,
    /// Written to when there is something in `requests`.
    wake: OwnedFd,
    requests: Mutex<Requests>,
    thread: OnceLock<ThreadId>,
    /// Whether tasks are, or were, under way. Then the thread looks now and then for stopped
    /// workers.
    armed: AtomicBool,
}

#[derive(Debug, Default)]
struct Requests {
    new: Vec<Watched>,
    to_kill: Vec<(WorkerId, String)>,
    /// How many workers are to be started.
    start: usize,
    /// Workers that are to have ended by the given times.
    ends: Vec<(WorkerId, Instant)>,
    /// When the scheduler has something to do.
    wake_at: Option<Instant>,
    /// When all workers are to be gone.
    end: Option<Instant>,
}

impl Monitor {
    /// Creates the monitor.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(in crate::engines::processes) fn new(entry: WorkerEntry) -> Result<Monitor> {
        let wake = descriptors::event()
            .map_err(|error| Error::refused("cannot watch workers", Wanted::Descriptor, error))?;
        Ok(Monitor {
            entry,
            wake,
            requests: Mutex::default(),
            thread: OnceLock::new(),
            armed: AtomicBool::new(false),
        })
    }

    /// Returns the arguments and variables with which workers are started.
    pub(in crate::engines::processes) fn entry(&self) -> &WorkerEntry {
        &self.entry
    }

    pub(in crate::engines::processes) fn add(&self, watched: Watched) {
        self.requests.lock().new.push(watched);
        self.notify();
    }

    /// Requests `workers` further workers.
    pub(in crate::engines::processes) fn start(&self, workers: usize) {
        self.requests.lock().start += workers;
        self.notify();
    }

    /// Requests `start` further workers, and the end of other workers within their times.
    pub(in crate::engines::processes) fn change(
        &self,
        start: usize,
        ends: Vec<(WorkerId, Duration)>,
    ) {
        let now = Instant::now();
        let mut requests = self.requests.lock();
        requests.start += start;
        // A time beyond the end of time becomes a very long time.
        let at = |grace| now.checked_add(grace).unwrap_or(now + AGES);
        let ends = ends.into_iter().map(|(id, grace)| (id, at(grace)));
        requests.ends.extend(ends);
        drop(requests);
        self.notify();
    }

    /// Requests that the scheduler is told the time at `at`.
    pub(in crate::engines::processes) fn wake_at(&self, at: Instant) {
        let mut requests = self.requests.lock();
        requests.wake_at = Some(requests.wake_at.map_or(at, |earlier| earlier.min(at)));
        drop(requests);
        self.notify();
    }

    /// Whether the caller is the monitor's thread. If this thread waits, nobody else does its work.
    pub(in crate::engines::processes) fn is_this_thread(&self) -> bool {
        self.thread.get() == Some(&std::thread::current().id())
    }

    /// Requests the death of this worker, because of `why`.
    pub(in crate::engines::processes) fn mark_for_kill(&self, id: WorkerId, why: String) {
        self.requests.lock().to_kill.push((id, why));
        self.notify();
    }

    /// Notes that a task is under way. The caller has the lock. The monitor then reports a stopped
    /// worker. Costs a load, and a system call for the first task after a pause.
    pub(in crate::engines::processes) fn arm(&self) {
        if !self.armed.load(Ordering::Relaxed) {
            self.armed.store(true, Ordering::Relaxed);
            self.notify();
        }
    }

    /// Ends the thread when all workers are gone. That is at `end` at the latest, except for
    /// workers with a later time of their own.
    pub(in crate::engines::processes) fn close(&self, end: Instant) {
        self.requests.lock().end = Some(end);
        self.notify();
    }

    /// Returns a descriptor of the monitor.
    pub(in crate::engines::processes) fn waker(&self) -> &OwnedFd {
        &self.wake
    }

    /// Has the thread look for news: requests, and workers that have registered.
    pub(in crate::engines::processes) fn notify(&self) {
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl Driver {
    pub(in crate::engines::processes) fn run_monitor(&self) {
        let _ = self.monitor.thread.set(std::thread::current().id());
        let mut workers: Vec<Watched> = Vec::new();
        let mut backoff = RestartBackoff::default();
        let mut reserve = Reserve::default();
        // Before any actor can take the last descriptors.
        reserve.fill(&self.monitor.wake);
        let mut end = None;
        let mut reasons: Vec<(WorkerId, String)> = Vec::new();
        let mut ends: Vec<(WorkerId, Instant)> = Vec::new();
        let mut orphaned = Orphaned::default();
        let mut look_at = None;
        let mut wake_at: Option<Instant> = None;
        let mut expected = 0;
        loop {
            let requests = std::mem::take(&mut *self.monitor.requests.lock());
            workers.extend(requests.new);
            backoff.want(requests.start);
            for (id, why) in requests.to_kill {
                if let Some(worker) = workers.iter_mut().find(|worker| worker.id == id) {
                    worker.kill();
                    reasons.push((id, why));
                }
            }
            ends.extend(requests.ends);
            end = end.or(requests.end);
            if end.is_some() || self.failure.get().is_some() {
                backoff.stop();
                self.none_to_come();
            }
            if end.is_some() && workers.is_empty() {
                // If a worker was being started when the end came, it is in the next requests.
                if self.monitor.requests.lock().new.is_empty() {
                    orphaned.collect_all();
                    return;
                }
                continue;
            }
            if expected != backoff.expected() {
                expected = backoff.expected();
                self.with(|scheduler, _| scheduler.expect_workers(expected));
            }
            let now = Instant::now();
            wake_at = [wake_at, requests.wake_at].into_iter().flatten().min();
            if wake_at.is_some_and(|at| at <= now) {
                // The scheduler's next time is in the next requests.
                wake_at = None;
                self.with(|scheduler, peers| scheduler.on_time(now, peers));
            }
            look_at = self.look_for_stopped(&mut workers, look_at, now);
            for worker in &mut workers {
                self.note_ready(worker, &mut backoff, &mut reserve);
            }
            self.end_the_late(&mut workers, (end, &ends), &mut reasons);
            self.give_up(&mut workers, end.is_some_and(|end| end <= now));
            if end.is_some() && workers.is_empty() {
                // The last worker was given up, and nothing would wake this thread.
                continue;
            }
            for (id, _) in ends.extract_if(.., |(_, at)| *at <= now) {
                if let Some(worker) = workers.iter_mut().find(|worker| worker.id == id) {
                    reasons.push((id, "it did not end within its grace time".to_owned()));
                    worker.kill();
                }
            }
            // One start at a time, so that events in the meantime do not wait for all starts.
            if backoff.is_due(now) {
                self.start_missing(&mut backoff, &mut reserve, workers.is_empty());
            } else if end.is_none() && backoff.next(now).is_none() {
                reserve.fill(&self.monitor.wake);
            }
            let grace = ends.iter().map(|(_, at)| *at).min();
            // A worker that outlives the end has a time of its own.
            let end_to_come = end.filter(|end| *end > now);
            let next = [
                end_to_come,
                backoff.next(now),
                grace,
                orphaned.next(now),
                look_at,
                wake_at,
            ]
            .into_iter()
            .flatten()
            .min();
            for dead in self.wait_for_deaths(&mut workers, next) {
                let why = reasons
                    .iter()
                    .position(|(id, _)| *id == dead.id)
                    .map(|at| reasons.swap_remove(at).1);
                ends.retain(|(id, _)| *id != dead.id);
                orphaned.add(dead.pid);
                self.reap(dead, why, end.is_some(), (&mut backoff, &mut reserve));
            }
            orphaned.collect();
        }
    }

    /// Notes once that a worker has registered, and takes tasks.
    fn note_ready(
        &self,
        worker: &mut Watched,
        backoff: &mut RestartBackoff,
        reserve: &mut Reserve,
    ) {
        if worker.ready.is_none() && worker.is_registered() {
            worker.ready = Some(Instant::now());
            worker.stdout.speak();
            worker.stderr.speak();
            self.output.notify();
            self.start_has_succeeded(backoff, reserve);
        }
    }

    /// Starts one of the missing workers. After a failure, tries again if there are other workers,
    /// or if the reason is a limit that may change.
    fn start_missing(&self, backoff: &mut RestartBackoff, reserve: &mut Reserve, alone: bool) {
        match self.start_worker_somehow(backoff, reserve) {
            Ok(()) => {
                backoff.started();
                self.one_has_come();
            }
            Err(error) => {
                self.none_to_come();
                if self.is_closed() {
                    backoff.stop();
                } else if !self.startup.lock().begun {
                    // `Runtime::start()` waits for it.
                    backoff.stop();
                    self.fail(&error);
                } else if alone && !error.is_resource_limit() {
                    backoff.stop();
                    self.fail(&error.context("no worker is left, and none could be started"));
                } else {
                    if backoff.failed(Instant::now()) {
                        eprintln!(
                            "mobula: the pool has fewer workers than it should until this works: {error:#}"
                        );
                    }
                    self.start_has_failed(&error, backoff);
                }
            }
        }
    }

    /// Kills workers that do not register or that run another program. Kills all workers when the
    /// runtime's end has come, except workers with a later time of their own.
    fn end_the_late(
        &self,
        workers: &mut [Watched],
        (end, ends): (Option<Instant>, &[(WorkerId, Instant)]),
        reasons: &mut Vec<(WorkerId, String)>,
    ) {
        let now = Instant::now();
        for worker in workers {
            if end.is_some_and(|end| end <= now) {
                if !ends.iter().any(|(id, at)| *id == worker.id && *at > now) {
                    worker.kill();
                }
            } else if !worker.is_registered()
                && now.duration_since(worker.began) >= self.config.start_timeout
                && !reasons.iter().any(|(id, _)| *id == worker.id)
            {
                reasons.push((
                    worker.id,
                    format!(
                        "it was not ready within {:?}; what stands before `mobula::init()` in `main` runs in each worker, and must be short",
                        self.config.start_timeout
                    ),
                ));
                worker.kill();
            } else if worker.has_replaced_itself(now) {
                let why = "its process has replaced itself by another program (`exec`), which no task may do";
                reasons.push((worker.id, why.to_owned()));
                worker.kill();
            }
        }
    }

    /// Reports stopped workers, from time to time while tasks are under way. Returns the time of
    /// the next look, or `None` as long as there is nothing to do. So an idle runtime does not wake
    /// up.
    fn look_for_stopped(
        &self,
        workers: &mut [Watched],
        at: Option<Instant>,
        now: Instant,
    ) -> Option<Instant> {
        let next = now + LOOK;
        if !self.monitor.armed.load(Ordering::Relaxed) {
            return None;
        }
        match at {
            None => return Some(next),
            Some(at) if at > now => return Some(at),
            Some(_) => workers.iter_mut().for_each(Watched::tell_if_stopped),
        }
        // A thread that submits a task after the look at pending work sees this.
        self.monitor.armed.store(false, Ordering::Relaxed);
        let pending = self.pending_work();
        // A run whose task has failed may go on.
        let again = self.show_functions(workers) || pending;
        self.monitor.armed.fetch_or(again, Ordering::Relaxed);
        Some(next).filter(|_| again)
    }

    /// Reports workers that outlive their end. At the end of the runtime, stops waiting for them.
    fn give_up(&self, workers: &mut Vec<Watched>, closing: bool) {
        let now = Instant::now();
        for worker in workers.extract_if(.., |worker| worker.outlives_its_end(now) && closing) {
            worker.stdout.finish();
            worker.stderr.finish();
            self.output.notify();
        }
    }

    /// Sleeps until a worker is dead, there is a request, or a time has come. Takes the dead
    /// workers out of the list.
    fn wait_for_deaths(&self, workers: &mut Vec<Watched>, next: Option<Instant>) -> Vec<Watched> {
        let now = Instant::now();
        let late = workers
            .iter()
            .filter(|worker| !worker.is_registered())
            .map(|worker| worker.began + self.config.start_timeout);
        let looks = workers.iter().filter_map(Watched::next_look);
        let next = late.chain(looks).chain(next).min();
        let timeout = next.map(|next| {
            let left = next
                .saturating_duration_since(now)
                .max(Duration::from_millis(1));
            Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        let sockets: Vec<usize> = (0..workers.len())
            .filter(|&at| workers[at].socket_matters())
            .collect();
        let hang_up = |&at: &usize| PollFd::new(workers[at].life.socket(), PollFlags::empty());
        let mut fds: Vec<PollFd<'_>> = vec![PollFd::new(&self.monitor.wake, PollFlags::IN)];
        fds.extend(workers.iter().map(|w| PollFd::new(&w.life, PollFlags::IN)));
        fds.extend(sockets.iter().map(hang_up));
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return Vec::new();
        }
        let told: Vec<bool> = fds[1..]
            .iter()
            .map(|fd| fd.revents().intersects(PollFlags::IN | PollFlags::HUP))
            .collect();
        drop(fds);
        let _ = rustix::io::read(&self.monitor.wake, &mut [0; 8]);
        let (dead, hung_up) = told.split_at(workers.len());
        for (at, _) in sockets.iter().zip(hung_up).filter(|(_, hung_up)| **hung_up) {
            workers[*at].hangs_up();
        }
        let mut dead = dead.iter();
        workers
            .extract_if(.., |_| dead.next().is_some_and(|dead| *dead))
            .collect()
    }

    /// Whether any worker takes tasks.
    fn any_registered(&self) -> bool {
        let ready = |peer: &mut Peer| peer.registered.load(Ordering::Acquire);
        self.with(|_, peers| peers.iter_mut().any(|(_, peer)| ready(peer)))
    }

    /// Does the work that is left when a worker is dead.
    fn reap(
        &self,
        mut worker: Watched,
        why: Option<String>,
        closing: bool,
        (backoff, reserve): (&mut RestartBackoff, &mut Reserve),
    ) {
        // It may have registered since the last look.
        self.with(|scheduler, peers| peers.drain(worker.id, scheduler, usize::MAX));
        self.note_ready(&mut worker, backoff, reserve);
        // The worker's children come first. No other group gets this number before the exit is
        // collected.
        worker.kill();
        let status = worker.life.collect();
        worker.stdout.finish();
        worker.stderr.finish();
        let printed = [&*worker.stdout, &*worker.stderr];
        self.output.wait_for(printed, PRINT_PATIENCE);
        let by_itself = why.is_none();
        let mut how = death::describe(status.as_ref(), by_itself);
        if let Some(why) = why {
            how = format!("{why} ({how})");
        }
        let panicked = self.with(|_, peers| peers.get(worker.id)?.end.panicked.text());
        if let Some(panicked) = panicked {
            how = format!("it panicked at {panicked}, and did not survive that ({how})");
        }
        let tail = worker.stderr.tail();
        let (registered, missing) = self.with(|scheduler, peers| {
            peers.drain(worker.id, scheduler, usize::MAX);
            peers.recover_locks(worker.id, recovery::cause(worker.pid, status.as_ref()));
            let peer = peers.get(worker.id);
            let registered = peer
                .as_ref()
                .is_some_and(|peer| peer.registered.load(Ordering::Acquire));
            // If other code has collected the status, the worker's own message counts.
            let well = match &status {
                Some(status) => status.exit_status() == Some(0),
                None => peer.is_some_and(|peer| peer.exits),
            };
            let intended = by_itself && well;
            let missing = scheduler.worker_lost(
                worker.id,
                intended,
                |function| Error::crash(self.registry.name(function), worker.pid, &how, &tail),
                peers,
            );
            let live = scheduler.stored_in(worker.segment);
            peers.reap(worker.id, worker.segment, live);
            (registered, missing)
        });
        // Another thread may sleep on a message that the dead worker did not send any more.
        self.doorbell.notify_all();
        if closing || self.is_closed() {
            return;
        }
        if !registered {
            let mut text = format!(
                "a worker (pid {}) ended before it was ready: {how}",
                worker.pid
            );
            if !tail.is_empty() {
                text += &format!("; its last lines on stderr were:\n{tail}");
            }
            let short = status.as_ref().and_then(|s| s.exit_status()) == Some(SHORT)
                && tail.contains(CANNOT_GO_ON);
            let error = match short {
                true => Error::resource_limit(text),
                false => Error::setup(text),
            };
            let (failures, never) = {
                let mut startup = self.startup.lock();
                startup.failures += 1;
                (startup.failures, startup.registered == 0)
            };
            if never || (!short && failures >= HOPELESS && !self.any_registered()) {
                self.fail(&error);
                return;
            }
            if missing {
                let why = match (short, self.with(|scheduler, _| scheduler.pool_is_up())) {
                    (true, _) => Unready::Short,
                    (false, true) => Unready::BesideOthers,
                    (false, false) => Unready::Alone,
                };
                let count = backoff.died_unready(why, Instant::now());
                tell_unready(count, worker.pid, &how, &tail);
            }
            self.start_has_failed(&error, backoff);
        } else if missing {
            let now = Instant::now();
            backoff.died(worker.ready.unwrap_or(now), now);
        }
    }
}

/// Reports that a worker has ended before it was ready. `count` workers in a row have done so.
/// Reports the first, the tenth, the hundredth and so on. The output of the first worker was passed
/// on.
fn tell_unready(count: u32, pid: u32, how: &str, tail: &str) {
    if count == 1 {
        eprintln!(
            "mobula: a worker (pid {pid}) ended before it was ready: {how}; the pool has fewer workers than it \
             should until this works, which is tried again after ever longer pauses of up to a minute"
        );
    } else if count.is_multiple_of(10) && 10_u32.pow(count.ilog10()) == count {
        let said = match tail.is_empty() {
            true => String::new(),
            false => format!("; its last lines on stderr were:\n{tail}"),
        };
        eprintln!(
            "mobula: {count} workers in a row have ended before they were ready, the latest one (pid {pid}): \
             {how}{said}"
        );
    }
}
