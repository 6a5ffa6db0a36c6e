//! Results that are tuples, whose elements become objects of their own.

use mobula_protocol::{Error, ObjectHandle, Payload, Result};

use super::{
    ObjectRef, UnspawnedCall, Value, codecs::encode_value, engine::current_engine, place::Place,
    probe::Probe,
};

/// A tuple of 2 to 8 values, which is a result that can be [split](UnspawnedCall::spawn_split). No
/// other type implements it.
///
/// # Examples
/// ```
/// use mobula::{Elements, UnspawnedCall, prelude::*};
///
/// #[remote]
/// fn divide(a: u64, b: u64) -> (u64, u64) {
///     (a / b, a % b)
/// }
///
/// fn start<R: Elements>(call: UnspawnedCall<R>) -> R::Refs {
///     call.spawn_split()
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let (quotient, rest) = start(divide::remote(17, 5));
/// assert_eq!((quotient.get()?, rest.get()?), (3, 2));
/// # drop(rt);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be split into refs",
    label = "not a tuple of 2 to 8 values",
    note = "`spawn_split` is for remote functions that return a tuple, or a `Result` of one; otherwise say `spawn`"
)]
pub trait Elements: Sized {
    /// A ref for each element.
    type Refs;

    /// How many elements there are. Not public API.
    #[doc(hidden)]
    const COUNT: usize;

    /// The refs of these objects. Not public API.
    #[doc(hidden)]
    fn refs(objects: impl Iterator<Item = std::sync::Arc<ObjectHandle>>) -> Self::Refs;

    /// Encodes each element. Not public API.
    ///
    /// # Errors
    /// One cannot be encoded, or the store is full.
    #[doc(hidden)]
    fn encode(&self) -> Result<Vec<Payload>>;
}

macro_rules! elements {
    ($($count:literal: $($element:ident $place:tt),*;)*) => { $(
        impl<$($element: Value),*> Elements for ($($element,)*) {
            type Refs = ($(ObjectRef<$element>,)*);

            const COUNT: usize = $count;

            fn refs(
                mut objects: impl Iterator<Item = std::sync::Arc<ObjectHandle>>,
            ) -> Self::Refs {
                ($(ObjectRef::<$element>::from_entry(objects.next().unwrap_or_else(|| {
                    ObjectHandle::failed(Error::internal("an element without an object"))
                })),)*)
            }

            fn encode(&self) -> Result<Vec<Payload>> {
                Ok(vec![$(encode_value(&self.$place, Place::Current)?),*])
            }
        }
    )* };
}

elements! {
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
    7: A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}

impl<R> UnspawnedCall<R> {
    /// Starts the call as [`spawn`](Self::spawn) does, and gives a ref of each element of its
    /// result, which is a tuple of 2 to 8 values.
    ///
    /// Each element is an object of its own: it can be passed on before the call has ended, is
    /// freed by itself, and is not copied where it is a large array. If the call fails, each of the
    /// refs has its error. To cancel one of them cancels the call.
    ///
    /// Costs a message from the worker for each element.
    ///
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn split_at_mean(samples: &[f64]) -> (Vec<f64>, Vec<f64>) {
    ///     let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    ///     samples.iter().partition(|sample| **sample < mean)
    /// }
    ///
    /// #[remote]
    /// fn largest(samples: &[f64]) -> f64 {
    ///     samples.iter().copied().fold(f64::MIN, f64::max)
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let (low, high) = split_at_mean::remote(vec![1.0, 2.0, 6.0, 7.0]).spawn_split();
    /// let (low, high) = (largest::remote(low).spawn(), largest::remote(high).spawn());
    /// assert_eq!((low.get()?, high.get()?), (2.0, 7.0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn_split(mut self) -> R::Refs
    where
        R: Elements,
    {
        self.set_split();
        let result = self.spawn().into_entry();
        let elements = match (result.engine(crate::promise::ENGINE), result.outcome()) {
            (Some(engine), _) => engine.split(&result, R::COUNT),
            (None, Some(Err(error))) => vec![ObjectHandle::failed(error.clone()); R::COUNT],
            (None, _) => vec![ObjectHandle::failed(Error::shutdown()); R::COUNT],
        };
        R::refs(elements.into_iter())
    }
}

/// Tuples. Not public API.
pub trait SplitLevel2<T> {
    /// Makes an object of each element, and a result that refers to them.
    ///
    /// # Errors
    /// An element cannot be encoded, or the store is full.
    fn split(&self, value: &T) -> Result<Payload>;
}

impl<T: Elements> SplitLevel2<T> for &Probe<T> {
    fn split(&self, value: &T) -> Result<Payload> {
        let engine = current_engine()?;
        let objects = value.encode()?.into_iter();
        let objects = objects.map(|payload| engine.store().put(payload));
        let objects = objects.map(|object| object.map(ObjectRef::<()>::from_entry));
        let objects: Vec<ObjectRef<()>> = objects.collect::<Result<_>>()?;
        encode_value(&objects, Place::Current)
    }
}

/// All other results. Not public API.
pub trait SplitLevel1<T> {
    /// Does not happen: such a call cannot be split.
    ///
    /// # Errors
    /// Always.
    fn split(&self, _: &T) -> Result<Payload> {
        Err(Error::internal("a result was to be split that is no tuple"))
    }
}

impl<T> SplitLevel1<T> for Probe<T> {}
