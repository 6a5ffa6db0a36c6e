//! The state of an actor, in its process.
//!
//! The constructor [installs](ActorState::install) the value, and methods borrow it. A method with
//! `&mut self` borrows it alone, and a method with `&self` together with others. The methods get
//! the value in the order in which they ask. So methods that share the value cannot delay a method
//! that needs it alone for ever.
//!
//! A method that panics gives its borrow back like a method that returns. The value stays usable,
//! in the state in which the method has left it. Any value behind a `catch_unwind` behaves like
//! this, and the task loop is one. If an actor must not have a half-changed value, its methods
//! should change the value at their end.
//!
//! A value that is not `Send + Sync` is bound to the thread that made it ([`here`]). No other
//! thread of its process takes calls. A method that waits keeps the thread, and the next call
//! waits.

mod here;
mod line;

use std::{
    any::{Any, type_name},
    fmt,
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use mobula_protocol::{Error, Result};

use crate::process::block_on;

pub use here::BorrowedHere;
pub(crate) use line::InLine;

/// The place of one actor's value.
///
/// A method may wait here while another one is pending. Then it gives its turn to other tasks of
/// the worker (see [`block_on`]), since the pending method may need the turn to end.
#[derive(Default)]
pub struct ActorState {
    value: Arc<RwLock<Option<Installed>>>,
    /// The value of an actor that is bound to a thread.
    here: here::Place,
    /// Whether the actor is bound to a thread.
    bound: AtomicBool,
}

struct Installed {
    value: Box<dyn Any + Send + Sync>,
    /// The name of the value's type, for messages.
    name: &'static str,
}

impl ActorState {
    /// Creates a place without a value.
    pub fn new() -> ActorState {
        ActorState::default()
    }

    /// Puts the value there.
    ///
    /// # Errors
    /// There is a value already.
    pub fn install<A: Any + Send + Sync>(&self, value: A) -> Result<()> {
        let mut place = match self.value.try_write() {
            Ok(place) => place,
            Err(_) => block_on(self.value.write()),
        };
        if let Some(there) = &*place {
            return Err(Error::internal(format!(
                "this process is an actor `{}` already",
                there.name
            )));
        }
        *place = Some(Installed {
            value: Box::new(value),
            name: type_name::<A>(),
        });
        Ok(())
    }

    /// Borrows the value together with others, for a method with `&self`. Waits for methods that
    /// have the value alone, or that have asked for it alone before.
    ///
    /// # Errors
    /// There is no value, or it is of another type.
    pub fn read<A: Any>(&self) -> Result<impl Deref<Target = A> + use<A>> {
        let turn = line::taken_shared(&self.value).unwrap_or_else(|| line::shared(&self.value));
        OwnedRwLockReadGuard::try_map(turn.wait(), |place| place.as_ref()?.value.downcast_ref())
            .map_err(|guard| other::<A>(guard.as_ref().map(|there| there.name)))
    }

    /// Borrows the value alone, for a method with `&mut self`. Waits for all methods that have it.
    ///
    /// # Errors
    /// There is no value, or it is of another type.
    pub fn write<A: Any>(&self) -> Result<impl DerefMut<Target = A> + use<A>> {
        let turn = line::taken_alone(&self.value).unwrap_or_else(|| line::alone(&self.value));
        OwnedRwLockWriteGuard::try_map(turn.wait(), |place| place.as_mut()?.value.downcast_mut())
            .map_err(|guard| other::<A>(guard.as_ref().map(|there| there.name)))
    }

    /// Takes a place in line for the value, for the method that this thread is about to run. A
    /// method with an earlier place has the value earlier. Does not block.
    pub(crate) fn line_up(&self, exclusive: bool) -> InLine {
        InLine::enter(&self.value, exclusive)
    }

    /// Binds the actor to the thread that installs its value. From here on no other thread may take
    /// over when a method waits.
    pub fn bind(&self) {
        self.bound.store(true, Ordering::Release);
    }

    /// Whether the actor is bound to a thread.
    pub fn is_bound(&self) -> bool {
        self.bound.load(Ordering::Acquire)
    }

    /// Puts a value there that stays on this thread.
    ///
    /// # Errors
    /// There is a value already.
    pub fn install_here<A: Any>(&self, value: A) -> Result<()> {
        self.bind();
        self.here.install(value)
    }

    /// Borrows the value alone, on the thread that installed it.
    ///
    /// # Errors
    /// This thread has no value, or the value is of another type or borrowed.
    pub fn borrow_here<A: Any>(&self) -> Result<BorrowedHere<A>> {
        self.here.borrow()
    }

    /// Ends the value: waits until no method has it, and runs its `Drop` on this thread. Later
    /// methods find no value. Does nothing if there is no value.
    ///
    /// Does nothing either if the value is bound to another thread, or is bound and in use by a
    /// method.
    ///
    /// # Panics
    /// `Drop` panics.
    pub fn drop_value(&self) {
        if self.is_bound() {
            return drop(self.here.take());
        }
        let value = match self.value.try_write() {
            Ok(mut place) => place.take(),
            Err(_) => block_on(self.value.write()).take(),
        };
        // After the lock is released: the value's `Drop` is user code.
        drop(value);
    }

    /// Whether there is a value, also while a method has it alone. A value that is bound to a
    /// thread is known to that thread only.
    pub fn is_installed(&self) -> bool {
        if self.is_bound() {
            return self.here.is_installed();
        }
        self.value.try_read().map_or(true, |place| place.is_some())
    }
}

#[cold]
fn other<A>(found: Option<&str>) -> Error {
    let wanted = type_name::<A>();
    match found {
        Some(found) => Error::type_mismatch(format!(
            "this is a method of the actor `{wanted}`, and it was called on an actor `{found}`"
        )),
        None => Error::internal(format!(
            "a method of the actor `{wanted}` was called where there is no actor"
        )),
    }
}

impl fmt::Debug for ActorState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.value.try_read() {
            Ok(place) => place.as_ref().map_or("none", |there| there.name),
            Err(_) => "in use",
        };
        write!(f, "ActorState({name})")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::{
            Arc, Barrier,
            atomic::{AtomicBool, AtomicUsize, Ordering},
        },
        thread,
        time::Duration,
    };

    use super::*;

    #[test]
    fn a_value_is_there_once_and_of_one_type() {
        let state = ActorState::new();
        assert!(!state.is_installed());
        assert!(
            state
                .read::<u32>()
                .map(drop)
                .unwrap_err()
                .to_string()
                .contains("u32")
        );
        state.install(5_u32).unwrap();
        assert!(state.is_installed());
        assert!(state.install(6_u32).is_err());
        *state.write::<u32>().unwrap() += 2;
        assert_eq!(*state.read::<u32>().unwrap(), 7);
        for error in [
            state.read::<String>().map(drop).unwrap_err(),
            state.write::<String>().map(drop).unwrap_err(),
        ] {
            assert!(error.is_type_mismatch(), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("String") && text.contains("u32"), "{text}");
        }
    }

    #[test]
    fn a_bound_value_is_on_its_thread_only() {
        use std::rc::Rc;

        let (state, second) = (Arc::new(ActorState::new()), ActorState::new());
        assert!(!state.is_bound() && !state.is_installed());
        state.install_here(Rc::new(5_u32)).unwrap();
        assert!(state.is_bound() && state.is_installed());
        assert!(state.install_here(Rc::new(6_u32)).is_err());
        *Rc::get_mut(&mut state.borrow_here::<Rc<u32>>().unwrap()).unwrap() += 2;
        assert_eq!(**state.borrow_here::<Rc<u32>>().unwrap(), 7);
        let error = state.borrow_here::<String>().unwrap_err();
        assert!(error.is_type_mismatch(), "{error:?}");

        // Neither another actor nor another thread finds it.
        assert!(second.borrow_here::<Rc<u32>>().is_err());
        thread::scope(|scope| {
            let elsewhere = scope.spawn(|| {
                state.drop_value();
                (
                    state.is_installed(),
                    state.borrow_here::<Rc<u32>>().is_err(),
                )
            });
            assert_eq!(elsewhere.join().unwrap(), (false, true));
        });

        let borrowed = state.borrow_here::<Rc<u32>>().unwrap();
        assert!(state.borrow_here::<Rc<u32>>().is_err());
        drop(borrowed);
        assert_eq!(**state.borrow_here::<Rc<u32>>().unwrap(), 7);
        state.drop_value();
        assert!(!state.is_installed());
    }

    #[test]
    fn a_panic_brings_a_bound_value_back() {
        let state = ActorState::new();
        state.install_here(std::cell::Cell::new(1)).unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let value = state.borrow_here::<std::cell::Cell<i32>>().unwrap();
            value.set(2);
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        let value = state.borrow_here::<std::cell::Cell<i32>>().unwrap();
        assert_eq!(value.get(), 2);
    }

    #[test]
    fn shared_borrows_run_together_and_exclusive_ones_alone() {
        let state = Arc::new(ActorState::new());
        state.install(AtomicUsize::new(0)).unwrap();
        let together = Arc::new(Barrier::new(3));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (state, together) = (state.clone(), together.clone());
                thread::spawn(move || {
                    let value = state.read::<AtomicUsize>().unwrap();
                    // No thread goes on unless all three are here.
                    together.wait();
                    value.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());

        let inside = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let (state, inside) = (state.clone(), inside.clone());
                thread::spawn(move || {
                    for _ in 0..200 {
                        let mut value = state.write::<AtomicUsize>().unwrap();
                        assert!(!inside.swap(true, Ordering::SeqCst));
                        *value.get_mut() += 1;
                        inside.store(false, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        assert_eq!(*state.write::<AtomicUsize>().unwrap().get_mut(), 803);
    }

    #[test]
    fn a_borrow_may_be_kept_while_a_future_is_pending() {
        let state = ActorState::new();
        state.install(vec![1]).unwrap();
        let mut value = state.write::<Vec<i32>>().unwrap();
        block_on(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            value.push(2);
        });
        drop(value);
        assert_eq!(*state.read::<Vec<i32>>().unwrap(), [1, 2]);
    }

    #[test]
    fn a_panic_leaves_the_value_usable() {
        let state = ActorState::new();
        state.install(String::from("before")).unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut value = state.write::<String>().unwrap();
            value.push_str(" and half");
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(*state.read::<String>().unwrap(), "before and half");
        state.write::<String>().unwrap().clear();
    }

    #[test]
    fn dropping_waits_for_methods_and_runs_drop_once() {
        struct Counts(Arc<AtomicUsize>);
        impl Drop for Counts {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let drops = Arc::new(AtomicUsize::new(0));
        let state = Arc::new(ActorState::new());
        state.install(Counts(drops.clone())).unwrap();
        let method = state.read::<Counts>().unwrap();
        let dropping = {
            let state = state.clone();
            thread::spawn(move || state.drop_value())
        };
        thread::sleep(Duration::from_millis(20));
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        drop(method);
        dropping.join().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        state.drop_value();
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        assert!(!state.is_installed() && state.read::<Counts>().is_err());
    }
}
