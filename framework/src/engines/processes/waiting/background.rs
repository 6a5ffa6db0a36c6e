//! The thread that reads the workers' answers when no caller does.

use std::{sync::atomic::Ordering, time::Duration};

use mobula_protocol::bell::Spin;

use crate::engines::processes::Driver;

/// While tasks are under way, how long the thread sleeps at most, in case something wrote over the
/// bell. Without tasks it sleeps until it is rung.
const WATCHFUL: Duration = Duration::from_millis(500);

/// A nap. The system adds some 50 us to it.
const NAP: Duration = Duration::from_micros(50);

impl Driver {
    pub(in crate::engines::processes) fn run_background(&self) {
        let spin = Spin::for_this_machine();
        let closed = || self.closed.load(Ordering::SeqCst);
        loop {
            let watchful = self.pending_work().then_some(WATCHFUL);
            let timeout = self.patience().or(watchful);
            self.bell
                .sleep_background(timeout, |led| closed() || (!led && self.has_work()));
            loop {
                if closed() {
                    return;
                }
                // A caller that waits reads the answers itself.
                let led = self.bell.is_led();
                let any = !led && self.poll();
                if self.poll_policy.take_served() && !self.poll_policy.is_watched() {
                    self.bell.nap(NAP, || {
                        closed() || self.poll_policy.is_watched_after_announcing()
                    });
                    continue;
                }
                // Answers of small tasks come in quick succession.
                if led
                    || !any
                        && !spin
                            .until(|| self.bell.is_led() || self.any_ready())
                            .is_ready()
                {
                    break;
                }
            }
        }
    }
}
