//! A caller that waits for a result reads the workers' answers itself: a round trip then costs one
//! hop between processes each way, and none between threads.
//!
//! One caller at a time has the *lead* (see the bell in `mobula_protocol::bell`); the others park.
//! Who leaves the lead gives it back to the background thread and wakes one follower, who takes it.
//! That follower may have got its result in the meantime; so whoever stops waiting passes this on.

use std::{
    hint, thread,
    time::{Duration, Instant},
};

use mobula_protocol::{
    Awaited, Error, ObjectHandle,
    bell::Lead,
    current_thread_waker,
    waiting::{Mechanism, QUICK, Spun, WATCHFUL},
};

use crate::engines::processes::Driver;
use crate::promise::ENGINE;

impl Driver {
    /// Blocks until what is awaited is known or the deadline has passed; `false` if it has.
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
                // What has arrived counts, although nobody may have read it yet.
                self.poll();
                self.with(|scheduler, peers| peers.drain_all(scheduler));
                break what.is_known();
            }
            self.follow(what, deadline);
        };
        self.pass_on();
        ready
    }

    /// Takes the lead, if nobody has it, until it is known (then returns true) or the
    /// deadline has passed.
    fn lead(&self, what: &dyn Awaited, deadline: Option<Instant>) -> bool {
        let Some(mut lead) = self.bell.lead() else {
            return false;
        };
        loop {
            if !what.is_known() {
                self.poll();
            }
            if what.is_known() {
                self.leave(lead);
                return true;
            }
            let left = match deadline {
                None => WATCHFUL,
                Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                    None | Some(Duration::ZERO) => {
                        self.leave(lead);
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
                lead.sleep(Some(left), || what.is_known() || self.has_work());
            }
        }
    }

    /// Gives the lead back.
    fn leave(&self, lead: Lead<'_>) {
        // What there is to read is a hint, too: the background thread would have had to be woken.
        let asked = lead.leave(|| {
            let left = self.look();
            if left.answers {
                self.poll_policy.serve();
            }
            left.any() || left.packed
        });
        if !asked && self.any_ready() {
            self.poll_policy.serve();
        }
    }

    /// For the caller of a future: looks for the answer as long as a short task may take, so that
    /// the future needs no waking, if that has paid lately.
    pub(in crate::engines::processes) fn linger_for(&self, handle: &ObjectHandle) {
        if mobula_store::is_forked_child() {
            handle.complete(Err(Error::forked()), ENGINE);
            return;
        }
        let Some(limit) = self.poll_policy.may_linger() else {
            return;
        };
        let Some(lead) = self.bell.lead() else {
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
                // The worker may have been put on this core.
                let now = Instant::now();
                if !self.spin.yields().may_yield(now) {
                    break;
                }
                self.spin.yields().yield_core(now);
            }
        }
        // After a long yield, being woken would have been no later.
        let in_vain = handle.outcome().is_none() || begin.elapsed() > 2 * limit;
        self.poll_policy.lingered(in_vain);
        self.leave(lead);
        self.pass_on();
    }

    /// Whether a worker that is likely to say something has, as far as that can be seen without
    /// waiting.
    pub(in crate::engines::processes) fn any_ready(&self) -> bool {
        self.state
            .try_lock()
            .is_some_and(|state| state.peers.any_busy_ready())
    }

    /// Parks while another caller has the lead.
    fn follow(&self, what: &dyn Awaited, deadline: Option<Instant>) {
        if !what.subscribe(&current_thread_waker()) {
            return;
        }
        let own = thread::current();
        self.followers.enter(own.clone());
        // The leader may have left between our attempt and the line above.
        match self.bell.lead() {
            Some(lead) => self.leave(lead),
            None => match deadline {
                None => thread::park(),
                Some(deadline) => {
                    thread::park_timeout(deadline.saturating_duration_since(Instant::now()))
                }
            },
        }
        self.followers.strike(|thread| thread.id() == own.id());
    }

    /// Wakes one follower, to take the lead that is free now.
    fn pass_on(&self) {
        if let Some(follower) = self.followers.next() {
            follower.unpark();
        }
    }
}
