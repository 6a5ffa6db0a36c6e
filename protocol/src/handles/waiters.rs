//! The wakers that wait for one outcome.
//!
//! A future that is a plain borrow (`&ObjectRef`) does not notice its own drop, so its waker stays
//! behind. The list bounds such wakers by early wake-ups, which every `Future` allows. A live
//! future polls again and leaves its waker again. A dropped one does not.
//!
//! Wakers of polls have two generations. A *sweep* drops the old generation, makes the young one
//! old, and wakes it. A poll moves its waker from the old generation to the young one. A sweep
//! follows after [`FEW`] new wakers, or after half as many as the last sweep saw, if that is more.
//!
//! The list keeps the old wakers until the next sweep. So no new task can have the address of an
//! old one and pass for it. With `n` live futures the list holds at most about `4 n + 3 FEW`
//! wakers. A new waker costs at most three early wake-ups on average.
//!
//! A *registered* waker is not woken before the outcome. Its owner removes it.

use std::{collections::HashMap, mem, panic::AssertUnwindSafe, sync::Arc, task::Waker};

/// Up to this many wakers are a plain list.
const FEW: usize = 32;

/// Wakers by the addresses of their data and their functions. They are in an `Arc`, since a clone
/// of a waker runs user code.
type Wakers = HashMap<(usize, usize), Arc<Waker>>;

/// The wakers of one outcome. Most outcomes have one waiter or none, and then there is at most one
/// small list.
#[derive(Debug, Default)]
pub(crate) enum Waiters {
    /// No thread has waited. A handle in this state is dropped without a look at lists.
    #[default]
    Nobody,
    Polled(Vec<Waker>),
    Registered(Vec<Waker>),
    Many(Box<Many>),
}

#[derive(Debug, Default)]
pub(crate) struct Many {
    registered: Wakers,
    young: Wakers,
    old: Wakers,
    /// Wakers that were registered twice while they were few.
    twice: Vec<Arc<Waker>>,
    /// New wakers of polls since the last sweep.
    arrived: usize,
    /// The size of the young generation at the last sweep.
    swept: usize,
}

/// The rest of a sweep. The caller does it without the lock, since it runs user code.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Swept {
    pub(crate) early: Taken,
    /// Wakers to be dropped.
    #[expect(dead_code, reason = "only its drop matters")]
    dropped: Wakers,
}

/// Wakers to be woken, without the lock.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Taken {
    own: Vec<Waker>,
    /// Wakers that the list keeps.
    shared: Vec<Arc<Waker>>,
}

impl Taken {
    /// Wakes all. Wakers run user code. A panic in one must not keep the others asleep, or end a
    /// thread of the engine.
    pub(crate) fn wake_all(self) {
        self.own
            .into_iter()
            .for_each(|waker| guarded(|| waker.wake()));
        self.shared.into_iter().for_each(|waker| {
            guarded(|| {
                waker.wake_by_ref();
                drop(waker);
            });
        });
    }
}

fn guarded(wake: impl FnOnce()) {
    if std::panic::catch_unwind(AssertUnwindSafe(wake)).is_err() {
        eprintln!("mobula: a waker panicked");
    }
}

fn key(waker: &Waker) -> (usize, usize) {
    let functions = std::ptr::from_ref(waker.vtable());
    (waker.data().addr(), functions.addr())
}

/// Returns the wakers by their keys, and the wakers whose key was there already.
fn by_key(wakers: Vec<Waker>) -> (Wakers, Vec<Arc<Waker>>) {
    let mut all = Wakers::with_capacity(wakers.len());
    let wakers = wakers.into_iter();
    let twice = wakers.filter_map(|waker| all.insert(key(&waker), Arc::new(waker)));
    let twice = twice.collect();
    (all, twice)
}

impl Waiters {
    /// Returns whether no thread waits.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Waiters::Nobody => true,
            Waiters::Polled(wakers) | Waiters::Registered(wakers) => wakers.is_empty(),
            Waiters::Many(many) => {
                many.registered.is_empty() && many.young.is_empty() && many.old.is_empty()
            }
        }
    }

    /// Adds the waker of a poll, or returns it as an error if it is there already. A list that has
    /// grown sweeps.
    ///
    /// Nothing here runs user code, which a clone or drop of a waker would: the caller has a lock.
    pub(crate) fn poll(&mut self, waker: Waker) -> Result<Option<Swept>, Waker> {
        match self {
            Waiters::Polled(wakers) => {
                if wakers.iter().any(|known| known.will_wake(&waker)) {
                    return Err(waker);
                }
                if wakers.len() < FEW {
                    wakers.push(waker);
                    return Ok(None);
                }
            }
            Waiters::Nobody => {
                *self = Waiters::Polled(vec![waker]);
                return Ok(None);
            }
            Waiters::Registered(wakers) if wakers.is_empty() => {
                *self = Waiters::Polled(vec![waker]);
                return Ok(None);
            }
            Waiters::Registered(_) | Waiters::Many(_) => {}
        }
        self.many().poll(waker)
    }

    /// Adds a waker that [`unregister`](Waiters::unregister) removes. The caller drops the returned
    /// waker without the lock.
    #[must_use]
    pub(crate) fn register(&mut self, waker: Waker) -> Option<Arc<Waker>> {
        match self {
            Waiters::Registered(wakers) if wakers.len() < FEW => wakers.push(waker),
            Waiters::Nobody => *self = Waiters::Registered(vec![waker]),
            _ => {
                let registered = &mut self.many().registered;
                return registered.insert(key(&waker), Arc::new(waker));
            }
        }
        None
    }

    /// Removes a registered waker and returns it. The caller drops it without the lock.
    pub(crate) fn unregister(&mut self, waker: &Waker) -> Option<Arc<Waker>> {
        match self {
            Waiters::Nobody | Waiters::Polled(_) => None,
            Waiters::Registered(wakers) => {
                let at = wakers.iter().position(|known| known.will_wake(waker))?;
                Some(Arc::new(wakers.swap_remove(at)))
            }
            Waiters::Many(many) => many.registered.remove(&key(waker)),
        }
    }

    /// Takes all wakers, also those that were woken early and have not polled since.
    pub(crate) fn take(&mut self) -> Taken {
        match mem::take(self) {
            Waiters::Nobody => Taken::default(),
            Waiters::Polled(own) | Waiters::Registered(own) => Taken {
                own,
                shared: Vec::new(),
            },
            Waiters::Many(many) => {
                let polled = many.young.into_values().chain(many.old.into_values());
                let registered = many.registered.into_values().chain(many.twice);
                Taken {
                    own: Vec::new(),
                    shared: polled.chain(registered).collect(),
                }
            }
        }
    }

    fn many(&mut self) -> &mut Many {
        let many = match mem::take(self) {
            Waiters::Nobody => Box::default(),
            Waiters::Polled(wakers) => {
                let (young, twice) = by_key(wakers);
                Box::new(Many {
                    young,
                    twice,
                    ..Many::default()
                })
            }
            Waiters::Registered(wakers) => {
                let (registered, twice) = by_key(wakers);
                Box::new(Many {
                    registered,
                    twice,
                    ..Many::default()
                })
            }
            Waiters::Many(many) => many,
        };
        *self = Waiters::Many(many);
        match self {
            Waiters::Many(many) => many,
            _ => unreachable!("just set"),
        }
    }
}

impl Many {
    fn poll(&mut self, waker: Waker) -> Result<Option<Swept>, Waker> {
        let key = key(&waker);
        if self.young.contains_key(&key) {
            return Err(waker);
        }
        if let Some(back) = self.old.remove(&key) {
            self.young.insert(key, back);
            return Err(waker);
        }
        self.arrived += 1;
        let swept = (self.arrived >= FEW.max(self.swept / 2)).then(|| self.sweep());
        self.young.insert(key, Arc::new(waker));
        Ok(swept)
    }

    fn sweep(&mut self) -> Swept {
        self.arrived = 0;
        self.swept = self.young.len();
        let dropped = mem::replace(&mut self.old, mem::take(&mut self.young));
        Swept {
            early: Taken {
                own: Vec::new(),
                shared: self.old.values().cloned().collect(),
            },
            dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn held(waiters: &Waiters) -> usize {
        match waiters {
            Waiters::Nobody => 0,
            Waiters::Polled(wakers) | Waiters::Registered(wakers) => wakers.len(),
            Waiters::Many(many) => many.registered.len() + many.young.len() + many.old.len(),
        }
    }

    fn all(taken: &Taken) -> Vec<Waker> {
        let shared = taken.shared.iter().map(|waker| (**waker).clone());
        taken.own.iter().cloned().chain(shared).collect()
    }

    /// Polls for `task`, and again for each live task that a sweep wakes. Returns the number of
    /// early wake-ups.
    fn poll(waiters: &mut Waiters, live: &[Waker], task: &Waker) -> usize {
        let mut early = 0;
        let mut woken = vec![task.clone()];
        while let Some(task) = woken.pop() {
            let swept = waiters.poll(task).unwrap_or_default().unwrap_or_default();
            let woken_early = all(&swept.early);
            early += woken_early.len();
            let live = |waker: &Waker| live.iter().any(|own| own.will_wake(waker));
            woken.extend(woken_early.into_iter().filter(live));
        }
        early
    }

    #[test]
    fn wakers_of_dropped_futures_are_bounded_and_live_ones_stay() {
        for live in [0, 1, 10, 200] {
            let live: Vec<Waker> = (0..live)
                .map(|_| Arc::new(Task::default()).into())
                .collect();
            let mut waiters = Waiters::default();
            for task in &live {
                poll(&mut waiters, &live, task);
            }
            let (mut early, mut most) = (0, 0);
            for _ in 0..20_000 {
                early += poll(&mut waiters, &live, &Arc::new(Task::default()).into());
                most = most.max(held(&waiters));
            }
            assert!(most <= 4 * live.len() + 3 * FEW, "{most} of {}", live.len());
            assert!(early <= 3 * 20_000, "{early} early wake-ups");
            let all = all(&waiters.take());
            assert!(waiters.is_empty());
            for task in &live {
                assert!(all.iter().any(|waker| waker.will_wake(task)));
            }
        }
    }

    #[test]
    fn a_task_that_polls_again_has_one_waker() {
        let task: Waker = Arc::new(Task::default()).into();
        let mut waiters = Waiters::default();
        assert!(
            waiters
                .poll(task.clone())
                .is_ok_and(|swept| swept.is_none())
        );
        for _ in 0..2 {
            assert!(waiters.poll(task.clone()).is_err());
        }
        assert_eq!(held(&waiters), 1);
        let others: Vec<Waker> = (0..FEW).map(|_| Arc::new(Task::default()).into()).collect();
        for _ in 0..3 {
            for other in others.iter().chain([&task]) {
                let swept = waiters.poll(other.clone());
                assert!(swept.is_err() || swept.is_ok_and(|swept| swept.is_none()));
            }
        }
        assert_eq!(held(&waiters), FEW + 1);
    }

    #[test]
    fn registered_wakers_are_not_woken_early_and_leave_when_told() {
        let of_polls: Vec<Waker> = (0..1000)
            .map(|_| Arc::new(Task::default()).into())
            .collect();
        for before in [0, 1, FEW, 500] {
            let mut waiters = Waiters::default();
            let registered: Vec<Waker> =
                (0..100).map(|_| Arc::new(Task::default()).into()).collect();
            for waker in &of_polls[..before] {
                let _ = waiters.poll(waker.clone());
            }
            for waker in &registered {
                assert!(waiters.register(waker.clone()).is_none());
            }
            for waker in &of_polls[before..] {
                let swept = waiters.poll(waker.clone()).unwrap_or_default();
                let woken = all(&swept.unwrap_or_default().early);
                let early = |waker: &Waker| woken.iter().any(|own| own.will_wake(waker));
                assert!(!registered.iter().any(early));
            }
            for waker in &registered[..99] {
                assert!(
                    waiters
                        .unregister(waker)
                        .is_some_and(|own| own.will_wake(waker))
                );
                assert!(waiters.unregister(waker).is_none());
            }
            let all = all(&waiters.take());
            let is_there = |waker: &Waker| all.iter().any(|own| own.will_wake(waker));
            assert!(is_there(&registered[99]) && !is_there(&registered[0]));
        }
    }
}
