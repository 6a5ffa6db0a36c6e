//! Decoded values of arguments that functions borrow. They are kept for the next call.
//!
//! A worker keeps one decoded value for each object and type. A kept value may hold arrays of the
//! store, but it does not keep its object. The engine calls [`Decoded::forget`] when the object is
//! freed.
//!
//! The limit is in encoded bytes. Values that were not used lately go first, by the clock
//! algorithm. A use marks a value, and the hand passes over a marked value once.
//!
//! A drop of a value runs user code, so nothing here drops a value under the lock.

use std::{
    any::{Any, TypeId},
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::{id_map::IdMap, ids::ObjectId};

/// A value of any type.
pub type AnyValue = Arc<dyn Any + Send + Sync>;

/// The bytes that a value costs beside its encoded bytes.
const OVERHEAD: usize = 512;

/// The decoded values of one process.
pub struct Decoded {
    kept: Mutex<Kept>,
    /// Values of objects that are freed. A thread that may run user code drops them.
    forgotten: Mutex<Vec<AnyValue>>,
    any_forgotten: AtomicBool,
    limit: usize,
}

#[derive(Default)]
struct Kept {
    values: IdMap<SmallVec<[Value; 1]>>,
    /// The ids in the order of the clock's hand. The hand passes over an id without values.
    hand: VecDeque<ObjectId>,
    /// The sum of the bytes of all values.
    bytes: usize,
}

struct Value {
    of: TypeId,
    bytes: usize,
    /// Whether the value was used since the hand passed.
    used: bool,
    value: AnyValue,
}

impl Decoded {
    /// Returns a cache that keeps values of up to `limit` encoded bytes.
    pub fn new(limit: usize) -> Decoded {
        Decoded {
            kept: Mutex::default(),
            forgotten: Mutex::default(),
            any_forgotten: AtomicBool::new(false),
            limit,
        }
    }

    /// Returns the value of an object that has this type.
    pub fn find(&self, id: ObjectId, of: TypeId) -> Option<AnyValue> {
        let mut kept = self.kept.lock();
        let mut values = kept.values.get_mut(id)?.iter_mut();
        let found = values.find(|value| value.of == of)?;
        found.used = true;
        Some(found.value.clone())
    }

    /// Keeps a value whose encoding has `bytes` bytes, and drops values that were not used lately.
    /// Returns `false` if the value is larger than the limit. Waits for no other process.
    pub fn keep(&self, id: ObjectId, bytes: usize, value: AnyValue) -> bool {
        let bytes = bytes.saturating_add(OVERHEAD);
        if bytes > self.limit {
            return false;
        }
        let new = Value {
            of: (*value).type_id(),
            bytes,
            used: false,
            value,
        };
        let mut kept = self.kept.lock();
        let mut outdated = kept.make_room(self.limit - bytes);
        outdated.extend(kept.insert(id, new));
        drop(kept);
        drop(outdated);
        true
    }

    /// Takes the values of a freed object from the cache. They are to be
    /// [dropped](Decoded::take_forgotten) soon. Returns `false` if the object has none.
    pub fn forget(&self, id: ObjectId) -> bool {
        let removed = self.kept.lock().remove(id);
        if removed.is_empty() {
            return false;
        }
        let mut forgotten = self.forgotten.lock();
        forgotten.extend(removed.into_iter().map(|value| value.value));
        self.any_forgotten.store(true, Ordering::SeqCst);
        true
    }

    /// Returns whether [`take_forgotten`](Decoded::take_forgotten) has values to return.
    pub fn any_forgotten(&self) -> bool {
        self.any_forgotten.load(Ordering::SeqCst)
    }

    /// Takes the values of freed objects. The caller drops them where user code may run.
    pub fn take_forgotten(&self) -> Vec<AnyValue> {
        let mut forgotten = self.forgotten.lock();
        self.any_forgotten.store(false, Ordering::SeqCst);
        std::mem::take(&mut *forgotten)
    }

    /// Takes all values. The caller drops them where user code may run.
    pub fn take_all(&self) -> Vec<AnyValue> {
        let kept = std::mem::take(&mut *self.kept.lock());
        let values = kept.values.into_entries().flat_map(|(_, values)| values);
        let mut all: Vec<AnyValue> = values.map(|value| value.value).collect();
        all.extend(self.take_forgotten());
        all
    }
}

impl Kept {
    /// Removes values until at most `limit` bytes are left, and returns them.
    fn make_room(&mut self, limit: usize) -> Vec<Value> {
        let mut outdated = Vec::new();
        while self.bytes > limit {
            let Some(id) = self.hand.pop_front() else {
                break;
            };
            let Some(values) = self.values.get_mut(id) else {
                continue;
            };
            if values.iter().any(|value| value.used) {
                values.iter_mut().for_each(|value| value.used = false);
                self.hand.push_back(id);
            } else {
                outdated.extend(self.remove(id));
            }
        }
        outdated
    }

    /// Adds a value. Returns the value of the same type that another thread has decoded meanwhile.
    fn insert(&mut self, id: ObjectId, value: Value) -> Option<Value> {
        self.bytes += value.bytes;
        let values = self.values.get_or_insert_with(id, SmallVec::new);
        if values.is_empty() {
            self.hand.push_back(id);
        }
        let twin = values.iter_mut().find(|known| known.of == value.of);
        let replaced = match twin {
            Some(twin) => Some(std::mem::replace(twin, value)),
            None => {
                values.push(value);
                None
            }
        };
        self.bytes -= replaced.as_ref().map_or(0, |replaced| replaced.bytes);
        replaced
    }

    fn remove(&mut self, id: ObjectId) -> SmallVec<[Value; 1]> {
        let removed = self.values.remove(id).unwrap_or_default();
        self.bytes -= removed.iter().map(|value| value.bytes).sum::<usize>();
        if self.hand.len() > 2 * self.values.len() + 64 {
            let values = &self.values;
            self.hand.retain(|id| values.get(*id).is_some());
            let mut seen = std::collections::HashSet::new();
            self.hand.retain(|id| seen.insert(*id));
        }
        removed
    }
}

impl std::fmt::Debug for Decoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kept = self.kept.lock();
        f.debug_struct("Decoded")
            .field("objects", &kept.values.len())
            .field("bytes", &kept.bytes)
            .field("limit", &self.limit)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WorkerId;

    fn id(seq: u64) -> ObjectId {
        ObjectId {
            origin: WorkerId::DRIVER,
            seq,
        }
    }

    fn find(decoded: &Decoded, seq: u64) -> Option<u64> {
        let found = decoded.find(id(seq), TypeId::of::<u64>())?;
        found.downcast_ref().copied()
    }

    fn keep(decoded: &Decoded, seq: u64, bytes: usize) -> bool {
        decoded.keep(id(seq), bytes - OVERHEAD, Arc::new(seq))
    }

    #[test]
    fn values_are_found_by_object_and_type() {
        let decoded = Decoded::new(10_000);
        assert!(decoded.keep(id(1), 10, Arc::new(1_u64)));
        assert!(decoded.keep(id(1), 10, Arc::new("one")));
        assert_eq!((find(&decoded, 1), find(&decoded, 2)), (Some(1), None));
        assert!(decoded.find(id(1), TypeId::of::<&str>()).is_some());
        assert!(decoded.find(id(1), TypeId::of::<u8>()).is_none());
    }

    #[test]
    fn what_was_not_used_lately_goes_first() {
        let decoded = Decoded::new(10_000);
        assert!((0..10).all(|n| keep(&decoded, n, 1000)));
        assert_eq!(find(&decoded, 0), Some(0));
        assert!((10..15).all(|n| keep(&decoded, n, 1000)));
        let left: Vec<u64> = (0..15).filter(|n| find(&decoded, *n).is_some()).collect();
        assert_eq!(left, [0, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
        assert!(!keep(&decoded, 20, 10_001));
        assert!(keep(&decoded, 21, 10_000));
        assert!((0..15).all(|n| find(&decoded, n).is_none()));
        assert_eq!(find(&decoded, 21), Some(21));
    }

    #[test]
    fn a_value_that_is_kept_twice_counts_once() {
        let decoded = Decoded::new(3_000);
        assert!(keep(&decoded, 1, 1000) && keep(&decoded, 2, 1000));
        assert!((0..10).all(|_| keep(&decoded, 2, 1000)));
        assert_eq!((find(&decoded, 1), find(&decoded, 2)), (Some(1), Some(2)));
        assert_eq!(decoded.kept.lock().bytes, 2000);
    }

    #[test]
    fn freed_objects_leave_nothing_but_what_is_to_be_dropped() {
        let decoded = Decoded::new(1 << 20);
        for n in 0..10_000 {
            assert!(keep(&decoded, n, 1000));
            assert!(decoded.forget(id(n)) && !decoded.forget(id(n)));
        }
        assert!(decoded.any_forgotten());
        assert_eq!(decoded.take_forgotten().len(), 10_000);
        assert!(!decoded.any_forgotten());
        let kept = decoded.kept.lock();
        assert_eq!((kept.bytes, kept.values.len()), (0, 0));
        assert!(kept.hand.len() < 100);
    }
}
