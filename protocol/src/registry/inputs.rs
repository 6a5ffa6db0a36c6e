//! The arguments of a call, as the function takes them.

use std::{any::Any, fmt, sync::Arc};

use crate::{Error, Result, ids::ObjectId, payload::Payload};

/// One resolved argument.
#[derive(Debug)]
pub enum Input {
    /// A value, with the id of the object that it is, if it is one.
    Value(Payload, Option<ObjectId>),
    /// Many objects' values.
    Gather(Gathered),
}

/// The values of many objects, made readable one after the other, so that no list of them is in
/// memory beside that of what they are decoded to.
pub struct Gathered(Box<dyn ExactSizeIterator<Item = Result<Payload>>>);

impl Gathered {
    /// What this gives, in order.
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
    /// The last one first.
    left: Vec<Input>,
    /// Where the actor is whose constructor or method is called.
    actor: Option<Arc<dyn Any + Send + Sync>>,
    /// The error that the function returns would be the same in a further run.
    error_is_final: bool,
    /// Asked before the function begins.
    check: Option<fn() -> Result<()>>,
    /// The elements of the result are to be objects.
    splits: bool,
}

impl Inputs {
    /// The arguments of one call.
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

    /// The arguments of one call of an actor's constructor or method.
    pub fn of_actor(list: Vec<Input>, actor: Arc<dyn Any + Send + Sync>) -> Inputs {
        Inputs {
            actor: Some(actor),
            ..Inputs::new(list)
        }
    }

    /// Has this asked when the arguments are decoded, before the function begins.
    pub fn with_check(mut self, check: fn() -> Result<()>) -> Inputs {
        self.check = Some(check);
        self
    }

    /// Whether the elements of the result are to be objects.
    pub fn with_split(mut self, splits: bool) -> Inputs {
        self.splits = splits;
        self
    }

    /// Whether [`with_split`](Inputs::with_split) has said so.
    #[inline]
    pub fn splits(&self) -> bool {
        self.splits
    }

    /// The arguments are decoded.
    ///
    /// # Errors
    /// The function is not to begin: its task is cancelled.
    #[inline]
    pub fn are_decoded(&self) -> Result<()> {
        self.check.map_or(Ok(()), |check| check())
    }

    /// Where the actor is that is called: what [`of_actor`](Inputs::of_actor) was given.
    ///
    /// # Errors
    /// None is, or it is of another type: the engine has taken an actor's method for a function.
    pub fn actor<P: Any + Send + Sync>(&self) -> Result<Arc<P>> {
        let place = self.actor.clone();
        place
            .and_then(|place| place.downcast().ok())
            .ok_or_else(|| Error::internal("an actor's method was called as if it were a function"))
    }

    /// Says that to run the function again would not help.
    pub fn give_up(&mut self) {
        self.error_is_final = true;
    }

    /// Whether the function has said so.
    pub fn has_given_up(&self) -> bool {
        self.error_is_final
    }

    /// The next argument.
    ///
    /// # Errors
    /// There is none: driver and worker disagree about the function.
    pub fn take(&mut self) -> Result<Input> {
        self.left
            .pop()
            .ok_or_else(|| Error::internal("a task with too few arguments"))
    }

    /// The object that is the next argument.
    ///
    /// # Errors
    /// It is none: driver and worker disagree about the function.
    pub fn take_object(&mut self) -> Result<ObjectId> {
        match self.take()? {
            Input::Value(_, Some(id)) => Ok(id),
            _ => Err(Error::internal(
                "an argument that is not the object that it should be",
            )),
        }
    }

    /// The next argument, where it is, if it is a value.
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

    /// All further arguments.
    pub fn rest(&mut self) -> impl Iterator<Item = Input> {
        self.left.drain(..).rev()
    }

    /// The arguments of another call of a function, as `fill` adds them to a list, in place of what
    /// was not taken. Gives what that gives.
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
