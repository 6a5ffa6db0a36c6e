//! The monitor handles the death of a worker.
//!
//! It handles a death in this order:
//! - The monitor kills the process group.
//! - The monitor waits until the exit is certain.
//! - The monitor reads the worker's last messages.
//! - The monitor decides what becomes of the tasks.
//! - Only then the monitor gives the worker's memory back.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use mobula_protocol::Error;
use mobula_worker::{CANNOT_GO_ON, SHORT};

use crate::engines::processes::{
    Driver,
    peers::{peer::Peer, recovery},
    workers::backoff::{RestartBackoff, Unready},
    workers::death,
    workers::shortage::Reserve,
    workers::watched::Watched,
};

/// This many start-up deaths in a row, with no registered worker, fail the runtime. Before the
/// first worker has registered, one such death does. The first rule does not hold if a limit of the
/// system has caused the latest death.
const HOPELESS: usize = 10;

/// For how long the readers of the driver's output may delay the errors of a dead worker's tasks.
const PRINT_PATIENCE: Duration = Duration::from_millis(250);

impl Driver {
    /// Whether any worker takes tasks.
    fn any_registered(&self) -> bool {
        let ready = |peer: &mut Peer| peer.registered.load(Ordering::Acquire);
        self.with(|_, peers| peers.iter_mut().any(|(_, peer)| ready(peer)))
    }

    /// Does the work that is left when a worker is dead.
    pub(super) fn reap(
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
