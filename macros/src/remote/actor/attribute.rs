//! `#[remote]` on a single function of the block.

use proc_macro2::TokenStream;
use syn::{Attribute, ImplItemFn, Meta};

use crate::errors::Errors;

/// Returns whether this is `#[remote]`, with any path.
pub(super) fn is_remote(attribute: &Attribute) -> bool {
    let last = attribute.path().segments.last();
    last.is_some_and(|segment| segment.ident == "remote")
}

/// Returns the tokens in the parentheses of a function's own `#[remote]`.
pub(super) fn attribute(function: &ImplItemFn, errors: &mut Errors) -> TokenStream {
    let mut attributes = function.attrs.iter().filter(|a| is_remote(a));
    let first = attributes.next();
    if let Some(second) = attributes.next() {
        errors.at(second, "#[remote] is given twice");
    }
    match first.map(|attribute| &attribute.meta) {
        None | Some(Meta::Path(_)) => TokenStream::new(),
        Some(Meta::List(list)) => list.tokens.clone(),
        Some(Meta::NameValue(meta)) => {
            errors.at(
                meta,
                "options stand in parentheses, as in `#[remote(retries = 2)]`",
            );
            TokenStream::new()
        }
    }
}
