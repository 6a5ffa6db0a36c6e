//! Values of actors that are not `Send + Sync`. Each lies in thread-local storage of the thread
//! that installed it, so no other thread can reach it.

use std::{
    any::{Any, type_name},
    cell::RefCell,
    fmt,
    ops::{Deref, DerefMut},
    sync::atomic::{AtomicU64, Ordering},
};

use super::other;
use mobula_protocol::{Error, Result};

thread_local! {
    static VALUES: RefCell<Vec<Local>> = const { RefCell::new(Vec::new()) };
}

struct Local {
    place: u64,
    /// The name of the value's type, for messages.
    name: &'static str,
    /// `None` while a method has it.
    value: Option<Box<dyn Any>>,
}

/// The place of one value, on the thread that installs it. A number is used once per process. So an
/// actor does not find a value that an earlier actor left behind.
pub(super) struct Place(u64);

impl Default for Place {
    fn default() -> Place {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Place(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Place {
    pub(super) fn install<A: Any>(&self, value: A) -> Result<()> {
        let (place, name) = (self.0, type_name::<A>());
        with(place, |there| match there {
            Some(there) => Err(Error::internal(format!(
                "this thread has an actor `{}` already",
                there.name
            ))),
            None => Ok(()),
        })?;
        let value = Some(Box::new(value) as Box<dyn Any>);
        let local = Local { place, name, value };
        VALUES.with_borrow_mut(|values| values.push(local));
        Ok(())
    }

    pub(super) fn borrow<A: Any>(&self) -> Result<BorrowedHere<A>> {
        with(self.0, |there| {
            let Some(local) = there else {
                return Err(other::<A>(None));
            };
            let Some(value) = local.value.take() else {
                return Err(Error::internal(format!(
                    "a method of the actor `{}` was called while another one ran on its thread",
                    local.name
                )));
            };
            match value.downcast::<A>() {
                Ok(value) => Ok(BorrowedHere {
                    place: self.0,
                    value: Some(value),
                }),
                Err(value) => {
                    local.value = Some(value);
                    Err(other::<A>(Some(local.name)))
                }
            }
        })
    }

    /// Takes the value away from this thread, unless a method has it.
    pub(super) fn take(&self) -> Option<Box<dyn Any>> {
        VALUES.with_borrow_mut(|values| {
            let n = values.iter().position(|local| local.place == self.0)?;
            values[n].value.as_ref()?;
            values.swap_remove(n).value
        })
    }

    pub(super) fn is_installed(&self) -> bool {
        with(self.0, |there| there.is_some())
    }
}

fn with<R>(place: u64, f: impl FnOnce(Option<&mut Local>) -> R) -> R {
    VALUES.with_borrow_mut(|values| f(values.iter_mut().find(|local| local.place == place)))
}

/// A value that a method has. The value goes back to its thread at the end of the borrow.
pub struct BorrowedHere<A: Any> {
    place: u64,
    /// `None` only while the value goes back.
    value: Option<Box<A>>,
}

const THERE: &str = "a borrowed value is there until the borrow ends";

impl<A: Any> Deref for BorrowedHere<A> {
    type Target = A;

    fn deref(&self) -> &A {
        self.value.as_ref().expect(THERE)
    }
}

impl<A: Any> DerefMut for BorrowedHere<A> {
    fn deref_mut(&mut self) -> &mut A {
        self.value.as_mut().expect(THERE)
    }
}

impl<A: Any> Drop for BorrowedHere<A> {
    fn drop(&mut self) {
        let value = self.value.take().map(|value| value as Box<dyn Any>);
        // The borrow may have been moved, if its type is `Send`. Then the value ends here.
        let left = VALUES.try_with(|values| {
            let mut values = values.borrow_mut();
            match values.iter_mut().find(|local| local.place == self.place) {
                Some(local) => std::mem::replace(&mut local.value, value),
                None => value,
            }
        });
        // After the borrow of the list: the value's `Drop` is user code.
        drop(left);
    }
}

impl<A: Any> fmt::Debug for BorrowedHere<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BorrowedHere({})", type_name::<A>())
    }
}
