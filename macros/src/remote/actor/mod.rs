//! `#[remote]` on an `impl` block: its type becomes an actor.

mod attribute;
mod construct;
mod constructor;
mod generate;
mod header;
mod method;
mod methods;
mod self_type;
mod shape;
mod stub;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{ImplItem, ItemImpl};

use crate::{
    crate_path,
    errors::Errors,
    options::{Options, Place},
};

/// Expands the block. The block itself is part of the output in any case, without the attributes of
/// its methods.
pub(super) fn expand(args: TokenStream, block: ItemImpl, mut errors: Errors) -> TokenStream {
    let options = Options::parse(args, Place::Actor, &mut errors);
    let root = crate_path::mobula(options.krate.as_ref());
    let mut out = plain(&block);
    let Some(header) = header::check(&block, &mut errors) else {
        out.extend(errors.into_tokens());
        return out;
    };
    let parts = methods::parse(&block, &header, &mut errors);
    methods::check_groups(&options.groups, &parts, &mut errors);
    match parts.constructor {
        Some(constructor) if errors.is_empty() => out.extend(generate::generate(
            &header,
            &constructor,
            &parts.methods,
            &options,
            &root,
        )),
        _ => {
            out.extend(errors.into_tokens());
            // Without `new`, it may be the second block of an actor.
            if parts.has_new {
                out.extend(stub::generate(&block, &header, &root));
            }
        }
    }
    out
}

fn plain(block: &ItemImpl) -> TokenStream {
    let mut block = block.clone();
    for item in &mut block.items {
        if let ImplItem::Fn(function) = item {
            function
                .attrs
                .retain(|attribute| !attribute::is_remote(attribute));
        }
    }
    block.into_token_stream()
}
