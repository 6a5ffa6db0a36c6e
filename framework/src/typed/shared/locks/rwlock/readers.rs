//! The readers of this process.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use mobula_protocol::{Result, sync::LocalReaders};
use mobula_store::Loc;
use parking_lot::Mutex;

use super::super::cell::Cell;

/// The readers of this process in each lock, by engine and place. All handles of one lock in a
/// process share them.
static READERS: LazyLock<Mutex<Readers>> = LazyLock::new(Mutex::default);

type Readers = HashMap<(usize, Loc), (Weak<LocalReaders>, LockNumber)>;

/// The number of a lock in this process. No later lock has it, while the place of its memory can be
/// used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LockNumber(u64);

impl LockNumber {
    fn next() -> LockNumber {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        LockNumber(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

pub(super) fn readers_of(cell: &Cell) -> Result<(Arc<LocalReaders>, LockNumber)> {
    let engine = Arc::as_ptr(&cell.handle.engine()?).addr();
    let key = (engine, cell.region().loc());
    let mut all = READERS.lock();
    if let Some((readers, number)) = all.get(&key)
        && let Some(readers) = readers.upgrade()
    {
        return Ok((readers, *number));
    }
    // Entries of dropped locks are removed when the map has 64, 128, 256, .. entries.
    if all.len() >= 64 && all.len().is_power_of_two() {
        all.retain(|_, (readers, _)| readers.strong_count() > 0);
    }
    let readers = Arc::new(LocalReaders::new());
    let number = LockNumber::next();
    all.insert(key, (Arc::downgrade(&readers), number));
    Ok((readers, number))
}
