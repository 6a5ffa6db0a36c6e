//! The actor behind a queue.

use std::{collections::VecDeque, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Semaphore, time::timeout};

use super::item::Item;
use crate::remote;

/// The values of a queue. It does not know their types, so that one actor is enough for all.
pub(super) struct QueueActor {
    /// A permit for each value that has room.
    free: Semaphore,
    /// A permit for each value that is there.
    filled: Semaphore,
    items: Mutex<VecDeque<Item>>,
}

// Those who wait to put are in another group than those who wait to get: so neither can take the
// places of those whom they wait for, and who does not wait is in neither. The number in each is that of the threads they may take;
// further ones wait in the driver.
#[remote(max_concurrency = 1, groups = [("put", 1000), ("get", 1000)], crate = crate)]
impl QueueActor {
    pub(super) fn new(capacity: usize) -> Self {
        QueueActor {
            free: Semaphore::new(capacity),
            filled: Semaphore::new(0),
            items: Mutex::default(),
        }
    }

    /// Puts all items in when there is room; `false` if there is not within the limit.
    #[remote(group = "put")]
    pub(super) async fn put(&self, items: Vec<Item>, limit: Option<Duration>) -> bool {
        if !acquire(&self.free, items.len(), limit).await {
            return false;
        }
        self.add(items);
        true
    }

    /// Puts all items in if there is room.
    pub(super) fn try_put(&self, items: Vec<Item>) -> bool {
        if !try_acquire(&self.free, items.len()) {
            return false;
        }
        self.add(items);
        true
    }

    /// Takes items out when there are so many; `None` if there are not within the limit.
    #[remote(group = "get")]
    pub(super) async fn get(&self, count: usize, limit: Option<Duration>) -> Option<Vec<Item>> {
        if !acquire(&self.filled, count, limit).await {
            return None;
        }
        Some(self.remove(count))
    }

    /// Takes items out if there are so many.
    pub(super) fn try_get(&self, count: usize) -> Option<Vec<Item>> {
        try_acquire(&self.filled, count).then(|| self.remove(count))
    }

    pub(super) fn len(&self) -> usize {
        self.items.lock().len()
    }
}

impl QueueActor {
    /// Adds items that there is room for.
    fn add(&self, items: Vec<Item>) {
        let count = items.len();
        self.items.lock().extend(items);
        self.filled.add_permits(count);
    }

    /// Removes items that are there.
    fn remove(&self, count: usize) -> Vec<Item> {
        let items = self.items.lock().drain(..count).collect();
        self.free.add_permits(count);
        items
    }
}

/// Takes permits, in the order of those who ask; all or none.
async fn acquire(permits: &Semaphore, count: usize, limit: Option<Duration>) -> bool {
    let acquiring = permits.acquire_many(wide(count));
    let acquired = match limit {
        Some(limit) => timeout(limit, acquiring).await.ok(),
        None => Some(acquiring.await),
    };
    match acquired {
        // Nobody closes these semaphores.
        Some(Ok(permit)) => {
            permit.forget();
            true
        }
        Some(Err(_)) | None => false,
    }
}

/// Takes permits if there are so many for which nobody waits.
fn try_acquire(permits: &Semaphore, count: usize) -> bool {
    let permit = permits.try_acquire_many(wide(count));
    permit.map(|permit| permit.forget()).is_ok()
}

/// As semaphores count. More than fit will never be there.
fn wide(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
