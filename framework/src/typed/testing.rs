//! A runtime on the inline engine, whose calls can be held back, for tests.

use std::{cell::RefCell, sync::Arc, time::Duration};

use mobula_protocol::{ActorOptions, Control, Engine, Result, TaskOptions};
use mobula_store::Plain;

use super::{
    Actor, ActorCall, ActorRef, AsCompleted, Joinable, Map, ObjectRef, ObjectStream, Put, Queue,
    UnspawnedCall, UnspawnedStream, Value,
    actor::{get_or_create, named},
    map::tree_reduce,
    runtime_api,
    wait::{Ready, wait},
};
use crate::{Array, config::BuilderOptions, engines::inline::Inline};

thread_local! {
    static CURRENT: RefCell<Option<Arc<dyn Engine>>> = const { RefCell::new(None) };
}

/// Returns the engine of calls on this thread.
pub(crate) fn current() -> Option<Arc<dyn Engine>> {
    CURRENT.with_borrow(Clone::clone)
}

/// A runtime on the inline engine, in place of a `Runtime`.
pub(crate) struct TestRuntime {
    inline: Arc<Inline>,
    engine: Arc<dyn Engine>,
}

impl TestRuntime {
    /// Returns a new runtime, to which calls on this thread belong.
    pub(crate) fn start() -> TestRuntime {
        let runtime = TestRuntime::aside();
        CURRENT.set(Some(runtime.engine.clone()));
        runtime
    }

    /// Returns a new runtime, to which only its own refs belong.
    pub(crate) fn aside() -> TestRuntime {
        let options = BuilderOptions {
            capacity: Some(64 << 20),
            ..BuilderOptions::default()
        };
        let config = options.resolve().unwrap();
        let inline = Inline::start(&config).unwrap();
        TestRuntime {
            engine: inline.clone(),
            inline,
        }
    }

    pub(crate) fn put<How, T: ?Sized + Put<How>>(&self, value: &T) -> Result<ObjectRef<T::Object>> {
        runtime_api::put(&self.engine, value)
    }

    pub(crate) fn put_with<E: Plain + bytemuck::Zeroable>(
        &self,
        len: usize,
        fill: impl FnOnce(&mut [E]),
    ) -> Result<ObjectRef<Array<E>>> {
        runtime_api::put_with(&self.engine, len, fill)
    }

    pub(crate) fn spawn<R>(&self, call: UnspawnedCall<R>) -> ObjectRef<R> {
        call.spawn_on(&self.engine)
    }

    pub(crate) fn spawn_stream<T>(&self, call: UnspawnedStream<T>) -> ObjectStream<T> {
        call.spawn_on(&self.engine)
    }

    pub(crate) fn spawn_all<R>(
        &self,
        calls: impl IntoIterator<Item = UnspawnedCall<R>>,
    ) -> Vec<ObjectRef<R>> {
        runtime_api::spawn_all(&self.engine, calls)
    }

    pub(crate) fn get<J: Joinable>(&self, refs: J) -> Result<J::Output> {
        refs.join()
    }

    pub(crate) fn map<R: Value, I: IntoIterator<Item = UnspawnedCall<R>>>(
        &self,
        calls: I,
    ) -> Map<I::IntoIter> {
        Map::new(&self.engine, calls.into_iter())
    }

    pub(crate) fn map_fn<T, R, I, F>(
        &self,
        function: F,
        items: I,
    ) -> Map<std::iter::Map<I::IntoIter, F>>
    where
        R: Value,
        I: IntoIterator<Item = T>,
        F: FnMut(T) -> UnspawnedCall<R>,
    {
        Map::new(&self.engine, items.into_iter().map(function))
    }

    pub(crate) fn tree_reduce<T>(
        &self,
        refs: impl IntoIterator<Item = ObjectRef<T>>,
        f: impl FnMut(ObjectRef<T>, ObjectRef<T>) -> UnspawnedCall<T>,
    ) -> Option<ObjectRef<T>> {
        tree_reduce(&self.engine, refs, f)
    }

    pub(crate) fn as_completed<T>(
        &self,
        refs: impl IntoIterator<Item = ObjectRef<T>>,
    ) -> AsCompleted<T> {
        let mut completed = AsCompleted::new();
        completed.extend(refs);
        completed
    }

    pub(crate) fn wait<T>(
        &self,
        refs: &[ObjectRef<T>],
        count: usize,
        limit: Option<Duration>,
    ) -> Result<Ready<T>> {
        wait(refs, count, limit)
    }

    /// Returns the options of each call since the last `options`, in order.
    pub(crate) fn options(&self) -> Vec<TaskOptions> {
        self.inline.options()
    }

    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// Holds all further calls back until [`run_held`](Self::run_held). They stay pending.
    pub(crate) fn hold(&self) {
        self.inline.hold();
    }

    /// Runs the calls that were held back.
    pub(crate) fn run_held(&self) {
        self.inline.run_held();
    }

    /// Returns the bytes of all stored objects.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.inline.stats().used_bytes
    }

    /// Returns the number of objects.
    pub(crate) fn object_count(&self) -> usize {
        self.inline.stats().objects
    }

    pub(crate) fn try_spawn<R>(&self, call: UnspawnedCall<R>) -> Result<ObjectRef<R>> {
        call.try_spawn_on(&self.engine)
    }

    pub(crate) async fn spawn_async<R>(&self, call: UnspawnedCall<R>) -> ObjectRef<R> {
        call.spawn_async_on(&self.engine).await
    }

    pub(crate) fn spawn_actor<A: Actor>(&self, call: ActorCall<A>) -> ActorRef<A> {
        call.spawn_on(&self.engine)
    }

    pub(crate) fn get_or_create_actor<A: Actor>(&self, call: ActorCall<A>) -> Result<ActorRef<A>> {
        get_or_create(&self.engine, call)
    }

    pub(crate) fn actor<A: Actor>(&self, name: &str) -> Result<ActorRef<A>> {
        named(&self.engine, name)
    }

    pub(crate) fn queue<T: Value>(&self, capacity: usize) -> Result<Queue<T>> {
        Queue::on(&self.engine, capacity)
    }

    /// Returns the options that an actor was created with.
    pub(crate) fn options_of<A: Actor>(&self, actor: &ActorRef<A>) -> ActorOptions {
        self.inline.options_of(ActorRef::handle(actor).entry().id())
    }
}

impl Drop for TestRuntime {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| {
            if current
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, &self.engine))
            {
                *current = None;
            }
        });
    }
}
