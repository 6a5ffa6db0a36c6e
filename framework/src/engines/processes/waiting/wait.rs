//! A caller that waits for a result reads the workers' answers itself. A round trip then costs one
//! hop between processes each way, and none between threads.
//!
//! One caller at a time is the *leader* (see `mobula_protocol::doorbell`). The other callers, the
//! *followers*, park. A leader that leaves gives the rings back to the background thread, and wakes
//! one follower to lead. That follower may have its result already. So each caller that stops
//! waiting wakes a further follower.

use std::{
    hint,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use mobula_protocol::{
    Awaited, Error, ObjectHandle, current_thread_waker,
    doorbell::Leader,
    waiting::{Mechanism, QUICK, Spun, WATCHFUL},
};

use crate::engines::processes::Driver;
use crate::promise::ENGINE;

impl Driver {
    /// Blocks until what is awaited is known or the deadline has passed. Returns whether it is
    /// known.
    pub(in crate::engines::processes) fn wait_for(
        &self,
        what: &dyn Awaited,
        deadline: Option<Instant>,
    ) -> bool {
        if mobula_store::is_forked_child() {
            what.for_each_entry(&mut |handle| handle.complete(Err(Error::forked()), ENGINE));
            return true;
        }
        let passed = || deadline.is_some_and(|deadline| deadline <= Instant::now());
        let ready = loop {
            if what.is_known() {
                break true;
            }
            if self.lead(what, deadline) {
                continue;
            }
            if passed() {
                // An answer that has arrived counts, although nobody may have read it yet.
                self.poll();
                self.with(|scheduler, peers| peers.drain_all(scheduler));
                break what.is_known();
            }
            self.follow(what, deadline);
        };
        self.pass_on();
        ready
    }

    /// Becomes the leader if there is none. Returns `true` when the awaited object is known.
    /// Returns `false` if another caller is the leader, or the deadline has passed.
    fn lead(&self, what: &dyn Awaited, deadline: Option<Instant>) -> bool {
        let Some(mut leader) = self.doorbell.lead() else {
            return false;
        };
        loop {
            if !what.is_known() {
                self.poll();
            }
            if what.is_known() {
                self.leave(leader);
                return true;
            }
            let left = match deadline {
                None => WATCHFUL,
                Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                    None | Some(Duration::ZERO) => {
                        self.leave(leader);
                        return false;
                    }
                    Some(left) => left.min(WATCHFUL),
                },
            };
            let news = || what.is_known() || self.read_ready();
            let found = if self.poll_policy.may_spin() {
                let spun = self.spin.until(news);
                self.poll_policy.spun(spun != Spun::InTime);
                spun.is_ready()
            } else {
                news()
            };
            if !found {
                let left = self.patience().map_or(left, |patience| left.min(patience));
                leader.sleep(Some(left), || what.is_known() || self.has_work());
            }
        }
    }

    /// Ends the role of the leader.
    fn leave(&self, leader: Leader<'_>) {
        // Answers to read are a hint, too: the background thread would have had to be woken for
        // them.
        let asked = leader.leave(|| {
            let left = self.look();
            if left.answers {
                self.poll_policy.serve();
            }
            left.any() || left.packed
        });
        // No lock is taken for this hint.
        if !asked && self.leaves_answers.load(Ordering::Relaxed) {
            self.poll_policy.serve();
        }
    }

    /// Looks for the answer of a future on the spot, for as long as `PollPolicy::may_linger` says.
    /// If the answer comes, the future needs no wake-up. The future's caller calls this.
    pub(in crate::engines::processes) fn linger_for(&self, handle: &ObjectHandle) {
        if mobula_store::is_forked_child() {
            handle.complete(Err(Error::forked()), ENGINE);
            return;
        }
        let Some(limit) = self.poll_policy.may_linger() else {
            return;
        };
        let Some(leader) = self.doorbell.lead() else {
            return;
        };
        let begin = Instant::now();
        loop {
            self.read_ready();
            let spent = begin.elapsed();
            if handle.outcome().is_some() || spent >= limit {
                break;
            }
            if spent < QUICK && Mechanism::Quick.is_on() {
                hint::spin_loop();
            } else {
                // The system may have put the worker on this core.
                let now = Instant::now();
                if !self.spin.yields().may_yield(now) {
                    break;
                }
                self.spin.yields().yield_core(now);
            }
        }
        // After a long yield, a wake-up would have been no later.
        let in_vain = handle.outcome().is_none() || begin.elapsed() > 2 * limit;
        self.poll_policy.lingered(in_vain);
        self.leave(leader);
        self.pass_on();
    }

    /// Whether a worker has answered. Does not wait for the lock: returns `false` if another thread
    /// has it.
    pub(in crate::engines::processes) fn any_ready(&self) -> bool {
        self.state
            .try_lock()
            .is_some_and(|state| state.peers.any_ready())
    }

    /// Parks while another caller is the leader.
    fn follow(&self, what: &dyn Awaited, deadline: Option<Instant>) {
        if !what.subscribe(&current_thread_waker()) {
            return;
        }
        let own = thread::current();
        self.followers.enter(own.clone());
        // The leader may have left between the attempt to lead and the line above.
        match self.doorbell.lead() {
            Some(leader) => self.leave(leader),
            None => match deadline {
                None => thread::park(),
                Some(deadline) => {
                    thread::park_timeout(deadline.saturating_duration_since(Instant::now()))
                }
            },
        }
        self.followers.strike(|thread| thread.id() == own.id());
    }

    /// Wakes one follower to become the leader.
    fn pass_on(&self) {
        if let Some(follower) = self.followers.next() {
            follower.unpark();
        }
    }
}
