//! The thread that starts workers and sees them die. With the scheduler it decides what becomes of
//! a dead worker's tasks, and starts another worker in its place.
//!
//! This thread starts all workers, and they end when it ends. `Runtime::start()` returns when the
//! first worker takes tasks. The other workers come up after that.

mod looks;
mod reap;
mod requests;

use std::time::{Duration, Instant};

use mobula_protocol::WorkerId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::engines::processes::{
    Driver,
    workers::backoff::RestartBackoff,
    workers::shortage::Reserve,
    workers::watched::{Orphaned, Watched},
};

pub(in crate::engines::processes) use requests::Monitor;

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
}
