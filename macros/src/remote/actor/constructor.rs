//! Parses the constructor, `fn new`.

use syn::{Error, GenericArgument, ImplItemFn, Path, PathArguments, ReturnType, Type};

use super::{
    attribute::attribute,
    header::{Header, is_actor},
    self_type,
};
use crate::{
    errors::Errors,
    remote::{
        inspect::{is_result, ungroup},
        params::{self, Param},
        signature::{self, Callee},
    },
};

/// The constructor. Its signature has no `Self`.
pub(super) struct Constructor {
    pub(super) function: ImplItemFn,
    pub(super) params: Vec<Param>,
    /// Whether it returns a `Result`.
    pub(super) fallible: bool,
}

pub(super) fn parse(
    function: &ImplItemFn,
    header: &Header,
    errors: &mut Errors,
) -> Option<Constructor> {
    let options = attribute(function, errors);
    if !options.is_empty() {
        errors.at(
            options,
            "options of the actor stand on the `impl` block, as in `#[remote(max_restarts = 2)] impl ..`",
        );
    }
    signature::check(&function.sig, Callee::Constructor, errors);
    let fallible = fallible(&function.sig.output, &header.path);
    if fallible.is_none() {
        let message = "an actor's constructor returns `Self` or `Result<Self, Error>`";
        match &function.sig.output {
            ReturnType::Default => errors.at(&function.sig.ident, message),
            ReturnType::Type(_, ty) => errors.at(ty, message),
        }
    }
    let mut function = function.clone();
    function.sig = self_type::in_signature(&function.sig, &header.path);
    let params = params::parse(function.sig.inputs.iter().enumerate(), errors);
    for part in params.iter().filter(|param| param.is_part()) {
        errors.push(Error::new(
            part.place(),
            "a constructor may have to run again, after a part of a shared array was given back; take it in a method",
        ));
    }
    Some(Constructor {
        function,
        params,
        fallible: fallible?,
    })
}

/// Returns whether it returns a `Result` of the actor. Returns `None` if it returns neither that
/// nor the actor.
fn fallible(output: &ReturnType, actor: &Path) -> Option<bool> {
    let ReturnType::Type(_, ty) = output else {
        return None;
    };
    let ty = ungroup(ty);
    if is_actor(ty, actor) {
        return Some(false);
    }
    let Type::Path(path) = ty else {
        return None;
    };
    let arguments = match &path.path.segments.last()?.arguments {
        PathArguments::AngleBracketed(arguments) if is_result(ty) => &arguments.args,
        _ => return None,
    };
    match arguments.first()? {
        GenericArgument::Type(ok) if is_actor(ok, actor) => Some(true),
        _ => None,
    }
}
