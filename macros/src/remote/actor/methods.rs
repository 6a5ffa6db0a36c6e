//! Parses the part of the block between the braces: the constructor and the methods.

use proc_macro2::Ident;
use syn::{
    Expr, FnArg, ImplItem, ImplItemFn, ItemImpl, LitStr, Path, Receiver, ReceiverKind, Type,
};

use super::{
    attribute::attribute,
    constructor,
    constructor::Constructor,
    header::{Header, is_actor},
    self_type,
};
use crate::{
    errors::Errors,
    options::{Options, Place},
    remote::{
        inspect::ungroup,
        params::{self, Param},
        returns::{self, Output},
        signature::{self, Callee},
    },
};

pub(super) struct Parts {
    pub(super) constructor: Option<Constructor>,
    /// Whether there is a `new`, with or without errors.
    pub(super) has_new: bool,
    pub(super) methods: Vec<Method>,
}

/// A method. Its signature has no `Self`.
pub(super) struct Method {
    pub(super) function: ImplItemFn,
    pub(super) params: Vec<Param>,
    pub(super) output: Output,
    /// Whether it takes `&mut self`.
    pub(super) exclusive: bool,
    pub(super) options: Options,
}

/// Methods that every ref has by a trait of the standard prelude. The lookup of a method finds them
/// before the methods of the actor.
const TAKEN: [&str; 7] = [
    "clone",
    "clone_from",
    "eq",
    "into",
    "ne",
    "to_owned",
    "try_into",
];

const FUNCTIONS_ONLY: &str = "the remote `impl` block of an actor has only its constructor and its methods; move this to a second `impl` block without #[remote]";

pub(super) fn parse(block: &ItemImpl, header: &Header, errors: &mut Errors) -> Parts {
    let mut parts = Parts {
        constructor: None,
        has_new: false,
        methods: Vec::new(),
    };
    for item in &block.items {
        let function = match item {
            ImplItem::Fn(function) => function,
            ImplItem::Const(item) => {
                errors.at(item.const_token, FUNCTIONS_ONLY);
                continue;
            }
            ImplItem::Type(item) => {
                errors.at(item.type_token, FUNCTIONS_ONLY);
                continue;
            }
            other => {
                errors.at(other, FUNCTIONS_ONLY);
                continue;
            }
        };
        let name = &function.sig.ident;
        let receiver = match function.sig.inputs.first() {
            Some(FnArg::Receiver(receiver)) => Some(receiver),
            _ => None,
        };
        match receiver {
            Some(receiver) if name == "new" => errors.at(
                receiver,
                "`new` makes the actor, so it has no `self` yet; give a method another name",
            ),
            Some(receiver) => parts.methods.extend(method(function, receiver, header, errors)),
            None if name == "new" => {
                parts.constructor = constructor::parse(function, header, errors);
            }
            None => errors.at(
                name,
                format_args!(
                    "`{name}` has no `self`, so it is no method of the actor; move it to a second `impl` block without #[remote]"
                ),
            ),
        }
    }
    parts.has_new = block.items.iter().any(is_new);
    if !parts.has_new {
        errors.at(
            &block.self_ty,
            format_args!(
                "an actor has one remote `impl` block, with its constructor: `fn new(..) -> Self` or `fn new(..) -> Result<Self, Error>`"
            ),
        );
    }
    parts
}

fn is_new(item: &ImplItem) -> bool {
    matches!(item, ImplItem::Fn(function) if function.sig.ident == "new")
}

fn method(
    function: &ImplItemFn,
    receiver: &Receiver,
    header: &Header,
    errors: &mut Errors,
) -> Option<Method> {
    let options = Options::parse(attribute(function, errors), Place::Method, errors);
    check_name(&function.sig.ident, errors);
    signature::check(&function.sig, Callee::Method, errors);
    let exclusive = exclusive(receiver, &header.path, errors);
    let mut function = function.clone();
    function.sig = self_type::in_signature(&function.sig, &header.path);
    let params = params::parse(function.sig.inputs.iter().enumerate().skip(1), errors);
    let output = returns::parse(&function.sig.output, errors);
    output.check_retries(&options, errors);
    Some(Method {
        exclusive: exclusive?,
        function,
        params,
        output,
        options,
    })
}

fn check_name(name: &Ident, errors: &mut Errors) {
    if name == "remote" {
        errors.at(
            name,
            "`remote` is what makes the actor, as in `Counter::remote(..)`; give this method another name",
        );
    } else if TAKEN.iter().any(|taken| name == taken) {
        errors.at(
            name,
            format_args!(
                "every `ActorRef` has its own `{name}`, which would be called instead; give this method another name"
            ),
        );
    }
}

const BORROWS: &str = "an actor's method borrows: it takes `&self` or `&mut self`, since the actor stays for further calls";

/// Returns whether the method takes `&mut self`.
fn exclusive(receiver: &Receiver, actor: &Path, errors: &mut Errors) -> Option<bool> {
    let (lifetime, mutability) = match &receiver.kind {
        ReceiverKind::Reference(_, lifetime, mutability) => (lifetime, mutability),
        ReceiverKind::Typed(_, ty) => match ungroup(ty) {
            Type::Reference(reference) if is_actor(&reference.elem, actor) => {
                (&reference.lifetime, &reference.mutability)
            }
            Type::Reference(_) => {
                errors.at(receiver, "an actor's method takes `&self` or `&mut self`");
                return None;
            }
            _ => {
                errors.at(receiver, BORROWS);
                return None;
            }
        },
        _ => {
            errors.at(receiver, BORROWS);
            return None;
        }
    };
    match lifetime {
        Some(lifetime) if lifetime.ident == "static" => {
            errors.at(
                lifetime,
                "the actor is borrowed for the call only, not for `'static`",
            );
            None
        }
        _ => Some(mutability.is_some()),
    }
}

/// Checks that each group with a limit has a method.
pub(super) fn check_groups(limits: &[(LitStr, Expr)], parts: &Parts, errors: &mut Errors) {
    for (name, _) in limits {
        let mut groups = parts
            .methods
            .iter()
            .filter_map(|m| m.options.group.as_ref());
        if !groups.any(|group| group.value() == name.value()) {
            errors.at(
                name,
                format_args!(
                    "no method is in the group `{0}`; write `#[remote(group = \"{0}\")]` on those that are",
                    name.value()
                ),
            );
        }
    }
}
