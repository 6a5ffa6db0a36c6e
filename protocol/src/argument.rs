//! An argument of a call, in each form that it has on its way.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The arguments of a call, in one of their forms. The arguments of most functions need no
/// allocation.
pub type Args<T> = SmallVec<[T; 2]>;

/// An argument of a call. `V` is the form of a value, and `O` the form of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Argument<V, O> {
    /// A value that belongs to the call alone.
    Value(V),
    /// An object.
    Object(O),
    /// Many objects, for a parameter that takes a vector of values.
    Gather(Vec<O>),
}

impl<V, O> Argument<V, O> {
    /// Returns the argument in another form.
    ///
    /// # Errors
    /// `value` or `object` fails.
    #[inline]
    pub fn try_map<W, P, E>(
        self,
        value: impl FnOnce(V) -> Result<W, E>,
        mut object: impl FnMut(O) -> Result<P, E>,
    ) -> Result<Argument<W, P>, E> {
        Ok(match self {
            Argument::Value(own) => Argument::Value(value(own)?),
            Argument::Object(one) => Argument::Object(object(one)?),
            Argument::Gather(all) => {
                Argument::Gather(all.into_iter().map(object).collect::<Result<_, E>>()?)
            }
        })
    }

    /// Returns a borrowed argument in another form.
    #[inline]
    pub fn map_ref<'a, W, P>(
        &'a self,
        value: impl FnOnce(&'a V) -> W,
        mut object: impl FnMut(&'a O) -> P,
    ) -> Argument<W, P> {
        match self {
            Argument::Value(own) => Argument::Value(value(own)),
            Argument::Object(one) => Argument::Object(object(one)),
            Argument::Gather(all) => Argument::Gather(all.iter().map(object).collect()),
        }
    }

    /// Returns the objects, in order.
    #[inline]
    pub fn objects(&self) -> &[O] {
        match self {
            Argument::Value(_) => &[],
            Argument::Object(one) => std::slice::from_ref(one),
            Argument::Gather(all) => all,
        }
    }
}
