//! Deadlines of futures, on any executor.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    thread,
    time::Instant,
};

use mobula_protocol::{Error, Result};
use mobula_store::limits::Wanted;
use parking_lot::{Condvar, Mutex};

/// The key of an alarm: its time, and its own number.
type Key = (Instant, u64);

/// The wakers, by the time of their alarms.
struct Alarms {
    wakers: Mutex<(BTreeMap<Key, Waker>, u64)>,
    changed: Condvar,
}

static ALARMS: Alarms = Alarms {
    wakers: Mutex::new((BTreeMap::new(), 0)),
    changed: Condvar::new(),
};

/// An alarm that may be set. The drop removes the alarm.
#[derive(Default)]
struct Set(Option<Key>);

impl Set {
    /// Sets the alarm to call this waker at the deadline. Replaces the waker before.
    ///
    /// # Errors
    /// The system refuses a thread for the clock.
    fn to(&mut self, deadline: Instant, waker: &Waker) -> Result<()> {
        start_clock()?;
        let mut alarms = ALARMS.wakers.lock();
        let key = *self.0.get_or_insert_with(|| {
            alarms.1 += 1;
            (deadline, alarms.1)
        });
        let before = alarms.0.insert(key, waker.clone());
        let first = alarms.0.first_key_value().map(|(key, _)| *key) == Some(key);
        if first && before.is_none() {
            ALARMS.changed.notify_one();
        }
        drop(alarms);
        // The drop of a waker runs foreign code, so it comes after the lock.
        drop(before);
        Ok(())
    }
}

/// Starts the thread that calls the wakers, unless it runs.
fn start_clock() -> Result<()> {
    static STARTED: Mutex<bool> = Mutex::new(false);
    let mut started = STARTED.lock();
    if !*started {
        let clock = thread::Builder::new().name("mobula-alarm".to_owned());
        clock.spawn(run).map_err(|error| {
            let what = "cannot start the thread mobula-alarm, which keeps the limits of futures";
            Error::refused(what, Wanted::Thread, error)
        })?;
        *started = true;
    }
    Ok(())
}

impl Drop for Set {
    fn drop(&mut self) {
        if let Some(key) = self.0 {
            let waker = ALARMS.wakers.lock().0.remove(&key);
            drop(waker);
        }
    }
}

fn run() {
    let mut alarms = ALARMS.wakers.lock();
    loop {
        let now = Instant::now();
        match alarms.0.first_entry() {
            None => ALARMS.changed.wait(&mut alarms),
            Some(first) if first.key().0 > now => {
                let deadline = first.key().0;
                ALARMS.changed.wait_until(&mut alarms, deadline);
            }
            Some(first) => {
                let waker = first.remove();
                drop(alarms);
                waker.wake();
                alarms = ALARMS.wakers.lock();
            }
        }
    }
}

/// Returns the output of the future, or `None` if the deadline passes before.
///
/// # Errors
/// The system refuses a thread for the clock.
pub(super) async fn before<F: Future>(deadline: Instant, future: F) -> Result<Option<F::Output>> {
    Before {
        future: pin!(future),
        deadline,
        set: Set::default(),
    }
    .await
}

struct Before<'a, F> {
    future: Pin<&'a mut F>,
    deadline: Instant,
    set: Set,
}

impl<F: Future> Future for Before<'_, F> {
    type Output = Result<Option<F::Output>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(context) {
            return Poll::Ready(Ok(Some(output)));
        }
        if self.deadline <= Instant::now() {
            return Poll::Ready(Ok(None));
        }
        let deadline = self.deadline;
        match self.set.to(deadline, context.waker()) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future, time::Duration};

    use futures::executor::block_on;

    use super::*;

    #[test]
    fn a_future_ends_at_its_deadline_on_any_executor() {
        let soon = || Instant::now() + Duration::from_millis(20);
        let far = Instant::now() + Duration::from_secs(1_000);
        assert_eq!(
            block_on(before(soon(), future::pending::<()>())).unwrap(),
            None
        );
        assert_eq!(block_on(before(far, future::ready(7))).unwrap(), Some(7));
        // The earlier alarm rings although the clock already waits for the later one.
        let first = block_on(async {
            let (late, early) = (
                pin!(before(far, future::pending::<()>())),
                pin!(before(soon(), future::pending::<()>())),
            );
            let first = futures::future::select(late, early).await;
            matches!(first, futures::future::Either::Right((Ok(None), _)))
        });
        assert!(first);
        let left = |time| ALARMS.wakers.lock().0.keys().any(|(at, _)| *at == time);
        assert!(!left(far), "a dropped future leaves nothing");
    }
}
