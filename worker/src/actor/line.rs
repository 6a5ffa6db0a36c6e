//! The line of methods for the actor's value.
//!
//! A thread takes a place in the line when it takes a call from the lane. No other thread can take
//! a call at that moment. So calls that need the value alone get it in the order of the lane,
//! though several threads decode their arguments at a time.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::Installed;
use crate::process::block_on;

pub(super) type Lock = Arc<RwLock<Option<Installed>>>;
pub(super) type Shared = OwnedRwLockReadGuard<Option<Installed>>;
pub(super) type Alone = OwnedRwLockWriteGuard<Option<Installed>>;

thread_local! {
    /// The place of this thread, and the lock that it is for.
    static PLACE: RefCell<Option<(Lock, Place)>> = const { RefCell::new(None) };
}

enum Place {
    Shared(Turn<Shared>),
    Alone(Turn<Alone>),
}

/// A guard, or a place in the lock's line for it.
pub(super) enum Turn<G> {
    Here(G),
    Waits(Pin<Box<dyn Future<Output = G>>>),
}

impl<G> Turn<G> {
    /// Asks for the guard. The lock serves requests in their order, and a future makes its request
    /// at its first poll.
    fn ask(future: impl Future<Output = G> + 'static) -> Turn<G> {
        let mut future = Box::pin(future);
        let asked = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        match asked {
            std::task::Poll::Ready(guard) => Turn::Here(guard),
            std::task::Poll::Pending => Turn::Waits(future),
        }
    }

    /// Blocks until the guard is there.
    pub(super) fn wait(self) -> G {
        match self {
            Turn::Here(guard) => guard,
            Turn::Waits(future) => block_on(future),
        }
    }
}

pub(super) fn shared(lock: &Lock) -> Turn<Shared> {
    match lock.clone().try_read_owned() {
        Ok(guard) => Turn::Here(guard),
        Err(_) => Turn::ask(lock.clone().read_owned()),
    }
}

pub(super) fn alone(lock: &Lock) -> Turn<Alone> {
    match lock.clone().try_write_owned() {
        Ok(guard) => Turn::Here(guard),
        Err(_) => Turn::ask(lock.clone().write_owned()),
    }
}

/// A place in line. The method that this thread runs has the place while this lives.
#[derive(Debug)]
pub(crate) struct InLine(());

impl InLine {
    pub(super) fn enter(lock: &Lock, exclusive: bool) -> InLine {
        let place = match exclusive {
            true => Place::Alone(alone(lock)),
            false => Place::Shared(shared(lock)),
        };
        PLACE.set(Some((lock.clone(), place)));
        InLine(())
    }
}

impl Drop for InLine {
    /// Gives up a place that was not used, so that the calls behind it go on. The call needed no
    /// value, or failed before.
    fn drop(&mut self) {
        let unused = PLACE.try_with(RefCell::take);
        drop(unused);
    }
}

/// Takes the place of this thread for a shared borrow.
pub(super) fn taken_shared(lock: &Lock) -> Option<Turn<Shared>> {
    match taken(lock)? {
        Place::Shared(turn) => Some(turn),
        Place::Alone(_) => None,
    }
}

/// Takes the place of this thread for the value alone.
pub(super) fn taken_alone(lock: &Lock) -> Option<Turn<Alone>> {
    match taken(lock)? {
        Place::Alone(turn) => Some(turn),
        Place::Shared(_) => None,
    }
}

fn taken(lock: &Lock) -> Option<Place> {
    let place = PLACE.try_with(|place| {
        let mut place = place.borrow_mut();
        place.take_if(|(of, _)| Arc::ptr_eq(of, lock))
    });
    place.ok().flatten().map(|(_, place)| place)
}
