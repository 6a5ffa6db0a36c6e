//! What a remote function may be, apart from its parameters and its result.

use quote::ToTokens;
use syn::{GenericParam, Signature};

use crate::errors::Errors;

const PRIMITIVES: [&str; 19] = [
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64",
    "i128", "isize", "f16", "f32", "f64", "f128",
];

pub(crate) fn check(signature: &Signature, errors: &mut Errors) {
    if let Some(token) = &signature.constness {
        errors.at(
            token,
            "a remote function is not `const`: it runs in another process",
        );
    }
    if let Some(token) = &signature.unsafety {
        errors.at(
            token,
            "a remote function is not `unsafe`; write a safe wrapper",
        );
    }
    if let Some(token) = &signature.abi {
        errors.at(
            token,
            "a remote function has Rust's own ABI; call the `extern` function from a plain one",
        );
    }
    if let Some(token) = &signature.variadic {
        errors.at(
            token,
            "a remote function has a fixed number of parameters; take a `Vec`",
        );
    }
    for param in &signature.generics.params {
        let what = match param {
            GenericParam::Lifetime(_) => continue,
            GenericParam::Type(param) => param.to_token_stream(),
            GenericParam::Const(param) => param.to_token_stream(),
        };
        errors.at(
            what,
            "a remote function is not generic: every process must know it by one name; write one function per type",
        );
    }
    if let Some(clause) = &signature.generics.where_clause {
        errors.at(
            clause,
            "a remote function has no `where` clause: all its types are known",
        );
    }
    let name = signature.ident.to_string();
    if PRIMITIVES.contains(&name.as_str()) {
        errors.at(
            &signature.ident,
            format_args!("a remote function named `{name}` would hide the type `{name}`; give it another name"),
        );
    }
}
