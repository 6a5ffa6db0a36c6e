//! Threads of the driver that sleep in the queue of a lock, and futures that wait there.
//!
//! When the runtime ends, they may wait for a worker that is gone. So the end wakes them, and they
//! sleep no more.

use std::collections::HashMap;

use mobula_protocol::sync::{Ended, Sleep};
use parking_lot::Mutex;

type Alarm = Box<dyn Fn() + Send + Sync>;

#[derive(Default)]
pub(in crate::engines::processes) struct Sleepers(Mutex<State>);

#[derive(Default)]
struct State {
    ended: bool,
    next: u64,
    alarms: HashMap<u64, Alarm>,
    /// Wakes all futures of this process, if one has waited.
    wake_all: Option<fn()>,
}

impl Sleepers {
    /// Sleeps in the queue of a lock. The end of the runtime ends the sleep.
    ///
    /// # Errors
    /// The runtime has ended.
    pub(in crate::engines::processes) fn sleep(&self, sleep: &mut dyn Sleep) -> Result<(), Ended> {
        let alarm = sleep.alarm();
        let number = {
            let mut state = self.0.lock();
            if state.ended {
                return Err(Ended);
            }
            state.next += 1;
            let number = state.next;
            state.alarms.insert(number, alarm);
            number
        };
        // From here on, an alarm ends the sleep, or keeps it from beginning.
        sleep.sleep(None);
        let alarm = self.0.lock().alarms.remove(&number);
        drop(alarm);
        Ok(())
    }

    /// Notes that a future waits. From here on, the end calls `wake_all`.
    ///
    /// # Errors
    /// The runtime has ended.
    pub(in crate::engines::processes) fn waits(&self, wake_all: fn()) -> Result<(), Ended> {
        let mut state = self.0.lock();
        if state.ended {
            return Err(Ended);
        }
        state.wake_all = Some(wake_all);
        Ok(())
    }

    /// Wakes all threads and futures, and lets none sleep from here on.
    pub(in crate::engines::processes) fn end(&self) {
        let (alarms, wake_all) = {
            let mut state = self.0.lock();
            state.ended = true;
            (std::mem::take(&mut state.alarms), state.wake_all)
        };
        for alarm in alarms.values() {
            alarm();
        }
        if let Some(wake_all) = wake_all {
            wake_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, mpsc},
        thread,
        time::Duration,
    };

    use super::*;

    /// Sleeps until its alarm goes off.
    struct Awaits(mpsc::Receiver<()>, mpsc::Sender<()>, mpsc::Sender<()>);

    impl Sleep for Awaits {
        fn sleep(&mut self, _: Option<Duration>) {
            self.2.send(()).unwrap();
            self.0.recv().unwrap();
        }

        fn is_over(&self) -> bool {
            false
        }

        fn step_aside(&mut self) {}

        fn has_stepped_aside(&self) -> bool {
            false
        }

        fn alarm(&self) -> Alarm {
            let alarm = self.1.clone();
            Box::new(move || alarm.send(()).unwrap())
        }
    }

    #[test]
    fn the_end_wakes_who_sleeps_and_lets_nobody_sleep() {
        let sleepers = Arc::new(Sleepers::default());
        let (asleep, has_begun) = mpsc::channel();
        let sleep = || {
            let (alarm, awaited) = mpsc::channel();
            Awaits(awaited, alarm, asleep.clone())
        };
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (sleepers, mut sleep) = (sleepers.clone(), sleep());
                thread::spawn(move || sleepers.sleep(&mut sleep))
            })
            .collect();
        for _ in &threads {
            has_begun.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        sleepers.end();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Ok(()));
        }
        assert!(sleepers.0.lock().alarms.is_empty());
        assert_eq!(sleepers.sleep(&mut sleep()), Err(Ended));
    }
}
