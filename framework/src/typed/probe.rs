//! The choice of a codec at compile time.
//!
//! Generated code calls `(&&&&&&&Probe::<T>::NEW).codec()` with a concrete `T`. Method resolution
//! tries the traits below, from the one with the most references down. It takes the first whose
//! bounds hold, which is called autoref specialisation. In generic code it would choose too early.
//! So it is used in generated code only.

use std::{marker::PhantomData, path::Path};

use mobula_store::{Array, Plain};

use super::{
    ObjectRef, Value,
    codecs::{
        BorrowedPath, FlatArray, FlatOrPackedSlice, FlatSlice, FlatVec, NoCodec, OwnedText, Packed,
        PackedSlice, PackedVec, PlainVec, RefToVec, Sharing, Text,
    },
};

/// Stands for a type. Not public API.
#[derive(Debug)]
pub struct Probe<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized> Probe<T> {
    /// Stands for `T`.
    pub const NEW: Probe<T> = Probe(PhantomData);
}

macro_rules! levels {
    ($($(#[$doc:meta])* $level:ident: $([$($generics:tt)*] $probe:ty => $codec:ty, $new:expr;)*)*) => { $(
        $(#[$doc])*
        pub trait $level {
            /// The codec.
            type Codec;
            /// The codec.
            fn codec(&self) -> Self::Codec;
        }
        $(impl<$($generics)*> $level for $probe {
            type Codec = $codec;
            fn codec(&self) -> $codec {
                $new
            }
        })*
    )* };
}

levels! {
    /// Plain elements that serde supports, too.
    Level7:
        [E: Plain + Value] &&&&&&Probe<Vec<E>> => FlatVec<E>, FlatVec(PhantomData);
        [E: Plain + Value] &&&&&&Probe<[E]> => FlatOrPackedSlice<E>, FlatOrPackedSlice(PhantomData);
    /// Plain elements, text, paths.
    Level6:
        [E: Plain] &&&&&Probe<Vec<E>> => PlainVec<E>, PlainVec(PhantomData);
        [E: Plain] &&&&&Probe<[E]> => FlatSlice<E>, FlatSlice(PhantomData);
        [E: Plain] &&&&&Probe<Array<E>> => FlatArray<E>, FlatArray(PhantomData);
        [E: Plain] &&&&&Probe<ObjectRef<Vec<E>>> => RefToVec<E>, RefToVec(PhantomData);
        [] &&&&&Probe<str> => Text, Text;
        [] &&&&&Probe<String> => OwnedText, OwnedText;
        [] &&&&&Probe<Path> => BorrowedPath, BorrowedPath;
    /// Many values that threads may share.
    Level5:
        [E: Value + Send + Sync] &&&&Probe<Vec<E>> => PackedVec<E>, PackedVec { sharing: Some(Sharing::NEW) };
        [E: Value + Send + Sync] &&&&Probe<[E]> => PackedSlice<E>, PackedSlice { sharing: Some(Sharing::NEW) };
    /// Many values.
    Level4:
        [E: Value] &&&Probe<Vec<E>> => PackedVec<E>, PackedVec { sharing: None };
        [E: Value] &&&Probe<[E]> => PackedSlice<E>, PackedSlice { sharing: None };
    /// Other values that threads may share.
    Level3:
        [T: Value + Send + Sync] &&Probe<T> => Packed<T>, Packed { sharing: Some(Sharing::NEW) };
    /// All other values.
    Level2:
        [T: Value] &Probe<T> => Packed<T>, Packed { sharing: None };
    /// Types that cannot travel.
    Level1:
        [T: ?Sized] Probe<T> => NoCodec<T>, NoCodec(PhantomData);
}

/// Return types that are not a `Result`: their name says all. Not public API.
pub trait IsNamed {
    /// Does nothing.
    fn is_named<T>(&self) {}
}

impl<T> IsNamed for Probe<T> {}

/// A `Result` under another name: the macro, which sees names only, would take it for a value. Not
/// public API.
pub trait IsResult {
    /// Does not compile.
    fn is_named<T: PlainlyNamed>(&self) {}
}

impl<T, E> IsResult for &Probe<std::result::Result<T, E>> {}

/// Implemented by no `Result`. Not public API.
#[diagnostic::on_unimplemented(
    message = "this return type is a `Result` under another name",
    label = "write it as `Result<..>`",
    note = "#[remote] knows a `Result` by its last word (`io::Result<T>`, `anyhow::Result<T>`, `Result<T, E>`): the ref is then of `T`, and an `Err` fails the task"
)]
pub trait PlainlyNamed {}
