//! The arguments of a call, in the form that the function takes.

use std::{any::Any, fmt, sync::Arc};

use crate::{Error, Result, ids::ObjectId, payload::Payload};

/// One resolved argument.
#[derive(Debug)]
pub enum Input {
    /// A value. If it is an object, its id.
    Value(Payload, Option<ObjectId>),
    /// The values of many objects.
    Gather(Gathered),
}

/// The values of many objects, made readable one after the other. No list of them is in memory
/// beside the list of decoded values.
pub struct Gathered(Box<dyn ExactSizeIterator<Item = Result<Payload>>>);

impl Gathered {
    /// Returns a `Gathered` that gives `values` in order.
    pub fn new(values: impl ExactSizeIterator<Item = Result<Payload>> + 'static) -> Gathered {
        Gathered(Box::new(values))
    }
}

impl From<Vec<Payload>> for Gathered {
    fn from(payloads: Vec<Payload>) -> Gathered {
        Gathered::new(payloads.into_iter().map(Ok))
    }
}

impl Iterator for Gathered {
    type Item = Result<Payload>;

    fn next(&mut self) -> Option<Result<Payload>> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Gathered {}

impl fmt::Debug for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gathered({})", self.len())
    }
}

/// The resolved arguments of a task, in order.
#[derive(Debug)]
pub struct Inputs {
    /// The arguments that are left, the last one first.
    left: Vec<Input>,
    /// The place of the actor whose constructor or method is called.
    actor: Option<Arc<dyn Any + Send + Sync>>,
    /// Whether the error that the function returns would be the same in a further run.
    error_is_final: bool,
    /// A check to call before the function begins.
    check: Option<fn() -> Result<()>>,
    /// Whether the elements of the result are to be objects.
    splits: bool,
}

impl Inputs {
    /// Returns the arguments of one call.
    pub fn new(mut list: Vec<Input>) -> Inputs {
        list.reverse();
        Inputs {
            left: list,
            actor: None,
            error_is_final: false,
            check: None,
            splits: false,
        }
    }

    /// Returns the arguments of one call of an actor's constructor or method.
    pub fn of_actor(list: Vec<Input>, actor: Arc<dyn Any + Send + Sync>) -> Inputs {
        Inputs {
            actor: Some(actor),
            ..Inputs::new(list)
        }
    }

    /// Sets a check that is called after the arguments are decoded and before the function begins.
    pub fn with_check(mut self, check: fn() -> Result<()>) -> Inputs {
        self.check = Some(check);
        self
    }

    /// Sets whether the elements of the result are to be objects.
    pub fn with_split(mut self, splits: bool) -> Inputs {
        self.splits = splits;
        self
    }

    /// Returns whether the elements of the result are to be objects: see
    /// [`with_split`](Inputs::with_split).
    #[inline]
    pub fn splits(&self) -> bool {
        self.splits
    }

    /// Calls the check, now that the arguments are decoded.
    ///
    /// # Errors
    /// Fails if the function must not begin, since its task is cancelled.
    #[inline]
    pub fn are_decoded(&self) -> Result<()> {
        self.check.map_or(Ok(()), |check| check())
    }

    /// Returns the place of the called actor: the one given to [`of_actor`](Inputs::of_actor).
    ///
    /// # Errors
    /// Fails if no actor is called, or the place has another type. The engine has then taken an
    /// actor's method for a function.
    pub fn actor<P: Any + Send + Sync>(&self) -> Result<Arc<P>> {
        let place = self.actor.clone();
        place
            .and_then(|place| place.downcast().ok())
            .ok_or_else(|| Error::internal("an actor's method was called as if it were a function"))
    }

    /// Records that a further run of the function would not help.
    pub fn give_up(&mut self) {
        self.error_is_final = true;
    }

    /// Returns whether the function has called [`give_up`](Inputs::give_up).
    pub fn has_given_up(&self) -> bool {
        self.error_is_final
    }

    /// Removes the next argument and returns it.
    ///
    /// # Errors
    /// Fails if there is none. The driver and the worker then disagree about the function.
    pub fn take(&mut self) -> Result<Input> {
        self.left
            .pop()
            .ok_or_else(|| Error::internal("a task with too few arguments"))
    }

    /// Removes the next argument, an object, and returns its id.
    ///
    /// # Errors
    /// Fails if the next argument is no object. The driver and the worker then disagree about the
    /// function.
    pub fn take_object(&mut self) -> Result<ObjectId> {
        match self.take()? {
            Input::Value(_, Some(id)) => Ok(id),
            _ => Err(Error::internal(
                "an argument that is not the object that it should be",
            )),
        }
    }

    /// Returns the next argument if it is one value. Leaves it in place.
    #[inline]
    pub fn peek(&self) -> Option<&Payload> {
        match self.left.last()? {
            Input::Value(payload, _) => Some(payload),
            Input::Gather(_) => None,
        }
    }

    /// Drops the next argument.
    #[inline]
    pub fn skip(&mut self) {
        self.left.truncate(self.left.len().saturating_sub(1));
    }

    /// Removes all further arguments and returns them.
    pub fn rest(&mut self) -> impl Iterator<Item = Input> {
        self.left.drain(..).rev()
    }

    /// Puts the arguments of another call in place of those that were not taken. `fill` adds them
    /// to a list. Returns the result of `fill`.
    #[inline]
    pub fn refill<R>(&mut self, fill: impl FnOnce(&mut Vec<Input>) -> R) -> R {
        self.left.clear();
        self.error_is_final = false;
        let filled = fill(&mut self.left);
        if self.left.len() > 1 {
            self.left.reverse();
        }
        filled
    }
}
