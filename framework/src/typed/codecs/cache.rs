//! Decoded values of this thread's recent arguments.
//!
//! A value that refers to arrays or other objects is not kept, since it would keep them. What is
//! kept is bounded in number and in encoded bytes.

use std::{
    any::{Any, TypeId},
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    sync::{Arc, Weak},
};

use mobula_worker::{Client, ObjectId, Payload, Result};

use crate::typed::engine::current_client;

/// Most values that a thread keeps.
const MAX_VALUES: usize = 32;

/// Most encoded bytes of all of them; a larger value is decoded each time.
const MAX_BYTES: usize = 64 << 20;

#[derive(Default)]
struct Cache {
    /// Ids are those of one engine. The pointer keeps its address from being used again.
    engine: Option<Weak<dyn Client>>,
    /// The most recently used first.
    values: VecDeque<Kept>,
    bytes: usize,
}

struct Kept {
    id: ObjectId,
    of: TypeId,
    bytes: usize,
    value: Rc<dyn Any>,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

/// The payload as a `T`: the one of an earlier call, or a new one.
///
/// # Errors
/// Those of `decode`.
pub(super) fn decoded<T: Any>(
    payload: Payload,
    id: Option<ObjectId>,
    decode: impl FnOnce(Payload) -> Result<T>,
) -> Result<Rc<T>> {
    let bytes = payload.block.len();
    let engine = match current_client() {
        Ok(engine) if payload.side.is_empty() && bytes <= MAX_BYTES => engine,
        _ => return decode(payload).map(Rc::new),
    };
    let Some(id) = id else {
        return decode(payload).map(Rc::new);
    };
    // Values are dropped, and `decode` is called, while the cache is not borrowed: both run the
    // user's code, which may come back here.
    let (found, outdated) =
        with(|cache| cache.find(&engine, id, TypeId::of::<T>())).unwrap_or_default();
    drop(outdated);
    if let Some(value) = found.and_then(|value| value.downcast::<T>().ok()) {
        return Ok(value);
    }
    let value = Rc::new(decode(payload)?);
    let kept = Kept {
        id,
        of: TypeId::of::<T>(),
        bytes,
        value: value.clone(),
    };
    let outdated = with(|cache| cache.keep(kept));
    drop(outdated);
    Ok(value)
}

/// `None` while the thread is torn down.
fn with<R>(f: impl FnOnce(&mut Cache) -> R) -> Option<R> {
    CACHE.try_with(|cache| f(&mut cache.borrow_mut())).ok()
}

impl Cache {
    /// The value, now the most recent one; and what was kept for another engine.
    fn find(
        &mut self,
        engine: &Arc<dyn Client>,
        id: ObjectId,
        of: TypeId,
    ) -> (Option<Rc<dyn Any>>, VecDeque<Kept>) {
        let same = self
            .engine
            .as_ref()
            .is_some_and(|known| std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(engine)));
        if !same {
            self.engine = Some(Arc::downgrade(engine));
            self.bytes = 0;
            return (None, std::mem::take(&mut self.values));
        }
        let place = self
            .values
            .iter()
            .position(|kept| kept.id == id && kept.of == of);
        let kept = place.and_then(|place| self.values.remove(place));
        let value = kept.as_ref().map(|kept| kept.value.clone());
        if let Some(kept) = kept {
            self.values.push_front(kept);
        }
        (value, VecDeque::new())
    }

    /// Adds a value; gives what had to go for it.
    fn keep(&mut self, kept: Kept) -> Vec<Kept> {
        self.bytes += kept.bytes;
        self.values.push_front(kept);
        let mut outdated = Vec::new();
        while self.values.len() > MAX_VALUES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.values.pop_back() else {
                break;
            };
            self.bytes -= oldest.bytes;
            outdated.push(oldest);
        }
        outdated
    }
}
