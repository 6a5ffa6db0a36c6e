//! Callers that wait while another one has the lead.

use std::{collections::VecDeque, sync::atomic::Ordering::Relaxed};

use parking_lot::Mutex;

use crate::primitive::{Futex, Memory, Region};

/// Callers that sleep because another one [leads](super::Lead), in the order in which they came.
/// Whoever leaves the lead wakes the next, to take it.
///
/// Mostly there is none, and that costs a load. Nobody is left asleep: a follower is counted, and
/// then, behind a fence, looks whether the lead is free; a leader frees the lead, and then, behind
/// a fence, looks whether anybody is counted. One of the two sees the other. If the leader sees a
/// follower that is not in the list yet, that one finds the lead free.
#[derive(Debug)]
pub struct Followers<T, M: Memory = Region> {
    list: Mutex<VecDeque<T>>,
    /// At least as many as are in the list.
    count: M::Futex,
}

impl<T, M: Memory> Default for Followers<T, M> {
    fn default() -> Followers<T, M> {
        Followers {
            list: Mutex::new(VecDeque::new()),
            count: M::Futex::default(),
        }
    }
}

impl<T, M: Memory> Followers<T, M> {
    /// Enters one. It must try to take the lead after this, and may sleep only if it did not get
    /// that.
    pub fn enter(&self, follower: T) {
        self.count.increment();
        self.list.lock().push_back(follower);
        M::fence();
    }

    /// Takes out those that have stopped to follow, if they are still there.
    pub fn strike(&self, gone: impl Fn(&T) -> bool) {
        let mut list = self.list.lock();
        let before = list.len();
        list.retain(|follower| !gone(follower));
        let gone = before - list.len();
        drop(list);
        (0..gone).for_each(|_| self.discount());
    }

    /// Takes out the next, for whoever has [left](super::Lead::leave) the lead or has stopped to
    /// follow to wake.
    pub fn next(&self) -> Option<T> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        let follower = self.list.lock().pop_front()?;
        self.discount();
        Some(follower)
    }

    fn discount(&self) {
        let mut count = self.count.load(Relaxed);
        while let Err(now) = self.count.replace(count, count - 1) {
            count = now;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn followers_come_in_their_order_and_are_counted() {
        let followers = Followers::<u32>::default();
        assert_eq!(followers.next(), None);
        (0..4).for_each(|n| followers.enter(n));
        followers.strike(|n| *n == 1);
        followers.strike(|n| *n == 7);
        assert_eq!(followers.next(), Some(0));
        assert_eq!(followers.next(), Some(2));
        assert_eq!(followers.count.load(Relaxed), 1);
        assert_eq!(followers.next(), Some(3));
        assert_eq!(followers.next(), None);
        assert_eq!(followers.count.load(Relaxed), 0);
    }
}
