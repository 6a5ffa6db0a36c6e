//! Several refs that are fetched together.

use mobula_protocol::{ObjectHandle, Result};

use super::{ObjectRef, Value};
use crate::promise::ENGINE;

/// Refs that [`Runtime::get`](crate::Runtime::get) takes: vectors, slices and arrays of refs, and
/// tuples of up to eight refs or borrows of refs.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let (one, two) = (rt.put(&1)?, rt.put(&2)?);
/// assert_eq!(rt.get([one.clone(), two.clone()])?, [1, 2]);
/// assert_eq!(rt.get(&vec![two.clone(), one.clone()])?, [2, 1]);
/// let text = rt.put("three")?;
/// assert_eq!(rt.get((one, &text))?, (1, "three".to_owned()));
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a group of refs",
    label = "expected a vector, slice, array or tuple of `ObjectRef`s",
    note = "one ref has a `get` of its own: `object.get()`; a call has to be spawned first: `.spawn()`, or `rt.spawn_all(calls)`"
)]
pub trait Joinable {
    /// The values: a vector or a tuple.
    type Output;

    /// Waits for all of them. Not public API.
    #[doc(hidden)]
    fn join(self) -> Result<Self::Output>;
}

/// The most checks of all further refs for failures. They notice a failure soon, and cost little.
const ROUNDS: usize = 16;

/// Waits for entries in order, and calls `known` with the place of each.
///
/// A known failure ends the wait at once. If no object of this process has failed, the function
/// reads each entry once, since a list can be longer than a processor's cache.
fn wait_all<'e>(
    entries: impl Iterator<Item = &'e ObjectHandle> + Clone,
    known: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    let waited = wait_in_turn(entries.clone(), known);
    if waited.is_err() {
        // The caller reads one failure, so the failures of all entries count as read.
        entries.for_each(ObjectHandle::hear);
    }
    waited
}

fn wait_in_turn<'e>(
    entries: impl Iterator<Item = &'e ObjectHandle> + Clone,
    mut known: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    let total = entries.clone().count();
    let (mut expected, mut next_look, mut looked) = (false, 0, 0);
    let mut rest = entries.enumerate();
    loop {
        let from_here = rest.clone();
        let Some((n, entry)) = rest.next() else {
            return Ok(());
        };
        if entry.outcome().is_none() && n + 1 < total {
            if !expected && let Some(engine) = entry.engine(ENGINE) {
                expected = true;
                engine.expect(&mut from_here.map(|(_, entry)| entry));
            }
            let failures = ObjectHandle::failures();
            if n >= next_look && looked != failures {
                looked = failures;
                let outcome = rest.clone().find_map(|(_, entry)| match entry.outcome() {
                    Some(Err(error)) => Some(error),
                    _ => None,
                });
                if let Some(error) = outcome {
                    return Err(error.clone());
                }
                next_look = n + total.div_ceil(ROUNDS);
            }
        }
        entry.wait(None);
        if let Some(Err(error)) = entry.outcome() {
            return Err(error.clone());
        }
        known(n)?;
    }
}

fn join_list<T: Value>(refs: &[ObjectRef<T>]) -> Result<Vec<T>> {
    let mut values = Vec::with_capacity(refs.len());
    wait_all(refs.iter().map(|object| &**object.entry()), |n| {
        // A small value is decoded while it is in the processor's cache. Large values are decoded
        // after all waits.
        if values.len() == n && refs[n].entry().is_small() {
            values.push(refs[n].get()?);
        }
        Ok(())
    })?;
    for object in &refs[values.len()..] {
        values.push(object.get()?);
    }
    Ok(values)
}

macro_rules! lists {
    ($([$($generics:tt)*] $list:ty;)*) => { $(
        #[diagnostic::do_not_recommend]
        impl<T: Value, $($generics)*> Joinable for $list {
            type Output = Vec<T>;

            fn join(self) -> Result<Vec<T>> {
                join_list(&self[..])
            }
        }
    )* };
}

lists! {
    [] Vec<ObjectRef<T>>;
    [] &Vec<ObjectRef<T>>;
    [] &[ObjectRef<T>];
    [const N: usize] [ObjectRef<T>; N];
    [const N: usize] &[ObjectRef<T>; N];
}

/// A ref, or a borrow of a ref, in a tuple that [`Runtime::get`](crate::Runtime::get) takes.
///
/// # Examples
/// ```
/// use mobula::{JoinOne, Joinable, prelude::*};
///
/// fn both<A: JoinOne, B: JoinOne>(rt: &Runtime, a: A, b: B) -> mobula::Result<(A::Output, B::Output)> {
///     rt.get((a, b))
/// }
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let (number, text) = (rt.put(&1)?, rt.put("one")?);
/// assert_eq!(both(&rt, &number, &text)?, (1, "one".to_owned()));
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a ref",
    label = "expected an `ObjectRef` or a borrow of one"
)]
pub trait JoinOne {
    /// The type of the value.
    type Output;

    /// The object. Not public API.
    #[doc(hidden)]
    fn entry(&self) -> &ObjectHandle;

    /// The value. Not public API.
    #[doc(hidden)]
    fn value(&self) -> Result<Self::Output>;
}

impl<T: Value> JoinOne for ObjectRef<T> {
    type Output = T;

    fn entry(&self) -> &ObjectHandle {
        self.entry()
    }

    fn value(&self) -> Result<T> {
        self.get()
    }
}

impl<T: Value> JoinOne for &ObjectRef<T> {
    type Output = T;

    fn entry(&self) -> &ObjectHandle {
        ObjectRef::entry(self)
    }

    fn value(&self) -> Result<T> {
        self.get()
    }
}

macro_rules! tuples {
    ($(($($name:ident $n:tt),+))*) => { $(
        #[diagnostic::do_not_recommend]
        impl<$($name: JoinOne),+> Joinable for ($($name,)+) {
            type Output = ($($name::Output,)+);

            fn join(self) -> Result<Self::Output> {
                wait_all([$(self.$n.entry()),+].into_iter(), |_| Ok(()))?;
                Ok(($(self.$n.value()?,)+))
            }
        }
    )* };
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}
