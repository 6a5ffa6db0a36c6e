//! Items that generated code refers to. Not public API: anything here may change at any time.

use std::future::Future;

pub use inventory;
pub use mobula_protocol::{
    Amount, Demand, IndexCell, Inputs, Payload, Registered, RemoteFn, Result, Role, TaskOptions,
};
pub use mobula_worker::{ActorState, EagerLocal, WorkerSetup, WorkerTeardown, block_on};

use mobula_store::descriptors::with_standard_in_use;

use super::bound::in_argument;
#[cfg(any(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
pub use super::nd::{FlatNd, Resolved};
pub use super::{
    Actor, ActorCall, IntoArg, UnspawnedCall,
    actor::{ActorHandle, ActorMethods, Bound, Keeping, concurrent_actor},
    application_error::{
        ErrorLevel1, ErrorLevel2, ErrorLevel3, ErrorLevel4, ErrorLevel5, ErrorProbe, TaskResult,
        Typed, TypedLevel1, TypedLevel2,
    },
    arg::Source,
    codecs::{
        Admits, BorrowedPath, Codec, Elements, FlatArray, FlatOrPackedSlice, FlatSlice, FlatVec,
        Lent, NoCodec, Own, OwnedText, Packed, PackedSlice, PackedVec, PlainVec, RefToVec, Sharing,
        Text,
    },
    flat::{Signature, Types},
    object_stream::{Sink, UnspawnedStream},
    place::Place,
    probe::{
        IsNamed, IsResult, Level1, Level2, Level3, Level4, Level5, Level6, Level7, PlainlyNamed,
        Probe,
    },
    shared::{Part, Tile, lend_part, lend_tile},
    split::{SplitLevel1, SplitLevel2},
};

/// Makes the items beside a remote function: the type that carries `remote(..)`, and the
/// registration. The type is hidden, so that links to the function stay unambiguous.
///
/// A macro makes the items because of its name. If `#[remote]` stands inside of an `impl` block,
/// the compiler's error names this macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __remote_goes_on_free_functions_only {
    ($vis:vis $name:ident { $($associated:tt)* } $(#[$attribute:meta])* { $($hidden:tt)* }) => {
        #[doc(hidden)]
        #[allow(clippy::exhaustive_enums)]
        $vis enum $name {}

        impl $name {
            $($associated)*
        }

        $(#[$attribute])*
        const _: () = { $($hidden)* };
    };
}
pub use crate::__remote_goes_on_free_functions_only as remote_goes_on_free_functions_only;

/// Gives the registered function of such a type.
pub trait Remote {
    /// The function.
    const FUNCTION: &'static RemoteFn;
}

/// Resolves the next argument, which the function borrows.
///
/// # Errors
/// It is of another type, or damaged.
pub fn lend<T: ?Sized, C: Codec<T>>(
    codec: &C,
    inputs: &mut Inputs,
    name: &str,
) -> Result<C::Guard> {
    codec
        .lend(inputs.take()?)
        .map_err(|error| in_argument(name, None, error))
}

/// Borrows what [`lend`] resolved.
///
/// # Errors
/// It is damaged.
pub fn borrow<'g, T: ?Sized, C: Codec<T>>(
    codec: &C,
    guard: &'g C::Guard,
    name: &str,
) -> Result<&'g T> {
    codec
        .borrow(guard)
        .map_err(|error| in_argument(name, None, error))
}

/// Resolves the next argument, which the function owns.
///
/// # Errors
/// It is of another type, or damaged.
pub fn own<T, C: Own<T>>(codec: &C, inputs: &mut Inputs, name: &str) -> Result<T> {
    if let Some(value) = inputs.peek().and_then(|payload| codec.read(payload)) {
        inputs.skip();
        return Ok(value);
    }
    codec
        .own(inputs.take()?)
        .map_err(|error| in_argument(name, None, error))
}

/// Returns a function's result as a payload.
///
/// # Errors
/// It cannot be encoded, or the store is full.
pub fn encode_result<T: ?Sized, C: Codec<T>>(codec: &C, value: &T) -> Result<Payload> {
    codec.encode(value, Place::Current)
}

/// Adds an actor's type to the table.
pub fn learn_actor<A: Actor>(types: &mut Types) {
    types.actor::<A>();
}

/// Adds the type to the table.
pub fn learn<T: ?Sized, C: Codec<T>>(codec: &C, types: &mut Types) {
    codec.learn(types);
}

/// A parameter that borrows, and says so with a lifetime: `ArrayView` of each version of `ndarray`
/// whose feature is on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a borrow that Mobula can resolve from shared memory",
    label = "borrows something else",
    note = "the known ones are `&T`, `&[T]`, `&str` and `ArrayView<'_, T, D>` of `ndarray`, of version 0.16 with the feature `ndarray-0_16` (or `ndarray`), of 0.17 with the feature `ndarray-0_17`; otherwise take `Array<T>` or an owned value"
)]
pub trait ViewParam {
    /// The owned type.
    type Key;
}

/// Runs an asynchronous `main` or test on a multi-threaded tokio runtime.
///
/// # Panics
/// If the future does, or if the system has no more threads.
pub fn block_on_main<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all();
    with_standard_in_use(|| builder.build())
        .expect("a tokio runtime starts unless the process is out of threads or descriptors")
        .block_on(future)
}

/// Begins a test: see [`init::test_entry`](crate::init).
pub fn test_entry(name: &'static str) {
    crate::init::test_entry(name);
}

/// The name under which the test harness knows a test, from its path: without the crate.
pub fn test_name(path: &'static str) -> &'static str {
    path.split_once("::").map_or(path, |(_, name)| name)
}
