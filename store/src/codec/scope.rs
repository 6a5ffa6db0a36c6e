//! The handles of the innermost encoding or decoding on this thread.
//!
//! Serde's calls have no place for them. Most values have none, so a scope costs two writes to
//! thread-local numbers. The list is used only when there is a handle.

use std::{
    cell::{Cell, RefCell},
    thread::LocalKey,
};

use super::handle::Handle;

/// The part of the list that belongs to the innermost scope.
#[derive(Clone, Copy, Debug)]
struct Frame {
    active: bool,
    start: usize,
    len: usize,
}

const NONE: Frame = Frame {
    active: false,
    start: 0,
    len: 0,
};

/// Encoding or decoding. The handles of all scopes on this thread are in one list, the innermost
/// scope last.
pub(super) struct Direction {
    frame: &'static LocalKey<Cell<Frame>>,
    list: &'static LocalKey<RefCell<List>>,
}

/// The handles, with `None` for those that were taken.
type List = Vec<Option<Handle>>;

thread_local! {
    static ENCODING: Cell<Frame> = const { Cell::new(NONE) };
    static DECODING: Cell<Frame> = const { Cell::new(NONE) };
    static ENCODED: RefCell<List> = const { RefCell::new(Vec::new()) };
    static DECODED: RefCell<List> = const { RefCell::new(Vec::new()) };
}

/// The handles that [`encode`](super::encode) has listed so far.
pub(super) static ENCODE: Direction = Direction {
    frame: &ENCODING,
    list: &ENCODED,
};

/// The handles that [`decode`](super::decode) was given.
pub(super) static DECODE: Direction = Direction {
    frame: &DECODING,
    list: &DECODED,
};

impl Direction {
    /// Returns whether a scope is active.
    pub(super) fn is_active(&self) -> bool {
        self.frame.get().active
    }

    /// Returns the number of handles of the innermost scope.
    pub(super) fn len(&self) -> usize {
        self.frame.get().len
    }

    /// Adds a handle to the innermost scope, and returns its number there. Returns `None` if there
    /// is no scope.
    pub(super) fn push(&self, handle: Handle) -> Option<usize> {
        let frame = self.frame.get();
        if !frame.active {
            return None;
        }
        self.with_list(|list| list.push(Some(handle)))?;
        self.frame.set(Frame {
            len: frame.len + 1,
            ..frame
        });
        Some(frame.len)
    }

    /// Adds handles to the innermost scope, which has none.
    fn push_all(&self, mut handles: List) {
        let frame = self.frame.get();
        let len = handles.len();
        let added = self.with_list(|list| match list.is_empty() {
            true => *list = handles,
            false => list.append(&mut handles),
        });
        if added.is_some() {
            self.frame.set(Frame { len, ..frame });
        }
    }

    /// Returns a handle of the innermost scope, which stays there.
    pub(super) fn handle(&self, number: usize) -> Option<Handle> {
        self.with_place(number, |place| place.clone())
    }

    /// Takes a handle out of the innermost scope.
    #[inline]
    pub(super) fn take(&self, number: usize) -> Option<Handle> {
        self.with_place(number, Option::take)
    }

    #[inline]
    fn with_place(
        &self,
        number: usize,
        f: impl FnOnce(&mut Option<Handle>) -> Option<Handle>,
    ) -> Option<Handle> {
        let frame = self.frame.get();
        if number >= frame.len {
            return None;
        }
        self.with_list(|list| list.get_mut(frame.start + number).and_then(f))?
    }

    /// Calls `f` with the list. `f` must run no foreign code. While the thread is torn down there
    /// is no list, and so there are no handles.
    #[inline]
    fn with_list<R>(&self, f: impl FnOnce(&mut List) -> R) -> Option<R> {
        self.list.try_with(|list| f(&mut list.borrow_mut())).ok()
    }
}

/// A guard. While it lives, handles can be written, or read, on this thread. A panic ends it, too.
pub(super) struct Scope {
    direction: &'static Direction,
    outer: Frame,
}

impl Scope {
    #[inline]
    pub(super) fn encode() -> Scope {
        Scope::enter(&ENCODE)
    }

    #[inline]
    pub(super) fn decode(items: impl ExactSizeIterator<Item = Handle>) -> Scope {
        // This comes before the scope is entered, since `items` may run foreign code.
        let items: Option<List> = (items.len() > 0).then(|| items.map(Some).collect());
        let scope = Scope::enter(&DECODE);
        if let Some(items) = items {
            DECODE.push_all(items);
        }
        scope
    }

    #[inline]
    fn enter(direction: &'static Direction) -> Scope {
        let outer = direction.frame.get();
        direction.frame.set(Frame {
            active: true,
            start: outer.start + outer.len,
            len: 0,
        });
        Scope { direction, outer }
    }

    /// Ends the scope and returns the handles that were listed.
    #[inline]
    pub(super) fn finish(self) -> Vec<Handle> {
        let handles = self.leave();
        std::mem::forget(self);
        handles.into_iter().flatten().collect()
    }

    #[inline]
    fn leave(&self) -> List {
        let frame = self.direction.frame.replace(self.outer);
        match frame.len {
            0 => Vec::new(),
            _ => self
                .direction
                .with_list(|list| match frame.start {
                    0 => std::mem::take(list),
                    start => list.split_off(start),
                })
                .unwrap_or_default(),
        }
    }
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        // The handles are dropped last, when the scope of before is back, since their drop may
        // encode.
        drop(self.leave());
    }
}
