//! The readers of this process.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Weak},
};

use mobula_store::Loc;
use mobula_worker::{Result, sync::LocalReaders};
use parking_lot::Mutex;

use super::super::cell::Cell;

/// The readers of this process in each lock, by engine and place: all handles of one lock in a process
/// share them.
static READERS: LazyLock<Mutex<Readers>> = LazyLock::new(Mutex::default);

type Readers = HashMap<(usize, Loc), Weak<LocalReaders>>;

pub(super) fn readers_of(cell: &Cell) -> Result<Arc<LocalReaders>> {
    let engine = Arc::as_ptr(&cell.handle.client()?).addr();
    let key = (engine, cell.region().loc());
    let mut all = READERS.lock();
    if let Some(readers) = all.get(&key).and_then(Weak::upgrade) {
        return Ok(readers);
    }
    // Locks that are gone are forgotten now and then.
    if all.len() >= 64 && all.len().is_power_of_two() {
        all.retain(|_, readers| readers.strong_count() > 0);
    }
    let readers = Arc::new(LocalReaders::new());
    all.insert(key, Arc::downgrade(&readers));
    Ok(readers)
}
