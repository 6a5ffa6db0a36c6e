//! Checks the form of a remote function, except its parameters and its result.

use std::fmt;

use proc_macro2::Ident;
use quote::ToTokens;
use syn::{GenericParam, Safety, Signature};

use crate::errors::Errors;

const PRIMITIVES: [&str; 19] = [
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64",
    "i128", "isize", "f16", "f32", "f64", "f128",
];

/// The kind of function that has the signature.
#[derive(Clone, Copy)]
pub(crate) enum Callee {
    Function,
    Constructor,
    Method,
}

impl Callee {
    fn noun(self) -> &'static str {
        match self {
            Callee::Function => "function",
            Callee::Constructor => "actor",
            Callee::Method => "method",
        }
    }
}

impl fmt::Display for Callee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Callee::Function => "a remote function",
            Callee::Constructor => "an actor's constructor",
            Callee::Method => "an actor's method",
        })
    }
}

pub(crate) fn check(signature: &Signature, callee: Callee, errors: &mut Errors) {
    if let Some(token) = &signature.constness {
        errors.at(
            token,
            format_args!("{callee} is not `const`: it runs in another process"),
        );
    }
    if let Safety::Unsafe(token) = &signature.safety {
        errors.at(
            token,
            format_args!("{callee} is not `unsafe`; write a safe wrapper"),
        );
    }
    if let Some(token) = &signature.abi {
        errors.at(
            token,
            format_args!(
                "{callee} has Rust's own ABI; call the `extern` function from a plain one"
            ),
        );
    }
    if let Some(token) = &signature.variadic {
        errors.at(
            token,
            format_args!("{callee} has a fixed number of parameters; take a `Vec`"),
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
            format_args!(
                "{callee} is not generic: every process must know it by one name; write one {} per type",
                callee.noun()
            ),
        );
    }
    if let Some(clause) = &signature.generics.where_clause {
        errors.at(
            clause,
            format_args!("{callee} has no `where` clause: all its types are known"),
        );
    }
}

/// Checks the name of a function, which is also the name of a type.
pub(crate) fn check_name(ident: &Ident, errors: &mut Errors) {
    let name = ident.to_string();
    if PRIMITIVES.contains(&name.as_str()) {
        errors.at(
            ident,
            format_args!("a remote function named `{name}` would hide the type `{name}`; give it another name"),
        );
    }
}
