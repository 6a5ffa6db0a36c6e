//! Operations of a runtime that depend on the types of values.

use std::sync::Arc;

use bytemuck::Zeroable;
use mobula_protocol::{Engine, Result};
use mobula_store::{Array, Plain};

use super::{
    AsCompleted, Joinable, Map, ObjectRef, Put, UnspawnedCall, Value, array_build::build,
    bytes::flat_array, flat::remember, map::tree_reduce, place::Place,
};
use crate::Runtime;

impl Runtime {
    /// Copies a value into the store, once, from where any number of calls can use it.
    ///
    /// Slices, vectors and arrays of plain elements are copied byte by byte, and every worker reads
    /// them in place. An [`Array`] that lies in the store of this runtime is not copied. Other
    /// values are encoded. [`Put`] lists the types. The value is always passed by reference.
    ///
    /// # Examples
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
    ///
    /// # Errors
    /// * [`is_store_full`](crate::Error::is_store_full): there is no room.
    /// * `is_codec`: the type's `Serialize` fails, or the value nests more than 128 levels deep.
    ///   Each collection, tuple, struct, `Some` and variant with data is a level.
    /// * `is_shutdown`: the runtime has ended.
    pub fn put<How, T: ?Sized + Put<How>>(&self, value: &T) -> Result<ObjectRef<T::Object>> {
        put(self.engine(), value)
    }

    /// Builds an array of `len` elements in the store, in place: at the speed of `fill`.
    ///
    /// `fill` gets valid elements of any value, since memory that was in use before comes
    /// unchanged. It must write all of them, or `fill(..)` them first.
    ///
    /// # Examples
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
    ///
    /// # Errors
    /// [`is_store_full`](crate::Error::is_store_full) when there is no room, `is_shutdown` after
    /// the runtime's end.
    pub fn put_with<E: Plain + Zeroable>(
        &self,
        len: usize,
        fill: impl FnOnce(&mut [E]),
    ) -> Result<ObjectRef<Array<E>>> {
        put_with(self.engine(), len, fill)
    }

    /// Starts a call on this runtime. Does not block. Where there is one runtime only,
    /// [`UnspawnedCall::spawn`] does the same.
    ///
    /// If one of the arguments is a ref of another runtime, the result is an error that says so.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let one = Runtime::builder().workers(1).start()?;
    /// let two = Runtime::builder().workers(1).start()?;
    /// assert_eq!(one.spawn(square::remote(3)).get()?, 9);
    /// let of_two = two.put(&4)?;
    /// assert!(one.spawn(square::remote(of_two)).get().unwrap_err().is_usage());
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn<R>(&self, call: UnspawnedCall<R>) -> ObjectRef<R> {
        call.spawn_on(self.engine())
    }

    /// Starts a call on this runtime, or returns an error at once: see
    /// [`UnspawnedCall::try_spawn`].
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn sleep(millis: u64) {
    ///     std::thread::sleep(std::time::Duration::from_millis(millis));
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).max_pending(1).start()?;
    /// let first = rt.spawn(sleep::remote(500));
    /// assert!(rt.try_spawn(sleep::remote(0)).unwrap_err().is_backpressure());
    /// first.get()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_backpressure`](crate::Error::is_backpressure): too many calls have not ended. Or what
    /// is wrong with the call itself.
    pub fn try_spawn<R>(&self, call: UnspawnedCall<R>) -> Result<ObjectRef<R>> {
        call.try_spawn_on(self.engine())
    }

    /// Starts a call on this runtime, without blocking the thread: see
    /// [`UnspawnedCall::spawn_async`].
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// #[mobula::main]
    /// async fn main() -> mobula::Result<()> {
    ///     let rt = Runtime::builder().workers(1).max_pending(2).start()?;
    ///     let nine = rt.spawn_async(square::remote(3)).await;
    ///     assert_eq!(nine.await?, 9);
    ///     Ok(())
    /// }
    /// ```
    pub async fn spawn_async<R>(&self, call: UnspawnedCall<R>) -> ObjectRef<R> {
        call.spawn_async_on(self.engine()).await
    }

    /// Starts calls on this runtime. The refs are in the order of the calls.
    ///
    /// # Examples
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

    /// Returns a [`Map`], which runs many calls and gathers their results. Nothing runs until the
    /// map is awaited, iterated over, or [`get`](Map::get) is called.
    ///
    /// The map takes calls from the iterator when workers have room. So the iterator may be long,
    /// or endless.
    ///
    /// # Examples
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
    /// let cubes = rt.map((0..1000).map(|base| power::remote(base, 3))).get()?;
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

    /// Returns a [`Map`], which runs a function on many items: `map_fn(f::remote, items)` is
    /// `map(items.into_iter().map(f::remote))`.
    ///
    /// # Examples
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

    /// Returns an iterator over the refs in the order in which they become ready. More refs may be
    /// added to it. See [`AsCompleted`].
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # use std::time::Duration;
    /// #[remote]
    /// fn sleep(millis: u64) -> u64 {
    ///     std::thread::sleep(Duration::from_millis(millis));
    ///     millis
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let refs = rt.spawn_all([200, 1].map(sleep::remote));
    /// let mut first = rt.as_completed(refs);
    /// assert_eq!(first.next().unwrap().get()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn as_completed<T>(&self, refs: impl IntoIterator<Item = ObjectRef<T>>) -> AsCompleted<T> {
        let mut completed = AsCompleted::new();
        completed.extend(refs);
        completed
    }

    /// Combines the values of the refs by tasks, two neighbours at a time, in the order of the
    /// refs. `f` makes a call of a remote function of two values.
    ///
    /// Returns `None` if there are no refs, and a single ref unchanged. Does not block: the refs
    /// may be pending. [`Map::tree_reduce`] says what the function must be. Partial results stay in
    /// the store. If a task fails, so does the result, and it names that task. Cancelling the
    /// result cancels the last combination only.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn join(a: &str, b: &str) -> String {
    ///     format!("{a}{b}")
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::start()?;
    /// let words = [rt.put("re")?, rt.put("mo")?, rt.put("te")?];
    /// let joined = rt.tree_reduce(words, join::remote).expect("there are words");
    /// assert_eq!(joined.get()?, "remote");
    /// # Ok(())
    /// # }
    /// ```
    pub fn tree_reduce<T>(
        &self,
        refs: impl IntoIterator<Item = ObjectRef<T>>,
        f: impl FnMut(ObjectRef<T>, ObjectRef<T>) -> UnspawnedCall<T>,
    ) -> Option<ObjectRef<T>> {
        tree_reduce(self.engine(), refs, f)
    }

    /// Blocks until all of the refs are ready, and returns their values in the order of the refs.
    ///
    /// A vector, slice or array of refs gives a vector, and a tuple of refs gives a tuple. A ref
    /// may be there twice.
    ///
    /// # Examples
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
    ///
    /// # Errors
    /// The failure of one of the tasks. The other tasks go on.
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
