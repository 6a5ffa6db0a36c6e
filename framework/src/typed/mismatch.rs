//! The errors for objects that are not of the wanted type.

use std::any::type_name;

use mobula_protocol::{Error, Format, TypeTag};

use super::flat::Types;

/// Returns the error for an object of format `found` where a `T` was wanted. The error names both
/// types if they are known. Known are the types in remote functions' signatures, and the primitive
/// types.
#[cold]
pub(crate) fn mismatch<T: ?Sized>(found: &Format) -> Error {
    mismatch_with(type_name::<T>(), found)
}

/// Returns the error of [`mismatch`] for a type of this name. One function for all types keeps
/// programs small.
#[cold]
pub(crate) fn mismatch_with(wanted: &str, found: &Format) -> Error {
    let found = match found {
        Format::Text => "a text".to_owned(),
        Format::Packed { of } => match Types::all().of_tag(*of) {
            Some(name) => format!("a `{name}`"),
            None => "a value of another type, which no remote function takes or returns".to_owned(),
        },
        Format::Shared { kind, of, .. } => {
            format!(
                "shared memory of another type ({kind:?} of `{}`)",
                name(*of)
            )
        }
        Format::Part { of, .. } => format!("a part of a shared array of `{}`", name(*of)),
        Format::Flat { elem, shape } => {
            let elem = name(*elem);
            match &shape[..] {
                [len] => format!("an array of {len} elements `{elem}`"),
                shape => format!("an array of shape {shape:?} with elements `{elem}`"),
            }
        }
    };
    Error::type_mismatch(format!("expected `{wanted}`, found {found}"))
}

fn name(tag: TypeTag) -> &'static str {
    Types::all().of_tag(tag).unwrap_or("(unknown)")
}
