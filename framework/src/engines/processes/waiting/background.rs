//! The thread that reads the workers' answers when no caller does.

use std::sync::atomic::Ordering;

use mobula_protocol::waiting::{Mechanism, TIMED_PARK, WATCHFUL};

use crate::engines::processes::Driver;

impl Driver {
    pub(in crate::engines::processes) fn run_background(&self) {
        let spins = Mechanism::BackgroundSpin.is_on();
        let closed = || self.closed.load(Ordering::SeqCst);
        loop {
            let watchful = self.pending_work().then_some(WATCHFUL);
            let timeout = self.patience().or(watchful);
            self.doorbell
                .sleep_background(timeout, |led| closed() || (!led && self.has_work()));
            loop {
                if closed() {
                    return;
                }
                // A caller that waits reads the answers itself.
                let led = self.doorbell.is_led();
                let any = !led && self.poll();
                if self.poll_policy.take_served()
                    && Mechanism::Nap.is_on()
                    && !self.poll_policy.is_watched()
                {
                    self.doorbell.park_timed(TIMED_PARK, || {
                        closed() || self.poll_policy.is_watched_after_announcing()
                    });
                    continue;
                }
                // Answers of small tasks come in quick succession.
                let news = || self.doorbell.is_led() || self.any_ready();
                if led || !(any || spins && self.spin.until(news).is_ready()) {
                    break;
                }
            }
        }
    }
}
