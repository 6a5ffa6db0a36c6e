//! Decoded values of recent arguments.
//!
//! A worker process keeps one copy of each value that threads may share, with the arrays inside,
//! until the object is freed ([`mobula_protocol::Decoded`]). Each thread keeps its own copies of
//! values that are not `Send + Sync`. These copies are few. None refers to an object, since no
//! event would end the reference. A value that holds refs or actors is not kept, since it would
//! keep them.

use std::{
    any::{Any, TypeId},
    cell::RefCell,
    collections::VecDeque,
    ops::Deref,
    rc::Rc,
    sync::{Arc, Weak},
};

use mobula_protocol::{AnyValue, Attachment, Engine, ObjectId, Payload, Result};

use crate::typed::engine::current_engine;

/// The most values that a thread keeps.
const MAX_VALUES: usize = 32;

/// The most encoded bytes of all values that a thread keeps. A larger value is decoded each time.
const MAX_BYTES: usize = 64 << 20;

/// The most encoded bytes of a small value. Larger values are forgotten with their object. Small
/// values are forgotten when others need their place.
const SMALL: usize = 16 << 10;

/// How a `T` becomes a value that the threads of a process share. Only for types that are `Send +
/// Sync`.
#[derive(Debug)]
pub struct Sharing<T> {
    wrap: fn(Arc<T>) -> AnyValue,
    unwrap: fn(AnyValue) -> Option<Arc<T>>,
}

impl<T> Clone for Sharing<T> {
    fn clone(&self) -> Sharing<T> {
        *self
    }
}

impl<T> Copy for Sharing<T> {}

impl<T: Any + Send + Sync> Sharing<T> {
    pub(crate) const NEW: Sharing<T> = Sharing {
        wrap: |value| value,
        unwrap: |value| value.downcast().ok(),
    };
}

/// A decoded value for the time of a call.
#[derive(Debug)]
pub enum Lent<T> {
    /// A value of this thread.
    Local(Rc<T>),
    /// A value of the process.
    Shared(Arc<T>),
}

impl<T> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Lent::Local(value) => value,
            Lent::Shared(value) => value,
        }
    }
}

/// Returns the payload as a `T`: the value of an earlier call, or a new one.
///
/// # Errors
/// The errors of `decode`.
pub(super) fn decoded<T: Any>(
    payload: Payload,
    id: Option<ObjectId>,
    sharing: Option<Sharing<T>>,
    decode: impl FnOnce(Payload) -> Result<T>,
) -> Result<Lent<T>> {
    let refers = payload
        .attachments
        .iter()
        .any(|attachment| matches!(attachment, Attachment::Ref(_)));
    let engine = match current_engine() {
        Ok(engine) if !refers => engine,
        _ => return decode(payload).map(local),
    };
    let Some(id) = id else {
        return decode(payload).map(local);
    };
    match sharing {
        Some(sharing) => of_process(payload, (&*engine, id), sharing, decode),
        None if payload.attachments.is_empty() && payload.block.len() <= MAX_BYTES => {
            of_thread(payload, (&engine, id), decode).map(Lent::Local)
        }
        None => decode(payload).map(local),
    }
}

fn local<T>(value: T) -> Lent<T> {
    Lent::Local(Rc::new(value))
}

fn of_process<T: Any>(
    payload: Payload,
    (engine, id): (&dyn Engine, ObjectId),
    sharing: Sharing<T>,
    decode: impl FnOnce(Payload) -> Result<T>,
) -> Result<Lent<T>> {
    let Some(kept) = engine.store().decoded() else {
        return decode(payload).map(local);
    };
    let found = kept.find(id, TypeId::of::<T>());
    if let Some(value) = found.and_then(sharing.unwrap) {
        return Ok(Lent::Shared(value));
    }
    let bytes = payload.block.len();
    let refers = !payload.attachments.is_empty();
    let value = Arc::new(decode(payload)?);
    if kept.keep(id, bytes, (sharing.wrap)(value.clone())) && (refers || bytes > SMALL) {
        engine.store().keeps_decoded(id);
    }
    Ok(Lent::Shared(value))
}

#[derive(Default)]
struct Cache {
    /// The engine of all ids. The weak pointer keeps other engines from having its address.
    engine: Option<Weak<dyn Engine>>,
    /// The kept values. The most recently used is the first.
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

fn of_thread<T: Any>(
    payload: Payload,
    (engine, id): (&Arc<dyn Engine>, ObjectId),
    decode: impl FnOnce(Payload) -> Result<T>,
) -> Result<Rc<T>> {
    let bytes = payload.block.len();
    // The drop of a value and `decode` run the user's code, which may call this function again. So
    // the cache is not borrowed meanwhile.
    let (found, outdated) =
        with(|cache| cache.find(engine, id, TypeId::of::<T>())).unwrap_or_default();
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
/// Calls `f` with the cache. Returns `None` while the thread is torn down.
fn with<R>(f: impl FnOnce(&mut Cache) -> R) -> Option<R> {
    CACHE.try_with(|cache| f(&mut cache.borrow_mut())).ok()
}

impl Cache {
    /// Returns the value, which becomes the most recent one, and all values of another engine.
    fn find(
        &mut self,
        engine: &Arc<dyn Engine>,
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

    /// Adds a value. Returns the values that it displaces.
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
