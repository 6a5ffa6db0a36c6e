//! A map by object id.

use std::collections::hash_map::Entry;

use mobula_store::NumberMap;

use crate::ids::{ObjectId, WorkerId};

/// The number of entries in a page. One entry that outlives its neighbours keeps the memory of 8
/// entries.
const PAGE: usize = 8;

/// A map whose entries lie side by side if their ids follow one another. Objects that were made one
/// after the other have such ids. A loop over many of them waits for memory less often than with a
/// plain map.
#[derive(Debug)]
pub struct IdMap<T> {
    pages: Pages<T>,
    len: usize,
    /// The page that became empty last. It saves allocations, since pages come and go with single
    /// entries.
    spare: Option<Box<Page<T>>>,
}

#[derive(Debug)]
struct Page<T> {
    entries: [Option<T>; PAGE],
    used: u8,
}

type Pages<T> = NumberMap<PageNumber, Box<Page<T>>>;

/// The process that made the ids of a page, and the page's place among those of that process.
type PageNumber = (WorkerId, u64);

/// Returns the page of this number. Makes the page if there is none.
#[inline]
fn page<'a, T>(
    pages: &'a mut Pages<T>,
    spare: &mut Option<Box<Page<T>>>,
    number: PageNumber,
) -> &'a mut Page<T> {
    pages.entry(number).or_insert_with(|| {
        spare.take().unwrap_or_else(|| {
            Box::new(Page {
                entries: [const { None }; PAGE],
                used: 0,
            })
        })
    })
}

#[inline]
fn place(id: ObjectId) -> (PageNumber, usize) {
    let page = (id.origin, id.seq / PAGE as u64);
    (page, (id.seq % PAGE as u64) as usize)
}

fn id((origin, page): PageNumber, at: usize) -> ObjectId {
    ObjectId {
        origin,
        seq: page * PAGE as u64 + at as u64,
    }
}

impl<T> Default for IdMap<T> {
    fn default() -> IdMap<T> {
        IdMap {
            pages: NumberMap::default(),
            len: 0,
            spare: None,
        }
    }
}

impl<T> IdMap<T> {
    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the map has no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the entry of an id.
    #[inline]
    pub fn get(&self, id: ObjectId) -> Option<&T> {
        let (page, at) = place(id);
        self.pages.get(&page)?.entries[at].as_ref()
    }

    /// Returns the entry of an id, to be changed.
    #[inline]
    pub fn get_mut(&mut self, id: ObjectId) -> Option<&mut T> {
        let (page, at) = place(id);
        self.pages.get_mut(&page)?.entries[at].as_mut()
    }

    /// Returns whether the id has an entry.
    pub fn contains(&self, id: ObjectId) -> bool {
        self.get(id).is_some()
    }

    /// Sets the entry of the id, and returns the one before.
    #[inline]
    pub fn insert(&mut self, id: ObjectId, entry: T) -> Option<T> {
        let (number, at) = place(id);
        let page = page(&mut self.pages, &mut self.spare, number);
        let before = page.entries[at].replace(entry);
        if before.is_none() {
            page.used += 1;
            self.len += 1;
        }
        before
    }

    /// Returns the entry of the id. Calls `make` for the entry if there is none.
    #[inline]
    pub fn get_or_insert_with(&mut self, id: ObjectId, make: impl FnOnce() -> T) -> &mut T {
        let (number, at) = place(id);
        let page = page(&mut self.pages, &mut self.spare, number);
        let (used, len) = (&mut page.used, &mut self.len);
        page.entries[at].get_or_insert_with(|| {
            let entry = make();
            *used += 1;
            *len += 1;
            entry
        })
    }

    /// Removes the entry of an id and returns it.
    pub fn remove(&mut self, id: ObjectId) -> Option<T> {
        let (number, at) = place(id);
        let Entry::Occupied(mut place) = self.pages.entry(number) else {
            return None;
        };
        let page = place.get_mut();
        let entry = page.entries[at].take()?;
        page.used -= 1;
        self.len -= 1;
        if page.used == 0 {
            self.spare = Some(place.remove());
        }
        Some(entry)
    }

    /// Returns all entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (ObjectId, &T)> {
        self.pages.iter().flat_map(|(&page, entries)| {
            let entries = entries.entries.iter().enumerate();
            entries.filter_map(move |(at, entry)| Some((id(page, at), entry.as_ref()?)))
        })
    }

    /// Returns all entries, in no order, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (ObjectId, &mut T)> {
        self.pages.iter_mut().flat_map(|(&page, entries)| {
            let entries = entries.entries.iter_mut().enumerate();
            entries.filter_map(move |(at, entry)| Some((id(page, at), entry.as_mut()?)))
        })
    }

    /// Returns all entries by value, in no order.
    pub fn into_entries(self) -> impl Iterator<Item = (ObjectId, T)> {
        self.pages.into_iter().flat_map(|(page, entries)| {
            let entries = entries.entries.into_iter().enumerate();
            entries.filter_map(move |(at, entry)| Some((id(page, at), entry?)))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn ids() -> impl Strategy<Value = ObjectId> {
        let origins = prop_oneof![Just(0), 1..4_u32, Just(u32::MAX)];
        let numbers = prop_oneof![0..40_u64, u64::MAX - 9..=u64::MAX];
        (origins, numbers).prop_map(|(origin, seq)| ObjectId {
            origin: WorkerId(origin),
            seq,
        })
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0..4_u8, ids(), any::<u16>()), 0..300)) {
            let (mut map, mut model) = (IdMap::default(), BTreeMap::new());
            for (step, id, number) in steps {
                match step {
                    0 => prop_assert_eq!(map.insert(id, number), model.insert(id, number)),
                    1 => prop_assert_eq!(map.remove(id), model.remove(&id)),
                    2 => {
                        let entry = map.get_or_insert_with(id, || number);
                        *entry = entry.wrapping_add(1);
                        let same = model.entry(id).or_insert(number);
                        *same = same.wrapping_add(1);
                    }
                    _ => {
                        map.iter_mut().for_each(|(_, entry)| *entry ^= number);
                        model.values_mut().for_each(|entry| *entry ^= number);
                    }
                }
                prop_assert_eq!(map.get(id), model.get(&id));
                prop_assert_eq!(map.get_mut(id), model.get_mut(&id));
                prop_assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
                let all: BTreeMap<_, _> = map.iter().map(|(id, entry)| (id, *entry)).collect();
                prop_assert_eq!(&all, &model);
                // No page is kept without need.
                prop_assert!(map.pages.len() <= map.len());
            }
            prop_assert_eq!(map.into_entries().collect::<BTreeMap<_, _>>(), model);
        }
    }
}
