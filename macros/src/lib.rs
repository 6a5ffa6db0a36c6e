//! Attribute macros of Mobula: `#[remote]`, `#[mobula::worker_local]`, `#[mobula::main]` and
//! `#[mobula::test]`.
//!
//! Users depend on the crate `mobula`, which re-exports and explains them. The generated code
//! refers to `mobula::__private` only.

#![forbid(unsafe_code)]

mod crate_path;
mod entry;
mod errors;
mod manifest;
mod options;
mod remote;
mod spans;
mod worker_local;

use proc_macro::TokenStream;

/// Makes a function callable in worker processes. On an `impl` block, it makes the type an actor.
///
/// # Functions
///
/// The function itself stays as it is. Beside it appears `name::remote(..)`, which takes for each
/// parameter the value, a borrow of it, or an `ObjectRef`. It returns an `UnspawnedCall`: nothing
/// runs until that is spawned. One `use` imports both.
///
/// ```
/// use mobula::prelude::*;
///
/// #[remote(retries = 2)]
/// fn score(array: &[f64], param: u64) -> f64 {
///     array.iter().sum::<f64>() * param as f64
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let local = score(&[1.0, 2.0], 7);
/// let remote = score::remote(&[1.0, 2.0], 7).spawn().get()?;
/// assert_eq!((local, remote), (21.0, 21.0));
/// # drop(rt);
/// # Ok(())
/// # }
/// ```
///
/// ## Parameters
///
/// | Written as | The function gets |
/// | --- | --- |
/// | `&[T]` of plain elements, `&str`, `ArrayView2<'_, T>` and its kin | the elements in shared memory, without a copy |
/// | `&T`, `&[T]` of other serde types | a value that is decoded once per object and worker, and kept for further calls (see below) |
/// | `Array<T>` | the shared array, without a copy |
/// | `ObjectRef<T>` | the ref, not the value |
/// | `&Path` | a path that is decoded at each call |
/// | `T`, `Vec<T>`, `String`, .. | a value of its own: decoded or copied at each call |
///
/// Plain elements are numbers, `bool`, `char`, fixed arrays of numbers, and structs that derive
/// `bytemuck`'s traits. A value that is lent as `&T` may be lent again. If it changes behind a
/// shared borrow (an atomic, a `Cell`), it keeps the change for later calls in that worker.
///
/// A worker keeps a decoded `&T` or `&[T]` until its object is freed. Arrays inside are shared and
/// not copied. All workers of a runtime together keep as many encoded bytes as a quarter of the
/// store holds (each at least 64 MiB). A value is decoded at each call in these cases:
///
/// * it was passed in place of a ref;
/// * it holds an `ObjectRef` or another handle;
/// * it exceeds that limit;
/// * it holds arrays and `T` is not `Send + Sync`.
///
/// Without `Send + Sync` each thread of a worker keeps its own values, up to 32 and 64 MiB.
///
/// A parameter may stand under a condition, as in `#[cfg(feature = "x")] b: u32`.
///
/// A function is not generic, has no `&mut`, and no borrow inside of other types: all of that would
/// have no meaning in another process. Parts of shared arrays are the exception: `&mut [T]` and
/// `ArrayViewMut2<'_, T>` take a `Part<T>` and a `Tile<T>`.
///
/// ## Results
///
/// A result is of any serde type, a tuple, or an `Array<T>`. A `Vec<T>` of plain elements is stored
/// without encoding. An `async fn` runs to its end in the worker.
///
/// A `Result<T, E>`, which is known by its name, gives a ref of `T`. An `Err` fails the task with
/// text and sources of the error and, if `E` is a serde type, with the value
/// (`err.application::<E>()`).
///
/// `impl Iterator<Item = T>` and `impl Stream<Item = T>` (feature `stream`) give items one by one.
/// A call is then an `UnspawnedStream<T>`, and `spawn()` gives an `ObjectStream<T>`. `T` may be a
/// `Result`: an `Err` ends the stream. The `impl` may stand in a `Result`, too. The iterator of a
/// method may borrow `self`; the method then has the actor until the iterator ends.
///
/// ## Options
///
/// * `retries = n`: run the function again, up to `n` times, after its worker process died.
///   `.retries(n)` on a call overrides it. Default: 0.
/// * `retry_errors`: run it again after it returned an `Err`, too. Both use up the same `retries`.
///   `retry_errors = function`: run it again only after the errors for which this `fn(&E) -> bool`
///   returns `true`. `.retry_errors(true)` on a call is the first of these, `.retry_errors(false)`
///   none. Default: none.
/// * `priority = n`: go before tasks of a lower priority. `.priority(n)` on a call overrides it.
///   Default: that of the task that makes the call, or 0.
/// * `timeout = duration`: fail after a run that takes longer than this, and end the run, if need
///   be with its worker. `.timeout(duration)` on a call overrides it. Default: no limit.
/// * `deadline = duration`: fail if the call has not ended this long after it was spawned.
///   `.deadline(duration)` on a call overrides it. Default: no limit.
/// * `retry_timeouts`: run it again after a run that took too long, within its `retries`.
/// * `grace = duration`: how long a run goes on that is cancelled or has passed a limit, before its
///   worker is killed. `.grace(duration)` on a call overrides it. Default: 1 s.
/// * `spread`: on a cluster, spread the calls over all nodes, wherever their arguments are.
///   `.spread(false)` on a call overrides it. Default: near the arguments.
/// * `max_calls = n`: replace a worker when it has run `n` calls of the function, also those that
///   fail. `.max_calls(n)` on a call overrides it. Default: no limit.
/// * `num_cpus = n`: use `n` cores of the runtime while the function runs, also a part of one.
///   `.num_cpus(n)` on a call overrides it. Default: 1, which is the worker.
/// * `memory = bytes`: need so much of the memory of the runtime. `.memory(bytes)` on a call
///   overrides it. Default: none.
/// * `resources(name = n, ..)`: need so much of what the program has declared
///   (`Builder::resource`), as in `resources(gpu = 1, "scratch disk" = 0.5)`. `.resource(name, n)`
///   on a call overrides it. Default: none.
/// * `crate = path`: where `mobula` is, for crates that know it through another crate only.
///
/// ## Limits
///
/// * `name::remote` needs the name of a type: there can be no type, module or crate of that name
///   beside the function. `pub use resize::resize` beside `mod resize` is an error (E0255).
/// * `parse()`, `sum()`, `collect()` and `into()` as arguments need a type, since many types fit.
/// * The attribute goes on free functions, wherever they are, and not on single methods.
/// * Arguments and results nest at most 128 levels deep. Each collection, tuple, struct, `Some` and
///   variant with data is a level, so a linked list has at most 64 elements.
///
/// # Actors
///
/// An actor is a value that lives in a worker process of its own, and whose methods are called from
/// everywhere. The type stays an ordinary one. Beside its `new` appears `Type::remote(..)`, which
/// takes the same arguments and returns an `ActorCall`. An `ActorRef<Type>` has the methods, each
/// of which makes an `UnspawnedCall`.
///
/// ```
/// use mobula::prelude::*;
///
/// struct Counter {
///     n: u64,
/// }
///
/// #[remote(max_restarts = 2, groups = [("io", 2)])]
/// impl Counter {
///     pub fn new(start: u64) -> Self {
///         Counter { n: start }
///     }
///
///     pub fn add(&mut self, n: u64) -> u64 {
///         self.n += n;
///         self.n
///     }
///
///     #[remote(group = "io", retries = 1)]
///     pub async fn save(&self, path: &str) -> std::io::Result<()> {
///         std::fs::write(path, self.n.to_string())
///     }
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let counter: ActorRef<Counter> = Counter::remote(5).spawn();
/// let sum: ObjectRef<u64> = counter.add(2).spawn();
/// assert_eq!(sum.get()?, 7);
/// assert!(counter.save("/no/such/folder/n").spawn().get().is_err());
/// # drop(rt);
/// # Ok(())
/// # }
/// ```
///
/// * The block has the constructor `fn new(..) -> Self` or `-> Result<Self, E>`, which may be
///   asynchronous, and the methods, nothing else. All else goes into a second `impl` block without
///   the attribute. Parameters and results are those of functions.
/// * A method with `&mut self` is alone with the value, also an asynchronous method until its end.
///   Methods with `&self` run together, as many as `max_concurrency` and the groups allow. If a
///   method panics, its call fails, and the value stays as the method has left it.
/// * A method is as visible as it is written. Names that every `ActorRef` has by the standard
///   prelude (`clone`, `eq`, `into`, ..) cannot be those of methods.
/// * Neither the type nor its methods are generic.
/// * A type that is not `Send + Sync` (an `Rc`, a `RefCell`, the handle of a C library) lives on
///   one thread. Its calls run one at a time, each from its beginning to its end, also while it
///   waits. So `max_concurrency`, but for the literal `1`, and groups are errors for such a type.
///
/// ## Options
///
/// The options of the block are defaults of the methods of `ActorCall` with these names:
///
/// * `max_restarts = n`, `max_call_retries = n`, `max_concurrency = n`, `max_pending_calls = n`:
///   whole numbers.
/// * `groups = [("name", n), ..]`: how many calls of each group run at a time.
/// * `grace = duration`: how long the value's `Drop` may take.
/// * `num_cpus = n`, `memory = bytes`, `resources(name = n, ..)`: what the actor needs as long as
///   it lives, as for functions.
/// * `crate = path`: where `mobula` is, as for functions.
///
/// The options of a method are:
///
/// * `retries = n`: run the call again, up to `n` times, after the actor's process died. It needs
///   `max_restarts`, too. Default: the actor's `max_call_retries`, which is 0, so that nothing is
///   done twice.
/// * `retry_errors`, `retry_errors = function`: as for functions. If one call runs at a time and
///   the method does not wait, the next run comes before all calls that were made later. It finds
///   the value as the failed run has left it. Otherwise other calls may come in between.
/// * `timeout = duration`, `deadline = duration`: as for functions, but that the actor's process is
///   not killed. A method that does not ask whether it is cancelled runs to its end.
/// * `group = "name"`: the group that it is in. Default: none; then `max_concurrency` holds for it.
#[proc_macro_attribute]
pub fn remote(args: TokenStream, item: TokenStream) -> TokenStream {
    remote::expand(args.into(), item.into()).into()
}

/// Starts a program that uses Mobula: calls `mobula::init()` first, and runs an `async fn main` on
/// a multi-threaded tokio runtime.
///
/// # Options
///
/// * `crate = path`: where `mobula` is, for crates that know it through another crate only.
///
/// # Examples
/// ```
/// use mobula::prelude::*;
///
/// #[remote]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// #[mobula::main]
/// async fn main() -> mobula::Result<()> {
///     let rt = Runtime::builder().workers(1).start()?;
///     assert_eq!(rt.spawn(square::remote(3)).await?, 9);
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand_main(args.into(), item.into()).into()
}

/// Makes a test whose runtime finds its remote functions in worker processes.
///
/// It takes the place of `#[test]`, also on an `async fn`, which runs on a multi-threaded tokio
/// runtime.
///
/// # Options
///
/// * `crate = path`: where `mobula` is, for crates that know it through another crate only.
///
/// # Examples
/// ```
/// use mobula::prelude::*;
///
/// #[remote]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// #[mobula::test]
/// fn squares() -> mobula::Result<()> {
///     let rt = Runtime::builder().workers(1).start()?;
///     assert_eq!(rt.spawn(square::remote(3)).get()?, 9);
///     Ok(())
/// }
/// # fn main() {}
/// ```
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand_test(args.into(), item.into()).into()
}

/// Makes a static of which each worker has a value of its own, made once.
///
/// So a worker loads a model at its first use, and evaluates it in each call. The initial value may
/// be any expression. `NAME.with(|value| ..)` evaluates it at the first use in a worker, and lends
/// the value as `&mut T`. In the documentation of `mobula` the static is a `WorkerLocal<T>`.
///
/// * A worker drops the value at its end, within the 250 ms that the end of a runtime waits. Its
///   last task and the functions of `worker_teardown!` come before. Of several values the latest
///   goes first. A worker that is killed or crashes drops nothing.
/// * A panic in the expression fails the task. The next task evaluates it again.
/// * The type has to be `Send`, since the tasks of a worker run on several threads, one at a time.
///   It need not be `Sync`.
/// * Outside of a worker, for instance where the program calls the function itself, the process has
///   a value of its own, which is not dropped. On the inline engine all tasks use that value. It is
///   dropped when the last inline runtime of the process ends.
/// * Each actor is a process, and so has a value of its own.
///
/// # Options
///
/// * `eager`: each worker evaluates the expression before its first task, like a function of
///   `worker_setup!`, and so has the same limits. A panic there means that the worker cannot be
///   started.
/// * `crate = path`: where `mobula` is, for crates that know it through another crate only.
///
/// # Examples
/// ```
/// use mobula::prelude::*;
///
/// # struct Model(f64);
/// #
/// # impl Model {
/// #     fn load(_: &str) -> Model {
/// #         Model(2.0)
/// #     }
/// #
/// #     fn evaluate(&self, sample: f64) -> f64 {
/// #         self.0 * sample
/// #     }
/// # }
/// #
/// #[mobula::worker_local]
/// static MODEL: Model = Model::load("weights.bin");
///
/// #[remote]
/// fn evaluate(sample: f64) -> f64 {
///     MODEL.with(|model| model.evaluate(sample))
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// assert_eq!(rt.map_fn(evaluate::remote, [1.0, 2.0]).get()?, [2.0, 4.0]);
/// # Ok(())
/// # }
/// ```
#[proc_macro_attribute]
pub fn worker_local(args: TokenStream, item: TokenStream) -> TokenStream {
    worker_local::expand(args.into(), item.into()).into()
}
