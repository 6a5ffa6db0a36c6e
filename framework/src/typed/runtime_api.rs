//! What a runtime does with values, as far as it depends on their types.

use std::sync::Arc;

use bytemuck::Zeroable;
use mobula_protocol::{Engine, Result};
use mobula_store::{Array, Plain};

use super::{
    AsCompleted, Joinable, Map, ObjectRef, Put, UnspawnedCall, Value, array_build::build,
    bytes::flat_array, flat::remember, place::Place,
};
use crate::Runtime;

impl Runtime {
    /// Copies a value into the store, once, from where any number of calls can use it.
    ///
    /// Slices, vectors and arrays of plain elements are copied as they are, and read in place by
    /// every worker; an [`Array`] that lies in the store of this runtime is not even copied. Other
    /// values are encoded. See [`Put`] for what can be put; it is always by reference.
    ///
    /// # Errors
    /// [`is_store_full`](crate::Error::is_store_full) when there is no room, `is_codec` when the
    /// type's `Serialize` fails or the value nests more than 128 levels deep, `is_shutdown` after
    /// the runtime's end. Each collection, tuple, struct, `Some` and variant with data is a level.
    ///
    /// # Example
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::start()?;
    /// let samples = vec![0.5; 1000];
    /// let object: ObjectRef<Vec<f64>> = rt.put(&samples)?;
    /// assert_eq!(object.view()?.len(), 1000);
    /// let text: ObjectRef<String> = rt.put("hello")?;
    /// assert_eq!(text.get()?, "hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn put<How, T: ?Sized + Put<How>>(&self, value: &T) -> Result<ObjectRef<T::Object>> {
        put(self.engine(), value)
    }

    /// Builds an array of `len` elements in the store, in place: at the speed of `fill`.
    ///
    /// `fill` gets valid elements, but nobody says which: memory that was in use before comes as it
    /// was left. It must write all of them, or `fill(..)` them first.
    ///
    /// # Errors
    /// [`is_store_full`](crate::Error::is_store_full) when there is no room, `is_shutdown` after
    /// the runtime's end.
    ///
    /// # Example
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::start()?;
    /// let squares = rt.put_with(1000, |out: &mut [u64]| {
    ///     for (i, value) in out.iter_mut().enumerate() {
    ///         *value = (i * i) as u64;
    ///     }
    /// })?;
    /// assert_eq!(squares.view()?[31], 961);
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_with<E: Plain + Zeroable>(
        &self,
        len: usize,
        fill: impl FnOnce(&mut [E]),
    ) -> Result<ObjectRef<Array<E>>> {
        put_with(self.engine(), len, fill)
    }

    /// Starts a call on this runtime; the same as [`UnspawnedCall::spawn`] where there is only one.
    /// Does not block.
    ///
    /// If one of the arguments is a ref of another runtime, the result is an error that says so.
    pub fn spawn<R>(&self, call: UnspawnedCall<R>) -> ObjectRef<R> {
        call.spawn_on(self.engine())
    }

    /// Starts calls on this runtime. The refs are in the order of the calls.
    ///
    /// # Example
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn square(x: u64) -> u64 {
    ///     x * x
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::start()?;
    /// let refs = rt.spawn_all((0..5).map(square::remote));
    /// assert_eq!(rt.get(&refs)?, [0, 1, 4, 9, 16]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn_all<R>(
        &self,
        calls: impl IntoIterator<Item = UnspawnedCall<R>>,
    ) -> Vec<ObjectRef<R>> {
        spawn_all(self.engine(), calls)
    }

    /// Runs many calls and gathers their results: see [`Map`]. Nothing runs until the map is
    /// awaited, iterated over, or [`get`](Map::get) is called.
    ///
    /// Calls are taken from the iterator as workers have room, so it may be long, or endless.
    ///
    /// # Example
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn power(base: u64, exponent: u32) -> u64 {
    ///     base.pow(exponent)
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::start()?;
    /// let cubes = rt.map((0..100).map(|base| power::remote(base, 3))).get()?;
    /// assert_eq!(cubes[4], 64);
    /// # Ok(())
    /// # }
    /// ```
    pub fn map<R: Value, I: IntoIterator<Item = UnspawnedCall<R>>>(
        &self,
        calls: I,
    ) -> Map<I::IntoIter> {
        Map::new(self.engine(), calls.into_iter())
    }

    /// Runs a function on many items: `map_fn(f::remote, items)` is
    /// `map(items.into_iter().map(f::remote))`.
    ///
    /// # Example
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn square(x: u64) -> u64 {
    ///     x * x
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::start()?;
    /// let mut sum = 0;
    /// for result in rt.map_fn(square::remote, 0..100) {
    ///     sum += result?;
    /// }
    /// assert_eq!(sum, 328_350);
    /// # Ok(())
    /// # }
    /// ```
    pub fn map_fn<T, R, I, F>(&self, function: F, items: I) -> Map<std::iter::Map<I::IntoIter, F>>
    where
        R: Value,
        I: IntoIterator<Item = T>,
        F: FnMut(T) -> UnspawnedCall<R>,
    {
        Map::new(self.engine(), items.into_iter().map(function))
    }

    /// The refs in the order in which they become ready: an iterator to which further ones may be
    /// added. See [`AsCompleted`].
    pub fn as_completed<T>(&self, refs: impl IntoIterator<Item = ObjectRef<T>>) -> AsCompleted<T> {
        let mut completed = AsCompleted::new();
        completed.extend(refs);
        completed
    }

    /// Blocks until all of the refs are ready, and gives their values in the same order: of a
    /// vector, slice or array of refs as a vector, of a tuple of refs as a tuple. A ref may be
    /// there twice.
    ///
    /// # Errors
    /// The failure of one of the tasks; the others go on.
    ///
    /// # Example
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::start()?;
    /// let (a, b) = (rt.put(&7)?, rt.put("seven")?);
    /// let (number, word): (i32, String) = rt.get((&a, &b))?;
    /// assert_eq!((number, word.as_str()), (7, "seven"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn get<J: Joinable>(&self, refs: J) -> Result<J::Output> {
        refs.join()
    }
}

pub(crate) fn spawn_all<R>(
    engine: &Arc<dyn Engine>,
    calls: impl IntoIterator<Item = UnspawnedCall<R>>,
) -> Vec<ObjectRef<R>> {
    let mut specs = calls.into_iter().map(|call| call.into_spec(engine));
    let mut entries = Vec::with_capacity(specs.size_hint().0);
    engine.submit_all(&mut specs, &mut entries);
    entries.into_iter().map(ObjectRef::from_entry).collect()
}

pub(crate) fn put<How, T: ?Sized + Put<How>>(
    engine: &Arc<dyn Engine>,
    value: &T,
) -> Result<ObjectRef<T::Object>> {
    let payload = value.payload(Place::Of(engine))?;
    engine.store().put(payload).map(ObjectRef::from_entry)
}

pub(crate) fn put_with<E: Plain + Zeroable>(
    engine: &Arc<dyn Engine>,
    len: usize,
    fill: impl FnOnce(&mut [E]),
) -> Result<ObjectRef<Array<E>>> {
    remember::<E>();
    let array = build(len, fill, Place::Of(engine))?;
    let payload = flat_array(&array);
    engine.store().put(payload).map(ObjectRef::from_entry)
}
