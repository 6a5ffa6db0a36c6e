//! The place of an actor's value: for all threads of its process, or on one thread.

use std::{marker::PhantomData, ops::Deref, ops::DerefMut};

use mobula_protocol::{Format, Payload, Result};
use mobula_store::Block;
use mobula_worker::{ActorState, BorrowedHere};

use super::{Actor, tag};

/// Keeps the value of an `A`. Generated code names `Keeping::<A>::BOUND` and so on: these are the
/// functions of the type if `A` is `Send + Sync`, and those of [`Bound`] if not. Not public API.
#[derive(Debug)]
pub struct Keeping<A>(PhantomData<fn() -> A>);

impl<A: Actor + Send + Sync> Keeping<A> {
    /// Any thread of the process may run a method.
    pub const BOUND: bool = false;

    /// Puts the value into this place. Returns the payload that stands for it in other processes.
    ///
    /// # Errors
    /// The place has a value already.
    pub fn install(state: &ActorState, value: A) -> Result<Payload> {
        state.install(value)?;
        Ok(stands_for::<A>())
    }

    /// Borrows the value together with others.
    ///
    /// # Errors
    /// There is none, or it is of another type.
    pub fn read(state: &ActorState) -> Result<impl Deref<Target = A>> {
        state.read::<A>()
    }

    /// Borrows the value alone.
    ///
    /// # Errors
    /// There is none, or it is of another type.
    pub fn write(state: &ActorState) -> Result<impl DerefMut<Target = A>> {
        state.write::<A>()
    }
}

/// Keeps the value of an `A` on the thread that made it. Not public API.
pub trait Bound<A: Actor> {
    /// Whether one thread runs all methods.
    const BOUND: bool = true;

    /// Puts the value into this place. Returns the payload that stands for it in other processes.
    ///
    /// # Errors
    /// The place has a value already.
    fn install(state: &ActorState, value: A) -> Result<Payload> {
        state.install_here(value)?;
        Ok(stands_for::<A>())
    }

    /// Borrows the value.
    ///
    /// # Errors
    /// This thread has no value, or the value is of another type.
    fn read(state: &ActorState) -> Result<BorrowedHere<A>> {
        state.borrow_here::<A>()
    }

    /// Borrows the value.
    ///
    /// # Errors
    /// This thread has no value, or the value is of another type.
    fn write(state: &ActorState) -> Result<BorrowedHere<A>> {
        state.borrow_here::<A>()
    }
}

impl<A: Actor> Bound<A> for Keeping<A> {}

/// Generated code calls this for an actor whose block asks for concurrency. Then the compiler says
/// what the type lacks. Not public API.
pub const fn concurrent_actor<A: Send + Sync>() {}

fn stands_for<A: Actor>() -> Payload {
    Payload {
        format: Format::Packed { of: tag::<A>() },
        block: Block::copy_of(&[], 1),
        attachments: Vec::new(),
    }
}
