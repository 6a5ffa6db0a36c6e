//! Parses the part of the block before the braces.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{ItemImpl, Path, PathArguments, Type};

use crate::{
    errors::Errors,
    remote::{function::cfgs, inspect::ungroup},
};

/// The actor's type.
pub(super) struct Header {
    pub(super) path: Path,
    /// The last word of the path.
    pub(super) name: Ident,
    /// The conditions under which the type is an actor.
    pub(super) cfgs: Vec<TokenStream>,
}

/// Checks the header. Returns `None` if nothing is known of the type.
pub(super) fn check(block: &ItemImpl, errors: &mut Errors) -> Option<Header> {
    let mut usable = true;
    if let Some((path, _)) = &block.trait_ {
        errors.at(
            path,
            "#[remote] goes on an actor's own `impl` block, not on that of a trait; write methods that call those of the trait",
        );
        return None;
    }
    if !block.generics.params.is_empty() {
        errors.at(
            &block.generics.params,
            "an actor is not generic: every process must know it by one name; wrap the concrete type, as in `struct Name(Generic<u64>);`",
        );
        usable = false;
    }
    if let Some(clause) = &block.generics.where_clause {
        errors.at(
            clause,
            "an actor has no `where` clause: all its types are known",
        );
        usable = false;
    }
    let named = match ungroup(&block.self_ty) {
        Type::Path(path) if path.qself.is_none() => Some(&path.path),
        _ => None,
    };
    let Some((path, last)) = named.and_then(|path| Some((path, path.segments.last()?))) else {
        errors.at(&block.self_ty, "an actor is a named type");
        return None;
    };
    if usable && !matches!(last.arguments, PathArguments::None) {
        errors.at(
            path,
            "an actor is not generic: every process must know it by one name; wrap the concrete type, as in `struct Name(Generic<u64>);`",
        );
        usable = false;
    }
    usable.then(|| Header {
        path: path.clone(),
        name: last.ident.clone(),
        cfgs: cfgs(&block.attrs),
    })
}

/// Returns whether this is `Self`, or the actor by its name.
pub(super) fn is_actor(ty: &Type, actor: &Path) -> bool {
    match ungroup(ty) {
        Type::Path(path) => {
            let text = |path: &Path| path.to_token_stream().to_string();
            path.qself.is_none() && (path.path.is_ident("Self") || text(&path.path) == text(actor))
        }
        _ => false,
    }
}
