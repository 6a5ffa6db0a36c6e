//! The measures against a shortage: a limit of the system is reached, and workers cannot be
//! started.
//!
//! - When a start has failed for want of descriptors, the driver raises the soft limit on
//!   descriptors to the hard limit.
//! - The driver keeps some descriptors in reserve. They are for the case that actors have all other
//!   descriptors and the pool has no worker left. Then one worker of the pool is started with them.
//! - Calls that wait for a process fail after [`PATIENCE`], with the reason of the last failure.
//!   The monitor goes on trying, so the pool is complete again some time after the shortage.

use std::{
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use mobula_protocol::{Error, Result};
use mobula_store::descriptors;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::engines::processes::{Driver, workers::backoff::RestartBackoff};

/// How long starts fail before calls that wait for a process fail.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many descriptors are kept in reserve: those that the start of a worker takes, and some more.
const RESERVE: usize = 20;

/// If the limit on descriptors is lower than this, none is kept in reserve.
const LEAST_FOR_RESERVE: u64 = 80;

/// Descriptors that have no use of their own. They are closed when others are needed.
#[derive(Debug, Default)]
pub(in crate::engines::processes) struct Reserve(Vec<OwnedFd>);

impl Reserve {
    /// Takes the missing descriptors, as far as the system gives them. They are copies of `any`.
    pub(in crate::engines::processes) fn fill(&mut self, any: impl AsFd) {
        if self.0.len() >= RESERVE {
            return;
        }
        let limit = getrlimit(Resource::Nofile).current;
        if limit.is_some_and(|limit| limit < LEAST_FOR_RESERVE) {
            return;
        }
        while self.0.len() < RESERVE {
            match descriptors::duplicate(any.as_fd()) {
                Ok(copy) => self.0.push(copy),
                Err(_) => break,
            }
        }
    }

    /// Closes the descriptors. Returns whether there were any.
    fn spend(&mut self) -> bool {
        !std::mem::take(&mut self.0).is_empty()
    }
}

/// Raises the soft limit on descriptors to the hard limit. Returns whether that has changed it.
fn raise_descriptors() -> bool {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_ok()
}

impl Driver {
    /// Starts a worker, with more descriptors if that helps.
    ///
    /// # Errors
    /// See [`start_worker`](Self::start_worker).
    pub(in crate::engines::processes) fn start_worker_somehow(
        &self,
        backoff: &mut RestartBackoff,
        reserve: &mut Reserve,
    ) -> Result<()> {
        let hushed = backoff.are_unready();
        let mut started = self.start_worker(hushed);
        if matches!(&started, Err(error) if error.is_resource_limit()) && raise_descriptors() {
            started = self.start_worker(hushed);
        }
        if matches!(&started, Err(error) if error.is_resource_limit())
            && self.with(|scheduler, _| scheduler.pool_is_empty())
            && reserve.spend()
        {
            // So the pool gets the worker, and no actor.
            backoff.failing_since(Instant::now());
            self.with(|scheduler, _| scheduler.keep_last_worker(true));
            started = self.start_worker(hushed);
        }
        started
    }

    /// Whether the pool keeps its last worker, also while workers can be started. A pool of one
    /// worker does not: otherwise each actor would wait for another process.
    pub(in crate::engines::processes) fn keeps_last_worker(&self) -> bool {
        self.config.workers > 1
    }

    /// Records that a worker could not be started, or died before it was ready.
    pub(in crate::engines::processes) fn start_has_failed(
        &self,
        error: &Error,
        backoff: &mut RestartBackoff,
    ) {
        let now = Instant::now();
        let failing = now.duration_since(backoff.failing_since(now));
        // When a worker that was started in the meantime should long be ready, it is no hope any
        // more.
        let any_hope = failing < PATIENCE + self.config.start_timeout;
        let refused = self.with(|scheduler, peers| {
            scheduler.keep_last_worker(true);
            match failing >= PATIENCE {
                true => scheduler.refuse_processes(error, any_hope, peers),
                false => 0,
            }
        });
        backoff.give_up(refused);
    }

    /// Records that a worker takes tasks.
    pub(in crate::engines::processes) fn start_has_succeeded(
        &self,
        backoff: &mut RestartBackoff,
        reserve: &mut Reserve,
    ) {
        let (over, unready) = backoff.recovered();
        if unready > 1 {
            eprintln!("mobula: a worker is ready, after {unready} that ended before they were");
        }
        if over {
            let keep = self.keeps_last_worker();
            self.with(|scheduler, _| scheduler.keep_last_worker(keep));
            reserve.fill(self.monitor.waker());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_filled_up_and_spent_once() {
        let mut reserve = Reserve::default();
        assert!(!reserve.spend());
        reserve.fill(std::io::stderr());
        assert!(
            reserve.0.len() == RESERVE
                || getrlimit(Resource::Nofile).current < Some(LEAST_FOR_RESERVE)
        );
        assert!(reserve.spend() && !reserve.spend());
    }
}
