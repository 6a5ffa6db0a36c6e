//! Callers that wait while another caller is the leader.

use std::{collections::VecDeque, sync::atomic::Ordering::Relaxed};

use parking_lot::Mutex;

use crate::primitive::{Futex, Memory, Region};

/// Callers that sleep while another one [leads](super::Leader), in the order in which they came. A
/// leader that ends wakes the next one, which becomes the leader.
///
/// Mostly there is none, and that costs a load. No caller is left asleep. A follower is counted,
/// and after a fence checks whether there is a leader. A leader ends, and after a fence checks
/// whether a follower is counted. One of the two sees the other. If the leader sees a follower that
/// is not in the list yet, that follower finds no leader.
#[derive(Debug)]
pub struct Followers<T, M: Memory = Region> {
    list: Mutex<VecDeque<T>>,
    /// A count that is never less than the length of the list.
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
    /// Adds a follower. After this it must try to become the leader, and may sleep only if it did
    /// not.
    pub fn enter(&self, follower: T) {
        self.count.increment();
        self.list.lock().push_back(follower);
        M::fence();
    }

    /// Removes the followers that have stopped to follow, if they are still there.
    pub fn strike(&self, gone: impl Fn(&T) -> bool) {
        let mut list = self.list.lock();
        let before = list.len();
        list.retain(|follower| !gone(follower));
        let gone = before - list.len();
        drop(list);
        (0..gone).for_each(|_| self.discount());
    }

    /// Removes the next follower and returns it. The caller wakes it. The caller was the leader
    /// until it [left](super::Leader::leave), or has stopped to follow.
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
